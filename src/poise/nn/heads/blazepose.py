"""BlazePose's head in the paper's form (arXiv 2006.10204, section 2.3): heatmaps for learning, numbers for reading."""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from poise.dims import Size
from poise.nn.base import Feature, check_cells
from poise.nn.heads.blazepose_wang import WIDTH, KeypointMaps, PyramidHead, RegressionHead


@final
class KeypointNumbers(nn.Module):
    """Numbers of each keypoint, by one convolution as large as the maps.

    Args:
        channels: Input channels.
        keypoints: Number of keypoints, k.
        numbers: Numbers of each; the first two are shares of the view, which begin in its middle.
        cells: Size of the maps (h, w).
    """

    def __init__(self, channels: int, keypoints: int, numbers: int, cells: Size) -> None:
        super().__init__()
        self.cells = cells
        self.final = nn.Conv2d(channels, keypoints * numbers, cells)
        self.numbers = numbers
        with torch.no_grad():
            self.final.weight.mul_(0.1)
            bias = torch.zeros(keypoints, numbers)
            bias[:, :2] = 0.5
            self.final.bias.copy_(bias.flatten().to(self.final.bias))  # type: ignore[union-attr]  # it has a bias

    def forward(self, x: Feature) -> Float[Tensor, "b k n"]:
        """The numbers."""
        check_cells(x, self.cells, "BlazePose's regression")
        out: Tensor = self.final(x)
        return out.reshape(out.shape[0], -1, self.numbers)


@final
class BlazeHeatmapHead(PyramidHead):
    """The first branch alone: heatmaps, perhaps with offsets.

    Args:
        heatmaps: Channels of the codec.
    """

    def __init__(self, heatmaps: int) -> None:
        super().__init__()
        self.heatmaps = KeypointMaps(WIDTH, heatmaps)

    def forward(self, features: list[Feature]) -> Feature:
        """The output that the codec decodes."""
        output: Tensor = self.heatmaps(self.pyramid(features))
        return output


@final
class BlazePoseHead(RegressionHead):
    """Heatmaps, perhaps with offsets, of the pyramid; and numbers of a second encoder, whose loss does not reach the first.

    Gradients of the numbers stop at the trunk's maps and at the pyramid's, which learn from the heatmaps alone (figure 4). In
    evaluation the layer of the heatmaps is left out, as the paper removes it.

    Args:
        heatmaps: Channels of the heatmaps' codec.
        keypoints: Number of keypoints, k.
        numbers: Numbers of each.
        cells: Size of maps of stride 32 (h, w).
        detached: Whether gradients of the numbers stop there.
    """

    def __init__(self, heatmaps: int, keypoints: int, numbers: int, cells: Size, *, detached: bool = True) -> None:
        super().__init__()
        self.heatmaps = KeypointMaps(WIDTH, heatmaps)
        self.numbers = KeypointNumbers(192, keypoints, numbers, cells)
        self.detached = detached

    def forward(self, features: list[Feature]) -> Float[Tensor, "b k n"] | list[Tensor]:
        """The numbers; in training the heatmaps before them."""
        pyramid = self.pyramid(features)
        stopped = [part.detach() if self.detached else part for part in (pyramid, *features)]
        numbers: Tensor = self.numbers(self.regressed(stopped[0], stopped[1:]))
        return [self.heatmaps(pyramid), numbers] if self.training else numbers
