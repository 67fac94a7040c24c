"""Keypoint R-CNN (arXiv 1703.06870): boxes of people, and keypoints in each box, in one network for whole images."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, final

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torchvision.models.detection.roi_heads import maskrcnn_loss

from poise.codecs.roi import RoICodec, teaches
from poise.dims import Size
from poise.errors import InputError
from poise.metrics.oks import oks_nms, pose_oks
from poise.models.card import Card
from poise.models.postprocess import Boxes, Found, Shown, features_of, find_boxes, show
from poise.models.rcnn_config import RCNNConfig
from poise.models.roi_targets import RoIs, Truth, box_losses, chosen, like_the_detector, refined, truths
from poise.nn.base import Feature
from poise.nn.heads.rpn import summed
from poise.nn.rcnn import RCNN
from poise.scenes import Canvas, People, SceneBatch, Scenes
from poise.skeletons import Skeleton
from poise.structures import Points

Decode = Callable[[Any, Any], Points]
"""Reads keypoints out of answers (n ...) for boxes (n 4), as `RoICodec.decode`."""

TOGETHER = 200
"""Boxes whose keypoints are looked for at once; more take more memory and no less time."""


@final
class KeypointRCNN(nn.Module):
    """Network, codec, preprocessing, skeleton, and how the answers are made people, in one.

    Args:
        network: Trunk, region proposals, a box head and a keypoint head.
        codec: The contract between keypoints in a box and the keypoint head.
        preprocess: How images are brought to the size of views and normalised.
        skeleton: The keypoints, as many as the codec's.
        card: Name, architecture, licence, scores.
        detecting: Thresholds, scores, which proposals are learnt from, weights of the losses.

    Raises:
        InputError: Codec and skeleton count keypoints differently; the network lacks a head; or keypoints need probabilities
            and nothing makes them.
    """

    def __init__(
        self,
        network: RCNN,
        codec: RoICodec,
        preprocess: Canvas,
        skeleton: Skeleton,
        card: Card,
        detecting: RCNNConfig | None = None,
    ) -> None:
        super().__init__()
        detecting = detecting or RCNNConfig()
        if codec.keypoints != len(skeleton):
            raise InputError(
                f"the codec has {codec.keypoints} keypoints and skeleton {skeleton.name!r} has {len(skeleton)}; they must agree"
            )
        if network.box is None or network.keypoint is None:
            raise InputError(f"{card.name!r} lacks a box head or a keypoint head, and a Keypoint R-CNN has both")
        if detecting.probable and detecting.calibration is None and codec.score_kind == "logit":
            raise InputError(
                f"keypoint_score {detecting.keypoint_score!r} and rating {detecting.rating!r} need probabilities, and the "
                f"scores of this {type(codec).__name__} are none; calibrate them (calibration.middle=..), or rate by boxes and "
                "leave them raw (rating=box keypoint_score=raw), or give the codec another score (score=probability)"
            )
        self.network = network
        self.codec = codec
        self.preprocess = preprocess
        self.skeleton = skeleton
        self.card = card
        self.detecting = detecting

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> list[Feature]:
        """The maps that everything else reads, for normalised views; float32 whatever the network computed in."""
        return features_of(self.network, images)

    # learning

    def loss(self, batch: SceneBatch) -> Float[Tensor, ""]:
        """The sum of the weighted parts."""
        return torch.stack(list(self.losses(batch).values())).sum()

    def losses(self, batch: SceneBatch) -> dict[str, Float[Tensor, ""]]:
        """The parts of the loss, weighted, by name: objectness, proposals, classes, boxes, keypoints; perhaps masks.

        People without a labelled keypoint are learnt as boxes. Nobody's proposals in `Scenes.ignore` are not learnt from.
        """
        scenes, weights = batch.scenes, self.detecting.weights
        sizes = list(batch.content_size)
        labelled = truths(scenes, sizes)
        ignored = [summed(region) for region in scenes.ignore] if bool(scenes.ignore.any()) else None
        features = self(batch.images)
        truth = [own.boxes for own in labelled]
        proposed = self.network.propose(batch.images, features, sizes=sizes, truth=truth, ignored=ignored)
        rois = self._rois(features, [own.detach() for own in proposed.boxes], labelled, ignored)
        told, moved = self._box_losses(features, rois)
        parts = {
            "objectness": weights.objectness * proposed.losses["loss_objectness"],
            "proposals": weights.proposals * proposed.losses["loss_rpn_box_reg"],
            "classes": weights.classes * told,
            "boxes": weights.boxes * moved,
            "keypoints": weights.keypoints * self._keypoint_loss(features, rois, scenes),
        }
        if self.network.mask is not None and scenes.masks is not None:
            parts["masks"] = weights.masks * self._mask_loss(features, rois, scenes.masks)
        return parts

    def _rois(self, features: list[Feature], proposed: Boxes, labelled: list[Truth], ignored: list[Tensor] | None) -> RoIs:
        """The proposals that the heads learn from."""
        learning = self.detecting.learning
        parts = [proposed]
        if learning.copies:
            first = chosen(proposed, labelled, learning, ignored=ignored)
            people = first.of_people
            with torch.no_grad():
                moves = self.network.boxes(features, people.boxes)[1].float()
            found = refined(people.boxes, moves, self.detecting.person)
            parts.append(like_the_detector(found, people.truth, labelled, learning.copies))
        if learning.truth:
            parts.append([own.boxes for own in labelled])
        every = [torch.cat(own) for own in zip(*parts, strict=True)]
        return chosen(every, labelled, learning, ignored=ignored)

    def _box_losses(self, features: list[Feature], rois: RoIs) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        logits, moves = self.network.boxes(features, rois.boxes)
        with torch.autocast(logits.device.type, enabled=False):
            return box_losses(
                logits.float(),
                moves.float(),
                rois,
                person=self.detecting.person,
                smooth=self.detecting.learning.smooth,
            )

    def _keypoint_loss(self, features: list[Feature], rois: RoIs, scenes: Scenes) -> Float[Tensor, ""]:
        """The codec's, of people's proposals with a labelled keypoint inside."""
        people = rois.of_people
        every = self._read_off(people.boxes)
        useful = people.select(teaches(scenes.xy[people.person], scenes.visible[people.person], every))
        some = useful.at_most(self.detecting.learning.posed)
        maps = self.network.maps(features, some.boxes)
        with torch.autocast(maps.device.type, enabled=False):
            return self.codec.loss(
                maps.float(), scenes.xy[some.person], scenes.visible[some.person], self._read_off(some.boxes)
            )

    def _mask_loss(self, features: list[Feature], rois: RoIs, masks: Tensor) -> Float[Tensor, ""]:
        """Cross-entropy of the cells of outlined people's proposals, as torchvision counts it."""
        people = rois.of_people
        people = people.select(masks.flatten(1).any(dim=1)[people.person])
        many = [len(own) for own in people.boxes]
        logits = self.network.masks(features, people.boxes).float()
        kinds = [torch.full((len(masks),), self.detecting.person, device=masks.device)] * len(many)
        lost: Tensor = maskrcnn_loss(
            logits, people.boxes, [masks.float()] * len(many), kinds, list(torch.split(people.person, many))
        )
        return lost

    # finding

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
        self, images: Float[Tensor, "b 3 h w"], *, flip: bool, sizes: list[Size] | None = None, decoders: Sequence[Decode]
    ) -> list[list[People]]:
        """The same with every answer of the keypoint head read in several ways: for each way the people of all views.

        Args:
            images: As for `predict`.
            flip: The same.
            sizes: The same.
            decoders: Of codecs that are the model's but for how they read.
        """
        both = self._shown(images, flip=flip, sizes=sizes)
        found = find_boxes(self.network, both, self.detecting)
        each = self._points(both, [own.boxes for own in found], decoders)
        return [[self._people(own, points) for own, points in zip(found, read, strict=True)] for read in each]

    def find(self, images: Float[Tensor, "b 3 h w"], *, flip: bool, sizes: list[Size] | None = None) -> list[Found]:
        """The boxes of `predict` alone, by their scores as boxes; keypoints are not asked, and take no doubles away.

        Args:
            images: As for `predict`.
            flip: The same.
            sizes: The same.
        """
        return find_boxes(self.network, self._shown(images, flip=flip, sizes=sizes), self.detecting)

    def _shown(self, images: Float[Tensor, "b 3 h w"], *, flip: bool, sizes: list[Size] | None) -> list[Shown]:
        if flip:
            self.skeleton.check_flip()
        return show(self.network, images, canvas=self.preprocess, flip=flip, sizes=sizes)

    def _points(self, both: list[Shown], boxes: Boxes, decoders: Sequence[Decode]) -> list[list[Points]]:
        """For each way to read them the keypoints in each view's boxes."""
        read = [self._read(both, portion, decoders) for portion in portions(boxes, TOGETHER)]
        none = Points(both[0].images.new_zeros(0, self.codec.keypoints, 2), both[0].images.new_zeros(0, self.codec.keypoints))
        many = [len(own) for own in boxes]
        each = [[none, *(portion[place] for portion in read)] for place in range(len(decoders))]
        return [_split(points, many) for points in each]

    def _read(self, both: list[Shown], boxes: Boxes, decoders: Sequence[Decode]) -> list[Points]:
        answers = [self.network.maps(shown.features, shown.there(boxes)).float() for shown in both]
        flip = self.skeleton.flip.to(answers[0].device)
        every = self._read_off(boxes)
        with torch.autocast(every.device.type, enabled=False):
            straight, *mirrored = answers
            output = (straight + self.codec.unflip(mirrored[0], flip)) / 2 if mirrored else straight
            return [decode(output, every) for decode in decoders]

    def _read_off(self, boxes: Boxes) -> Float[Tensor, "n 4"]:
        """The boxes of all views as the keypoint head sees them."""
        every: Tensor = self.network.posed_pooler.framed(torch.cat(boxes)).float()
        return every

    def _people(self, found: Found, points: Points) -> People:
        """People of one view, best first, without doubles."""
        detecting = self.detecting
        likely = detecting.likely(points.score)
        rating = detecting.rated(found.score, likely)
        score = {"raw": points.score, "probability": likely, "product": likely * found.score[:, None]}[detecting.keypoint_score]
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
        threshold = self.detecting.keypoint_nms
        if threshold is None:
            return best
        rows = best.flip(0)  # of equal ones the suppression takes the last
        area = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1)[rows].cpu()
        similar = pose_oks(xy[rows].cpu(), area, self.skeleton.sigmas)
        return rows[oks_nms(similar, rating[rows].cpu(), threshold).to(rows.device)]


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
