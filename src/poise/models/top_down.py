"""Top-down models: keypoints of one person in each view, which is cropped around a box."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from poise.codecs.base import InstanceCodec
from poise.codecs.round_trip import there_and_back
from poise.data.base import Dataset
from poise.data.boxes import usable
from poise.dims import Size
from poise.errors import InputError
from poise.geometry import FACTORS, Reduction, Warp, apply, invert
from poise.metrics.accuracy import Accuracy, released_accuracy_at
from poise.metrics.oks import pose_oks, rescore
from poise.models.dense import DenseModel
from poise.models.losses import codec_losses
from poise.models.person_scores import FoundPerson, PeopleTruth, score_keypoints, score_people
from poise.models.pictures import Picture, person_picture
from poise.models.values import Decoder, Image, ImageViews, LabelledImage, Region, Rescoring, RoundTrip
from poise.models.views.base import TrainData
from poise.models.views.person import PersonViews
from poise.nn.base import Head
from poise.skeletons import convert
from poise.structures import Batch, CropRule, Key, Points, Poses, Preprocess
from poise.transforms.crop import Frame, box_frame, frame_warp
from poise.transforms.jitter import Augmentation
from poise.transforms.person_crop import PersonCrop

MIN_KEYPOINTS = 3
"""Confident keypoints without which a person is lost in a video; all of a skeleton with fewer."""


SEEN = 0.3
"""Somebody is lost in a video where both sides of the box around confident keypoints are below this share of the region's."""


