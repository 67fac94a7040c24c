"""Weights of torchvision in torch's cache: brought by our own downloader, checked by the sha256 that stands in their names."""

import pickle
import re
from pathlib import Path
from zipfile import BadZipFile

import torch

from poise.errors import PoiseError, ReadError, WriteError
from poise.weights.download import download
from poise.weights.fetch import sha256_of
from poise.writing import draft_folder

UNREADABLE = (pickle.UnpicklingError, EOFError, BadZipFile, ValueError, LookupError)
"""Errors of reading a file that holds no weights."""

_DIGEST = re.compile(r"-([0-9a-f]{8,64})\.\w+$")


def cached(url: str) -> Path:
    """Path of a downloaded file in torch's cache.

    Args:
        url: Address of the file.
    """
    return Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]


def digest_of(url: str) -> str:
    """The beginning of the sha256 that torch's file names end in; "" where a name has none.

    >>> digest_of("https://download.pytorch.org/models/fasterrcnn_resnet50_fpn_coco-258fb6c6.pth")
    '258fb6c6'
    """
    found = _DIGEST.search(url)
    return "" if found is None else found[1]


def bring(url: str, *, what: str, instead: str) -> Path:
    """The file of an address in torch's cache, downloaded whole unless it is there; https alone, with a limit of time.

    Args:
        url: Address of the file.
        what: Name of the weights, for the message.
        instead: What to do where they cannot be had, for the message.

    Raises:
        ReadError: They are not there and cannot be downloaded.
        WriteError: The cache cannot be written.
    """
    target = cached(url)
    if not target.is_file():
        _download(url, target, what=what, instead=instead)
    return target


def _download(url: str, target: Path, *, what: str, instead: str) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with draft_folder(target.parent) as draft:
            path = draft / target.name
            download(url, path, instead=instead)
            if not sha256_of(path).startswith(digest_of(url)):
                raise ReadError(f"the weights of {what} came damaged from {url} (another sha256); try again, or {instead}")
            path.replace(target)
    except PoiseError:
        raise
    except OSError as error:
        raise WriteError(
            f"torch's cache {str(target.parent)!r} cannot be written ({error.strerror or error}); set TORCH_HOME to another "
            "folder"
        ) from error
