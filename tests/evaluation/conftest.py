"""The models and images of tests/inference, for evaluation too."""

import importlib.util
from pathlib import Path

_SPEC = importlib.util.spec_from_file_location("inference_conftest", Path(__file__).parent.parent / "inference" / "conftest.py")
assert _SPEC is not None
assert _SPEC.loader is not None
_SHARED = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_SHARED)
globals().update({name: value for name, value in vars(_SHARED).items() if not name.startswith("__")})
