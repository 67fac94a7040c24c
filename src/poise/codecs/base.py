"""The contract between keypoints and a network's output, and its laws."""

import dataclasses
import importlib
import inspect
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar, get_type_hints

from jaxtyping import Float, Int64
from torch import Tensor

from poise.codecs.roi import RoICodec
from poise.codecs.scene import SceneCodec
from poise.dims import Size
from poise.errors import InputError, unknown
from poise.geometry import Grid
from poise.structures import Points


@dataclass(frozen=True)
class InstanceCodec(ABC):
    """Codec for views of ONE person. Batched, on the device of its input.

    An output is one tensor: maps (b c h w), the channels of a keypoint one after another; or vectors (b k n) where `vectors`
    says so.

    Laws, checked for every file of this folder:

    1. decode(encode(xy)).xy is xy, to within `tolerance` input pixels.
    2. unflip(unflip(output)) is output.
    3. decode(unflip(encode(mirrored xy))).xy is xy, to within `tolerance`.
    4. loss(encode(xy), xy, visible) is 0, and below the loss of any shifted output.
    5. A keypoint that is not labelled (visible 0) sends no gradient back.

    Some published releases break a law on purpose. Their codec says so in `exceptions`, by the law's number:

    1 and 3: how many input pixels off a keypoint may be, in place of `tolerance`.
    2: in which share of an output's values it changes.
    4: how large the loss of an answer without fault may be; a shifted output's is still larger.
    5: which share of the keypoints that are not labelled may send a gradient.

    Attributes:
        size: Of a view, pixels (h, w).
        cells: Of a map (h, w).
        keypoints: How many.
    """

    size: Size
    cells: Size
    keypoints: int

    def __post_init__(self) -> None:
        """Refuse sizes without extent."""
        if min(*self.size, *self.cells, self.keypoints) < 1:
            raise InputError(
                f"{type(self).__name__} needs positive sizes, found size {self.size}, cells {self.cells}, "
                f"{self.keypoints} keypoints"
            )

    @property
    @abstractmethod
    def grid(self) -> Grid:
        """How the cells lie on the view."""

    @property
    @abstractmethod
    def channels(self) -> int:
        """Maps the network must give."""

    @property
    def vectors(self) -> tuple[int, ...]:
        """Lengths of the vectors this codec reads of each keypoint, made from its map (`nn.heads.readout`); none for maps.

        Vectors stand one after another in an output of shape (b, k, their sum).
        """
        return ()

    @property
    @abstractmethod
    def tolerance(self) -> float:
        """What law 1 and 3 allow, input pixels."""

    @property
    def exceptions(self) -> Mapping[int, float]:
        """Laws this codec breaks on purpose, and by how much; none by default."""
        return {}

    @abstractmethod
    def encode(self, xy: Float[Tensor, "b k 2"]) -> Float[Tensor, "b ..."]:
        """What a network without fault would answer for keypoints at `xy` (input pixels), all of them labelled."""

    @abstractmethod
    def loss(
        self, output: Float[Tensor, "b ..."], xy: Float[Tensor, "b k 2"], visible: Int64[Tensor, "b k"]
    ) -> Float[Tensor, ""]:
        """How far an answer is from the labels. `visible`: 0 not labelled, 1 hidden, 2 in sight."""

    @abstractmethod
    def decode(self, output: Float[Tensor, "b ..."]) -> Points:
        """Positions (input pixels) and scores. Non-finite scores come back as 0, with the highest cell."""

    @abstractmethod
    def unflip(self, output: Float[Tensor, "b ..."], flip: Int64[Tensor, " k"]) -> Float[Tensor, "b ..."]:
        """The answer for a mirrored view, as an answer for the view itself. `flip` is `Skeleton.flip`."""

    @abstractmethod
    def picture(self, output: Float[Tensor, "b ..."]) -> Float[Tensor, "b k h w"]:
        """Maps for people to look at, 0..1."""


@cache
def codec_types() -> Mapping[str, type[InstanceCodec]]:
    """Every final codec of this folder for views of one person, by the name of its class (`Gaussian`, `UDPGaussian`)."""
    return {cls.__name__: cls for cls in _classes() if issubclass(cls, InstanceCodec)}


@cache
def scene_codec_types() -> Mapping[str, type[SceneCodec]]:
    """Every final codec of this folder for whole views, by the name of its class (`OffsetGuided`)."""
    return {cls.__name__: cls for cls in _classes() if issubclass(cls, SceneCodec)}


@cache
def roi_codec_types() -> Mapping[str, type[RoICodec]]:
    """Every final codec of this folder for boxes of a detector, by the name of its class (`OneHot`)."""
    return {cls.__name__: cls for cls in _classes() if issubclass(cls, RoICodec)}


def to_plain(codec: InstanceCodec | SceneCodec | RoICodec) -> dict[str, Any]:
    """A codec as plain values, for a model file; a codec inside it says its type too."""
    parts = {field.name: getattr(codec, field.name) for field in dataclasses.fields(codec)}
    within = {name: to_plain(part) for name, part in parts.items() if isinstance(part, InstanceCodec)}
    return {"type": type(codec).__name__} | dataclasses.asdict(codec) | within


def from_plain(values: Mapping[str, Any]) -> InstanceCodec:
    """The codec for views of one person that `to_plain` wrote.

    Raises:
        UnknownName: No codec of that type exists.
        InputError: Its fields are other ones.
    """
    return _made(values, codec_types())


def scene_from_plain(values: Mapping[str, Any]) -> SceneCodec:
    """The codec for whole views that `to_plain` wrote.

    Raises:
        UnknownName: No codec of that type exists.
        InputError: Its fields are other ones.
    """
    return _made(values, scene_codec_types())


def roi_from_plain(values: Mapping[str, Any]) -> RoICodec:
    """The codec for boxes of a detector that `to_plain` wrote.

    Raises:
        UnknownName: No codec of that type exists.
        InputError: Its fields are other ones.
    """
    return _made(values, roi_codec_types())


def _classes() -> list[type[Any]]:
    """Every class of the folder's files of which there can be values."""
    package = importlib.import_module(__package__)
    modules = [importlib.import_module(f"{__package__}.{m.name}") for m in pkgutil.iter_modules(package.__path__)]
    found = [(module, cls) for module in modules for _, cls in inspect.getmembers(module, inspect.isclass)]
    return [cls for module, cls in found if cls.__module__ == module.__name__ and not inspect.isabstract(cls)]


_C = TypeVar("_C")


def _made(values: Mapping[str, Any], kinds: Mapping[str, type[_C]]) -> _C:
    name = str(values.get("type", ""))
    if name not in kinds:
        raise unknown("codec", name, kinds)
    fields = {key: value for key, value in values.items() if key != "type"}
    try:
        return _filled(kinds[name], fields)
    except TypeError as error:
        raise InputError(f"codec {name} cannot be made from {sorted(fields)}: {error}") from error


def _filled(kind: type[_C], values: Mapping[str, Any]) -> _C:
    """A value of a dataclass; fields that are such values too are filled like it, and JSON's lists are tuples."""
    hints = get_type_hints(kind)
    return kind(**{key: _part(hints.get(key), value) for key, value in values.items()})


def _part(hint: Any, value: Any) -> Any:
    if isinstance(value, Mapping) and hint is InstanceCodec:
        return from_plain(value)
    if isinstance(value, Mapping) and dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _filled(hint, value)
    return tuple(_part(None, part) for part in value) if isinstance(value, list | tuple) else value
