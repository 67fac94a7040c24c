"""Disks and vectors to the keypoint, read by the vector at the disk's middle (UDP, arXiv 1911.07524)."""

from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from poise.codecs.maps import cell_indices, check_maps, keypoint_weights
from poise.codecs.offsets import OffsetCodec, OffsetReading, near_disks
from poise.errors import InputError
from poise.losses.dense import Distance, disk_regression_loss, offset_component_loss
from poise.structures import CropRule


@final
@dataclass(frozen=True)
class UDPOffset(OffsetCodec):
    """A disk of `radius` cells around each keypoint; inside it the vectors to the keypoint, in radii (section 3).

    MMPose's form of it is `radius=3.5, everywhere=True, heat_blur=23, offset_blur=1`.

    Attributes:
        radius: Radius of the disk, cells; 3.5 in "UDPv1".
        everywhere: Whether `encode` writes vectors over the whole map, not only inside the disk; the loss is that of the disk
            in either case.
        distance: Distance of maps in the loss: "squared" or "huber".
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
        """The rule of UDP's release."""
        return "udp"

    @property
    def roi_weight(self) -> float:
        """700: an output of zeros has a loss of 0.011."""
        return 700.0

    @property
    def disk_radius(self) -> float:
        """Radius of the disk, cells."""
        return self.radius

    @property
    def unit(self) -> float:
        """Vectors are in radii."""
        return self.radius

    @property
    def default_reading(self) -> OffsetReading:
        """The highest cell of the blurred disk map plus its vector."""
        return "offset"

    def disk_probability(self, heat: Float[Tensor, "b k h w"]) -> Float[Tensor, "b k h w"]:
        """The disk maps themselves."""
        return heat

    def encode(self, xy: Float[Tensor, "b k 2"]) -> Float[Tensor, "b c h w"]:
        """1 and the vectors inside the disk, 0 outside."""
        disks = self.disks(xy, torch.ones(xy.shape[:2], dtype=torch.bool, device=xy.device))
        heat, *vectors = (disks.draw(part) for part in (disks.inside.float(), *disks.vectors.unbind(-1)))
        return torch.stack((heat, *(self._vectors_everywhere(xy) if self.everywhere else vectors)), dim=2).flatten(1, 2)

    def loss(
        self, output: Float[Tensor, "b c h w"], xy: Float[Tensor, "b k 2"], visible: Int64[Tensor, "b k"]
    ) -> Float[Tensor, ""]:
        """Mean distance of disk maps, plus that of dx and dy inside the disks; keypoint weights are for disk maps only.

        Raises:
            InputError: The output is not of this codec's size.
        """
        check_maps(self, output)
        disks = self.disks(xy, visible > 0)
        heat, near, to = near_disks(output.float(), disks)
        weight = keypoint_weights(visible > 0, self.joint_weights)
        lost = disk_regression_loss(heat, near, disks.inside, weight, distance=self.distance)
        off = offset_component_loss(to, disks.vectors, disks.inside, distance=self.distance)
        return self.mean(lost + off)

    def _vectors_everywhere(self, xy: Float[Tensor, "b k 2"]) -> list[Float[Tensor, "b k h w"]]:
        # Vectors from every cell, in radii.
        x, y = (self.grid.to_cells(xy) / self.radius).float().unbind(-1)
        height, width = self.cells
        dx, dy = x[..., None] - cell_indices(x, width) / self.radius, y[..., None] - cell_indices(y, height) / self.radius
        shape = (*x.shape, height, width)
        return [dx[..., None, :].expand(shape), dy[..., :, None].expand(shape)]
