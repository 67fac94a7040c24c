"""torchvision's detectors, trained on COCO: networks and weights by name, through torchvision's own loader."""

import hashlib
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final
from zipfile import BadZipFile

import torch
from torch import Tensor, nn

from poise.errors import CheckpointError, ReadError, unknown

UNREADABLE = (pickle.UnpicklingError, EOFError, BadZipFile, ValueError, LookupError)
"""Errors of reading a file that holds no weights."""

PERSON = "person"
"""COCO's name of the class of people."""


@final
@dataclass(frozen=True, eq=False)
class CocoDetector:
    """A detector of torchvision, trained on COCO.

    Attributes:
        name: Its name in torchvision.
        network: Takes a list of images (3 h w, RGB, 0 to 1) and gives `boxes`, `scores` and `labels` of each.
        person: Label of people.
    """

    name: str
    network: nn.Module
    person: int


def names() -> list[str]:
    """Names of torchvision's detectors, such as `fasterrcnn_resnet50_fpn`."""
    from torchvision.models import detection, list_models

    found: list[str] = list_models(module=detection)
    return found


def load_detector(name: str) -> CocoDetector:
    """A detector with torchvision's default weights, downloaded into torch's cache unless they are there.

    Raises:
        UnknownName: torchvision has no detector of that name; the message gives the nearest.
        ReadError: The weights are not there and cannot be downloaded; the message says which file belongs where.
        CheckpointError: The file in the cache is damaged.
    """
    from torchvision.models import get_model, get_model_weights

    if name not in names():
        raise unknown("detector", name, names())
    weights: Any = get_model_weights(name).DEFAULT
    network = get_model(name, weights=None, weights_backbone=None)
    state = _state(name, weights)
    try:
        network.load_state_dict(dict(state))
    except RuntimeError as error:
        raise CheckpointError(_damaged(weights.url, error)) from error
    return CocoDetector(name, network.eval(), weights.meta["categories"].index(PERSON))


def cached(url: str) -> Path:
    """Path of a downloaded file in torch's cache."""
    return Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]


def _state(name: str, weights: Any) -> Mapping[str, Tensor]:
    file = cached(weights.url)
    try:
        state: Mapping[str, Tensor] = weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
        return state
    except (OSError, RuntimeError, *UNREADABLE) as error:  # RuntimeError: a download of another hash
        if file.is_file():
            raise CheckpointError(_damaged(weights.url, error)) from error
        raise ReadError(
            f"the weights of {name} cannot be downloaded ({_first_line(error)}); fetch {weights.url} where there is a network "
            f"and put it into the folder {file.parent} (its sha256 begins with {_digest(weights.url)})"
        ) from error


def _damaged(url: str, error: Exception) -> str:
    file = cached(url)
    with file.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    return (
        f"{file} is damaged or another file ({_first_line(error)}): its sha256 begins with {found[:8]}, that of {url} with "
        f"{_digest(url)}; delete it and fetch it again"
    )


def _digest(url: str) -> str:
    """The beginning of the sha256 that torch's file names end in.

    >>> _digest("https://download.pytorch.org/models/fasterrcnn_resnet50_fpn_coco-258fb6c6.pth")
    '258fb6c6'
    """
    return url.rpartition("-")[2].partition(".")[0]


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".:")
