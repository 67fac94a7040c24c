"""Official files over the network, checked and written whole."""

import hashlib
import shutil
import tempfile
import urllib.request
from pathlib import Path

from poise.errors import CheckpointError, ReadError, WriteError
from poise.weights.release import Release
from poise.writing import check_target

TIMEOUT = 30
"""Seconds without an answer after which the server counts as not there."""


def fetch(release: Release, folder: Path) -> Path:
    """Download the official file of a release into `folder`, unless it is there.

    Raises:
        ReadError: Nothing was published, or only for a browser, or there is no network; the message says where to put the file.
        CheckpointError: The file has another sha256 than the published one.
        WriteError: The folder cannot be written.
    """
    if not release.file:
        raise ReadError(f"the authors published no file for {release.name!r} ({release.page}); train it")
    target = folder / Path(release.file).name
    by_hand = f"download {release.file} from {release.folder or release.page} in a browser to {target}, then run: " + (
        f"poise import {release.name} {target} --out {release.name}.safetensors"
    )
    if target.is_file():
        _check(target, release)
        return target
    check_target(target, flag="--fetch")
    if release.url is None:
        raise ReadError(f"the file of {release.name!r} lies in a folder for browsers only; {by_hand}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".poise-", dir=folder) as draft:
            path = Path(draft) / target.name
            _download(release.url, path, by_hand)
            _check(path, release)
            path.replace(target)
    except ReadError:
        raise
    except OSError as error:
        raise WriteError(f"{folder} cannot be written ({error}); choose another folder") from error
    return target


def _download(url: str, path: Path, by_hand: str) -> None:
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT) as answer, path.open("wb") as file:
            shutil.copyfileobj(answer, file)
    except (OSError, ValueError) as error:
        raise ReadError(f"{url} cannot be downloaded ({error}); {by_hand}") from error


def _check(path: Path, release: Release) -> None:
    if release.sha256 is None:
        return
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != release.sha256:
        raise CheckpointError(
            f"{path.name} has sha256 {found}, not the published {release.sha256}; delete it and fetch it again"
        )
