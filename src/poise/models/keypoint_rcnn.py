"""Keypoint R-CNN (arXiv 1703.06870): boxes of people, and keypoints in each box, in one network for whole images."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from poise.codecs.registry import codec_from_plain
from poise.codecs.roi import RoICodec, within
from poise.dims import Size
from poise.errors import InputError
from poise.geometry import apply, box_area
from poise.metrics import coco, coco_format
from poise.metrics.oks import oks_nms, pose_oks
from poise.metrics.single_keypoints import evaluate_keypoints
from poise.models.base import PoseModel
from poise.models.card import Card
from poise.models.detector_training import DetectorTraining
from poise.models.pictures import IMAGES, Picture, detector_picture
from poise.models.postprocess import Boxes, Detections, FlipPass, suppressed
from poise.models.rcnn_boxes import config_from_plain, filled_sizes
from poise.models.rcnn_config import RCNNConfig
from poise.models.rcnn_masks import with_masks
from poise.models.rcnn_people import detections_of, people_to_image, poses_in_boxes
from poise.models.values import Decoder, ImageViews, LabelledImage, RoundTrip
from poise.models.views.scene import answered_alike
from poise.scenes import Canvas, People, SceneBatch
from poise.skeletons import Skeleton, convert
from poise.structures import Key, Points, Poses
from poise.transforms.canvas import Layout, boxes_to_view, canvas_layout

MAPS = "keypoint.head.reader.final."
"""Beginning of the names of the weights of the last layer of the keypoint head."""

BOXES_PER_PASS = 200
"""Boxes that the keypoint head sees at once; more take more memory and no less time."""


class KeypointRCNN(DetectorTraining, PoseModel):
    """Network, codec, preprocessing, skeleton and postprocessing in one.

    Args:
        network: An `RCNN` with a box head and a keypoint head.
        codec: Encodes keypoints in a box as targets of the keypoint head, and decodes its outputs.
        preprocess: How images are resized and normalised.
        skeleton: The keypoints, as many as the codec's.
        card: Name, architecture, licence, scores.
        config: Thresholds, NMS, scores, sampling of proposals, loss weights.

    Raises:
        InputError: Codec and skeleton count keypoints differently; the network lacks a head; or probabilities of
            keypoints are needed and the codec's scores are none.
    """

    kind = "keypoint-rcnn"
    preprocess_type = Canvas
    codec_type = RoICodec
    finds_boxes = True
    default_batch = 2
    rows_by_keypoint = True

    codec: RoICodec

    def __init__(
        self,
        network: Any,
        codec: RoICodec,
        preprocess: Canvas,
        skeleton: Skeleton,
        card: Card,
        config: RCNNConfig | None = None,
    ) -> None:
        super().__init__()
        config = config or RCNNConfig()
        self.check_keypoints(skeleton, codec)
        self.check_heads(network, card.name)
        check_scores(codec, config)
        self.network = network
        self.codec = codec
        self.preprocess = preprocess
        self.skeleton = skeleton
        self.card = card
        self.config = config

    @staticmethod
    def check_heads(network: Any, name: str) -> None:
        """Refuse a network that lacks a head.

        Raises:
            InputError: It has no box head or no keypoint head.
        """
        if network.box is None or network.keypoint is None:
            raise InputError(f"{name!r} lacks a box head or a keypoint head, and a Keypoint R-CNN has both")

    # the network in inference

    def predict(self, images: Float[Tensor, "b 3 h w"], *, flip: bool, sizes: list[Size] | None = None) -> list[People]:
        """People in pixels of the views, with the flip test if `flip`.

        The flip test averages class logits, box deltas and keypoint maps of plain and mirrored views.

        Args:
            images: Normalised views; smaller ones are padded at the right and below.
            flip: Whether to average with the mirrored views.
            sizes: Size of each view without padding (h, w), to which boxes are clipped. The whole view by default.

        Raises:
            SkeletonMismatch: The flip test is wanted and the skeleton has no mirror pairs.
        """
        [people] = self.read(images, flip=flip, sizes=sizes, decoders=[self.codec.decode])
        return people

    def read(
        self,
        images: Float[Tensor, "b 3 h w"],
        *,
        flip: bool,
        sizes: list[Size] | None = None,
        decoders: Sequence[Decoder],
        masks: bool = False,
    ) -> list[list[People]]:
        """People in pixels of the views for each of several decoders of the keypoint maps; the network runs once.

        Args:
            images: Normalised views, as for `predict`.
            flip: Whether to average with the mirrored views.
            sizes: Size of each view without padding (h, w).
            decoders: Decoders of the keypoint head's outputs.
            masks: Whether masks are predicted too, where there is a head for them.

        Returns:
            For each decoder the people of each view.
        """
        both = self.passes(images, flip=flip, sizes=sizes)
        found = self.found(both)
        if masks and self.network.mask is not None:
            found = with_masks(self.network, both, found, person=self.config.person)
        each = self._points(both, [own.boxes for own in found], decoders)
        return [[self.people(own, points) for own, points in zip(found, read, strict=True)] for read in each]

    def check_flip(self) -> None:
        """Refuse the flip test where the skeleton has no mirror pairs.

        Raises:
            SkeletonMismatch: It has none.
        """
        self.skeleton.check_flip()

    def _points(self, both: list[FlipPass], boxes: Boxes, decoders: Sequence[Decoder]) -> list[list[Points]]:
        """For each decoder the keypoints in each view's boxes."""
        read = [self._read(both, portion, decoders) for portion in portions(boxes, BOXES_PER_PASS)]
        none = Points(both[0].images.new_zeros(0, self.codec.keypoints, 2), both[0].images.new_zeros(0, self.codec.keypoints))
        many = [len(own) for own in boxes]
        each = [[none, *(portion[index] for portion in read)] for index in range(len(decoders))]
        return [_split(points, many) for points in each]

    def _read(self, both: list[FlipPass], boxes: Boxes, decoders: Sequence[Decoder]) -> list[Points]:
        output, every = self.keypoint_output(both, boxes), self.pooled_boxes(boxes)
        with torch.autocast(every.device.type, enabled=False):
            return [decode(output, every) for decode in decoders]

    def keypoint_output(self, both: list[FlipPass], boxes: Boxes) -> Float[Tensor, "n ..."]:
        """The output of the keypoint head for the boxes of all views, averaged with that of the mirrored ones.

        Args:
            both: The plain views, and for the flip test the mirrored ones.
            boxes: Boxes x0 y0 x1 y1 of each plain view.
        """
        outputs = [self.network.keypoint_maps(shown.features, shown.flip_boxes(boxes), shown.sizes).float() for shown in both]
        flip = self.skeleton.flip.to(outputs[0].device)
        with torch.autocast(outputs[0].device.type, enabled=False):
            straight, *mirrored = outputs
            merged: Tensor = (straight + self.codec.unflip(mirrored[0], flip)) / 2 if mirrored else straight
            return merged

    def people(self, found: Detections, points: Points) -> People:
        """People of one view, highest pose score first, without duplicates."""
        config = self.config
        probability = config.probability(points.score)
        pose_score = config.pose_score(found.score, probability)
        score = {"raw": points.score, "probability": probability, "product": probability * found.score[:, None]}[
            config.keypoint_score
        ]
        best = self.oks_nms(points.xy, found.boxes, pose_score)
        masks = None if found.masks is None else found.masks[best]
        return People(points.xy[best], score[best], pose_score[best], found.boxes[best], found.score[best], masks)

    def oks_nms(
        self, xy: Float[Tensor, "n k 2"], boxes: Float[Tensor, "n 4"], pose_score: Float[Tensor, " n"]
    ) -> Int64[Tensor, " m"]:
        """OKS-NMS with the threshold `RCNNConfig.keypoint_nms`: indices of the people that stay, highest pose score first.

        Args:
            xy: Keypoints of the people of one view or image.
            boxes: Their boxes, highest confidence first, which decides between equal pose scores.
            pose_score: Pose scores, by which people are ranked.
        """
        best = pose_score.argsort(descending=True, stable=True)
        threshold = self.config.keypoint_nms
        if threshold is None:
            return best
        index = best.flip(0)  # of equal scores `oks_nms` keeps the last
        area = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1)[index].cpu()
        similar = pose_oks(xy[index].cpu(), area, self.skeleton.sigmas)
        return index[oks_nms(similar, pose_score[index].cpu(), threshold).to(index.device)]

    # inference

    def answer(
        self,
        images: Float[Tensor, "b 3 h w"],
        views: Sequence[tuple[ImageViews, int]],
        *,
        flip: bool,
        decoders: Sequence[Decoder],
    ) -> list[list[People]]:
        """The people in each view, pixels of the view, for each decoder of the keypoint maps; boxes are the same for all."""
        each = self.read(images, flip=flip, sizes=filled_sizes(views), decoders=decoders, masks=True)
        return [[people[view] for people in each] for view in range(len(images))]

    def poses(
        self, views: ImageViews, answers: Sequence[list[People]], key: Key, *, decoders: Sequence[Decoder]
    ) -> list[Poses]:
        """The people of the image for each decoder, highest pose score first; those of several scales are joined."""
        layouts: list[Layout] = views.layout
        found = []
        for which in range(len(decoders)):
            pairs = zip(answers, layouts, strict=True)
            each = [poses_in_boxes(people[which], own.warp, key, canvas=self.preprocess) for people, own in pairs]
            found.append(each[0] if len(each) == 1 else self.joined(each))
        return found

    def joined(self, each: Sequence[Poses]) -> Poses:
        """The people found in several views of one image (multi-scale test), highest pose score first.

        Where Soft-NMS lowers a box score, pose scores and keypoint scores that are products with it are lowered, too.

        Args:
            each: The people of each view, in pixels of the image.
        """
        every = Poses.merge(each)
        index, confidence = suppressed(every.boxes, every.box_score, self.config)
        kept = every[index]
        factor = confidence / kept.box_score
        if self.config.rating != "keypoints":
            kept = replace(kept, pose_score=kept.pose_score * factor)
        if self.config.keypoint_score == "product":
            kept = replace(kept, score=kept.score * factor[:, None])
        return replace(kept, box_score=confidence)[self.oks_nms(kept.xy, kept.boxes, kept.pose_score)]

    # evaluation

    def similarity(self, poses: Poses, sigmas: Sequence[float]) -> Float[Tensor, "n n"]:
        """OKS of each pair of poses, with the area of the boxes found."""
        return pose_oks(poses.xy, box_area(poses.boxes), sigmas)

    def round_trip(self, images: Sequence[LabelledImage]) -> list[RoundTrip]:
        """Labelled people in their labelled boxes through the codec and back; no head can find keypoints outside of the box."""
        trips = []
        for image in images:
            warp = canvas_layout(self.preprocess, image.size(), max(self.preprocess.scales)).warp
            labels = image.labels.select(torch.tensor(image.people, dtype=torch.int64))
            xy, visible = convert(labels.xy, labels.visible, source=image.skeleton, target=self.skeleton)
            seen, boxes = apply(warp, xy), boxes_to_view(self.preprocess, warp, labels.boxes)
            back = self.codec.decode(self.codec.encode(seen, boxes), boxes)
            there = within(seen, boxes)
            ones = torch.ones(len(image.people))
            poses, lossless = (
                poses_in_boxes(People(where, back.score, ones, boxes, ones), warp, image.key, canvas=self.preprocess)
                for where in (back.xy, torch.where(there[..., None], back.xy, seen))
            )
            outside = int(((visible > 0) & ~there).sum())
            errors = (back.xy - seen).norm(dim=-1)[(visible > 0) & there]
            trips.append(RoundTrip(poses, lossless, image.people, warp[None], outside, errors))
        return trips

    # training

    @property
    def val_scores(self) -> tuple[str, ...]:
        """AP and AR of keypoints, AP of boxes, and of masks where they are learnt."""
        return ("AP", "AP50", "AR", "box AP", "box AP50", *self.mask_scores)

    def validate(self, batch: SceneBatch) -> tuple[dict[str, Float[Tensor, ""]], list[People]]:
        """The loss of sampled proposals, and the people found in each view, pixels of its image."""
        losses = self.losses(batch)
        people = answered_alike(batch, self.preprocess.multiple, self._predict_batch)
        return losses, [
            people_to_image(own, warp, self.preprocess) for own, warp in zip(people, batch.warps.cpu(), strict=True)
        ]

    def _predict_batch(self, images: Float[Tensor, "_ 3 h w"], sizes: list[Size]) -> list[People]:
        """The people in views of one size, with masks where they are learnt."""
        if not self.learns_masks:
            return self.predict(images, flip=False, sizes=sizes)
        [people] = self.read(images, flip=False, sizes=sizes, decoders=[self.codec.decode], masks=True)
        return people

    def score(self, truth: Mapping[str, Any], found: Mapping[int, People]) -> dict[str, float]:
        """AP and AR of keypoints and AP of boxes and masks, by the COCO protocols."""
        poses: list[dict[str, Any]] = []
        for image in sorted(found):
            people = found[image]
            categories = torch.ones(len(people), dtype=torch.int64)
            poses += coco_format.to_coco_results(people.xy, people.score, people.pose_score, image=image, categories=categories)
        numbers = dict(coco.evaluate(truth, poses, self.skeleton).numbers)
        numbers |= self.box_and_mask_scores(truth, {image: detections_of(people) for image, people in found.items()})
        return {name: numbers[name] for name in self.val_scores}

    def keypoint_scores(self, truth: Mapping[str, Any], found: Mapping[int, People]) -> dict[str, float]:
        """AP of each keypoint, as if it alone were labelled."""
        rows: list[dict[str, Any]] = []
        for image in sorted(found):
            people = found[image]
            ones = torch.ones(len(people), dtype=torch.int64)
            rows += coco_format.to_coco_results(people.xy, people.score, people.pose_score, image=image, categories=ones)
        return {f"AP/{n}": v["AP"] for n, v in evaluate_keypoints(truth, rows, self.skeleton).items() if v["AP"] >= 0}

    @torch.no_grad()
    def picture(self, batch: SceneBatch) -> Picture:
        """Labelled and predicted people with their boxes, and target and predicted maps in the labelled boxes."""
        batch = batch.first(IMAGES)
        scenes = batch.scenes
        people = self.predict(batch.images, flip=False, sizes=list(batch.inner) or None)
        boxes = [scenes.boxes[scenes.scene == view] for view in range(len(batch))]
        outputs = self.network.keypoint_maps(self(batch.images), boxes, list(batch.content_size)).float()
        return detector_picture(
            batch,
            people,
            outputs,
            self.codec,
            canvas=self.preprocess,
            skeleton=self.skeleton,
            min_score=self.config.score,
        )

    # codec, weights, files

    def change_codecs(self, change: Callable[[Any], Any]) -> None:
        """Change the codec of the keypoint head.

        Raises:
            InputError: The codec would need another head, or pose scores need probabilities that the codec's scores are not.
        """
        self.reconfigure(change, lambda config: config)

    def reconfigure(self, codec: Callable[[Any], Any], config: Callable[[RCNNConfig], RCNNConfig]) -> None:
        """Change codec and configuration at once, because keypoint scores and pose scores must agree.

        Args:
            codec: Function from the codec to the new codec.
            config: Function from the configuration to the new configuration.

        Raises:
            InputError: The codec would need another head, or pose scores need probabilities that the codec's scores are not.
        """
        changed = config(self.config)
        check_scores(codec(self.codec), changed)
        super().change_codecs(codec)
        self.config = changed

    def keypoint_axis(self, name: str, weight: Tensor) -> int | None:
        """The axis of output channels of the layer that makes the maps: the second one of a transposed convolution."""
        if not name.startswith(MAPS):
            return None
        return 1 if weight.ndim > 1 else 0

    def to_plain(self) -> dict[str, Any]:
        """Skeleton, codec and configuration as plain values."""
        plain = {name: value for name, value in super().to_plain().items() if name != "deep"}
        return plain | self.config_to_plain()

    @classmethod
    def from_plain(cls, network: Any, preprocess: Any, card: Card, *, values: Mapping[str, Any]) -> "KeypointRCNN":
        """The model that `to_plain` wrote."""
        codec, skeleton = codec_from_plain(values["codec"], cls.codec_type), Skeleton(**values["skeleton"])
        return cls(network, codec, preprocess, skeleton, card, config_from_plain(values))


