"""What the zoo knows about a paper's models: names, builders, official files, how their weights are called."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from torch import Tensor

from poise.dims import Size
from poise.models.base import Model
from poise.nn.base import Network
from poise.nn.rcnn import RCNN
from poise.skeletons import COCO17, MPII16, Skeleton
from poise.weights.release import Release


@dataclass(frozen=True)
class BuildRequest:
    """A name taken apart, and what is wanted beside it.

    Attributes:
        name: As given.
        parts: The named groups of the family's pattern.
        skeleton: Of the user; None for that of the name.
        pretrained: Whether the backbone starts from ImageNet weights.
        codec: Name of another codec than the paper's; None for the paper's.
    """

    name: str
    parts: Mapping[str, str]
    skeleton: Skeleton | None = None
    pretrained: bool = False
    codec: str | None = None

    @property
    def size(self) -> Size:
        """Of views (h, w), from the part `size` ("256x192")."""
        height, width = self.parts["size"].split("x")
        return int(height), int(width)

    @property
    def keypoints(self) -> Skeleton:
        """The skeleton given, else that of the part `data` ("coco" or "mpii")."""
        return self.skeleton or published_skeleton(self.parts["data"])


def published_skeleton(data: str) -> Skeleton:
    """Of a data set by the word that stands in names: "coco" or "mpii"."""
    return MPII16 if data == "mpii" else COCO17


@dataclass(frozen=True)
class PretrainedBackbone:
    """A checkpoint of another task's network, whose backbone is that of some of a family's models.

    Attributes:
        words: What it is, for people.
        layers: Beginnings of the names of its backbone's weights; what has other names is left out.
        backbone: Of ours, put before those names.
    """

    words: str
    layers: tuple[str, ...]
    backbone: str = "backbone."


@dataclass(frozen=True)
class Family:
    """The models of one file of the zoo; every such file has one, called FAMILY.

    Attributes:
        paper: In words, with its number.
        form: What names look like, for people.
        pattern: The same as a regular expression with named groups; the whole name must match.
        build: Makes the model of a name.
        networks: Functions that make a network from plain arguments, by name; model files may ask for these and no others.
        releases: The published models, and sizes worth listing.
        keys: Beginnings of weight names, official and ours; the first that fits counts. Empty without official files.
        order: Sorts official names where the official network holds its parts in another order than ours; names of equal rank
            keep our order.
        duplicates: From official names, each once: those under which the official checkpoint holds a weight a second time, and
            the first names of those.
        unread: Official names that no answer depends on, as a regular expression: layers the release makes and never asks.
        start: What a model of the family may start from beside its own checkpoints.
    """

    paper: str
    form: str
    pattern: str
    build: Callable[[BuildRequest], Model]
    networks: Mapping[str, Callable[..., Network | RCNN]]
    releases: tuple[Release, ...] = ()
    keys: tuple[tuple[str, str], ...] = ()
    order: Callable[[str], tuple[int, ...]] | None = None
    duplicates: Callable[[Collection[str]], Mapping[str, str]] | None = None
    unread: str | None = None
    start: PretrainedBackbone | None = None

    def match(self, name: str) -> Mapping[str, str] | None:
        """The parts of a name, or None if it is not of this family."""
        found = re.fullmatch(self.pattern, name)
        return None if found is None else {key: value or "" for key, value in found.groupdict().items()}

    def ours(self, official: str) -> str:
        """The name of a weight in our network."""
        return _replace(official, self.keys)

    def official(self, ours: str) -> str:
        """The name of a weight in the official checkpoint."""
        return _replace(ours, tuple((b, a) for a, b in self.keys))

    def copies(self, ours: Iterable[str]) -> Mapping[str, str]:
        """Official names that weights of ours have beside those of `official`, and those."""
        return {} if self.duplicates is None else self.duplicates([self.official(key) for key in ours])

    def exported(self, ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Weights of our network as the official checkpoint holds them: under its names, in its order, some of them twice."""
        state = {self.official(key): value for key, value in ours.items()}
        state |= {copy: state[first] for copy, first in self.copies(ours).items()}
        return state if self.order is None else {key: state[key] for key in sorted(state, key=self.order)}

    def reads(self, official: str) -> bool:
        """Whether an answer may depend on the weight of this official name."""
        return self.unread is None or re.fullmatch(self.unread, official) is None


def _replace(key: str, pairs: tuple[tuple[str, str], ...]) -> str:
    for old, new in pairs:
        if key.startswith(old):
            return new + key[len(old) :]
    return key