class TopDown(DenseModel):
    """Network, codec, preprocessing and skeleton of a top-down model.

    The network answers normalised views (b 3 h w) with what the codec reads; or with a list, of which the codec reads the last,
    or where these are its vectors, all.
    """

    kind = "top-down"
    preprocess_type = Preprocess
    codec_type = InstanceCodec
    augmentation_type = Augmentation
    takes_boxes = True
    default_batch = 32
    unit = ("person", "people")
    val_boxes = "ground-truth boxes"
    val_scores: tuple[str, ...] = ("pck@0.1", "AP")
    rows_by_keypoint = True

    codec: InstanceCodec
    deep: tuple[InstanceCodec, ...]
    preprocess: Preprocess

    # the network

    def outputs(self, images: Float[Tensor, "b 3 h w"]) -> list[Float[Tensor, "b ..."]]:
        """Every output of the network, the one that is read last; float32 whatever it computed in."""
        return self.listed(self.network(images))

    def listed(self, answer: Any) -> list[Float[Tensor, "b ..."]]:
        """What the network answered, a tensor or a list, as a list in float32; a codec's vectors as one output."""
        parts = [part.float() for part in ([answer] if isinstance(answer, Tensor) else answer)]
        apart = len(parts) > 1 and tuple(part.shape[-1] for part in parts) == self.codec.vectors
        return [torch.cat(parts, dim=-1)] if apart else parts

    def merged(self, straight: Float[Tensor, "b ..."], mirrored: Float[Tensor, "b ..."]) -> Float[Tensor, "b ..."]:
        """The mean of an output and of the unflipped one of the mirrored views."""
        return (straight + self.codec.unflip(mirrored, self.skeleton.flip.to(mirrored.device))) / 2

    # inference

    @property
    def input_text(self) -> str:
        """Size of the views and crop rule."""
        height, width = self.codec.size
        return f"{height} x {width} pixels (h x w), crop as {self.preprocess.crop}"

    def reduced_by(self, size: Size, boxes: Float[Tensor, "n 4"] | None) -> int:
        """The largest factor with which every view still has a pixel of the image, or more, for each of its own."""
        every = whole_box(size) if boxes is None else boxes
        extents = [box_frame(self.preprocess, box, size=self.codec.size).extent for box in every[usable(every, size)]]
        least = min((min(w / self.codec.size[1], h / self.codec.size[0]) for w, h in extents), default=math.inf)
        return next((factor for factor in FACTORS if factor <= least), 1)

    def views(
        self, image: Image, boxes: Float[Tensor, "n 4"] | None = None, box_score: Float[Tensor, " n"] | None = None
    ) -> ImageViews:
        """A view for each box of some size that meets the image; of the whole image where there are no boxes."""
        return self.reduced_views(image, boxes, box_score, reduction=None)

    def reduced_views(
        self,
        image: Image,
        boxes: Float[Tensor, "n 4"] | None,
        box_score: Float[Tensor, " n"] | None,
        *,
        reduction: Reduction | None,
    ) -> ImageViews:
        """The views of an image that was read smaller; arguments as of `views`, boxes in pixels of the whole image.

        Args:
            image: The pixels that were read.
            boxes: See `views`.
            box_score: See `views`.
            reduction: How these pixels lie in the whole image; None where they are the whole image.
        """
        size = (image.shape[1], image.shape[2]) if reduction is None else reduction.size
        every = whole_box(size) if boxes is None else boxes
        score = torch.ones(len(every)) if box_score is None else box_score
        good = usable(every, size)
        crop = PersonCrop(self.codec.size, self.preprocess, self.skeleton, reduction=reduction)
        cuts = [self.first_crop(crop, image, box) for box in every[good]]
        warps = torch.stack([warp for _, warp in cuts]) if cuts else torch.zeros(0, 3, 3)
        return ImageViews([view for view, _ in cuts], (every[good], score[good], warps), good.nonzero().flatten().tolist())

    def first_crop(self, crop: PersonCrop, image: Image, box: Float[Tensor, "4"]) -> tuple[Float[Tensor, "3 h w"], Warp]:
        """The view of a box, and its warp (3x3, image pixels to view pixels)."""
        return crop.crop_box(image, box)

    def label_frame(self, xy: Float[Tensor, "k 2"], visible: Int64[Tensor, " k"], box: Float[Tensor, "4"]) -> Frame:
        """The frame in which a labelled person is seen without augmentation: that of the box.

        Args:
            xy: Keypoints of the model's skeleton, pixels of the image.
            visible: 0 where a keypoint is not labelled.
            box: x0 y0 x1 y1, pixels of the image.
        """
        return box_frame(self.preprocess, box, size=self.codec.size)

    def answer(
        self,
        images: Float[Tensor, "b 3 h w"],
        views: Sequence[tuple[ImageViews, int]],
        *,
        flip: bool,
        decoders: Sequence[Decoder],
    ) -> list[list[Points]]:
        """The keypoints in each view, in its pixels, as each decoder reads them."""
        output = self.output(images, flip=flip)
        read = [decode(output) for decode in decoders]
        return by_view([Points(points.xy.cpu(), points.score.cpu()) for points in read])

    def poses(
        self, views: ImageViews, answers: Sequence[list[Points]], key: Key, *, decoders: Sequence[Decoder]
    ) -> list[Poses]:
        """A pose for each box, scored as the release does it."""
        boxes, box_score, warps = views.layout
        return [
            self._poses(boxes, box_score, _stacked([answer[which] for answer in answers], len(self.skeleton)), warps, key)
            for which in range(len(decoders))
        ]

    def _poses(
        self,
        boxes: Float[Tensor, "n 4"],
        box_score: Float[Tensor, " n"],
        points: Points,
        warps: Float[Tensor, "n 3 3"],
        key: Key,
    ) -> Poses:
        xy = apply(invert(warps.double()), points.xy.double()).float()
        score = rescore(box_score, points.score, self.preprocess.min_keypoint_score)
        return Poses(xy, points.score, boxes, box_score, score, key)

    # video

    def regions(self, image: Image, boxes: Float[Tensor, "n 4"], scores: Float[Tensor, " n"]) -> list[Region]:
        """Where to look for the people in boxes, those of some size that meet the image.

        Args:
            image: RGB.
            boxes: x0 y0 x1 y1, pixels.
            scores: Confidence of each.
        """
        good = usable(boxes, (image.shape[1], image.shape[2])).tolist()
        rows = zip(boxes, scores.tolist(), good, strict=True)
        return [Region(box, score) for box, score, use in rows if use]

    def found_regions(self, image: Image) -> list[Region]:
        """Where to look for the people that the model finds by itself; none, and it is asked only if `finds_people`."""
        return []

    def region_views(self, image: Image, regions: Sequence[Region]) -> ImageViews:
        """A view of each region."""
        if not regions:
            return self.views(image, torch.zeros(0, 4), torch.zeros(0))
        boxes = torch.stack([region.box for region in regions])
        return self.views(image, boxes, torch.tensor([region.score for region in regions]))

    def next_regions(
        self, views: ImageViews, answers: Sequence[Any], *, poses: Poses, size: Size, growth: float, least: float
    ) -> list[Region | None]:
        """Where the people of a frame are looked for in the next one: around their confident keypoints.

        Where some are not confident the box may become smaller only slowly: else it would shrink to the part that is seen best,
        of which the next view shows even less. Who is seen only in a small part of the region is lost. With `least` 0, where
        the region may be the whole image, neither holds.

        Args:
            views: Of the regions of the frame.
            answers: To these.
            poses: What `poses` made of them, as many.
            size: Size of the frame (h, w), pixels.
            growth: Factor by which the box around the keypoints grows.
            least: Sides of the box by those of the region before, at least, where a keypoint is not confident.

        Returns:
            One for each pose; None where the person was lost.
        """
        known = poses.score >= self.preprocess.min_keypoint_score
        found: list[Region | None] = []
        for xy, sure, before in zip(poses.xy, known, views.layout[0], strict=True):
            own = xy[sure]
            if len(own) < min(MIN_KEYPOINTS, len(self.skeleton)):
                found.append(None)
                continue
            low, high = own.amin(dim=0), own.amax(dim=0)
            middle, half = (low + high) / 2, ((high - low) / 2).clamp(min=1.0) * growth
            if least and bool(((high - low) < SEEN * (before[2:] - before[:2])).all()):
                found.append(None)  # a face alone, or a cloud of false keypoints on the background
                continue
            if len(own) < len(xy):
                middle, half = not_below(middle, half, before, least)
            found.append(Region(torch.cat((middle - half, middle + half))))
        return found

    # evaluation

    @property
    def rescoring(self) -> Rescoring:
        """Box score times the mean keypoint score, and OKS-NMS, as the preprocessing of the release says."""
        return Rescoring(self.preprocess.min_keypoint_score, self.preprocess.oks_nms)

    @property
    def crop_rule(self) -> CropRule:
        """The crop rule of the release, whose reader cleans boxes too."""
        return self.preprocess.crop

    def similarity(self, poses: Poses, sigmas: Sequence[float]) -> Float[Tensor, "n n"]:
        """OKS with the area that the view shows of each box, which is what the releases take for the area."""
        extents = [box_frame(self.preprocess, box, size=self.codec.size).extent for box in poses.boxes]
        return pose_oks(poses.xy, torch.tensor(extents, dtype=torch.float64).prod(dim=1), sigmas)

    def round_trip(self, images: Sequence[LabelledImage]) -> list[RoundTrip]:
        """Labelled people through crop and codec and back; all of them are encoded and decoded together."""
        counts = [len(image.people) for image in images]
        if not sum(counts):
            return []
        parts = [image.labels.select(torch.tensor(image.people, dtype=torch.int64)) for image in images]
        found = [
            convert(own.xy, own.visible, source=i.skeleton, target=self.skeleton) for i, own in zip(images, parts, strict=True)
        ]
        xy, visible = torch.cat([one for one, _ in found]), torch.cat([one for _, one in found])
        boxes = torch.cat([image.boxes for image in images])
        frames = [self.label_frame(*one) for one in zip(xy, visible, boxes, strict=True)]
        every = torch.stack([frame_warp(self.preprocess.crop, frame, size=self.codec.size) for frame in frames])
        seen = apply(every.double(), xy.double()).float()
        [back] = there_and_back([self.codec], seen)
        last = seen.new_tensor([self.codec.size[1] - 1, self.codec.size[0] - 1])
        inside = (visible > 0) & ((seen >= 0) & (seen <= last)).all(dim=-1)
        outside = (visible > 0) & ~inside
        healed = torch.where(outside[..., None], seen, back.xy)
        away = (back.xy - seen).norm(dim=-1)
        trips, start = [], 0
        for image, count in zip(images, counts, strict=True):
            own = slice(start, start + count)
            ones = torch.ones(count)
            poses, lossless = (
                self._poses(image.boxes, ones, Points(where[own], back.score[own]), every[own], image.key)
                for where in (back.xy, healed)
            )
            errors = away[own][inside[own]]
            trips.append(RoundTrip(poses, lossless, image.people, every[own], int(outside[own].sum()), errors))
            start += count
        return trips

    # training

    def compared(self, outputs: Sequence[Float[Tensor, "b ..."]], batch: Batch) -> dict[str, Float[Tensor, ""]]:
        """The loss of each output by its codec, computed in float32; in evaluation the first outputs may be left out."""
        codecs = (*self.deep, self.codec)
        left_out = 0 if self.training else max(len(codecs) - len(outputs), 0)
        with torch.autocast(batch.xy.device.type, enabled=False):
            return codec_losses(codecs[left_out:], outputs, batch.xy, batch.visible)

    @torch.no_grad()
    def batch_accuracy(self, answer: Any, batch: Batch) -> Accuracy | None:
        """The accuracy of HRNet's trainer (`released_accuracy`), of codecs with a map for each keypoint and perhaps vectors."""
        codec, output = self.codec, self.listed(answer)[-1].detach()
        each = codec.channels // codec.keypoints
        if codec.vectors or output.shape != (len(batch), codec.channels, *codec.cells) or codec.channels % codec.keypoints:
            return None
        expected = codec.highest_cells(batch.xy, batch.visible > 0).cpu()
        return released_accuracy_at(output[:, ::each], expected)

    def train_size(self, data: TrainData) -> Size:
        """Size of the codec's views."""
        return self.codec.size

    def train_views(self, data: TrainData, *, seed: int) -> PersonViews:
        """Augmented views of all people."""
        if not isinstance(data.augmentation, Augmentation | None):
            raise InputError(
                f"recipe {data.name!r}: {self.card.name} sees one person at a time, so its views are changed by an "
                f"Augmentation, not by {type(data.augmentation).__name__}"
            )
        crop = PersonCrop(self.codec.size, self.preprocess, self.skeleton, data.augmentation)
        return PersonViews(data.dataset, crop, seed=seed, select=data.select)

    def val_views(self, dataset: Dataset, *, seed: int) -> PersonViews:
        """All people, in the middle of their views."""
        return PersonViews(dataset, PersonCrop(self.codec.size, self.preprocess, self.skeleton), seed=seed)

    def validate(self, batch: Batch) -> tuple[dict[str, Float[Tensor, ""]], list[FoundPerson]]:
        """The loss, and the keypoints of each person in pixels of the images."""
        outputs = self.outputs(batch.images)
        return self.compared(outputs, batch), FoundPerson.of_batch(self.read(outputs[-1]), batch)

    def labelled(self, batch: Batch) -> Float[Tensor, "_ 2"]:
        """All labelled keypoints of a batch."""
        return batch.xy[batch.visible > 0]

    def truth(self, dataset: Dataset) -> PeopleTruth:
        """The labels of all people."""
        return PeopleTruth.of(dataset)

    def score(self, truth: PeopleTruth, found: Mapping[int, FoundPerson]) -> dict[str, float]:
        """AP of the COCO protocol and pck@0.1."""
        return score_people(truth, found)

    def keypoint_scores(self, truth: PeopleTruth, found: Mapping[int, FoundPerson]) -> dict[str, float]:
        """pck@0.1 of each keypoint."""
        return score_keypoints(truth, found)

    @torch.no_grad()
    def picture(self, batch: Batch) -> Picture:
        """Labels, target maps, predicted keypoints, predicted maps."""
        output = self(batch.images)
        return person_picture(batch, output, self.codec, colours=self.preprocess, skeleton=self.skeleton)

    # weights

    def keypoint_axis(self, name: str, weight: Tensor) -> int | None:
        """The axis of output channels of layers called `final`, of input channels of those that read them (`nn.base.Head`)."""
        parts = name.split(".")
        if parts[0] != "head" or weight.ndim == 0:
            return None
        if "final" in parts:
            layer = self.network.get_submodule(name.rpartition(".")[0])
            return int(isinstance(layer, nn.ConvTranspose2d) and weight.ndim > 1)
        takes = cast(Head, self.network.head).takes
        return 1 if set(takes) & set(parts) and weight.ndim > 1 else None


