"""Bottom-up models: a network finds the keypoints of all people in a whole image, the codec groups them into people."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from poise.codecs.scene import SceneCodec
from poise.data.base import Dataset
from poise.dims import Size
from poise.errors import InputError
from poise.geometry import Warp, apply, box_area, boxes_around, invert
from poise.metrics import coco, coco_format
from poise.metrics.oks import pose_oks
from poise.metrics.single_keypoints import evaluate_keypoints
from poise.models.dense import DenseModel
from poise.models.losses import codec_losses
from poise.models.pictures import IMAGES, Picture, scene_picture
from poise.models.values import Decoder, Image, ImageViews, LabelledImage, Part, RoundTrip
from poise.models.views.base import TrainData
from poise.models.views.scene import SceneViews, WholeImageCrop, answered_alike
from poise.scenes import Canvas, People, SceneBatch, Scenes
from poise.skeletons import convert
from poise.structures import Key, Poses
from poise.transforms.canvas import Layout, canvas_layout
from poise.transforms.person_crop import warp_boxes
from poise.transforms.scales import ScaledViews, scaled_views
from poise.transforms.scene_crop import SceneCrop, select_learnt
from poise.transforms.scene_jitter import SceneAugmentation

MAX_PEOPLE = 20
"""People of an image that a validation looks at: as many as COCO's protocol does."""


