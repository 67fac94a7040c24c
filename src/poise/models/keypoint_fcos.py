"""A one-stage detector with keypoints in CenterMask's manner: FCOS finds boxes, a branch finds the keypoints in each."""

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor
from torchvision.ops import clip_boxes_to_image, remove_small_boxes

from poise.dims import Size
from poise.errors import InputError
from poise.machine import is_traced
from poise.models.fcos_losses import fcos_losses
from poise.models.keypoint_rcnn import KeypointRCNN
from poise.models.postprocess import MIN_BOX_SIDE, FlipPass, suppressed
from poise.models.rcnn_config import RCNNConfig
from poise.models.roi_targets import sampled_rois, view_truths
from poise.models.values import Detections, Part
from poise.nn.fcos import CODER, Cells
from poise.nn.heads.rpn import integral_image
from poise.scenes import SceneBatch

BEST = 1000
"""Cells of a view that enter the suppression of duplicates, those of highest confidence."""


class KeypointFCOS(KeypointRCNN):
    """All of a Keypoint R-CNN but how boxes are found and learnt: by an FCOS, in one stage.

    The flip test joins the boxes of plain and mirrored views by NMS, and averages the maps of the keypoint branch.

    Args:
        network: An `nn.fcos.FCOS`.
        codec: Encodes keypoints in a box as targets of the keypoint branch, and decodes its outputs.
        preprocess: How images are resized and normalised.
        skeleton: The keypoints, as many as the codec's.
        card: Name, architecture, licence, scores.
        config: Thresholds, NMS, scores, sampling of the boxes that the keypoint branch learns from, loss weights.

    Raises:
        InputError: As for `KeypointRCNN`, or copies of boxes (`learning.copies`), of which only a box head can learn.
    """

    kind = "keypoint-fcos"
    runtime_parts: ClassVar[tuple[Part, ...]] = (Part("backbone", free=(2, 3)), Part("keypoint.head"))

    @staticmethod
    def check_heads(network: Any, name: str) -> None:
        """An FCOS has its head and its branch always."""

    def reconfigure(self, codec: Callable[[Any], Any], config: Callable[[RCNNConfig], RCNNConfig]) -> None:
        """As for `KeypointRCNN`.

        Raises:
            InputError: Copies of boxes are wanted.
        """
        if config(self.config).learning.copies:
            raise InputError(
                f"learning.copies: {self.card.name} has no box head that could learn from copies of boxes; leave it out"
            )
        super().reconfigure(codec, config)

    @property
    def loss_parts(self) -> tuple[str, ...]:
        """Names of the parts of the loss."""
        return ("classes", "boxes", "centerness", "keypoints")

    def found(self, both: list[FlipPass]) -> list[Detections]:
        """The boxes of people in each view, those of plain and mirrored views together."""
        cells = [self.network.cells(shown.features) for shown in both]
        return [self._found(both, cells, view, size) for view, size in enumerate(both[0].sizes)]

    def _found(self, both: list[FlipPass], cells: list[Cells], view: int, size: Size) -> Detections:
        parts = [_candidates(own, view, size, self.config.score) for own in cells]
        turned = [shown.flip_view(part.boxes, view) for shown, part in zip(both, parts, strict=True)]
        boxes, score = torch.cat(turned), torch.cat([part.score for part in parts])
        index, confidence = suppressed(boxes, score, self.config)
        return Detections(boxes[index], confidence)

    def losses(self, batch: SceneBatch) -> dict[str, Float[Tensor, ""]]:
        """The parts of the loss, weighted, by name: classes, boxes, centerness, keypoints.

        The keypoint branch learns from the boxes that are found now and from the labelled ones.
        """
        scenes, weights, sizes = batch.scenes, self.config.weights, list(batch.content_size)
        labelled = view_truths(scenes, sizes)
        ignored = [integral_image(region) for region in scenes.ignore] if bool(scenes.ignore.any()) else None
        features = self.forward(batch.images)
        cells = self.network.cells(features)
        with torch.autocast(features[0].device.type, enabled=False):
            parts = fcos_losses(cells, [own.boxes for own in labelled], ignored)
        proposals = [own.boxes for own in labelled] if self.config.learning.truth else [own.boxes[:0] for own in labelled]
        with torch.no_grad():
            shown = [FlipPass(batch.images, features, sizes, 0)]
            found = [self._found(shown, [cells], view, size).boxes for view, size in enumerate(sizes)]
        every = [torch.cat(pair) for pair in zip(found, proposals, strict=True)]
        rois = sampled_rois(every, labelled, self.config.learning, ignored=ignored)
        parts["keypoints"] = self._keypoint_loss(self.codec, features, rois, scenes, sizes)
        return {name: getattr(weights, name) * part for name, part in parts.items()}


def _candidates(cells: Cells, view: int, size: Size, min_score: float) -> Detections:
    """The most confident boxes of a view, clipped to it, before duplicates are removed."""
    score = cells.scores()[view]
    best = score.argsort(descending=True)[:BEST] if is_traced() else score.topk(min(BEST, len(score))).indices
    best = best[score[best] > min_score]
    boxes = clip_boxes_to_image(CODER.decode(cells.sides[view][best], cells.squares[best]), size)
    large = remove_small_boxes(boxes, MIN_BOX_SIDE)
    return Detections(boxes[large], score[best][large])
