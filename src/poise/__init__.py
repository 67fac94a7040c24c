"""poise: 2-D pose estimation for people and animals.

    import poise
    model = poise.load("model.safetensors")
    poses = poise.predict(model, "photo.jpg", boxes=[[10, 20, 110, 220]])

Modules are imported when one of their names is first used.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from poise.inference.predictor import Predictor, predict
    from poise.inference.video import video
    from poise.plugins import use_plugin
    from poise.weights.model_file import load, save

    __version__: str

__all__ = ["Predictor", "__version__", "load", "predict", "save", "use_plugin", "video"]

_HOMES = {
    "load": "poise.weights.model_file",
    "save": "poise.weights.model_file",
    "predict": "poise.inference.predictor",
    "Predictor": "poise.inference.predictor",
    "use_plugin": "poise.plugins",
    "video": "poise.inference.video",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name == "__version__":
        return _version()
    if name not in _HOMES:
        raise AttributeError(f"module 'poise' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """The public names, also those that were not used yet, and the parts of the package that were imported."""
    return sorted({*__all__, *globals()} - {"Any", "TYPE_CHECKING"})


def _version() -> str:
    """Version of the installed package, made from the tag of its commit."""
    import importlib.metadata

    try:
        return importlib.metadata.version("poise")
    except importlib.metadata.PackageNotFoundError:  # a copy of the source that was not installed
        return "0+unknown"
