"""The losses of two-stage detectors: proposals, boxes, keypoints in boxes, masks."""

import torch
from jaxtyping import Float
from torch import Tensor
from torchvision.models.detection.roi_heads import maskrcnn_loss

from poise.codecs.roi import RoICodec, has_labelled_keypoint
from poise.dims import Size
from poise.models.postprocess import Boxes
from poise.models.rcnn_boxes import RCNNBoxes
from poise.models.roi_targets import (
    RoIs,
    ViewTruth,
    apply_deltas,
    box_losses,
    jittered_like_detector,
    sampled_rois,
    view_truths,
)
from poise.nn.base import Feature
from poise.nn.heads.rpn import integral_image
from poise.scenes import SceneBatch, Scenes


class RCNNLosses(RCNNBoxes):
    """Training of region proposals, box head, keypoint head and mask head on sampled proposals (Mask R-CNN, section 3.1).

    Attributes:
        codec: The contract between keypoints in a box and the keypoint head; None without such a head.
    """

    codec: RoICodec | None

    def losses(self, batch: SceneBatch) -> dict[str, Float[Tensor, ""]]:
        """The parts of the loss, weighted, by name: objectness, proposals, classes, boxes; with such heads keypoints, masks.

        People without a labelled keypoint are learnt as boxes. Background proposals in `Scenes.ignore` are left out.
        """
        scenes, weights = batch.scenes, self.config.weights
        sizes = list(batch.content_size)
        labelled = view_truths(scenes, sizes)
        ignored = [integral_image(region) for region in scenes.ignore] if bool(scenes.ignore.any()) else None
        features = self.forward(batch.images)
        near = self._copies_for_rpn(batch, features, labelled, ignored)
        truth = [torch.cat((own.boxes, copies)) for own, copies in zip(labelled, near, strict=True)]
        moved = [own.boxes.repeat(len(boxes) // max(len(own.boxes), 1), 1) for own, boxes in zip(labelled, truth, strict=True)]
        proposed = self.network.propose(
            batch.images, features, sizes=sizes, truth=truth, ignored=ignored, moved=moved if any(map(len, near)) else None
        )
        rois = self._rois(features, [own.detach() for own in proposed.boxes], labelled, ignored)
        cls_loss, box_loss = self._box_losses(features, rois)
        parts = {
            "objectness": weights.objectness * proposed.losses["loss_objectness"],
            "proposals": weights.proposals * proposed.losses["loss_rpn_box_reg"],
            "classes": weights.classes * cls_loss,
            "boxes": weights.boxes * box_loss,
        }
        if self.codec is not None:
            parts["keypoints"] = weights.keypoints * self._keypoint_loss(self.codec, features, rois, scenes, sizes)
        if self.network.mask is not None and scenes.masks is not None:
            parts["masks"] = weights.masks * self._mask_loss(features, rois, scenes.masks)
        return parts

    def _rois(self, features: list[Feature], proposed: Boxes, labelled: list[ViewTruth], ignored: list[Tensor] | None) -> RoIs:
        """The proposals that the heads learn from."""
        learning = self.config.learning
        parts = [proposed]
        if learning.copies:
            parts.append(self._copies(features, proposed, labelled, ignored))
        if learning.truth:
            parts.append([own.boxes for own in labelled])
        every = [torch.cat(own) for own in zip(*parts, strict=True)]
        return sampled_rois(every, labelled, learning, ignored=ignored)

    def _copies(
        self, features: list[Feature], proposed: Boxes, labelled: list[ViewTruth], ignored: list[Tensor] | None
    ) -> Boxes:
        """Copies of the labelled boxes with the errors of the boxes that the detector finds now (our reading of APDI)."""
        people = sampled_rois(proposed, labelled, self.config.learning, ignored=ignored).positives
        with torch.no_grad():
            deltas = self.network.predict_boxes(features, people.boxes)[1].float()
        found = apply_deltas(people.boxes, deltas, self.config.person)
        return jittered_like_detector(found, people.truth, labelled, self.config.learning.copies)

    def _copies_for_rpn(
        self, batch: SceneBatch, features: list[Feature], labelled: list[ViewTruth], ignored: list[Tensor] | None
    ) -> Boxes:
        """The copies that the RPN learns from; none unless `Learning.copies_in_rpn`."""
        if not self.config.learning.copies_in_rpn:
            return [own.boxes[:0] for own in labelled]
        with torch.no_grad():
            proposed = self.network.propose(batch.images, features, sizes=list(batch.content_size)).boxes
            return self._copies(features, proposed, labelled, ignored)

    def _box_losses(self, features: list[Feature], rois: RoIs) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        logits, deltas = self.network.predict_boxes(features, rois.boxes)
        with torch.autocast(logits.device.type, enabled=False):
            return box_losses(
                logits.float(),
                deltas.float(),
                rois,
                person=self.config.person,
                smooth=self.config.learning.smooth,
            )

    def _keypoint_loss(
        self, codec: RoICodec, features: list[Feature], rois: RoIs, scenes: Scenes, sizes: list[Size] | None = None
    ) -> Float[Tensor, ""]:
        """The codec's loss of the positives with a labelled keypoint inside."""
        people = rois.positives
        every = self.pooled_boxes(people.boxes)
        useful = people.select(has_labelled_keypoint(scenes.xy[people.person], scenes.visible[people.person], every))
        some = useful.at_most(self.config.learning.posed)
        maps = self.network.keypoint_maps(features, some.boxes, sizes)
        with torch.autocast(maps.device.type, enabled=False):
            return codec.loss(maps.float(), scenes.xy[some.person], scenes.visible[some.person], self.pooled_boxes(some.boxes))

    def _mask_loss(self, features: list[Feature], rois: RoIs, masks: Tensor) -> Float[Tensor, ""]:
        """Binary cross-entropy of the mask cells of positives whose person has a mask, as torchvision computes it."""
        people = rois.positives
        people = people.select(masks.flatten(1).any(dim=1)[people.person])
        many = [len(own) for own in people.boxes]
        logits = self.network.mask_logits(features, people.boxes).float()
        labels = [torch.full((len(masks),), self.config.person, device=masks.device)] * len(many)
        lost: Tensor = maskrcnn_loss(
            logits, people.boxes, [masks.float()] * len(many), labels, list(torch.split(people.person, many))
        )
        return lost

    def pooled_boxes(self, boxes: Boxes) -> Float[Tensor, "n 4"]:
        """The boxes of all views as RoI pooling cuts them for the keypoint head."""
        every: Tensor = self.network.keypoint_pooler.pooled_boxes(torch.cat(boxes)).float()
        return every
