"""Models known by name: those that come with poise, and the folder of official files and models of them (`poise get`)."""

import os
import sys
from pathlib import Path

from poise.weights.aliases import known_as

VARIABLE = "POISE_HOME"
"""Environment variable that names another folder than the platform's for caches."""

FILES = "files"
"""Name of the part of the folder that holds official files."""

SHIPPED = Path(__file__).parent / "shipped"
"""Folder of the models that come with poise; a package without weights has none."""

PEOPLE, PEOPLE_DETECTOR = "poise_people", "poise_people_detector"
"""The models that come with poise: COCO's keypoints in a box, and the boxes."""

PEOPLE_NETWORK = "poise_t"
"""The network of the first, by the short name that `poise train` takes."""

PEOPLE_RATE = 4e-3
"""The learning rate for batches of 32 at which it learns other keypoints (docs/results.md, a lab's first picture)."""

DEFAULT = "blazepose_full"
"""What `poise predict` gets where no model is given and none came with poise."""

NO_MODEL = "train one, convert a checkpoint with `poise import`, or get an official one by its name with `poise get`"
"""What to do where a model file is not there."""


def home() -> Path:
    """The folder: `$POISE_HOME`, else `poise` in the platform's folder for caches."""
    given = os.environ.get(VARIABLE)
    return Path(given).expanduser() if given else platform_home()


def platform_home() -> Path:
    """`poise` in the platform's folder for caches."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "poise"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "poise"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "poise"


def files_folder() -> Path:
    """Where official files lie."""
    return home() / FILES


def kept_file(name: str) -> Path | None:
    """An official file that is there: in the folder, else in the platform's; None where neither has it.

    Args:
        name: Such as `pose_landmark_full.tflite`.
    """
    places = (files_folder() / name, platform_home() / FILES / name)
    return next((path for path in places if path.is_file()), None)


def model_place(name: str) -> Path:
    """Where the model of a name is kept, whether it is there or not."""
    return home() / "models" / f"{name}.safetensors"


def no_default() -> str:
    """What to say where no model is given and the default one is not there."""
    return (
        f"no model was given, and the default one, {DEFAULT} (Apache-2.0, code and weights of MediaPipe), is not here; "
        f"`poise get {DEFAULT}` or --yes brings it, or give a file with --model (`poise train` and `poise import` make some)"
    )


def kept_models() -> dict[str, Path]:
    """The models that are there, by name: those that come with poise, and those of the folder."""
    return {path.stem: path for folder in (home() / "models", SHIPPED) for path in sorted(folder.glob("*.safetensors"))}


def shipped(name: str) -> Path | None:
    """The file of a model that comes with poise; None where there is no such model.

    Args:
        name: Any name; `PEOPLE` and `PEOPLE_DETECTOR` are those of such models.
    """
    place = SHIPPED / f"{name}.safetensors"
    return place if name in (PEOPLE, PEOPLE_DETECTOR) and place.is_file() else None


def comes_with_poise(path: Path) -> bool:
    """Whether a file is that of a model that comes with poise."""
    return path.parent == SHIPPED


def default_place() -> Path:
    """The file of the model where none is given, whether it is there or not: the one that comes with poise, else `DEFAULT`."""
    return shipped(PEOPLE) or model_place(DEFAULT)


def located(path: str | os.PathLike[str]) -> Path:
    """The file of a model: the path itself, or that of a model that is there under this name and no file is called so.

    Args:
        path: A path, or a name such as `blazepose_full`, also as people write it (`weights.aliases`).
    """
    given = Path(path)
    if given.suffix != "" or given.name != str(path) or given.exists():
        return given
    kept = kept_models()
    return kept.get(known_as(given.name, kept), given)
