"""torchvision's detectors, trained on COCO: networks and weights by name, through torchvision's own loader."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

from torch import Tensor, nn

from poise.errors import CheckpointError, unknown
from poise.weights.torch_cache import UNREADABLE, bring, cached, digest_of

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


def has_weights(name: str) -> bool:
    """Whether the default weights of a detector are in torch's cache."""
    from torchvision.models import get_model_weights

    weights: Any = get_model_weights(name).DEFAULT
    return cached(weights.url).is_file()


def bring_weights(name: str) -> None:
    """Download the default weights of a detector into torch's cache, unless they are there.

    Raises:
        ReadError: They cannot be downloaded; the message says which file belongs where.
    """
    from torchvision.models import get_model_weights

    weights: Any = get_model_weights(name).DEFAULT
    bring(weights.url, what=name, instead=_by_hand(weights.url))


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


def _state(name: str, weights: Any) -> Mapping[str, Tensor]:
    bring(weights.url, what=name, instead=_by_hand(weights.url))
    try:
        state: Mapping[str, Tensor] = weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
        return state
    except (OSError, RuntimeError, *UNREADABLE) as error:
        raise CheckpointError(_damaged(weights.url, error)) from error


def _by_hand(url: str) -> str:
    """What to do where weights cannot be downloaded."""
    return (
        f"fetch {url} where there is a network and put it into the folder {cached(url).parent} (its sha256 begins with "
        f"{digest_of(url)})"
    )


def _damaged(url: str, error: Exception) -> str:
    file = cached(url)
    with file.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    return (
        f"{file} is damaged or another file ({_first_line(error)}): its sha256 begins with {found[:8]}, that of {url} with "
        f"{digest_of(url)}; delete it and fetch it again"
    )


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".:")
