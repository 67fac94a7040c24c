"""What OffsetGuided's maps are to say, and how far an answer is from that (arXiv 2107.03098, section 3.3)."""

from dataclasses import dataclass
from typing import Literal, final, get_args

from jaxtyping import Bool, Float
from torch import Tensor

from poise.codecs.guides import Vectors
from poise.errors import InputError
from poise.losses.guides import Distance, mean_above_margin, offset_errors, scale_errors
from poise.losses.heatmaps import focal_squared_error, squared_error


@final
@dataclass(frozen=True)
class LabelMaps:
    """Which maps there are, and what they are to say.

    Attributes:
        sigma: Width of a Gaussian, pixels.
        clip: A Gaussian lower than that is 0.
        fill: Cells a side of the square around a keypoint in which vectors lead to others.
        jitter_fill: The same, for those to the keypoint itself.
        background: A map that is 1 where no Gaussian is.
        jitter: Two maps for the vector to the nearest keypoint, of whatever kind.
        spread: A map for each limb, the logarithm of its vectors' spread (Laplace's b).
        scale: A map for each keypoint, its size: the side of the person's box times OKS's sigma of the keypoint, pixels.
    """

    sigma: float = 7.0
    clip: float = 0.01
    fill: int = 7
    jitter_fill: int = 3
    background: bool = False
    jitter: bool = False
    spread: bool = False
    scale: bool = False

    def __post_init__(self) -> None:
        """Refuse Gaussians and squares without extent."""
        if not (self.sigma > 0 and 0 < self.clip < 1 and min(self.fill, self.jitter_fill) >= 1):
            raise InputError(
                "maps cannot be: sigma is above 0, clip between 0 and 1, fill and jitter_fill 1 or more; found "
                f"{self.sigma}, {self.clip}, {self.fill} and {self.jitter_fill}"
            )


@final
@dataclass(frozen=True)
class Costs:
    """How far an answer is from the labels. The release's defaults; its two constants of the focal loss are real ones here.

    Attributes:
        heat: "focal": what is nearly right counts little; "l2": everything alike.
        gamma: How little (focal).
        tau: Labels from here on are on a Gaussian (focal).
        offset: How errors of vectors are measured; "laplace" needs `LabelMaps.spread`.
        root: Whether square roots of vectors' and sizes' errors are learnt in their place.
        margin: Errors of vectors below are dropped, with "laplace" those below 0 too: -inf keeps them.
        scale_margin: The same, of sizes.
        weights: Of heatmaps, background, jitter, offsets and scales.
        weight: Of the stack; the releases' stacks have weights whose sum is 1.
    """

    heat: Literal["focal", "l2"] = "focal"
    gamma: float = 1.0
    tau: float = 0.01
    offset: Distance = "l1"
    root: bool = False
    margin: float = 1e-5
    scale_margin: float = 0.1
    weights: tuple[float, float, float, float, float] = (1.0, 1.0, 100.0, 100.0, 0.01)
    weight: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what cannot be learnt from."""
        if self.heat not in ("focal", "l2") or self.offset not in get_args(Distance):
            raise InputError(
                f"costs cannot be: heat is focal or l2 and offset one of {', '.join(get_args(Distance))}; found {self.heat!r} "
                f"and {self.offset!r}"
            )
        if len(self.weights) != 5 or min(*self.weights, self.weight) < 0 or not (self.gamma == 0 or self.gamma >= 1):
            raise InputError(
                "costs cannot be: there are five weights, of heatmaps, background, jitter, offsets and scales, none below 0 "
                f"nor `weight`, and gamma is 0, 1 or more; found {self.weights}, {self.weight} and {self.gamma}"
            )
        if self.root and not (self.margin >= 0 and self.scale_margin >= 0):
            raise InputError("costs cannot be: square roots need margins of 0 or more")

    def of_maps(
        self, maps: Float[Tensor, "b k h w"], target: Float[Tensor, "b k h w"], used: Bool[Tensor, "b _ h w"]
    ) -> Float[Tensor, ""]:
        """The sum over all cells that are for learning."""
        maps = maps.where(used, target)  # no error and no gradient there, whatever they say
        if self.heat == "l2":
            return squared_error(maps, target).sum()
        return focal_squared_error(maps, target, gamma=self.gamma, tau=self.tau).sum()

    def of_background(
        self, background: Float[Tensor, "b 1 h w"], heat: Float[Tensor, "b k h w"], taught: Bool[Tensor, "b k h w"]
    ) -> Float[Tensor, ""]:
        """What keypoints that a data set does not label leave of the background nobody knows."""
        return self.of_maps(background, 1 - heat.amax(dim=1, keepdim=True), taught.all(dim=1, keepdim=True))

    def of_jitter(self, said: Float[Tensor, "2 n m c"], jitters: Vectors, used: Bool[Tensor, "b 1 h w"]) -> Float[Tensor, ""]:
        """The mean of both components in the cells that count and are for learning, always by "l1"."""
        counts = jitters.counts & jitters.inside(used)
        errors = offset_errors(said.movedim(0, -1), jitters.vector, counts, distance="l1")
        return mean_above_margin(errors, counts[..., None], margin=self.margin, root=self.root)

    def of_offsets(
        self,
        said: Float[Tensor, "2 n m c"],
        spread: Float[Tensor, "n m c"] | None,
        vectors: Vectors,
        counts: Bool[Tensor, "n m c"],
        *,
        extent: Float[Tensor, " n"],
    ) -> Float[Tensor, ""]:
        """The mean of the cells that count, as `offset` says.

        Args:
            said: x and y of the vector that each cell says.
            spread: The logarithm of its spread; for "laplace".
            vectors: What the cells are to say.
            counts: Which of the cells count.
            extent: Size of each person, pixels; for "instance_l1".
        """
        size = extent.where(extent > 0, 1.0)[:, None, None, None].expand(*counts.shape, 1)
        errors = offset_errors(said.movedim(0, -1), vectors.vector, counts, distance=self.offset, size=size, log_spread=spread)
        return mean_above_margin(errors, counts[..., None], margin=self.margin, root=self.root)

    def of_scales(
        self, said: Float[Tensor, "n m c"], target: Float[Tensor, "n m c"], counts: Bool[Tensor, "n m c"]
    ) -> Float[Tensor, ""]:
        """The mean of the cells that count."""
        errors = scale_errors(said, target, counts)
        return mean_above_margin(errors, counts, margin=self.scale_margin, root=self.root)


USUAL_MAPS = LabelMaps()
"""Heatmaps and guides alone."""

USUAL_COSTS = Costs()
"""The release's."""
