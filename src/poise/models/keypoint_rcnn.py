"""Keypoint R-CNN (arXiv 1703.06870): boxes of people, and keypoints in each box, in one network for whole images."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torchvision.models.detection.roi_heads import maskrcnn_loss

from poise.codecs.registry import codec_from_plain
from poise.codecs.roi import RoICodec, has_labelled_keypoint, within
from poise.data.base import Dataset
from poise.dims import Size
from poise.errors import InputError
from poise.geometry import Warp, apply, box_area, invert
from poise.metrics import coco, coco_format
from poise.metrics.boxes import evaluate_boxes
from poise.metrics.oks import oks_nms, pose_oks
from poise.models.base import Decoder, ImageViews, LabelledImage, PoseModel, RoundTrip, total_loss
from poise.models.card import Card
from poise.models.pictures import IMAGES, Picture, detector_picture
from poise.models.postprocess import Boxes, Detections, FlipPass, find_boxes, suppressed
from poise.models.rcnn_boxes import RCNNBoxes, config_from_plain, filled_sizes
from poise.models.rcnn_config import RCNNConfig
from poise.models.roi_targets import RoIs, Truth, apply_deltas, box_losses, jittered_like_detector, sampled_rois, view_truths
from poise.models.views.base import TrainData
from poise.models.views.detector import DetectorViews
from poise.models.views.scene import answered_alike
from poise.nn.base import Feature
from poise.nn.heads.rpn import integral_image
from poise.nn.rcnn import RCNN
from poise.scenes import Canvas, People, SceneBatch, Scenes
from poise.skeletons import Skeleton, convert
from poise.structures import Key, Points, Poses
from poise.transforms.canvas import Layout, boxes_to_image, boxes_to_view, canvas_layout
from poise.transforms.detector_crop import DetectorCrop
from poise.transforms.detector_jitter import DetectorAugmentation

MAPS = "keypoint.head.reader.final."
"""The layer that makes the maps of keypoints."""

TOGETHER = 200
"""Boxes whose keypoints are looked for at once; more take more memory and no less time."""


PARTS = ("objectness", "proposals", "classes", "boxes", "keypoints")
"""Parts of the loss of a detector with keypoints."""

LOOKED_AT = 50
"""Images in which a training with masks looks for a mask before it begins."""


class KeypointRCNN(RCNNBoxes, PoseModel):
    """Network, codec, preprocessing, skeleton, and how the answers are made people, in one.

    Args:
        network: Trunk, region proposals, a box head and a keypoint head.
        codec: The contract between keypoints in a box and the keypoint head.
        preprocess: How images are brought to the size of views and normalised.
        skeleton: The keypoints, as many as the codec's.
        card: Name, architecture, licence, scores.
        config: Thresholds, scores, which proposals are learnt from, weights of the losses.

    Raises:
        InputError: Codec and skeleton count keypoints differently; the network lacks a head; or keypoints need probabilities
            and nothing makes them.
    """

    kind = "keypoint-rcnn"
    preprocess_type = Canvas
    codec_type = RoICodec
    augmentation_type = DetectorAugmentation
    finds_boxes = True
    default_batch = 2
    rows_by_keypoint = True
    val_scores = ("AP", "AP50", "AR", "box AP", "box AP50")

    codec: RoICodec

    def __init__(
        self,
        network: RCNN,
        codec: RoICodec,
        preprocess: Canvas,
        skeleton: Skeleton,
        card: Card,
        config: RCNNConfig | None = None,
    ) -> None:
        super().__init__()
        config = config or RCNNConfig()
        self.check_keypoints(skeleton, codec)
        if network.box is None or network.keypoint is None:
            raise InputError(f"{card.name!r} lacks a box head or a keypoint head, and a Keypoint R-CNN has both")
        check_scores(codec, config)
        self.network = network
        self.codec = codec
        self.preprocess = preprocess
        self.skeleton = skeleton
        self.card = card
        self.config = config

    # the network in training

    def losses(self, batch: SceneBatch) -> dict[str, Float[Tensor, ""]]:
        """The parts of the loss, weighted, by name: objectness, proposals, classes, boxes, keypoints; perhaps masks.

        People without a labelled keypoint are learnt as boxes. Nobody's proposals in `Scenes.ignore` are not learnt from.
        """
        scenes, weights = batch.scenes, self.config.weights
        sizes = list(batch.content_size)
        labelled = view_truths(scenes, sizes)
        ignored = [integral_image(region) for region in scenes.ignore] if bool(scenes.ignore.any()) else None
        features = self(batch.images)
        truth = [own.boxes for own in labelled]
        proposed = self.network.propose(batch.images, features, sizes=sizes, truth=truth, ignored=ignored)
        rois = self._rois(features, [own.detach() for own in proposed.boxes], labelled, ignored)
        cls_loss, box_loss = self._box_losses(features, rois)
        parts = {
            "objectness": weights.objectness * proposed.losses["loss_objectness"],
            "proposals": weights.proposals * proposed.losses["loss_rpn_box_reg"],
            "classes": weights.classes * cls_loss,
            "boxes": weights.boxes * box_loss,
            "keypoints": weights.keypoints * self._keypoint_loss(features, rois, scenes),
        }
        if self.network.mask is not None and scenes.masks is not None:
            parts["masks"] = weights.masks * self._mask_loss(features, rois, scenes.masks)
        return parts

    def _rois(self, features: list[Feature], proposed: Boxes, labelled: list[Truth], ignored: list[Tensor] | None) -> RoIs:
        """The proposals that the heads learn from."""
        learning = self.config.learning
        parts = [proposed]
        if learning.copies:
            first = sampled_rois(proposed, labelled, learning, ignored=ignored)
            people = first.positives
            with torch.no_grad():
                deltas = self.network.predict_boxes(features, people.boxes)[1].float()
            found = apply_deltas(people.boxes, deltas, self.config.person)
            parts.append(jittered_like_detector(found, people.truth, labelled, learning.copies))
        if learning.truth:
            parts.append([own.boxes for own in labelled])
        every = [torch.cat(own) for own in zip(*parts, strict=True)]
        return sampled_rois(every, labelled, learning, ignored=ignored)

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

    def _keypoint_loss(self, features: list[Feature], rois: RoIs, scenes: Scenes) -> Float[Tensor, ""]:
        """The codec's, of people's proposals with a labelled keypoint inside."""
        people = rois.positives
        every = self._read_off(people.boxes)
        useful = people.select(has_labelled_keypoint(scenes.xy[people.person], scenes.visible[people.person], every))
        some = useful.at_most(self.config.learning.posed)
        maps = self.network.keypoint_maps(features, some.boxes)
        with torch.autocast(maps.device.type, enabled=False):
            return self.codec.loss(
                maps.float(), scenes.xy[some.person], scenes.visible[some.person], self._read_off(some.boxes)
            )

    def _mask_loss(self, features: list[Feature], rois: RoIs, masks: Tensor) -> Float[Tensor, ""]:
        """Cross-entropy of the cells of sample_with_masks people's proposals, as torchvision counts it."""
        people = rois.positives
        people = people.select(masks.flatten(1).any(dim=1)[people.person])
        many = [len(own) for own in people.boxes]
        logits = self.network.mask_logits(features, people.boxes).float()
        kinds = [torch.full((len(masks),), self.config.person, device=masks.device)] * len(many)
        lost: Tensor = maskrcnn_loss(
            logits, people.boxes, [masks.float()] * len(many), kinds, list(torch.split(people.person, many))
        )
        return lost

    # the network in inference

    def predict(self, images: Float[Tensor, "b 3 h w"], *, flip: bool, sizes: list[Size] | None = None) -> list[People]:
        """People in pixels of the views, with the flip test if `flip`.

        With the flip test boxes and maps are the means of the answers to the views and to the mirrored ones.

        Args:
            images: Normalised views; smaller ones are filled up at the right and below.
            flip: Whether to look at the mirrored views, too.
            sizes: Of each view without what fills it up (h, w); boxes end there. The whole view by default.

        Raises:
            SkeletonMismatch: The flip test is wanted and the skeleton does not say what a mirror exchanges.
        """
        [people] = self.read(images, flip=flip, sizes=sizes, decoders=[self.codec.decode])
        return people

    def read(
        self, images: Float[Tensor, "b 3 h w"], *, flip: bool, sizes: list[Size] | None = None, decoders: Sequence[Decoder]
    ) -> list[list[People]]:
        """The same with every answer of the keypoint head read in several ways: for each way the people of all views.

        Args:
            images: As for `predict`.
            flip: The same.
            sizes: The same.
            decoders: Of codecs that are the model's but for how they read.
        """
        both = self.passes(images, flip=flip, sizes=sizes)
        found = find_boxes(self.network, both, self.config)
        each = self._points(both, [own.boxes for own in found], decoders)
        return [[self._people(own, points) for own, points in zip(found, read, strict=True)] for read in each]

    def check_flip(self) -> None:
        """Refuse the flip test where the skeleton has no mirror pairs.

        Raises:
            SkeletonMismatch: It has none.
        """
        self.skeleton.check_flip()

    def _points(self, both: list[FlipPass], boxes: Boxes, decoders: Sequence[Decoder]) -> list[list[Points]]:
        """For each way to read them the keypoints in each view's boxes."""
        read = [self._read(both, portion, decoders) for portion in portions(boxes, TOGETHER)]
        none = Points(both[0].images.new_zeros(0, self.codec.keypoints, 2), both[0].images.new_zeros(0, self.codec.keypoints))
        many = [len(own) for own in boxes]
        each = [[none, *(portion[place] for portion in read)] for place in range(len(decoders))]
        return [_split(points, many) for points in each]

    def _read(self, both: list[FlipPass], boxes: Boxes, decoders: Sequence[Decoder]) -> list[Points]:
        answers = [self.network.keypoint_maps(shown.features, shown.there(boxes)).float() for shown in both]
        flip = self.skeleton.flip.to(answers[0].device)
        every = self._read_off(boxes)
        with torch.autocast(every.device.type, enabled=False):
            straight, *mirrored = answers
            output = (straight + self.codec.unflip(mirrored[0], flip)) / 2 if mirrored else straight
            return [decode(output, every) for decode in decoders]

    def _read_off(self, boxes: Boxes) -> Float[Tensor, "n 4"]:
        """The boxes of all views as the keypoint head sees them."""
        every: Tensor = self.network.keypoint_pooler.pooled_boxes(torch.cat(boxes)).float()
        return every

    def _people(self, found: Detections, points: Points) -> People:
        """People of one view, best first, without doubles."""
        config = self.config
        probability = config.probability(points.score)
        rating = config.rated(found.score, probability)
        score = {"raw": points.score, "probability": probability, "product": probability * found.score[:, None]}[
            config.keypoint_score
        ]
        best = self.singles(points.xy, found.boxes, rating)
        return People(points.xy[best], score[best], rating[best], found.boxes[best], found.score[best])

    def singles(
        self, xy: Float[Tensor, "n k 2"], boxes: Float[Tensor, "n 4"], rating: Float[Tensor, " n"]
    ) -> Int64[Tensor, " m"]:
        """The rows of the people who stay, best first: of two nearer than `RCNNConfig.keypoint_nms` the better.

        Args:
            xy: Keypoints of the people of one view or image.
            boxes: Their boxes, the surest first: of equal ratings it comes first.
            rating: What they are ranked by.
        """
        best = rating.argsort(descending=True, stable=True)
        threshold = self.config.keypoint_nms
        if threshold is None:
            return best
        rows = best.flip(0)  # of equal ones the suppression takes the last
        area = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1)[rows].cpu()
        similar = pose_oks(xy[rows].cpu(), area, self.skeleton.sigmas)
        return rows[oks_nms(similar, rating[rows].cpu(), threshold).to(rows.device)]

    # inference

    def settings_text(self) -> dict[str, str]:
        """How boxes are made people."""
        return RCNNBoxes.settings_text(self)

    def answer(
        self,
        images: Float[Tensor, "b 3 h w"],
        views: Sequence[tuple[ImageViews, int]],
        *,
        flip: bool,
        decoders: Sequence[Decoder],
    ) -> list[list[People]]:
        """The people in each view, in its pixels, as each decoder reads their keypoints; all get the same boxes."""
        each = self.read(images, flip=flip, sizes=filled_sizes(views), decoders=decoders)
        return [[people[view] for people in each] for view in range(len(images))]

    def poses(
        self, views: ImageViews, answers: Sequence[list[People]], key: Key, *, decoders: Sequence[Decoder]
    ) -> list[Poses]:
        """The people of the image, the best first; those of several scales are joined."""
        layouts: list[Layout] = views.layout
        found = []
        for which in range(len(decoders)):
            pairs = zip(answers, layouts, strict=True)
            each = [poses_in_boxes(people[which], own.warp, key, canvas=self.preprocess) for people, own in pairs]
            found.append(each[0] if len(each) == 1 else self.joined(each))
        return found

    def joined(self, each: Sequence[Poses]) -> Poses:
        """The people found in several views of one image (multi-scale test), best first.

        NMS removes the lower of two boxes of one person; where it lowers a box score instead (Soft-NMS), what the box score
        was a factor of is lowered with it.

        Args:
            each: The people of each view, in pixels of the image.
        """
        every = Poses(
            torch.cat([one.xy for one in each]),
            torch.cat([one.score for one in each]),
            torch.cat([one.boxes for one in each]),
            torch.cat([one.box_score for one in each]),
            torch.cat([one.pose_score for one in each]),
            each[0].key,
        )
        rows, confidence = suppressed(every.boxes, every.box_score, self.config)
        single = every.select(rows)
        lower = confidence / single.box_score
        if self.config.rating != "keypoints":
            single = replace(single, pose_score=single.pose_score * lower)
        if self.config.keypoint_score == "product":
            single = replace(single, score=single.score * lower[:, None])
        return replace(single, box_score=confidence).select(self.singles(single.xy, single.boxes, single.pose_score))

    # evaluation

    def similarity(self, poses: Poses, sigmas: Sequence[float]) -> Float[Tensor, "n n"]:
        """OKS with the area of the boxes that were found."""
        return pose_oks(poses.xy, box_area(poses.boxes), sigmas)

    def round_trip(self, images: Sequence[LabelledImage]) -> list[RoundTrip]:
        """Labelled people in their labelled boxes through codec and back; keypoints outside of them no head can find."""
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
    def learns_masks(self) -> bool:
        """Whether a mask head learns."""
        return self.network.mask is not None and self.config.weights.masks > 0

    @property
    def loss_parts(self) -> tuple[str, ...]:
        """Names of the parts of the loss."""
        return (*PARTS, "masks") if self.learns_masks else PARTS

    def train_size(self, data: TrainData) -> Size:
        """Square views as large as the short side usually is; views of training have many sizes."""
        multiple = self.preprocess.multiple
        side = -(-self.preprocess.side // multiple) * multiple
        return side, side

    def train_views(self, data: TrainData, *, seed: int) -> DetectorViews:
        """Random views of the images with somebody to learn from, or of all of them."""
        if data.select or data.size or not isinstance(data.augmentation, DetectorAugmentation | None):
            raise InputError(
                f"recipe {data.name!r}: {self.card.name} looks for boxes in whole images; a DetectorAugmentation "
                f"changes these and says how large they are, not a {type(data.augmentation).__name__} or `size`, and no "
                "people are selected"
            )
        every = range(len(data.dataset)) if data.empty else list(dict.fromkeys(i for i, _ in data.dataset.people()))
        if not every:
            raise InputError(data.nobody())
        if self.learns_masks:
            self._check_masks(data.dataset, every)
        crop, random = self._crop(data.augmentation), data.augmentation is not None
        return DetectorViews(data.dataset, crop, seed=seed, images=every, random=random, masks=self.learns_masks)

    def val_views(self, dataset: Dataset, *, seed: int) -> DetectorViews:
        """All images as the model's canvas says."""
        if not dataset.people():
            raise InputError(f"none of the {len(dataset)} images to check on has a person with a labelled keypoint")
        every = range(len(dataset))
        return DetectorViews(dataset, self._crop(), seed=seed, images=every, random=False, masks=self.learns_masks)

    def validate(self, batch: SceneBatch) -> tuple[Float[Tensor, ""], list[People]]:
        """The loss of some sampled proposals, and the best people of each view in pixels of its image."""
        loss = total_loss(self.losses(batch))
        people = answered_alike(batch, self.preprocess.multiple, self._alike)
        return loss, [_people_home(own, warp, self.preprocess) for own, warp in zip(people, batch.warps.cpu(), strict=True)]

    def _alike(self, images: Float[Tensor, "_ 3 h w"], sizes: list[Size]) -> list[People]:
        """Who is in some views of one size."""
        return self.predict(images, flip=False, sizes=sizes)

    def raw(self, images: Float[Tensor, "b 3 h w"]) -> list[Tensor]:
        """The feature maps: the heads answer for boxes only, of which there may be none."""
        maps: list[Tensor] = self(images)
        return maps

    def labelled(self, batch: SceneBatch) -> Float[Tensor, "_ 2"]:
        """All labelled keypoints of a batch, and the corners of all boxes."""
        scenes = batch.scenes
        return torch.cat((scenes.xy[scenes.visible > 0], scenes.boxes.reshape(-1, 2)))

    def truth(self, dataset: Dataset) -> Mapping[str, Any]:
        """The labels of all images as COCO annotations, the index of an image its id."""
        return coco_format.to_coco_annotations(
            {image: dataset.labels(image) for image in range(len(dataset))}, dataset.skeleton
        )

    def score(self, truth: Mapping[str, Any], found: Mapping[int, People]) -> dict[str, float]:
        """AP and AR of keypoints and AP of boxes, by the COCO protocols."""
        poses: list[dict[str, Any]] = []
        boxes: list[dict[str, Any]] = []
        for image in sorted(found):
            people = found[image]
            confidence = people.pose_score if people.box_score is None else people.box_score
            categories = torch.ones(len(people), dtype=torch.int64)
            poses += coco_format.to_coco_results(people.xy, people.score, people.pose_score, image=image, categories=categories)
            boxes += coco_format.to_coco_box_results(people.boxes, confidence, image=image, categories=categories.tolist())
        numbers = coco.evaluate(truth, poses, self.skeleton).numbers
        numbers |= {f"box {name}": value for name, value in evaluate_boxes(truth, boxes).numbers.items()}
        return {name: numbers[name] for name in self.val_scores}

    @torch.no_grad()
    def picture(self, batch: SceneBatch) -> Picture:
        """Labels and boxes as they are and as they are found, with the maps in the labelled boxes."""
        batch = batch.first(IMAGES)
        scenes = batch.scenes
        people = self.predict(batch.images, flip=False, sizes=list(batch.inner) or None)
        boxes = [scenes.boxes[scenes.scene == view] for view in range(len(batch))]
        outputs = self.network.keypoint_maps(self(batch.images), boxes).float()
        return detector_picture(
            batch,
            people,
            outputs,
            self.codec,
            canvas=self.preprocess,
            skeleton=self.skeleton,
            min_score=self.config.score,
        )

    def _check_masks(self, dataset: Dataset, images: Sequence[int]) -> None:
        """Refuse data without outlines, of which a mask head would learn nothing."""
        some = images[:: -(-len(images) // LOOKED_AT)]
        found = (dataset.masks(image) for image in some)
        if not any(masks is not None and bool(masks.any()) for masks in found):
            raise InputError(
                f"{self.card.name} has a mask head, and in {len(some)} images that were looked at nobody is sample_with_masks "
                "(`segmentation`); "
                "take files with outlines, or let it not learn: --detecting-set weights.masks=0"
            )

    def _crop(self, augmentation: DetectorAugmentation | None = None) -> DetectorCrop:
        return DetectorCrop(self.preprocess, self.skeleton, augmentation or DetectorAugmentation())

    # codec, weights, files

    def change_codecs(self, change: Callable[[Any], Any]) -> None:
        """Read the keypoint head in another way.

        Raises:
            InputError: The codec would need another head, or people would be ranked by what is no probability.
        """
        self.reconfigure(change, lambda config: config)

    def reconfigure(self, codec: Callable[[Any], Any], config: Callable[[RCNNConfig], RCNNConfig]) -> None:
        """Change codec and configuration at once, for keypoint scores must go with what ranks people.

        Args:
            codec: Gives the codec with other fields.
            config: Gives the configuration with other fields.

        Raises:
            InputError: The codec would need another head, or people would be ranked by what is no probability.
        """
        made = config(self.config)
        check_scores(codec(self.codec), made)
        super().change_codecs(codec)
        self.config = made

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
    """Refuse a configuration that takes scores for probabilities where they are none.

    Raises:
        InputError: The codec's scores are logits, nothing calibrates them, and probabilities are asked for.
    """
    if config.probable and config.calibration is None and codec.score_kind == "logit":
        raise InputError(
            f"keypoint_score {config.keypoint_score!r} and rating {config.rating!r} need probabilities, and the "
            f"scores of this {type(codec).__name__} are none; calibrate them (calibration.middle=..), or rate by boxes and "
            "leave them raw (rating=box keypoint_score=raw), or give the codec another score (score=probability)"
        )


def poses_in_boxes(people: People, warp: Warp, key: Key, *, canvas: Canvas) -> Poses:
    """People of a view as poses of its image, in the boxes they were found in.

    Args:
        people: Pixels of the view, with boxes.
        warp: Image to view (3 3), of keypoints.
        key: Of the image.
        canvas: Of the model; says how boxes are counted.
    """
    xy = apply(invert(warp.double()), people.xy.cpu().double()).float()
    boxes = boxes_to_image(canvas, warp, people.boxes.cpu().float())
    pose_score = people.pose_score.cpu().float()
    confidence = pose_score if people.box_score is None else people.box_score.cpu().float()
    return Poses(xy, people.score.cpu().float(), boxes, confidence, pose_score, key)


def _people_home(people: People, warp: Float[Tensor, "3 3"], canvas: Canvas) -> People:
    """In pixels of the image, on the CPU."""
    parts = (people.xy, people.score, people.pose_score, people.boxes)
    xy, score, pose_score, boxes = (part.float().cpu() for part in parts)
    confidence = pose_score if people.box_score is None else people.box_score.float().cpu()
    home = apply(invert(warp), xy.to(warp.dtype)).float()
    return People(home, score, pose_score, boxes_to_image(canvas, warp, boxes), confidence)


def _split(parts: Sequence[Points], many: list[int]) -> list[Points]:
    """Points of all views, portion after portion, as those of each view."""
    xy = torch.split(torch.cat([part.xy for part in parts]), many)
    score = torch.split(torch.cat([part.score for part in parts]), many)
    return [Points(own, rated) for own, rated in zip(xy, score, strict=True)]


def portions(boxes: Boxes, most: int) -> Iterator[Boxes]:
    """The boxes of all views in portions of at most so many, in their order; each portion names every view."""
    for start in range(0, sum(len(own) for own in boxes), most):
        before, portion = 0, []
        for own in boxes:
            portion.append(own[max(start - before, 0) : max(start + most - before, 0)])
            before += len(own)
        yield portion
