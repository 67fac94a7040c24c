"""The official landmark networks lite, full and heavy: 39 landmarks, presence, segmentation, heatmaps, world landmarks."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import final

from jaxtyping import Float
from torch import Tensor, nn

from poise.nn.base import check_view
from poise.nn.blaze.detector import DetectorNet
from poise.nn.blaze.layers import BlazeUnit, Maps, MatrixProduct, NarrowConv, convolutions, doubled, units
from poise.nn.blaze.trunk import BlazeTrunk, TrunkSize

SIDE = 256
"""Side of the views, pixels; the heatmaps have a quarter of it."""

LANDMARKS = 39
"""Landmarks of the releases: 33 of the body, 2 of the alignment, 4 that nobody reads."""

MASK_WIDTH = 8
"""Channels of the segmentation branch."""

LandmarkOutputs = tuple[
    Float[Tensor, "b n"], Float[Tensor, "b 1"], Float[Tensor, "b 1 h w"], Float[Tensor, "b k hh ww"], Float[Tensor, "b m"]
]
"""Landmarks, presence, segmentation logits, heatmap logits, world landmarks."""


@final
@dataclass(frozen=True)
class LandmarkSize:
    """How wide and deep a landmark network is.

    Attributes:
        trunk: Of the trunk.
        pyramid: Channels of the maps that heatmaps are made of.
        width: Channels of the regression at strides 32 and more.
        coarse: Units of the regression at strides 64 and 128, after the first of each.
        fine: Channels and units of the regression at strides 8, 16 and 32, which then starts from the pyramid's maps; empty
            where it starts from the trunk's coarsest.
    """

    trunk: TrunkSize
    pyramid: int
    width: int
    coarse: tuple[int, int]
    fine: tuple[tuple[int, int], ...] = ()


SIZES: Mapping[str, LandmarkSize] = {
    "lite": LandmarkSize(TrunkSize((8, 16, 24, 40, 56, 96)), 32, 192, (2, 3)),
    "full": LandmarkSize(TrunkSize((16, 24, 32, 64, 88, 144)), 48, 288, (4, 5)),
    "heavy": LandmarkSize(
        TrunkSize((24, 32, 56, 112, 160, 272), (3, 3, 5, 5, 7), second=4), 48, 288, (7, 7), ((96, 6), (192, 7), (288, 7))
    ),
}
"""The releases."""


@final
class Pyramid(nn.Module):
    """Maps of stride 4 of the trunk's, from coarse to fine, added.

    Args:
        size: Of the network.
    """

    def __init__(self, size: LandmarkSize) -> None:
        super().__init__()
        _, s4, s8, _, s16, _ = size.trunk.widths
        self.top = BlazeUnit(size.trunk.last, size.pyramid)
        self.laterals = nn.ModuleList(BlazeUnit(width, size.pyramid) for width in (s4, s8, s16))

    def forward(self, maps: list[Maps]) -> Maps:
        """The maps of stride 4."""
        x: Tensor = self.top(maps[-1])
        for lateral, finer in zip(reversed(self.laterals), maps[-2:0:-1], strict=True):
            x = doubled(x) + lateral(finer)
        return x


@final
class Segmentation(nn.Module):
    """Who is the person, of every pixel of the view.

    Args:
        size: Of the network.
    """

    def __init__(self, size: LandmarkSize) -> None:
        super().__init__()
        self.top = BlazeUnit(size.pyramid, MASK_WIDTH)
        self.lateral = BlazeUnit(size.trunk.widths[0], MASK_WIDTH)
        self.middle = nn.Sequential(*units(2, MASK_WIDTH))
        self.fine = nn.Sequential(*units(2, MASK_WIDTH))
        self.last = NarrowConv(MASK_WIDTH, 1, 3, padding=1)

    def forward(self, pyramid: Maps, finest: Maps) -> Float[Tensor, "b 1 h w"]:
        """Logits."""
        x = self.middle(doubled(self.top(pyramid)) + self.lateral(finest))
        logits: Tensor = self.last(self.fine(doubled(x)))
        return logits


@final
class Regression(nn.Module):
    """Maps of 2x2 cells, which numbers are read off.

    Args:
        size: Of the network.
    """

    def __init__(self, size: LandmarkSize) -> None:
        super().__init__()
        widths = [size.pyramid, *(width for width, _ in size.fine)]
        self.fine = nn.ModuleList(
            nn.Sequential(BlazeUnit(before, width, stride=2), *units(count, width))
            for before, (width, count) in zip(widths, size.fine, strict=False)
        )
        _, _, s8, _, s16, _ = size.trunk.widths
        taps = (s8, s16) if size.fine else ()
        self.laterals = nn.ModuleList(BlazeUnit(tap, width) for tap, (width, _) in zip(taps, size.fine, strict=False))
        self.top = BlazeUnit(size.trunk.last, size.width)
        self.coarse = nn.Sequential(
            *(
                unit
                for count in size.coarse
                for unit in (BlazeUnit(size.width, size.width, stride=2), *units(count, size.width))
            )
        )

    def forward(self, pyramid: Maps, maps: list[Maps]) -> Maps:
        """The maps."""
        x = pyramid
        skips = [*(lateral(finer) for lateral, finer in zip(self.laterals, maps[2:4], strict=False)), self.top(maps[4])]
        if not self.fine:
            x = skips[0]
        for stage, skip in zip(self.fine, skips, strict=False):
            x = stage(x) + skip
        out: Tensor = self.coarse(x)
        return out


@final
class LandmarkNet(nn.Module):
    """A landmark network.

    Attributes:
        side: Of the views it takes, pixels.
        backbone: The trunk.
        head: All that reads its maps; layers called `final` have parts for each landmark.
        detector: Finds and aligns people for it; None where that is done otherwise. It is asked by itself.

    Args:
        size: How wide and deep it is.
        landmarks: How many landmarks, k.
        detector: Finds people.
    """

    side = SIDE

    def __init__(self, size: LandmarkSize, landmarks: int = LANDMARKS, *, detector: DetectorNet | None = None) -> None:
        super().__init__()
        self.backbone = BlazeTrunk(size.trunk)
        self.head = LandmarkHead(size, landmarks)
        self.detector = detector

    @property
    def landmarks(self) -> int:
        """How many the network finds."""
        return self.head.heatmap.final.out_channels

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> LandmarkOutputs:
        """What is found in views of values 0 to 1.

        Returns:
            Landmarks (b, 5 k): x, y, z in pixels of the view, and the logits of visibility and presence, of each; the
            probability (b, 1) that there is a person; logits (b, 1, 256, 256) of who the person is; logits (b, k, 64, 64) of
            heatmaps; world landmarks (b, 3 k): x, y, z in metres.
        """
        outputs: LandmarkOutputs = self.head(self.maps(images))
        return outputs

    def keypoint_outputs(
        self, images: Float[Tensor, "b 3 h w"]
    ) -> tuple[Float[Tensor, "b n"], Float[Tensor, "b 1"], Float[Tensor, "b k hh ww"]]:
        """Landmarks, presence and heatmaps, as `forward` gives them; the other heads are not run."""
        maps = self.maps(images)
        pyramid = self.head.pyramid(maps)
        return (*self.head.found(self.head.regression(pyramid, maps)), self.head.heatmap(pyramid))

    def maps(self, images: Float[Tensor, "b 3 h w"]) -> list[Maps]:
        """The trunk's maps.

        Raises:
            InputError: Views of another size than 256x256.
        """
        check_view(images, (SIDE, SIDE), "BlazePose's landmark network")
        found: list[Maps] = self.backbone(images)
        return found

    def release_order(self) -> list[nn.Conv2d]:
        """The convolutions in the order in which the official file executes them."""
        head, blocks = self.head, list(self.backbone.blocks)
        order = [self.backbone.stem, self.backbone.stem_depthwise, self.backbone.stem_project]
        taps = iter(head.at_taps())
        for block in blocks:
            order += [block.expand, *(next(taps) if block.stride == 2 else ()), block.depthwise, block.project]
        order += [self.backbone.expand, self.backbone.depthwise, *convolutions(head.pyramid.top)]
        regression = convolutions(head.regression.fine)
        order += [*regression[:2], *convolutions(head.segmentation, without=head.segmentation.lateral), *regression[2:]]
        order += [head.heatmap.final, *convolutions(head.regression.top), *convolutions(head.regression.coarse)]
        return [*order, head.landmarks.final, head.world.final, head.presence]


@final
class FinalLayer(nn.Module):
    """A convolution with parts for each landmark.

    Args:
        channels: Input channels.
        width: Output channels.
        kernel: Its side.
    """

    def __init__(self, channels: int, width: int, kernel: int) -> None:
        super().__init__()
        self.final = nn.Conv2d(channels, width, kernel)

    def forward(self, x: Maps) -> Maps:
        """The output."""
        out: Tensor = self.final(x)
        return out

    def as_graph(self, runtime: str) -> nn.Module:
        """The same function as a runtime runs it fastest: OpenVINO takes long to reorder 39 channels of a convolution."""
        pointwise = self.final.kernel_size == (1, 1)
        return MatrixProduct(self.final) if pointwise and runtime == "openvino" else self


@final
class LandmarkHead(nn.Module):
    """All that reads the trunk's maps.

    Args:
        size: Of the network.
        landmarks: How many, k.
    """

    def __init__(self, size: LandmarkSize, landmarks: int) -> None:
        super().__init__()
        self.pyramid = Pyramid(size)
        self.heatmap = FinalLayer(size.pyramid, landmarks, 1)
        self.segmentation = Segmentation(size)
        self.regression = Regression(size)
        self.landmarks = FinalLayer(size.width, 5 * landmarks, 2)
        self.world = FinalLayer(size.width, 3 * landmarks, 2)
        self.presence = nn.Conv2d(size.width, 1, 2)

    def forward(self, maps: list[Maps]) -> LandmarkOutputs:
        """The outputs of `LandmarkNet`."""
        pyramid = self.pyramid(maps)
        coarse = self.regression(pyramid, maps)
        return (
            *self.found(coarse),
            self.segmentation(pyramid, maps[0]),
            self.heatmap(pyramid),
            self.world(coarse).flatten(1),
        )

    def found(self, coarse: Maps) -> tuple[Float[Tensor, "b n"], Float[Tensor, "b 1"]]:
        """Landmarks, and the probability that there is a person."""
        return self.landmarks(coarse).flatten(1), self.presence(coarse).flatten(1).sigmoid()

    def at_taps(self) -> Iterator[list[nn.Conv2d]]:
        """The convolutions that read the trunk's maps of strides 2, 4, 8 and 16."""
        pyramid, regression = list(self.pyramid.laterals), list(self.regression.laterals)
        yield convolutions(self.segmentation.lateral)
        yield convolutions(pyramid[0])
        for number, lateral in enumerate(pyramid[1:]):
            yield [*convolutions(lateral), *(convolutions(regression[number]) if regression else ())]
