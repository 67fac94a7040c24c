"""Top-down models with aligned crops: the circle of the body is found in an upright view, and the pose in the aligned one."""

from collections.abc import Sequence
from dataclasses import fields, replace

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from poise.codecs.base import InstanceCodec
from poise.dims import Size
from poise.geometry import Warp, apply, invert
from poise.models.card import Card
from poise.models.top_down import TopDown, by_view
from poise.models.values import Decoder, Image, ImageViews
from poise.skeletons import Skeleton
from poise.structures import Key, Labels, Points, Poses
from poise.transforms.aligned_crop import AlignedPreprocess, circle_frame, first_frame, person_frame, predicted_alignment
from poise.transforms.crop import Frame
from poise.transforms.person_crop import PersonCrop


class AlignedTopDown(TopDown):
    """A top-down model that is shown aligned crops, as BlazePose is (arXiv 2006.10204).

    It learns from views around the circle of the labelled body. A prediction takes two passes: the first view is upright and
    holds the circle of the box; its alignment keypoints, or its hips and shoulders where the skeleton has none, say where the
    second is cut. Where their scores are too low, the pose of the first view stays.

    Args:
        network: As of `TopDown`.
        codec: As of `TopDown`.
        preprocess: How aligned crops are made.
        skeleton: With the keypoints of the axis, perhaps with alignment keypoints.
        card: Name, architecture, licence, scores.
        deep: As of `TopDown`.

    Raises:
        SkeletonMismatch: The skeleton lacks a keypoint of the axis.
        InputError: Codecs and skeleton count keypoints differently.
    """

    kind = "aligned-top-down"
    preprocess_type = AlignedPreprocess
    val_boxes = "circles of labelled bodies"

    preprocess: AlignedPreprocess

    def __init__(
        self,
        network: nn.Module,
        codec: InstanceCodec,
        preprocess: AlignedPreprocess,
        skeleton: Skeleton,
        card: Card,
        deep: tuple[InstanceCodec, ...] = (),
    ) -> None:
        preprocess.axis.indices(skeleton)
        super().__init__(network, codec, preprocess, skeleton, card, deep=deep)

    @classmethod
    def of(cls, model: TopDown, aligned: AlignedPreprocess) -> "AlignedTopDown":
        """A top-down model with aligned crops; network, colours and scoring are those of the model.

        Args:
            model: Its network and codec are shared, not copied.
            aligned: Padding, rotation, passes and axis.

        Raises:
            SkeletonMismatch: The model's skeleton lacks a keypoint of the axis.
        """
        own = {
            f.name: getattr(model.preprocess, f.name) for f in fields(model.preprocess) if f.name not in ("padding", "sides")
        }
        preprocess = replace(aligned, **own)
        return cls(model.network, model.codec, preprocess, model.skeleton, model.card, deep=model.deep)

    @property
    def input_text(self) -> str:
        """Size of the views, crop rule and alignment."""
        turned = "turned upright" if self.preprocess.rotate else "not turned"
        return f"{super().input_text}, around the circle of the body, {turned}, {self.preprocess.passes} passes"

    def reduced_by(self, size: Size, boxes: Float[Tensor, "n 4"] | None) -> int:
        """1: its second pass cuts other views, which are smaller."""
        return 1

    def views(
        self, image: Image, boxes: Float[Tensor, "n 4"] | None = None, box_score: Float[Tensor, " n"] | None = None
    ) -> ImageViews:
        """An upright view around the circle of each box of some size that meets the image."""
        first = super().views(image, boxes, box_score)
        return replace(first, layout=(*first.layout, image))

    def answer(
        self,
        images: Float[Tensor, "b 3 h w"],
        views: Sequence[tuple[ImageViews, int]],
        *,
        flip: bool,
        decoders: Sequence[Decoder],
    ) -> list[list[Points]]:
        """The keypoints of each view, in pixels of its image, as each decoder reads them in the aligned view."""
        output = self.output(images, flip=flip)
        warps = [layout[2][which] for layout, which in ((one.layout, which) for one, which in views)]
        answers = self._in_images(output, warps, decoders)
        if self.preprocess.passes == 1:
            return answers
        rows, crops, turned = self._aligned_views(self.read(output), warps, [one.layout[3] for one, _ in views])
        if rows:
            second = self.output(torch.stack(crops).to(images), flip=flip)
            for row, answer in zip(rows, self._in_images(second, turned, decoders), strict=True):
                answers[row] = answer
        return answers

    def _aligned_views(
        self, found: Points, warps: Sequence[Warp], images: Sequence[Image]
    ) -> tuple[list[int], list[Float[Tensor, "3 h w"]], list[Warp]]:
        """Mask of the views with an alignment, their aligned views, and the warps of these."""
        points, usable = predicted_alignment(self.preprocess, Points(found.xy.cpu(), found.score.cpu()), self.skeleton)
        rows: list[int] = usable.nonzero().flatten().tolist()
        crop = PersonCrop(self.codec.size, self.preprocess, self.skeleton)
        frames = [self._frame_of(points[row], warps[row]) for row in rows]
        cuts = [crop.crop_frame(images[row], frame) for row, frame in zip(rows, frames, strict=True)]
        return rows, [view for view, _ in cuts], [warp for _, warp in cuts]

    def _frame_of(self, points: Float[Tensor, "2 2"], warp: Warp) -> Frame:
        return circle_frame(self.preprocess, apply(invert(warp.double()), points.double()), size=self.codec.size)

    def _in_images(
        self, output: Float[Tensor, "b ..."], warps: Sequence[Warp], decoders: Sequence[Decoder]
    ) -> list[list[Points]]:
        read = [decode(output) for decode in decoders]
        back = invert(torch.stack(list(warps)).double())
        return by_view([Points(apply(back, points.xy.cpu().double()).float(), points.score.cpu()) for points in read])

    def poses(
        self, views: ImageViews, answers: Sequence[list[Points]], key: Key, *, decoders: Sequence[Decoder]
    ) -> list[Poses]:
        """A pose for each box, scored as the release does it."""
        boxes, box_score, warps, _ = views.layout
        there = replace(views, layout=(boxes, box_score, torch.eye(3).expand(len(warps), 3, 3)))
        return super().poses(there, answers, key, decoders=decoders)

    def first_crop(self, crop: PersonCrop, image: Image, box: Float[Tensor, "4"]) -> tuple[Float[Tensor, "3 h w"], Warp]:
        """The upright view around the circle of a box, and its warp."""
        return crop.crop_frame(image, first_frame(self.preprocess, box, size=self.codec.size))

    def label_frame(self, xy: Float[Tensor, "k 2"], visible: Int64[Tensor, " k"], box: Float[Tensor, "4"]) -> Frame:
        """The frame of a labelled person: the circle of the body, or of the box where the labels do not tell it."""
        return person_frame(self.preprocess, Labels.of(xy[None], visible[None], box[None]), self.skeleton, size=self.codec.size)
