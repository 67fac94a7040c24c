"""A family: the names, builders, official releases and weight names of a paper's models."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from torch import Tensor, nn

from poise.dims import Size
from poise.models.base import Model
from poise.skeletons import COCO17, MPII16, Skeleton
from poise.skeletons.registry import find
from poise.weights.release import Release
from poise.weights.zoo_names import name_parts

DATA = r"(?P<data>coco|mpii|[a-z][a-z0-9_]*[0-9])"
"""The part of a name that says the keypoints: a data set, or the name of a skeleton with its number ("coco17", "ap10k17")."""

UPRIGHT = ("coco17", "halpe26", "wholebody133", "crowdpose14", "aic14")
"""Skeletons of whole people, who are usually seen in views of 256x192; all others have square ones."""


@dataclass(frozen=True)
class BuildRequest:
    """A model's name, parsed, and further wishes.

    Attributes:
        name: The name as given.
        parts: Named groups of the family's pattern.
        skeleton: Skeleton of the user; None for that of the name.
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
        """Size of the views (h, w), from the part `size` ("256x192")."""
        height, width = self.parts["size"].split("x")
        return int(height), int(width)

    @property
    def keypoints(self) -> Skeleton:
        """The skeleton given, else that of the part `data` (`published_skeleton`)."""
        return self.skeleton or published_skeleton(self.parts["data"])

    def completed(self, *, data: str = "", size: str = "") -> "BuildRequest":
        """The request with what its name leaves out: keypoints, and the size of views that is usual for them.

        Args:
            data: Keypoints of a name without any, by the name of a skeleton or data set; "" for COCO's.
            size: Size of a name without any, `HEIGHTxWIDTH`; "" for the one that is usual for the keypoints.
        """
        named = replace(self, parts={**self.parts, "data": self.parts["data"] or data})
        usual = size or ("256x192" if named.keypoints.name in UPRIGHT else "256x256")
        return replace(named, parts={**named.parts, "size": named.parts["size"] or usual})


def published_skeleton(data: str) -> Skeleton:
    """Skeleton of a data set by its word in names: "coco", "mpii", or that of a skeleton, such as "halpe26" (`registry.find`).

    Raises:
        UnknownName: There is no such skeleton.
    """
    return COCO17 if data in ("", "coco") else MPII16 if data == "mpii" else find(data)


@dataclass(frozen=True)
class PretrainedBackbone:
    """A checkpoint for another task, whose backbone models of a family may start from.

    Attributes:
        description: Description of the checkpoint.
        layers: Prefixes of the weight names of its backbone; other weights are left out.
        backbone: Our prefix, put before those names.
    """

    description: str
    layers: tuple[str, ...]
    backbone: str = "backbone."


@dataclass(frozen=True)
class Family:
    """The models of one file of the zoo; every such file defines one, called FAMILY.

    Attributes:
        paper: The paper and its number.
        form: Form of the names, for messages.
        pattern: Regular expression with named groups that the whole name must match.
        build: Makes the model of a name.
        networks: Functions that make a network from plain arguments, by name; a model file may name one of these and no others.
        releases: The published models, and sizes worth listing.
        keys: Pairs of prefixes of weight names, official and ours; the first that matches is replaced. Empty without official
            files.
        order: Sort key of official names, if the official network has its parts in another order than ours; names of equal rank
            keep our order.
        duplicates: From official names, each once: the names under which the official checkpoint holds a weight a second time,
            and the first name of each.
        unused_keys: Regular expression of official names that the output does not depend on, of layers that the release never
            calls.
        start: A checkpoint for another task whose backbone models of the family may start from.
        rename: From a model of the family and the weights of an official file that has no names of its own, the weights under
            official names.
        mean_of_file: From the name of an official file, the mean (red, green, blue) that its network subtracts, where it is
            another than that of the family; None for no such files.
    """

    paper: str
    form: str
    pattern: str
    build: Callable[[BuildRequest], Model]
    networks: Mapping[str, Callable[..., nn.Module]]
    releases: tuple[Release, ...] = ()
    keys: tuple[tuple[str, str], ...] = ()
    order: Callable[[str], tuple[int, ...]] | None = None
    duplicates: Callable[[Collection[str]], Mapping[str, str]] | None = None
    unused_keys: str | None = None
    start: PretrainedBackbone | None = None
    rename: Callable[[Model, Mapping[str, Tensor]], Mapping[str, Tensor]] | None = None
    mean_of_file: Callable[[str], tuple[float, float, float] | None] | None = None

    def match(self, name: str) -> Mapping[str, str] | None:
        """The parts of a name, or None if it is not of this family.

        Raises:
            InputError: A number in it is beyond `weights.zoo_names.LIMITS`.
        """
        return name_parts(self.pattern, name)

    @property
    def of_mmpose(self) -> bool:
        """Whether the official names are those of MMPose or a library like it, which begin with the part of the network."""
        return any(old.startswith(("head.", "heads.")) for old, _ in self.keys)

    def ours(self, official: str) -> str:
        """Our name of a weight."""
        return _replace(official, self.keys)

    def official(self, ours: str) -> str:
        """The official name of a weight."""
        return _replace(ours, tuple((b, a) for a, b in self.keys))

    def duplicate_keys(self, ours: Iterable[str]) -> Mapping[str, str]:
        """Further official names of weights that the official checkpoint holds twice, and the first name of each."""
        return {} if self.duplicates is None else self.duplicates([self.official(key) for key in ours])

    def official_weights(self, ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Weights of our network as the official checkpoint holds them: its names, its order, its duplicates."""
        state = {self.official(key): value for key, value in ours.items()}
        state |= {copy: state[first] for copy, first in self.duplicate_keys(ours).items()}
        return state if self.order is None else {key: state[key] for key in sorted(state, key=self.order)}

    def is_used(self, official: str) -> bool:
        """Whether the output may depend on the weight of this official name."""
        return self.unused_keys is None or re.fullmatch(self.unused_keys, official) is None


def _replace(key: str, pairs: tuple[tuple[str, str], ...]) -> str:
    for old, new in pairs:
        if key.startswith(old):
            return new + key[len(old) :]
    return key
