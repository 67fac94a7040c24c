"""Detectors of people in whole images as functions from the pixels of one image to its people."""

from typing import Any, ClassVar, final

import numpy as np
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from poise.exporting.base import Graph
from poise.models.postprocess import FlipPass
from poise.scenes import Canvas
from poise.transforms.canvas import COLOURED_RULES
from poise.transforms.render import normalise


class DetectorGraph(Graph):
    """Faster and Mask R-CNN: boxes (n 4), x0 y0 x1 y1 in pixels of the image, and their confidences (n), the highest first.

    Proposals, pooling of boxes and NMS are in the graph, so the number of people is that of the image. It takes one image of
    any size, and pads it as the network needs it. Masks are not among its outputs.
    """

    raw: ClassVar[tuple[str, ...]] = ("boxes", "box_scores")
    decoded: ClassVar[tuple[str, ...]] = ()
    free = (2, 3)
    rows = "people"
    views_at_once = 1

    def described(self) -> dict[str, Any]:
        """Whether maps are of boxes without their last row and column (`RoIPooler.inclusive`)."""
        return {"inclusive": self.model.finds_keypoints and self.model.network.keypoint_pooler.inclusive}

    def forward(self, image: Any) -> tuple[Tensor, ...]:
        """Boxes and confidences."""
        [found] = self.model.found(self.passes(image))
        return found.boxes, found.score

    def passes(self, image: Float[Tensor, "1 3 h w"]) -> list[FlipPass]:
        """Feature maps of the padded image, and for the flip test of the mirrored one."""
        views: list[FlipPass] = self.model.passes(
            padded(self.views(image), self.model.preprocess), flip=self.flip, sizes=[(image.shape[2], image.shape[3])]
        )
        return views


@final
class PeopleInBoxesGraph(DetectorGraph):
    """Keypoint R-CNN and its kin: boxes and confidences, and of each box maps (n c h w), keypoints (n k 2) and scores (n k).

    People are in the order of their boxes. Pose scores, and OKS-NMS where a model has it, are not in the graph: poise computes
    them of what it gives, as `RCNNConfig` says.
    """

    raw = ("boxes", "box_scores", "maps")
    decoded = ("keypoints", "scores")

    def forward(self, image: Any) -> tuple[Tensor, ...]:
        """The outputs by `names`."""
        both = self.passes(image)
        [found] = self.model.found(both)
        raw = found.boxes, found.score, self.model.keypoint_output(both, [found.boxes])
        return (*raw, *self.read(raw)) if self.decode else raw

    def read(self, output: Any) -> tuple[Tensor, ...]:
        """Keypoints (n k 2), pixels of the image, and scores (n k)."""
        boxes, _, maps = output
        found = self.model.codec.decode(maps, self.model.pooled_boxes([boxes]))
        return found.xy, found.score


def padded(views: Float[Tensor, "b 3 h w"], canvas: Canvas) -> Float[Tensor, "b 3 hh ww"]:
    """Normalised views with the padding that the network needs, at the right and below.

    Args:
        views: Views without padding.
        canvas: Says the multiple that sides have, and the colour of the padding where that is not black.
    """
    fill = np.array(canvas.fill if canvas.rule in COLOURED_RULES else (0, 0, 0)).astype(np.uint8)[None, None]
    around = normalise(fill, canvas).to(views) if canvas.rule in COLOURED_RULES else views.new_zeros(3, 1, 1)
    high, wide = (-views.shape[axis] % canvas.multiple for axis in (2, 3))
    return functional.pad(views - around, (0, wide, 0, high)) + around