class BottomUp(DenseModel):
    """Network, codec, preprocessing and skeleton of a bottom-up model.

    The network answers normalised views (b 3 h w) with a list of maps: each head of the codec in turn (`SceneCodec.parts`), and
    of each head the outputs of all stacks, of which the last is read.
    """

    kind = "bottom-up"
    preprocess_type = Canvas
    codec_type = SceneCodec
    augmentation_type = SceneAugmentation
    runtime_parts = (Part(free=(2, 3)),)
    partial_poses = True
    default_batch = 4

    codec: SceneCodec
    deep: tuple[SceneCodec, ...]
    preprocess: Canvas

    # the network

    def outputs(self, images: Float[Tensor, "b 3 h w"]) -> list[Float[Tensor, "b c hh ww"]]:
        """Every stack's output, the one that is read last; float32 whatever the network computed in."""
        maps: list[Tensor] = self.network(images)
        stacks = len(self.deep) + 1
        return [torch.cat([part.float() for part in maps[number::stacks]], dim=1) for number in range(stacks)]

    def merged(self, straight: Float[Tensor, "b ..."], mirrored: Float[Tensor, "b ..."]) -> Float[Tensor, "b ..."]:
        """The mean as the codec makes it: limbs that a mirror maps onto themselves are not averaged."""
        return self.codec.merge(straight, mirrored, self.skeleton.flip.to(mirrored.device))

    def mirrored_views(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
        """The mirrored views, moved so that their cells lie on those of the views; their last columns stay as they were."""
        mirrored, shift = images.flip(-1), self.codec.mirror_shift
        return torch.cat((mirrored[..., shift:], mirrored[..., -shift:]), dim=-1) if shift else mirrored

    @property
    def decoding_parts(self) -> tuple[Any, ...]:
        """What a decoder gets beside the output: parts of the network that people are read with; none by default."""
        return ()

    def read(self, output: Float[Tensor, "b c h w"]) -> list[People]:
        """The people of each view."""
        with torch.autocast(output.device.type, enabled=False):
            people: list[People] = self.codec.decode(output, *self.decoding_parts)
        return people

    # inference

    @property
    def input_text(self) -> str:
        """Size and rule of the resize."""
        return self.preprocess.text

    def views(
        self, image: Image, boxes: Float[Tensor, "n 4"] | None = None, box_score: Float[Tensor, " n"] | None = None
    ) -> ImageViews:
        """The whole image, once for each of the canvas' scales."""
        scaled = scaled_views(image, self.preprocess, stride=self.codec.stride)
        return ImageViews(scaled.views, scaled)

    def answer(
        self,
        images: Float[Tensor, "b 3 h w"],
        views: Sequence[tuple[ImageViews, int]],
        *,
        flip: bool,
        decoders: Sequence[Decoder],
    ) -> list[Float[Tensor, "c _ _"]]:
        """The maps of each view, without those of its padding; they are read when all scales are there."""
        outputs = self.output(images, flip=flip)
        cells = [[side // self.codec.stride for side in own.views[index].shape[1:]] for own, index in views]
        return [output[:, :high, :wide] for output, (high, wide) in zip(outputs, cells, strict=True)]

    def poses(
        self, views: ImageViews, answers: Sequence[Float[Tensor, "c _ _"]], key: Key, *, decoders: Sequence[Decoder]
    ) -> list[Poses]:
        """The people of the image, the best first."""
        output = self._averaged(views.layout, answers)
        found = [decode(output, *self.decoding_parts) for decode in decoders]
        return [poses_of_people(people, views.layout.warp, key) for [people] in found]

    def _averaged(self, scaled: ScaledViews, answers: Sequence[Float[Tensor, "c _ _"]]) -> Float[Tensor, "1 c h w"]:
        """The maps of all scales, resized to the largest and averaged; beyond a view its maps say that nothing is there."""
        h, w = scaled.full_cells
        parts = []
        for answer, cells in zip(answers, scaled.cells, strict=True):
            output = answer[None]
            alike = output if output.shape[2:] == cells else self.codec.resized(output, cells)
            parts.append(F.pad(alike, (0, w - alike.shape[3], 0, h - alike.shape[2])))  # less than 0 crops
        scales = self.preprocess.scales
        main = min(range(len(scales)), key=lambda index: abs(scales[index] - 1))
        return parts[0] if len(parts) == 1 else self.codec.averaged(parts, main=main)

    # evaluation

    def similarity(self, poses: Poses, sigmas: Sequence[float]) -> Float[Tensor, "n n"]:
        """OKS over the keypoints that both poses have, with the area of the boxes around those that were found."""
        return pose_oks(poses.xy, box_area(poses.boxes), sigmas, known=poses.score > 0, of="both")

    def round_trip(self, images: Sequence[LabelledImage]) -> list[RoundTrip]:
        """Whole images after resize, encoding and decoding; poses are matched to people by OKS."""
        trips = []
        for image in images:
            layout = canvas_layout(self.preprocess, image.size(), max(self.preprocess.scales))
            scenes, outside = self._scenes(image, layout)
            [people] = self.codec.decode(self.codec.encode(scenes))
            poses = poses_of_people(people, layout.warp, image.key)
            trips.append(RoundTrip(poses, poses, None, layout.warp[None], outside, None))
        return trips

    def _scenes(self, image: LabelledImage, layout: Layout) -> tuple[Scenes, int]:
        """The labels of an image as those of its view, and how many of their keypoints lie outside of it."""
        labels = select_learnt(image.labels)
        xy, visible = convert(labels.xy, labels.visible, source=image.skeleton, target=self.skeleton)
        seen = apply(layout.warp, xy)
        inside = ((seen > -0.5) & (seen < seen.new_tensor([layout.size[1], layout.size[0]]) - 0.5)).all(dim=-1)
        side = (labels.boxes[:, 2:] - labels.boxes[:, :2]).clamp(min=0).prod(dim=1).sqrt()
        scenes = Scenes(
            xy=seen,
            visible=visible * inside,
            boxes=warp_boxes(layout.warp, labels.boxes),
            extent=side * float(torch.linalg.det(layout.warp[:2, :2]).abs().sqrt()),
            scene=torch.zeros(len(labels), dtype=torch.int64),
            ignore=torch.zeros(1, *layout.size, dtype=torch.bool),
        )
        return scenes, int(((visible > 0) & ~inside).sum())

    # training

    def compared(self, outputs: Sequence[Float[Tensor, "b c hh ww"]], batch: SceneBatch) -> dict[str, Float[Tensor, ""]]:
        """The loss of each output by its codec, computed in float32."""
        with torch.autocast(batch.images.device.type, enabled=False):
            return codec_losses((*self.deep, self.codec), outputs, batch.scenes)

    def train_size(self, data: TrainData) -> Size:
        """The size that the recipe wants, or the side of the canvas both ways."""
        side = self.preprocess.side
        return data.size or (side, side)

    def train_views(self, data: TrainData, *, seed: int) -> SceneViews:
        """Augmented views of the images with labelled people."""
        if data.select or not isinstance(data.augmentation, SceneAugmentation | None):
            raise InputError(
                f"recipe {data.name!r}: {self.card.name} sees whole images, which are changed by a SceneAugmentation, "
                f"not by {type(data.augmentation).__name__}, and from which no people are selected"
            )
        crop = SceneCrop(self.train_size(data), self.preprocess, self.skeleton, data.augmentation)
        images = list(dict.fromkeys(image for image, _ in data.dataset.people()))
        if not images:
            raise InputError(data.no_people_message())
        return SceneViews(data.dataset, crop, seed=seed, images=images)

    def val_views(self, dataset: Dataset, *, seed: int) -> SceneViews:
        """All images as the model's canvas says."""
        if not dataset.people():
            raise InputError(f"none of the {len(dataset)} images to check on has a person with a labelled keypoint")
        return SceneViews(dataset, WholeImageCrop(self.preprocess, self.skeleton), seed=seed, images=range(len(dataset)))

    def validate(self, batch: SceneBatch) -> tuple[dict[str, Float[Tensor, ""]], list[People]]:
        """The loss, and the best people of each view in pixels of its image; views of several sizes are answered anew."""
        outputs = self.outputs(batch.images)
        mixed = len(set(batch.content_size)) > 1
        found = answered_alike(batch, self.preprocess.multiple, self._predict_batch) if mixed else self.read(outputs[-1])
        home = invert(batch.warps.cpu())
        people = [_people_home(own, warp) for own, warp in zip(found, home, strict=True)]
        return self.compared(outputs, batch), people

    def _predict_batch(self, images: Float[Tensor, "_ 3 h w"], sizes: list[Size]) -> list[People]:
        """Who is in some views of one size."""
        return self.read(self(images))

    def labelled(self, batch: SceneBatch) -> Float[Tensor, "_ 2"]:
        """All labelled keypoints of a batch."""
        return batch.scenes.xy[batch.scenes.visible > 0]

    def truth(self, dataset: Dataset) -> Mapping[str, Any]:
        """The labels of all images as COCO annotations, the index of an image its id."""
        return coco_format.to_coco_annotations(
            {image: dataset.labels(image) for image in range(len(dataset))}, dataset.skeleton
        )

    def score(self, truth: Mapping[str, Any], found: Mapping[int, People]) -> dict[str, float]:
        """AP and AR of the COCO protocol."""
        rows = [row for image in sorted(found) for row in _rows(found[image], image)]
        numbers = coco.evaluate(truth, rows, self.skeleton).numbers
        return {name: numbers[name] for name in self.val_scores}

    def keypoint_scores(self, truth: Mapping[str, Any], found: Mapping[int, People]) -> dict[str, float]:
        """AP of each keypoint, as if it alone were labelled."""
        rows = [row for image in sorted(found) for row in _rows(found[image], image)]
        return {f"AP/{n}": v["AP"] for n, v in evaluate_keypoints(truth, rows, self.skeleton).items() if v["AP"] >= 0}

    @torch.no_grad()
    def picture(self, batch: SceneBatch) -> Picture:
        """Labels, target maps, predicted people, predicted maps."""
        batch = batch.first(IMAGES)
        return scene_picture(batch, self(batch.images), self.codec, canvas=self.preprocess, skeleton=self.skeleton)


def poses_of_people(people: People, warp: Warp, key: Key) -> Poses:
    """People of a view as poses of its image; keypoints that were not found stay at 0, 0, boxes go around the others.

    Args:
        people: Pixels of the view.
        warp: Image to view (3 3).
        key: Key of the image.
    """
    score, pose_score = people.score.cpu(), people.pose_score.cpu()
    found = score > 0
    home = apply(invert(warp.double()), people.xy.cpu().double()).float()
    xy = torch.where(found[..., None], home, 0.0)
    return Poses(xy, score, boxes_around(xy, found), pose_score, pose_score, key)


def _people_home(people: People, home: Float[Tensor, "3 3"]) -> People:
    best = people.pose_score.argsort(descending=True)[:MAX_PEOPLE]
    xy, score, pose_score = (part[best].float().cpu() for part in (people.xy, people.score, people.pose_score))
    warped = apply(home, xy.to(home.dtype)).float() * (score > 0)[..., None]
    return People(warped, score, pose_score)


def _rows(people: People, image: int) -> list[dict[str, Any]]:
    categories = torch.ones(len(people), dtype=torch.int64)
    return coco_format.to_coco_results(people.xy, people.score, people.pose_score, image=image, categories=categories)