def by_view(each: Sequence[Points]) -> list[list[Points]]:
    """For each view the points of every decoder, from the points of each decoder in all views."""
    return [[Points(p.xy[i : i + 1], p.score[i : i + 1]) for p in each] for i in range(len(each[0].xy))] if each else []


def _stacked(each: Sequence[Points], keypoints: int) -> Points:
    """Points of single views one after another."""
    if not each:
        return Points(torch.zeros(0, keypoints, 2), torch.zeros(0, keypoints))
    return Points(torch.cat([one.xy for one in each]), torch.cat([one.score for one in each]))


def whole_box(size: Size) -> Float[Tensor, "1 4"]:
    """The box x0 y0 x1 y1 of a whole image of some size (h, w)."""
    return torch.tensor([[0.0, 0.0, size[1], size[0]]])


def not_below(
    middle: Float[Tensor, " 2"], half: Float[Tensor, " 2"], before: Float[Tensor, "4"], least: float
) -> tuple[Float[Tensor, " 2"], Float[Tensor, " 2"]]:
    """Middle and half sides of the box nearest to an earlier one that holds a box and has sides of at least a share of its.

    Args:
        middle: Of the box.
        half: Its half sides.
        before: The earlier box.
        least: The share.
    """
    centre = (before[:2] + before[2:]) / 2
    larger = torch.maximum(half, least * (before[2:] - before[:2]) / 2)
    room = larger - half
    return torch.minimum(torch.maximum(centre, middle - room), middle + room), larger