def check_scores(codec: RoICodec, config: RCNNConfig) -> None:
    """Refuse a configuration that needs probabilities where the codec's scores are logits.

    Raises:
        InputError: The codec's scores are logits, there is no calibration, and probabilities are needed.
    """
    if config.needs_probability and config.calibration is None and codec.score_kind == "logit":
        raise InputError(
            f"keypoint_score {config.keypoint_score!r} and rating {config.rating!r} need probabilities, and the "
            f"scores of this {type(codec).__name__} are logits; calibrate them (calibration.middle=..), or take the box score "
            "and raw keypoint scores (rating=box keypoint_score=raw), or give the codec another score (score=probability)"
        )


def _split(parts: Sequence[Points], many: list[int]) -> list[Points]:
    """Points of all views, portion after portion, as those of each view."""
    xy = torch.split(torch.cat([part.xy for part in parts]), many)
    score = torch.split(torch.cat([part.score for part in parts]), many)
    return [Points(own, confidence) for own, confidence in zip(xy, score, strict=True)]


def portions(boxes: Boxes, max_count: int) -> Iterator[Boxes]:
    """The boxes of all views in portions of at most `max_count` boxes, in order; each has an entry for every view."""
    for start in range(0, sum(len(own) for own in boxes), max_count):
        before, portion = 0, []
        for own in boxes:
            portion.append(own[max(start - before, 0) : max(start + max_count - before, 0)])
            before += len(own)
        yield portion
