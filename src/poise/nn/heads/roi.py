"""Heads on the cut-out features of boxes (Mask R-CNN, arXiv 1703.06870, section 3 and figure 4).

Each is a body, which makes features, and a reader, which reads its answers off them; two heads may have one body.
"""

from typing import final

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from poise.dims import Size
from poise.errors import InputError

MAP_CELLS: Size = (56, 56)
"""Cells of the maps that keypoints in a box are read off (section 5 of the paper)."""


@final
class RoIHead(nn.Module):
    """A body and a reader.

    Args:
        body: Takes the features that were cut out of the boxes.
        reader: Takes the body's answer.
    """

    def __init__(self, body: nn.Module, reader: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.reader = reader

    def forward(self, pooled: Float[Tensor, "n c h w"]) -> tuple[Float[Tensor, "n ..."], ...]:
        """The body's features, then the reader's answers."""
        features: Tensor = self.body(pooled)
        answer: Tensor | tuple[Tensor, ...] = self.reader(features)
        return (features, answer) if isinstance(answer, Tensor) else (features, *answer)


@final
class FullyConnectedLayers(nn.Module):
    """Two fully connected layers with ReLU: the body of a box head on a pyramid.

    Args:
        channels: Of the cut-out features.
        cells: Of the cut-out features (h, w).
        width: Of both layers.
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
        """One vector of features for each box."""
        return functional.relu(self.fc7(functional.relu(self.fc6(pooled.flatten(1)))))


@final
class LastStage(nn.Module):
    """The last stage of a ResNet: the body of the heads of a detector of the C4 form (arXiv 1506.01497; 1512.03385).

    Args:
        blocks: The stage.
        width: Channels it gives.
    """

    def __init__(self, blocks: nn.Sequential, width: int) -> None:
        super().__init__()
        self.stage = blocks
        self.width = width

    def forward(self, pooled: Float[Tensor, "n c h w"]) -> Float[Tensor, "n f hh ww"]:
        """Features on half as many cells a side."""
        features: Tensor = self.stage(pooled)
        return features


@final
class ConvStack(nn.Module):
    """3x3 convolutions with ReLU: the body of a keypoint or mask head.

    Args:
        channels: Of the cut-out features.
        widths: Of the convolutions; 8 of 512 for keypoints, 4 of 256 for masks.
    """

    def __init__(self, channels: int, widths: tuple[int, ...] = (512,) * 8) -> None:
        super().__init__()
        self.conv = nn.ModuleList(
            nn.Conv2d(entering, leaving, 3, padding=1)
            for entering, leaving in zip((channels, *widths[:-1]), widths, strict=True)
        )
        self.width = widths[-1]
        _initialise(self)

    def forward(self, pooled: Float[Tensor, "n c h w"]) -> Float[Tensor, "n f h w"]:
        """Features on the same cells."""
        x: Tensor = pooled
        for conv in self.conv:
            x = functional.relu(conv(x), inplace=True)
        return x


@final
class BoxPredictor(nn.Module):
    """Reads what is in a box, and where the box should be, off its features; of maps the average is read.

    Args:
        width: Of the features.
        classes: With the background, which comes first.
    """

    def __init__(self, width: int, classes: int = 2) -> None:
        super().__init__()
        self.cls_score = nn.Linear(width, classes)
        self.bbox_pred = nn.Linear(width, 4 * classes)
        for layer, std in ((self.cls_score, 0.01), (self.bbox_pred, 0.001)):
            nn.init.normal_(layer.weight, std=std)
            nn.init.zeros_(layer.bias)

    def forward(self, features: Float[Tensor, "n f *cells"]) -> tuple[Float[Tensor, "n c"], Float[Tensor, "n c4"]]:
        """Logits of the classes; moves of the box (x, y, width, height), four for each class."""
        vectors = features.mean(dim=(2, 3)) if features.ndim == 4 else features
        return self.cls_score(vectors), self.bbox_pred(vectors)


@final
class KeypointPredictor(nn.Module):
    """Reads a codec's maps: a transposed convolution doubles the cells, bilinear resizing brings them to those of the codec.

    Args:
        width: Of the features.
        channels: Of the codec.
        cells: Of the codec (h, w); the release reads 56x56 off features on 14x14.
    """

    def __init__(self, width: int, channels: int, cells: Size = MAP_CELLS) -> None:
        super().__init__()
        self.final = nn.ConvTranspose2d(width, channels, 4, stride=2, padding=1)
        self.cells = cells
        _initialise(self)

    def forward(self, features: Float[Tensor, "n f h w"]) -> Float[Tensor, "n c hh ww"]:
        """What the codec reads."""
        maps: Tensor = self.final(features)
        if maps.shape[-2:] == self.cells:
            return maps
        return functional.interpolate(maps, size=self.cells, mode="bilinear", align_corners=False)


@final
class MaskPredictor(nn.Module):
    """Reads masks: a transposed convolution with ReLU doubles the cells, a 1x1 convolution follows.

    Args:
        width: Of the features.
        classes: With the background, which comes first.
        hidden: Channels between the two; those of the features by default.
    """

    def __init__(self, width: int, classes: int = 81, *, hidden: int | None = None) -> None:
        super().__init__()
        self.deconv = nn.ConvTranspose2d(width, hidden or width, 2, stride=2)
        self.logits = nn.Conv2d(hidden or width, classes, 1)
        _initialise(self)

    def forward(self, features: Float[Tensor, "n f h w"]) -> Float[Tensor, "n c hh ww"]:
        """Logits of the masks, one for each class."""
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
    """The box head on a pyramid."""
    return RoIHead(FullyConnectedLayers(channels, cells, width), BoxPredictor(width, classes))


def keypoint_head(channels: int, outputs: int, *, cells: Size = MAP_CELLS, widths: tuple[int, ...] = (512,) * 8) -> RoIHead:
    """The keypoint head with features of its own, for the `outputs` channels of a codec with maps of `cells`."""
    return RoIHead(ConvStack(channels, widths), KeypointPredictor(widths[-1], outputs, cells))


def mask_head(channels: int, *, widths: tuple[int, ...] = (256,) * 4, classes: int = 81) -> RoIHead:
    """The mask head; the names of its body's weights are one level deeper than a keypoint head's, to tell them apart."""
    return RoIHead(nn.Sequential(ConvStack(channels, widths)), MaskPredictor(widths[-1], classes))


def _initialise(head: nn.Module) -> None:
    """He's initial weights (arXiv 1502.01852), by the channels that leave, and no biases, as the releases start."""
    for module in head.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
