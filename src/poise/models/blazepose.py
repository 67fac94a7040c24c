"""BlazePose as a top-down model: a turned view of each person, landmarks by the official network or one like it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor

from poise.codecs.blaze_landmarks import BlazeLandmarks
from poise.data.boxes import usable
from poise.decoding.blaze_landmarks import KERNEL
from poise.dims import Size
from poise.errors import InputError
from poise.geometry import apply, invert
from poise.models.blaze_pipeline import (
    BODY,
    MIN_PRESENCE,
    BlazePerson,
    circle_boxes,
    detect,
    landmark_view,
    people,
    refined_regions,
    regions,
    regions_in_boxes,
)
from poise.models.blaze_video import BlazePoseVideo
from poise.models.top_down import TopDown, by_view
from poise.models.values import Decoder, Image, ImageViews, Part, Region
from poise.nn.blaze.landmark import LANDMARKS, LandmarkNet
from poise.skeletons.alignment import BodyAxis, alignment_points
from poise.structures import Key, Points, Poses, Preprocess
from poise.transforms.blaze_crop import aligned_region, region_warp
from poise.transforms.crop import Frame


@final
@dataclass(frozen=True)
class BlazePreprocess(Preprocess):
    """How BlazePose looks at people.

    `padding` is the factor on the circle around the body, and on a box; 1.25 in MediaPipe.

    Attributes:
        passes: 2 looks at a box again where the landmarks of the first look tell (the official models with a detector), 1 reads
            these. People whom the detector finds in a whole image are looked at once, as MediaPipe does.

    Raises:
        InputError: A number of passes other than 1 or 2; or as `Preprocess`.
    """

    passes: int = 1

    def __post_init__(self) -> None:
        """Check the passes."""
        super().__post_init__()
        if self.passes not in (1, 2):
            raise InputError(f"preprocessing: BlazePose takes 1 or 2 passes, found {self.passes}")


class BlazePose(TopDown):
    """A landmark network, perhaps with the detector that finds and aligns people for it.

    Without boxes the detector finds everybody in an image; without a detector the whole image is one person, upright. In a box
    the detector says how the person is turned; where it finds nobody there, or is missing, the view is upright around the box.
    With two passes (`BlazePreprocess`) the landmarks in that view tell a second one, in which they are read.

    Attributes:
        network: `nn.blaze.landmark.LandmarkNet`; its `detector` may be None.
        codec: Reads the first of its landmarks, as many as the skeleton has keypoints.
    """

    kind = "blazepose"
    runtime_parts = (Part(method="keypoint_outputs"), Part(), Part("detector"))
    default_batch: ClassVar[int] = 16
    exact: ClassVar[bool] = True
    fastest_runtime: ClassVar[str] = "onnxruntime"

    preprocess_type = BlazePreprocess

    codec: BlazeLandmarks
    network: LandmarkNet
    preprocess: BlazePreprocess

    @property
    def finds_people(self) -> bool:
        """Whether it has a detector."""
        return self.network.detector is not None

    @property
    def input_text(self) -> str:
        """Size of the views, and how people are found."""
        height, width = self.codec.size
        how = "without detector, upright" if self.network.detector is None else "turned as its detector says"
        return f"{height} x {width} pixels (h x w), square views, {how}"

    # the network

    def outputs(self, images: Float[Tensor, "b 3 h w"]) -> list[Float[Tensor, "b k n"]]:
        """The numbers and the heatmap of each keypoint, float32; the network always computes in it.

        In bfloat16 a coordinate of 200 pixels would be off by half a pixel.
        """
        return [self._landmarks(images)[:, : len(self.skeleton)]]

    def _landmarks(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b k n"]:
        """The numbers and the heatmap of every landmark of the network."""
        with torch.autocast(images.device.type, enabled=False):
            return self.joined(*self.network.keypoint_outputs(images.float()))

    def joined(
        self, numbers: Float[Tensor, "b n"], presence: Float[Tensor, "b 1"], heatmaps: Float[Tensor, "b k hh ww"]
    ) -> Float[Tensor, "b k m"]:
        """The numbers, the presence and the heatmap of every landmark, from outputs of the network."""
        rows = numbers.reshape(numbers.shape[0], numbers.shape[1] // 5, 5)
        rows = torch.cat((rows[..., :3] / self.network.side, rows[..., 3:]), dim=-1)
        there = presence[:, None].expand(-1, rows.shape[1], -1)
        return torch.cat((rows, there, heatmaps.flatten(2)), dim=-1)

    @property
    def _aligns(self) -> bool:
        """Whether the two landmarks after those of the body say where the body is, as those of the official networks do."""
        return self.row_keypoints == LANDMARKS and len(self.skeleton) in (BODY, LANDMARKS)

    # weights

    @property
    def row_keypoints(self) -> int:
        """The network's landmarks."""
        return self.network.landmarks

    def keypoint_axis(self, name: str, weight: Tensor) -> int | None:
        """The axis of output channels of layers called `final`."""
        parts = name.split(".")
        return 0 if parts[0] == "head" and "final" in parts else None

    # inference

    def reduced_by(self, size: Size, boxes: Float[Tensor, "n 4"] | None) -> int:
        """1: its detector looks at the whole image."""
        return 1

    def views(
        self, image: Image, boxes: Float[Tensor, "n 4"] | None = None, box_score: Float[Tensor, " n"] | None = None
    ) -> ImageViews:
        """A turned view for each box, or for each person that the detector finds."""
        size = (image.shape[1], image.shape[2])
        if boxes is None and self.network.detector is not None:
            found = detect(self.network.detector, image)
            where = regions(found, size, growth=self.preprocess.padding)
            return self._cut(image, where, circle_boxes(found, size), found.score, None)
        every = torch.tensor([[0.0, 0.0, size[1], size[0]]]) if boxes is None else boxes
        score = torch.ones(len(every)) if box_score is None else box_score
        good = usable(every, size)
        where = self._in_boxes(image, every[good])
        if self.preprocess.passes == 2:
            where = refined_regions(self.network, image, where, growth=self.preprocess.padding)
        return self._cut(image, where, every[good], score[good], good.nonzero().flatten().tolist())

    def _in_boxes(self, image: Image, boxes: Float[Tensor, "n 4"]) -> list[Frame]:
        """The region of each box, as large as the preprocessing says."""
        own = self.preprocess
        return regions_in_boxes(self.network.detector, image, boxes, growth=own.padding, sides=own.sides)

    def _cut(
        self,
        image: Image,
        where: Sequence[Frame],
        boxes: Float[Tensor, "n 4"],
        score: Float[Tensor, " n"],
        indices: list[int] | None,
    ) -> ImageViews:
        views = [landmark_view(image, region) for region in where]
        warps = [region_warp(region, self.codec.size[0]) for region in where]
        return ImageViews(views, (boxes, score, torch.stack(warps) if warps else torch.zeros(0, 3, 3)), indices)

    def answer(
        self,
        images: Float[Tensor, "b 3 h w"],
        views: Sequence[tuple[ImageViews, int]],
        *,
        flip: bool,
        decoders: Sequence[Decoder],
    ) -> list[Any]:
        """The keypoints in each view, as each decoder reads them, the probability that there is a person, the alignment.

        The alignment is the two landmarks that say where the person is in the next frame of a video, pixels of the view; None
        with the flip test, and of networks without these landmarks.
        """
        count, places = len(self.skeleton), list[Any]([None] * len(images))
        if flip or not self._aligns:
            output = self.output(images, flip=flip)
            read = [decode(output) for decode in decoders]
        elif list(decoders) == [self.codec.decode]:  # videos: all landmarks at once
            output, reads = self._landmarks(images), max(count, BODY + 2)
            every = replace(self.codec, keypoints=reads, joint_weights=None).decode(output[:, :reads])
            places = list(every.xy[:, BODY : BODY + 2].cpu())
            read = [Points(every.xy[:, :count], every.score[:, :count])]
        else:
            output = self._landmarks(images)
            two = replace(self.codec, keypoints=2, joint_weights=None)
            places = list(two.decode(output[:, BODY : BODY + 2]).xy.cpu())
            read = [decode(output[:, :count]) for decode in decoders]
        each = [Points(points.xy.cpu(), points.score.cpu()) for points in read]
        return list(zip(by_view(each), output[:, 0, 5].tolist(), places, strict=True))

    def poses(self, views: ImageViews, answers: Sequence[Any], key: Key, *, decoders: Sequence[Decoder]) -> list[Poses]:
        """A pose for each box; of people that the detector found, only where the network is sure that there is one."""
        found = super().poses(views, [points for points, _, _ in answers], key, decoders=decoders)
        if views.boxes is not None:
            return found
        there = torch.tensor([presence > MIN_PRESENCE for _, presence, _ in answers], dtype=torch.bool)
        return [poses[there] for poses in found]

    # video

    def regions(self, image: Image, boxes: Float[Tensor, "n 4"], scores: Float[Tensor, " n"]) -> list[Region]:
        """Where to look for the people in boxes, turned as the detector says."""
        kept = super().regions(image, boxes, scores)
        if not kept:
            return []
        where = self._in_boxes(image, torch.stack([region.box for region in kept]))
        return [replace(region, frame=frame) for region, frame in zip(kept, where, strict=True)]

    def found_regions(self, image: Image) -> list[Region]:
        """The people that the detector finds, turned upright."""
        size = (image.shape[1], image.shape[2])
        found = detect(self._detector(), image)
        where = regions(found, size, growth=self.preprocess.padding)
        rows = zip(circle_boxes(found, size), found.score.tolist(), where, strict=True)
        return [Region(box, score, frame) for box, score, frame in rows]

    def region_views(self, image: Image, regions: Sequence[Region]) -> ImageViews:
        """The turned view of each region."""
        frames = [region.frame for region in regions if region.frame is not None]
        boxes = torch.stack([region.box for region in regions]) if regions else torch.zeros(0, 4)
        return self._cut(image, frames, boxes, torch.tensor([region.score for region in regions]), list(range(len(regions))))

    def next_regions(
        self, views: ImageViews, answers: Sequence[Any], *, poses: Poses, size: Size, growth: float, least: float
    ) -> list[Region | None]:
        """Where the alignment landmarks say, or, of networks without, around the body's axis; None where nobody is there.

        Args:
            views: Of the regions of the frame.
            answers: To these.
            poses: What `poses` made of them, as many.
            size: Size of the frame (h, w), pixels.
            growth: Of a box around keypoints; a region by alignment grows as the preprocessing says.
            least: Of such a box, by the one before.
        """
        sides = torch.tensor([size[1], size[0]], dtype=torch.float32)
        boxes = super().next_regions(views, answers, poses=poses, size=size, growth=growth, least=least)
        found: list[Region | None] = []
        for points, box, (_, presence, _) in zip(self._alignments(views, answers, poses), boxes, answers, strict=True):
            if presence <= MIN_PRESENCE or points is None:
                found.append(None)
                continue
            frame = aligned_region(points[0] / sides, points[1] / sides, size, growth=self.preprocess.padding)
            middle, half = torch.tensor(frame.centre), frame.extent[0] / 2
            square = torch.cat((middle - half, middle + half))
            found.append(Region(square if box is None else box.box, frame=frame))
        return found

    def _alignments(self, views: ImageViews, answers: Sequence[Any], poses: Poses) -> list[Float[Tensor, "2 2"] | None]:
        """The two alignment points of each person, pixels of the image."""
        if self._aligns and all(place is not None for _, _, place in answers):
            back = invert(views.layout[2].double())
            return [apply(own, place.double()).float() for own, (_, _, place) in zip(back, answers, strict=True)]
        points, good = alignment_points(poses.xy, poses.score >= self.preprocess.min_keypoint_score, self.skeleton, BodyAxis())
        return [own if use else None for own, use in zip(points, good.tolist(), strict=True)]

    # the official pipeline

    def people(self, image: Image, *, kernel: int = KERNEL) -> list[BlazePerson]:
        """Everybody that the detector finds in an image, with depth, world landmarks, presence and segmentation.

        Args:
            image: RGB, uint8 (3 H W).
            kernel: Side of the window on the heatmaps: 7 as MediaPipe's graph declares it, 9 as its Python package runs.

        Raises:
            InputError: The model has no detector.
        """
        detector, size = self._detector(), (image.shape[1], image.shape[2])
        found = people(self.network, image, regions(detect(detector, image), size), kernel=kernel)
        return [person for person in found if person.presence > MIN_PRESENCE]

    def video(self, *, smooth: bool = True, kernel: int = KERNEL) -> BlazePoseVideo:
        """Follows one person through the frames of a video, with MediaPipe's filters.

        Example:
            >>> follow = model.video()  # doctest: +SKIP
            >>> people = [follow(frame) for frame in frames]  # doctest: +SKIP

        Args:
            smooth: Whether landmarks are smoothed; the region always is.
            kernel: Side of the window of heatmap cells that refines a landmark: 7 as declared, 9 as MediaPipe's Python runs it.

        Raises:
            InputError: The model has no detector.
        """
        return BlazePoseVideo(self._detector(), self.network, smooth=smooth, kernel=kernel)

    def _detector(self) -> Any:
        if self.network.detector is None:
            raise InputError(
                f"{self.card.name!r} has no detector to find people with; take blazepose_lite, blazepose_full or "
                "blazepose_heavy, or give boxes"
            )
        return self.network.detector
