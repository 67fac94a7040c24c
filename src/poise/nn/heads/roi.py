"""RoI heads on the pooled features of boxes (Mask R-CNN, arXiv 1703.06870, section 3 and figure 4).

Each is a body, which makes features, and a predictor (`reader`), which makes outputs of them; two heads may share a body.
"""

from typing import final

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from poise.dims import Size
from poise.errors import InputError
from poise.nn.attention import SpatialAttention

MAP_CELLS: Size = (56, 56)
"""Cells of the heatmaps of a box (section 5 of the paper)."""


@final
class RoIHead(nn.Module):
    """A body and a predictor.

    Args:
        body: Makes features of the pooled features of boxes.
        reader: Makes the outputs of the body's features.
    """

    def __init__(self, body: nn.Module, reader: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.reader = reader

    def forward(self, pooled: Float[Tensor, "n c h w"]) -> tuple[Float[Tensor, "n ..."], ...]:
        """The body's features, then the predictor's outputs."""
        features: Tensor = self.body(pooled)
        output: Tensor | tuple[Tensor, ...] = self.reader(features)
        return (features, output) if isinstance(output, Tensor) else (features, *output)


@final
class FullyConnectedLayers(nn.Module):
    """Two fully connected layers with ReLU: the body of a box head on a pyramid.

    Args:
        channels: Channels of the pooled features.
        cells: Cells of the pooled features (h, w).
        width: Channels of both layers.
    """

    def __init__(self, channels: int, cells: Size, width: int = 1024) -> None:
        super().__init__()
        self.fc6 = nn.Linear(channels * cells[0] * cells[1], width)
        self.fc7 = nn.Linear(width, width)
        self.width = width
        for layer in (self.fc6, self.fc7):
            nn.init.kaiming_uniform_(layer.weight, a=1)
            nn.init.zeros_(layer.bias)

    def forward(self, pooled: Float[Tensor, "n c h w"]) -> Float[Tensor, "n f"]:
        """One feature vector for each box."""
        return functional.relu(self.fc7(functional.relu(self.fc6(pooled.flatten(1)))))


@final
class LastStage(nn.Module):
    """The last stage of a ResNet: the body of the heads of a detector of the C4 form (arXiv 1506.01497; 1512.03385).

    Args:
        blocks: The stage.
        width: Its output channels.
    """

    def __init__(self, blocks: nn.Sequential, width: int) -> None:
        super().__init__()
        self.stage = blocks
        self.width = width

    def forward(self, pooled: Float[Tensor, "n c h w"]) -> Float[Tensor, "n f hh ww"]:
        """Features at half the resolution."""
        features: Tensor = self.stage(pooled)
        return features


@final
class ConvStack(nn.Module):
    """3x3 convolutions with ReLU: the body of a keypoint or mask head.

    Args:
        channels: Channels of the pooled features.
        widths: Channels of the convolutions; 8 of 512 for keypoints, 4 of 256 for masks.
        attention: Whether spatial attention follows them.
    """

    def __init__(self, channels: int, widths: tuple[int, ...] = (512,) * 8, *, attention: bool = False) -> None:
        super().__init__()
        self.conv = nn.ModuleList(
            nn.Conv2d(in_channels, out_channels, 3, padding=1)
            for in_channels, out_channels in zip((channels, *widths[:-1]), widths, strict=True)
        )
        self.width = widths[-1]
        _initialise(self)
        self.attention = SpatialAttention() if attention else nn.Identity()

    def forward(self, pooled: Float[Tensor, "n c h w"]) -> Float[Tensor, "n f h w"]:
        """Features at the same resolution."""
        x: Tensor = pooled
        for conv in self.conv:
            x = functional.relu(conv(x), inplace=True)
        output: Tensor = self.attention(x)
        return output


@final
class BoxPredictor(nn.Module):
    """Class logits and box deltas from the features of boxes; of feature maps the average over cells is used.

    Args:
        width: Channels of the features.
        classes: Number of classes with the background, which is class 0.
    """

    def __init__(self, width: int, classes: int = 2) -> None:
        super().__init__()
        self.cls_score = nn.Linear(width, classes)
        self.bbox_pred = nn.Linear(width, 4 * classes)
        for layer, std in ((self.cls_score, 0.01), (self.bbox_pred, 0.001)):
            nn.init.normal_(layer.weight, std=std)
            nn.init.zeros_(layer.bias)

    def forward(self, features: Float[Tensor, "n f *cells"]) -> tuple[Float[Tensor, "n c"], Float[Tensor, "n c4"]]:
        """Class logits, and box deltas (x, y, width, height), four for each class."""
        vectors = features.mean(dim=(2, 3)) if features.ndim == 4 else features
        return self.cls_score(vectors), self.bbox_pred(vectors)


@final
class KeypointPredictor(nn.Module):
    """The maps of a codec: a transposed convolution doubles the resolution, a bilinear resize brings it to that of the codec.

    Args:
        width: Channels of the features.
        channels: Channels of the codec.
        cells: Cells of the codec's maps (h, w); 56x56 in the release, from features of 14x14.
    """

    def __init__(self, width: int, channels: int, cells: Size = MAP_CELLS) -> None:
        super().__init__()
        self.final = nn.ConvTranspose2d(width, channels, 4, stride=2, padding=1)
        self.cells = cells
        _initialise(self)

    def forward(self, features: Float[Tensor, "n f h w"]) -> Float[Tensor, "n c hh ww"]:
        """The output that the codec decodes."""
        maps: Tensor = self.final(features)
        if maps.shape[-2:] == self.cells:
            return maps
        return functional.interpolate(maps, size=self.cells, mode="bilinear", align_corners=False)


@final
class MaskPredictor(nn.Module):
    """Masks: a transposed convolution with ReLU doubles the resolution, a 1x1 convolution follows.

    Args:
        width: Channels of the features.
        classes: Number of classes with the background, which is class 0.
        hidden: Channels between the two; by default those of the features.
    """

    def __init__(self, width: int, classes: int = 81, *, hidden: int | None = None) -> None:
        super().__init__()
        self.deconv = nn.ConvTranspose2d(width, hidden or width, 2, stride=2)
        self.logits = nn.Conv2d(hidden or width, classes, 1)
        _initialise(self)

    def forward(self, features: Float[Tensor, "n f h w"]) -> Float[Tensor, "n c hh ww"]:
        """Mask logits, one map for each class."""
        masks: Tensor = self.logits(functional.relu(self.deconv(features)))
        return masks


def pooled_cells_for(cells: Size) -> Size:
    """Cells (h, w) to pool features on so that a `KeypointPredictor` makes maps of `cells`: a quarter, rounded up.

    Raises:
        InputError: Maps of less than 4 cells a side.
    """
    if min(cells) < 4:
        raise InputError(f"a keypoint head's maps have at least 4 cells a side, not {cells[0]}x{cells[1]}")
    return -(-cells[0] // 4), -(-cells[1] // 4)


def box_head(channels: int, *, cells: Size = (7, 7), width: int = 1024, classes: int = 2) -> RoIHead:
    """The box head on a pyramid.

    Args:
        channels: Channels of the pyramid.
        cells: Cells of the pooled features (h, w).
        width: Channels of its layers.
        classes: Number of classes with the background.
    """
    return RoIHead(FullyConnectedLayers(channels, cells, width), BoxPredictor(width, classes))


def keypoint_head(
    channels: int, outputs: int, *, cells: Size = MAP_CELLS, widths: tuple[int, ...] = (512,) * 8, attention: bool = False
) -> RoIHead:
    """The keypoint head with pooled features of its own.

    Args:
        channels: Channels of the pyramid.
        outputs: Channels of the codec.
        cells: Cells of the codec's maps (h, w).
        widths: Channels of the convolutions.
        attention: Whether spatial attention follows them.
    """
    return RoIHead(ConvStack(channels, widths, attention=attention), KeypointPredictor(widths[-1], outputs, cells))


def mask_head(channels: int, *, widths: tuple[int, ...] = (256,) * 4, classes: int = 81) -> RoIHead:
    """The mask head; the names of its body's weights are one level deeper than those of a keypoint head, to tell them apart.

    Args:
        channels: Channels of the pyramid.
        widths: Channels of the convolutions.
        classes: Number of classes with the background.
    """
    return RoIHead(nn.Sequential(ConvStack(channels, widths)), MaskPredictor(widths[-1], classes))


def _initialise(head: nn.Module) -> None:
    """He initialisation (arXiv 1502.01852) by fan-out, biases 0, as in the releases."""
    for module in head.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
