"""Detectors in files of `poise export`: proposals, boxes and maps of keypoints come out of the file; poise ranks people."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, final

from jaxtyping import Float
from torch import Tensor

from poise.dims import Size
from poise.errors import InputError
from poise.geometry import Boxes, exclude_last_pixel
from poise.models.base import Model
from poise.models.box_detector import BoxDetector
from poise.models.keypoint_rcnn import KeypointRCNN
from poise.models.values import Decoder, Detections
from poise.scenes import People
from poise.weights.exported_network import ExportedNetwork


@final
class ExportedDetector(ExportedNetwork):
    """Boxes, confidences and perhaps maps of one image at a time.

    Args:
        path: The file.
        export: How the graph was made.

    Attributes:
        box: None, as `keypoint` and `mask`: it has no heads that could be asked one by one.
    """

    box: None = None
    keypoint: None = None
    mask: None = None

    def __init__(self, path: Path, export: Mapping[str, Any]) -> None:
        super().__init__(path, export)
        self.inclusive = bool(export["inclusive"])

    def check_flip(self) -> None:
        """Refuse the flip test, which averages inside of the network.

        Raises:
            InputError: The file does it by itself, or was exported without.
        """
        super().check_flip()
        raise InputError(f"{self.path} was exported without the flip test, which would be in the file; export it with --flip")

    def each(self, images: Float[Tensor, "b 3 h w"], sizes: Sequence[Size] | None) -> list[list[Tensor]]:
        """The outputs for each view.

        Args:
            images: Normalised views.
            sizes: Size of each view without padding (h, w), which the file adds itself; by default there is none.
        """
        every = sizes or [(images.shape[2], images.shape[3])] * len(images)
        return [self.run(view[None, :, :high, :wide]) for view, (high, wide) in zip(images, every, strict=True)]

    @property
    def keypoint_pooler(self) -> "ExportedDetector":
        """What says which part of a box its maps are of: this."""
        return self

    def pooled_boxes(self, boxes: Boxes) -> Boxes:
        """The part of each box that its maps are of, as `RoIPooler.pooled_boxes`."""
        return exclude_last_pixel(boxes) if self.inclusive else boxes


@final
class ExportedBoxDetector(BoxDetector):
    """Faster or Mask R-CNN whose boxes a file finds."""

    @staticmethod
    def check_heads(network: Any, name: str) -> None:
        """The file has what is needed."""

    def find(self, images: Float[Tensor, "b 3 h w"], *, flip: bool, sizes: list[Size] | None = None) -> list[Detections]:
        """The boxes of people in each view; the flip test is the file's own."""
        return found_boxes(self.network, images, sizes)


@final
class ExportedKeypointRCNN(KeypointRCNN):
    """Keypoint R-CNN, or one of FCOS, whose boxes and maps a file finds."""

    @staticmethod
    def check_heads(network: Any, name: str) -> None:
        """The file has what is needed."""

    def find(self, images: Float[Tensor, "b 3 h w"], *, flip: bool, sizes: list[Size] | None = None) -> list[Detections]:
        """The boxes of people in each view; the flip test is the file's own."""
        return found_boxes(self.network, images, sizes)

    def read(
        self,
        images: Float[Tensor, "b 3 h w"],
        *,
        flip: bool,
        sizes: list[Size] | None = None,
        decoders: Sequence[Decoder],
        masks: bool = False,
    ) -> list[list[People]]:
        """People in pixels of the views for each decoder, as of `KeypointRCNN`; without masks."""
        each = self.network.each(images, sizes)
        return [
            [self.people(Detections(own[0], own[1]), decode(own[2], self.pooled_boxes([own[0]]))) for own in each]
            for decode in decoders
        ]


def found_boxes(network: ExportedDetector, images: Float[Tensor, "b 3 h w"], sizes: Sequence[Size] | None) -> list[Detections]:
    """The boxes of people in each view."""
    return [Detections(boxes, score) for boxes, score, *_ in network.each(images, sizes)]


def exported_kind(kind: type[Model]) -> type[Model]:
    """The class of a model whose network is a file, of the class that it had."""
    for own, exported in ((KeypointRCNN, ExportedKeypointRCNN), (BoxDetector, ExportedBoxDetector)):
        if issubclass(kind, own):
            return exported
    return kind
