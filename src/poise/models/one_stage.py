"""RTMO (arXiv 2312.07526): everybody, their boxes and their keypoints from one pass of a network over a whole image."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torchvision.ops import nms

from poise.codecs.dynamic_bins import DynamicBins, RTMOBins
from poise.errors import InputError
from poise.geometry import apply, box_area
from poise.metrics.oks import pose_oks
from poise.models.base import BoxFinder
from poise.models.bottom_up import BottomUp
from poise.models.one_stage_targets import one_stage_losses
from poise.models.pictures import IMAGES, Picture, people_picture
from poise.models.rcnn_people import people_to_image, poses_in_boxes
from poise.models.values import Decoder, Detections, Image, ImageViews, LabelledImage, Part, RoundTrip
from poise.models.views.scene import answered_alike
from poise.scenes import People, SceneBatch
from poise.skeletons import convert
from poise.structures import Key, Poses
from poise.transforms.canvas import Layout, boxes_to_view, canvas_layout

PARTS = ("boxes", "visible", "coordinates", "keypoints", "persons")
"""Parts of the loss."""


class OneStage(BottomUp, BoxFinder):
    """Network, codec, preprocessing and skeleton of an RTMO; a pose has the score of its box."""

    kind = "one-stage"
    codec_type = DynamicBins  # type: ignore[assignment]  # as `codec`
    runtime_parts = (Part(method="maps", free=(2, 3)),)
    partial_poses = False

    codec: RTMOBins  # type: ignore[assignment]  # maps are no output that a codec reads without the network

    # the network

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> list[Float[Tensor, "b _ _ _"]]:  # type: ignore[override]
        """The maps of every level; float32 whatever the network computed in."""
        maps: list[Tensor] = self.network.maps(images)
        return [part.float() for part in maps]

    def outputs(self, images: Float[Tensor, "b 3 h w"]) -> list[Float[Tensor, "b _ _ _"]]:
        """The maps of every level."""
        maps: list[Tensor] = self(images)
        return maps

    def predict(self, images: Float[Tensor, "b 3 h w"], *, flip: bool) -> list[People]:
        """The people of each view, pixels of the views.

        Raises:
            InputError: The flip test is wanted.
        """
        return self._read(images, flip=flip, decoders=[self.codec.decode])[0]

    def check_flip(self) -> None:
        """Refuse the flip test.

        Raises:
            InputError: Always.
        """
        raise InputError(f"{self.card.name} is used as it was published, without a flip test: leave out --flip (flip=)")

    def _read(self, images: Float[Tensor, "b 3 h w"], *, flip: bool, decoders: Sequence[Decoder]) -> list[list[People]]:
        if flip:
            self.check_flip()
        first, *others = self(images)
        with torch.autocast(images.device.type, enabled=False):
            return [decode(first, others, self.network.head.people) for decode in decoders]

    # inference

    def views(
        self, image: Image, boxes: Float[Tensor, "n 4"] | None = None, box_score: Float[Tensor, " n"] | None = None
    ) -> ImageViews:
        """The whole image in a square, once for each of the canvas' scales."""
        size = (image.shape[1], image.shape[2])
        layouts = [canvas_layout(self.preprocess, size, scale) for scale in self.preprocess.scales]
        return ImageViews([own.render(image, self.preprocess) for own in layouts], layouts)

    def answer(  # type: ignore[override]  # people, for maps are read with the network at once
        self,
        images: Float[Tensor, "b 3 h w"],
        views: Sequence[tuple[ImageViews, int]],
        *,
        flip: bool,
        decoders: Sequence[Decoder],
    ) -> list[list[People]]:
        """The people of each view, for each decoder."""
        each = self._read(images, flip=flip, decoders=decoders)
        return [[people[view] for people in each] for view in range(len(images))]

    def poses(  # type: ignore[override]  # as `answer`
        self, views: ImageViews, answers: Sequence[list[People]], key: Key, *, decoders: Sequence[Decoder]
    ) -> list[Poses]:
        """The people of the image, the best first; of several scales those that overlap least."""
        layouts: list[Layout] = views.layout
        found = []
        for which in range(len(decoders)):
            pairs = zip(answers, layouts, strict=True)
            each = [poses_in_boxes(people[which], own.warp, key, canvas=self.preprocess) for people, own in pairs]
            every = Poses.merge(each)
            found.append(every if len(each) == 1 else every[nms(every.boxes, every.box_score, self.codec.max_iou)])
        return found

    def boxes(
        self, images: Float[Tensor, "b 3 h w"], views: Sequence[tuple[ImageViews, int]], *, flip: bool, masks: bool = False
    ) -> list[list[People]]:
        """The people of each view, whose boxes alone are wanted."""
        return self.answer(images, views, flip=flip, decoders=[self.codec.decode])

    def joined_boxes(self, views: ImageViews, answers: Sequence[list[People]]) -> Detections:
        """The boxes of an image, in its pixels, the best first."""
        [found] = self.poses(views, answers, Key("", 0), decoders=[self.codec.decode])
        return Detections(found.boxes, found.box_score)

    # evaluation

    def similarity(self, poses: Poses, sigmas: Sequence[float]) -> Float[Tensor, "n n"]:
        """OKS of each pair of poses, with the area of the boxes found."""
        return pose_oks(poses.xy, box_area(poses.boxes), sigmas)

    def round_trip(self, images: Sequence[LabelledImage]) -> list[RoundTrip]:
        """Labelled people in the bins of their labelled boxes; no keypoint outside of them can be found."""
        trips = []
        for image in images:
            layout = canvas_layout(self.preprocess, image.size(), max(self.preprocess.scales))
            labels = image.labels.select(torch.tensor(image.people, dtype=torch.int64))
            xy, visible = convert(labels.xy, labels.visible, source=image.skeleton, target=self.skeleton)
            seen, boxes = apply(layout.warp, xy), boxes_to_view(self.preprocess, layout.warp, labels.boxes)
            back, ones = self.codec.within(seen, boxes), torch.ones(len(image.people))
            there = (back == seen).all(dim=-1)
            people = (People(at, torch.ones(at.shape[:2]), ones, boxes, ones) for at in (back, seen))
            poses, lossless = (poses_in_boxes(one, layout.warp, image.key, canvas=self.preprocess) for one in people)
            outside, errors = int(((visible > 0) & ~there).sum()), (back - seen).norm(dim=-1)[(visible > 0) & there]
            trips.append(RoundTrip(poses, lossless, image.people, layout.warp[None], outside, errors))
        return trips

    # training

    @property
    def loss_parts(self) -> tuple[str, ...]:
        """Names of the parts of the loss."""
        return PARTS

    def losses(self, batch: SceneBatch) -> dict[str, Float[Tensor, ""]]:
        """The parts of the loss, computed in float32."""
        maps: list[Tensor] = self.network.learnt(batch.images)
        sigmas = torch.tensor(self.skeleton.sigmas, device=batch.images.device)
        with torch.autocast(batch.images.device.type, enabled=False):
            return one_stage_losses(maps, batch.scenes, self.network.head, self.codec, sigmas)

    def validate(self, batch: SceneBatch) -> tuple[dict[str, Float[Tensor, ""]], list[People]]:
        """The loss, and the best people of each view in pixels of its image."""
        people = answered_alike(batch, self.preprocess.multiple, lambda images, _: self.predict(images, flip=False))
        pairs = zip(people, batch.warps.cpu(), strict=True)
        return self.losses(batch), [people_to_image(own, warp, self.preprocess) for own, warp in pairs]

    @torch.no_grad()
    def picture(self, batch: SceneBatch) -> Picture:
        """Labels and predicted people."""
        batch = batch.first(IMAGES)
        people = self.predict(batch.images, flip=False)
        return people_picture(batch, people, canvas=self.preprocess, skeleton=self.skeleton)
