"""Disks and vectors to the keypoint, read by the vector at the disk's middle (UDP, arXiv 1911.07524)."""

from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from poise.codecs.maps import check_maps, ruler, weighted
from poise.codecs.offsets import OffsetCodec, OffsetReading, near_disks
from poise.errors import InputError
from poise.losses.dense import Distance, disk_regression_loss, offset_component_loss
from poise.structures import CropRule


@final
@dataclass(frozen=True)
class UDPOffset(OffsetCodec):
    """A disk of `radius` cells around each keypoint; inside it the vectors to the keypoint, in radii (section 3).

    mmpose's form of it is `radius=3.5, everywhere=True, heat_blur=23, offset_blur=1`.

    Attributes:
        radius: Of the disk, cells; 3.5 in "UDPv1".
        everywhere: Whether `encode` writes vectors over the whole map, not only inside the disk; the loss does not look there.
        distance: Between maps: "squared" or "huber".
    """

    radius: float = 4.0
    everywhere: bool = False
    distance: Distance = "squared"

    def __post_init__(self) -> None:
        """Refuse a disk without extent."""
        super().__post_init__()
        if not self.radius > 0:
            raise InputError(f"UDPOffset needs a radius above 0 cells, found {self.radius}")

    @property
    def crop_rule(self) -> CropRule:
        """UDP's."""
        return "udp"

    @property
    def roi_weight(self) -> float:
        """700: an output of zeros has a loss of 0.011."""
        return 700.0

    @property
    def reach(self) -> float:
        """Radius of the disk, cells."""
        return self.radius

    @property
    def unit(self) -> float:
        """Vectors are in radii."""
        return self.radius

    @property
    def own_reading(self) -> OffsetReading:
        """The vector at the highest cell of the smoothed disk map."""
        return "offset"

    def believed(self, heat: Float[Tensor, "b k h w"]) -> Float[Tensor, "b k h w"]:
        """The disk maps as they are."""
        return heat

    def encode(self, xy: Float[Tensor, "b k 2"]) -> Float[Tensor, "b c h w"]:
        """1 and the vectors inside the disk, 0 outside."""
        disks = self.disks(xy, torch.ones(xy.shape[:2], dtype=torch.bool, device=xy.device))
        heat, *arrows = (disks.draw(part) for part in (disks.inside.float(), *disks.arrows.unbind(-1)))
        return torch.stack((heat, *(self._arrows(xy) if self.everywhere else arrows)), dim=2).flatten(1, 2)

    def loss(
        self, output: Float[Tensor, "b c h w"], xy: Float[Tensor, "b k 2"], visible: Int64[Tensor, "b k"]
    ) -> Float[Tensor, ""]:
        """Mean distance of disk maps, plus that of dx and of dy inside the disks; weights count for disk maps only.

        Raises:
            InputError: The output is not of this codec's size.
        """
        check_maps(self, output)
        disks = self.disks(xy, visible > 0)
        heat, near, to = near_disks(output.float(), disks)
        weight = weighted(visible > 0, self.joint_weights)
        lost = disk_regression_loss(heat, near, disks.inside, weight, distance=self.distance)
        off = offset_component_loss(to, disks.arrows, disks.inside, distance=self.distance)
        return self.mean(lost + off)

    def _arrows(self, xy: Float[Tensor, "b k 2"]) -> list[Float[Tensor, "b k h w"]]:
        # From every cell, in radii.
        x, y = (self.grid.to_cells(xy) / self.radius).float().unbind(-1)
        height, width = self.cells
        dx, dy = x[..., None] - ruler(x, width) / self.radius, y[..., None] - ruler(y, height) / self.radius
        shape = (*x.shape, height, width)
        return [dx[..., None, :].expand(shape), dy[..., :, None].expand(shape)]
