"""Maps of OffsetGuided, their targets, and the losses of an output (arXiv 2107.03098, section 3.3)."""

from dataclasses import dataclass
from typing import Literal, final, get_args

from jaxtyping import Bool, Float
from torch import Tensor

from poise.codecs.guiding_offsets import OffsetTargets
from poise.errors import InputError
from poise.losses.guides import Distance, mean_above_margin, offset_errors, scale_errors
from poise.losses.heatmaps import focal_squared_error, squared_error


@final
@dataclass(frozen=True)
class LabelMaps:
    """Maps and their targets.

    Attributes:
        sigma: Width of the Gaussians of heatmaps, pixels.
        clip: Height below which a Gaussian is 0.
        fill: Cells a side of the window around a keypoint whose cells hold the offsets to the other end of its limbs.
        jitter_fill: Cells a side of the window around a keypoint whose cells hold the offset to the keypoint itself.
        background: Whether there is a map that is 1 where no Gaussian is.
        jitter: Whether there are two maps of the offset to the nearest keypoint of any type.
        spread: Whether there is a map for each limb of the logarithm of its offset's spread (b of Laplace's distribution).
        scale: Whether there is a map for each keypoint of its size: side of the person's box times its OKS sigma, pixels.
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
        """Refuse Gaussians and windows without extent."""
        if not (self.sigma > 0 and 0 < self.clip < 1 and min(self.fill, self.jitter_fill) >= 1):
            raise InputError(
                "maps cannot be: sigma is above 0, clip between 0 and 1, fill and jitter_fill 1 or more; found "
                f"{self.sigma}, {self.clip}, {self.fill} and {self.jitter_fill}"
            )


@final
@dataclass(frozen=True)
class Costs:
    """The losses of an output, with the release's defaults.

    In the release the flags for `gamma` and `tau` have no effect; here the fields have.

    Attributes:
        heat: Loss of heatmaps and background: "focal" gives little weight to cells that are nearly right, "l2" the same to all.
        gamma: Exponent of the focal loss; with 0 it is "l2".
        tau: Height of the label from which on a cell counts as part of a Gaussian (focal loss).
        offset: Distance of offsets (`losses.guides.Distance`); "laplace" needs `LabelMaps.spread`.
        root: Whether the square roots of errors of offsets and scales are the loss in place of the errors.
        margin: Errors of offsets below it give no loss, with "laplace" those below 0 neither; -inf keeps all.
        scale_margin: Errors of scales below it give no loss.
        weights: Factors of the losses of heatmaps, background, jitter, offsets and scales.
        weight: Factor of the whole; the weights of a release's stacks sum to 1.
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
        """Refuse unknown losses and weights out of range."""
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
        self, maps: Float[Tensor, "b k h w"], target: Float[Tensor, "b k h w"], supervised: Bool[Tensor, "b _ h w"]
    ) -> Float[Tensor, ""]:
        """Loss of heatmaps, the sum over all supervised cells.

        Args:
            maps: Predicted heatmaps.
            target: Their targets.
            supervised: True for the cells that give a loss.
        """
        maps = maps.where(supervised, target)  # no error and no gradient elsewhere
        if self.heat == "l2":
            return squared_error(maps, target).sum()
        return focal_squared_error(maps, target, gamma=self.gamma, tau=self.tau).sum()

    def of_background(
        self, background: Float[Tensor, "b 1 h w"], heat: Float[Tensor, "b k h w"], supervised: Bool[Tensor, "b k h w"]
    ) -> Float[Tensor, ""]:
        """Loss of the background, the sum over the cells in which all keypoints are supervised: elsewhere it is not known.

        Args:
            background: Predicted map.
            heat: Targets of the heatmaps.
            supervised: True for the keypoints that give a loss, in each cell.
        """
        return self.of_maps(background, 1 - heat.amax(dim=1, keepdim=True), supervised.all(dim=1, keepdim=True))

    def of_jitter(
        self, predicted: Float[Tensor, "2 n m c"], targets: OffsetTargets, supervised: Bool[Tensor, "b 1 h w"]
    ) -> Float[Tensor, ""]:
        """Loss of the jitter, the mean L1 error of both components over valid cells that are supervised.

        Args:
            predicted: x and y of the vector in each cell, pixels.
            targets: Their targets.
            supervised: True for the cells that give a loss.
        """
        valid = targets.valid & targets.inside(supervised)
        errors = offset_errors(predicted.movedim(0, -1), targets.vector, valid, distance="l1")
        return mean_above_margin(errors, valid[..., None], margin=self.margin, root=self.root)

    def of_offsets(
        self,
        predicted: Float[Tensor, "2 n m c"],
        spread: Float[Tensor, "n m c"] | None,
        targets: OffsetTargets,
        valid: Bool[Tensor, "n m c"],
        *,
        extent: Float[Tensor, " n"],
    ) -> Float[Tensor, ""]:
        """Loss of the guiding offsets, the mean over valid cells by the distance `offset`.

        Args:
            predicted: x and y of the vector in each cell, pixels.
            spread: Logarithm of its spread; for "laplace".
            targets: Target vectors of the cells.
            valid: True for the cells that give a loss.
            extent: Size of each person, pixels; for "instance_l1".
        """
        size = extent.where(extent > 0, 1.0)[:, None, None, None].expand(*valid.shape, 1)
        errors = offset_errors(
            predicted.movedim(0, -1), targets.vector, valid, distance=self.offset, size=size, log_spread=spread
        )
        return mean_above_margin(errors, valid[..., None], margin=self.margin, root=self.root)

    def of_scales(
        self, predicted: Float[Tensor, "n m c"], target: Float[Tensor, "n m c"], valid: Bool[Tensor, "n m c"]
    ) -> Float[Tensor, ""]:
        """Loss of the scales, the mean over valid cells.

        Args:
            predicted: Size of the keypoint in each cell, pixels.
            target: Its target, pixels.
            valid: True for the cells that give a loss.
        """
        errors = scale_errors(predicted, target, valid)
        return mean_above_margin(errors, valid, margin=self.scale_margin, root=self.root)


DEFAULT_MAPS = LabelMaps()
"""Heatmaps and guiding offsets alone."""

DEFAULT_COSTS = Costs()
"""The losses of the release."""
