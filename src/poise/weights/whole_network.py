"""Files that hold more than weights, by what is in them: a pickled network, a TorchScript archive, a model file of poise."""

import zipfile
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor

from poise.errors import CheckpointError

LAYERS = (b"torch.nn.modules.", b"ctorch.nn.modules")
"""Names of torch's layers, which a pickled network asks for and weights do not."""

MOST = 1 << 26
"""Bytes of a pickle that are looked at."""


def whole_network(path: Path) -> str | None:
    """Message about a file that is a network with its code, pickled or TorchScript; None for other files. No code is run.

    Args:
        path: Path of a file written by torch.
    """
    names = _members(path)
    if any(name.endswith("/constants.pkl") for name in names):
        return (
            f"{path} is a TorchScript archive (torch.jit.save), a program with its weights; save these alone: "
            "torch.save(torch.jit.load(FILE).state_dict(), 'weights.pth'), and import weights.pth"
        )
    if not any(layer in _pickle(path, names) for layer in LAYERS):
        return None
    return (
        f"{path} is a whole network, pickled with torch.save(model): only its own code reads it, and code in it could run, so "
        "it is not read. Where you trust it and have that code, save its weights alone: torch.save(torch.load(FILE, "
        "weights_only=False).state_dict(), 'weights.pth') (or ...['model'].state_dict() where it stands in a dictionary), and "
        "import weights.pth"
    )


def is_model_file(path: Path) -> bool:
    """Whether a file is a model file of poise."""
    try:
        with safe_open(path, framework="pt") as file:
            return "poise" in (file.metadata() or {})
    except (SafetensorError, OSError):
        return False


def read_safetensors(path: Path) -> Mapping[str, Tensor]:
    """The weights of a .safetensors file that is not of poise.

    Raises:
        CheckpointError: It is a model file already, or no such file.
    """
    try:
        with safe_open(path, framework="pt") as file:
            own = "poise" in (file.metadata() or {})
            weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  # not a dictionary
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is truncated or no .safetensors file ({error}); fetch it again") from error
    if own:
        raise CheckpointError(f"{path} is a model file of poise already: give it as --model {path}")
    return weights


def _members(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError):
        return []


def _pickle(path: Path, names: list[str]) -> bytes:
    """The beginning of the pickle in a file of torch, of today or of its first years."""
    inner = next((name for name in names if name.endswith("data.pkl")), None)
    try:
        if inner is None:
            with path.open("rb") as file:
                return file.read(MOST)
        with zipfile.ZipFile(path) as archive, archive.open(inner) as member:
            return member.read(MOST)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError, EOFError):
        return b""
