"""Information dropping (AID, arXiv 2008.07139): parts of a view are masked out, its keypoints keep their labels.

A network that must place a wrist it cannot see learns to use the rest of the body. AID trains first without dropping, then with
it. The four ways are Cutout, random erasing, hide-and-seek and GridMask; all lengths are shares of the view's shorter side, so
that one setting serves every size. The random choices (`Drop.draw`) are drawn apart from where they are applied
(`DropMask.apply`). Dropped pixels get the mean colour, which is 0 after normalisation.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Literal, final

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from poise.dims import Size
from poise.errors import InputError, unknown
from poise.structures import Normalization

_MAX_TRIES = 100  # as random erasing's paper: a rectangle that does not fit is drawn again


@final
@dataclass(frozen=True, eq=False)
class DropMask:
    """The pixels of a view that are dropped.

    Attributes:
        mask: True where a pixel is dropped.
        noise: Values of 0..1 that replace dropped pixels; None for the mean colour.
    """

    mask: Bool[Tensor, "h w"]
    noise: Float[Tensor, "3 h w"] | None = None

    def apply(self, view: Float[Tensor, "3 h w"], colours: Normalization) -> Float[Tensor, "3 h w"]:
        """A normalised view with its dropped pixels replaced.

        Args:
            view: The normalised view.
            colours: Mean and deviation it was normalised with.
        """
        if self.noise is None:
            return view.masked_fill(self.mask, 0.0)
        mean, std = (view.new_tensor(values)[:, None, None] for values in (colours.mean, colours.std))
        return torch.where(self.mask, (self.noise.to(view) - mean) / std, view)


@dataclass(frozen=True, kw_only=True)
class Drop(ABC):
    """A way of dropping information from views.

    Attributes:
        name: Its name on the command line.
        probability: Probability that anything is dropped from a view.

    Raises:
        InputError: A probability outside 0..1, or a hole larger than the view.
    """

    name: str = field(default="", init=False)
    probability: float = 1.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        self._share("probability", self.probability)
        self._check()

    def draw(self, size: Size, generator: torch.Generator) -> DropMask:
        """The random mask for one view of `size` (h, w)."""
        spared = float(torch.rand((), generator=generator)) >= self.probability
        if spared:
            return DropMask(torch.zeros(size, dtype=torch.bool))
        return self._sample(size, generator)

    @abstractmethod
    def _check(self) -> None:
        """Refuse impossible settings."""

    @abstractmethod
    def _sample(self, size: Size, generator: torch.Generator) -> DropMask:
        """The random mask of a view from which something is dropped."""

    def _share(self, what: str, value: float, *, max_value: float = 1.0) -> None:
        if not 0 <= value <= max_value:
            raise InputError(f"{self.name}: {what} is 0 to {max_value:g}, not {value}")

    def _span(self, what: str, low: float, high: float) -> None:
        if not 0 < low <= high:
            raise InputError(f"{self.name}: {what} goes from a number above 0 to one not smaller, not {(low, high)}")

    def _fits(self, what: str, value: float) -> None:
        if value > 1:
            raise InputError(
                f"{self.name}: {what} of {value:g} of the view's shorter side is a hole larger than the view; give at most 1"
            )


@final
@dataclass(frozen=True, kw_only=True)
class Cutout(Drop):
    """A few holes anywhere, which may reach over the border of the view.

    The defaults are those of AID's release: one ellipse whose half axes are each between 0.2 and 0.4 of the width. Cutout's
    paper (arXiv 1708.04552) masks a square of half the side of a small image: `shape="box", radius=(0.25, 0.25)`.

    Attributes:
        patches: Number of holes.
        radius: Smallest and largest half axis, shares of the shorter side.
        shape: "ellipse" or "box".
    """

    name: str = field(default="cutout", init=False)
    patches: int = 1
    radius: tuple[float, float] = (0.2, 0.4)
    shape: Literal["ellipse", "box"] = "ellipse"

    def _check(self) -> None:
        self._span("radius", *self.radius)
        self._fits("a hole", 2 * self.radius[1])
        if self.patches < 1:
            raise InputError(f"{self.name}: patches is 1 or more, not {self.patches}")
        if self.shape not in ("ellipse", "box"):
            raise InputError(f"{self.name}: shape is ellipse or box, not {self.shape!r}")

    def _sample(self, size: Size, generator: torch.Generator) -> DropMask:
        h, w = size
        centre, axes = torch.rand(2, self.patches, 2, 1, 1, generator=generator)
        low, high = self.radius
        axes = (low + (high - low) * axes) * min(size)
        x = (torch.arange(w) - centre[:, 0] * w) / axes[:, 0]
        y = (torch.arange(h)[:, None] - centre[:, 1] * h) / axes[:, 1]
        inside = x**2 + y**2 <= 1 if self.shape == "ellipse" else torch.maximum(x.abs(), y.abs()) <= 1
        return DropMask(inside.any(dim=0))


@final
@dataclass(frozen=True, kw_only=True)
class RandomErasing(Drop):
    """One rectangle inside the view, filled with noise (arXiv 1708.04896; defaults of section 4, with its best filling).

    Attributes:
        area: Smallest and largest share of the view's area.
        ratio: Height over width of the rectangle lies between this and its inverse.
        noise: Whether it is filled with noise; else with the mean colour.
    """

    name: str = field(default="random_erasing", init=False)
    probability: float = 0.5
    area: tuple[float, float] = (0.02, 0.4)
    ratio: float = 0.3
    noise: bool = True

    def _check(self) -> None:
        self._span("area", *self.area)
        if self.area[1] > 1:
            raise InputError(f"{self.name}: an area of {self.area[1]:g} is a hole larger than the view; give at most 1")
        self._span("ratio", self.ratio, 1.0)

    def _sample(self, size: Size, generator: torch.Generator) -> DropMask:
        h, w = size
        share, slope, left, top = torch.rand(4, _MAX_TRIES, generator=generator, dtype=torch.float64)
        area = (self.area[0] + (self.area[1] - self.area[0]) * share) * h * w
        slope = self.ratio + (1 / self.ratio - self.ratio) * slope
        tall, wide = (area * slope).sqrt().round().long(), (area / slope).sqrt().round().long()
        fitting = ((tall <= h) & (wide <= w)).nonzero().flatten().tolist()
        mask = torch.zeros(size, dtype=torch.bool)
        if fitting:
            i = fitting[0]
            rows, columns = int(tall[i]), int(wide[i])
            y, x = int(top[i] * (h - rows + 1)), int(left[i] * (w - columns + 1))
            mask[y : y + rows, x : x + columns] = True
        return DropMask(mask, torch.rand(3, h, w, generator=generator) if self.noise else None)


@final
@dataclass(frozen=True, kw_only=True)
class HideAndSeek(Drop):
    """The view is divided into tiles, each of which is dropped with some probability (arXiv 1811.02545).

    The defaults are those of the paper's release, which AID uses too: tiles of 16, 32, 44 or 56 pixels, or none at all, half of
    them dropped. There the pixels are of views 192 wide; here they are shares of the shorter side.

    Attributes:
        tiles: Sides of tiles, shares of the shorter side, of which one is drawn; 0 drops nothing.
        hide: Probability that a tile is dropped.
    """

    name: str = field(default="hide_and_seek", init=False)
    tiles: tuple[float, ...] = (0.0, 16 / 192, 32 / 192, 44 / 192, 56 / 192)
    hide: float = 0.5

    def _check(self) -> None:
        self._share("hide", self.hide)
        if not self.tiles or min(self.tiles) < 0:
            raise InputError(f"{self.name}: tiles are shares of the view's shorter side, 0 or more, not {self.tiles}")
        self._fits("a tile", max(self.tiles))

    def _sample(self, size: Size, generator: torch.Generator) -> DropMask:
        h, w = size
        side = self.tiles[int(torch.randint(len(self.tiles), (), generator=generator))]
        if side == 0:
            return DropMask(torch.zeros(size, dtype=torch.bool))
        pixels = max(1, round(side * min(size)))
        hidden = torch.rand(math.ceil(h / pixels), math.ceil(w / pixels), generator=generator) < self.hide
        return DropMask(hidden.repeat_interleave(pixels, dim=0).repeat_interleave(pixels, dim=1)[:h, :w])


@final
@dataclass(frozen=True, kw_only=True)
class GridMask(Drop):
    """Squares on a regular grid (arXiv 2001.04086).

    The defaults are the paper's for images of 224 pixels (section 4.1): a square every 96 to 224 pixels, 0.6 of that distance
    kept, in 0.8 of the images. (The paper raises this probability from 0 over the first epochs; AID's second phase begins with
    a trained network and does not need that.)

    Attributes:
        unit: Smallest and largest distance from one square to the next, shares of the shorter side.
        keep: Share of that distance that is kept between squares.
    """

    name: str = field(default="grid_mask", init=False)
    probability: float = 0.8
    unit: tuple[float, float] = (96 / 224, 1.0)
    keep: float = 0.6

    def _check(self) -> None:
        self._span("unit", *self.unit)
        self._share("keep", self.keep)
        self._fits("a square", self.unit[1] * (1 - self.keep))

    def _sample(self, size: Size, generator: torch.Generator) -> DropMask:
        length, x, y = torch.rand(3, generator=generator).tolist()
        unit = max(2, round((self.unit[0] + (self.unit[1] - self.unit[0]) * length) * min(size)))
        square = round(unit * (1 - self.keep))
        rows, columns = ((torch.arange(n) + int(start * unit)) % unit < square for n, start in zip(size, (y, x), strict=True))
        return DropMask(rows[:, None] & columns)


def drop_by_name(name: str) -> Drop:
    """A way of dropping with its default settings: cutout, random_erasing, hide_and_seek or grid_mask.

    Raises:
        UnknownName: There is none of that name.
    """
    known = {drop.name: drop for drop in (Cutout(), RandomErasing(), HideAndSeek(), GridMask())}
    if name not in known:
        raise unknown("way of dropping", name, known)
    return known[name]
