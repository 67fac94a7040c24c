"""A fourth kind of model, whole in one file: one animal in the whole frame, without boxes, as cameras over a cage see it.

What stands here is all that a new kind needs; nothing of poise knows it. `test_fourth_kind.py` puts this file into a package
of a user's own and runs the commands on it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from poise.codecs.base import InstanceCodec
from poise.codecs.udp import UDPGaussian
from poise.data.base import Dataset
from poise.data.figures import FigureDataset
from poise.dims import Size
from poise.errors import InputError
from poise.geometry import apply, boxes_around, invert
from poise.metrics import coco, coco_format
from poise.metrics.oks import pose_oks
from poise.models.base import PoseModel
from poise.models.card import Card
from poise.models.losses import codec_losses
from poise.models.pictures import Picture
from poise.models.values import Decoder, Image, ImageViews, LabelledImage, RoundTrip
from poise.models.views.base import TrainData
from poise.models.views.scene import SceneViews
from poise.recipes.base import Optimizer, Recipe
from poise.scenes import Canvas, SceneBatch
from poise.skeletons import COCO17, Skeleton, convert
from poise.structures import Architecture, Key, Points, Poses
from poise.transforms.canvas import fitted_layout
from poise.transforms.scene_crop import SceneCrop
from poise.viz.draw import draw_people

SIZE: Size = (96, 96)


class SingleAnimal(PoseModel):
    """The whole frame is one view, and whoever is in it is one animal."""

    preprocess_type = Canvas
    codec_type = InstanceCodec
    default_batch = 8
    val_scores = ("AP",)

    def __init__(self, network: nn.Module, codec: InstanceCodec, preprocess: Canvas, skeleton: Skeleton, card: Card) -> None:
        super().__init__()
        self.check_keypoints(skeleton, codec)
        self.network, self.codec, self.preprocess, self.skeleton, self.card = network, codec, preprocess, skeleton, card

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c hh ww"]:
        """Heatmaps."""
        maps: Tensor = self.network(images)
        return maps.float()

    @property
    def input_text(self) -> str:
        """Size of the view."""
        return f"whole frames in {self.codec.size[0]} x {self.codec.size[1]} pixels"

    def views(
        self, image: Image, boxes: Float[Tensor, "n 4"] | None = None, box_score: Float[Tensor, " n"] | None = None
    ) -> ImageViews:
        """One view."""
        layout = fitted_layout(self.preprocess, (image.shape[1], image.shape[2]), self.codec.size)
        return ImageViews([layout.render(image, self.preprocess)], layout.warp)

    def answer(
        self,
        images: Float[Tensor, "b 3 h w"],
        views: Sequence[tuple[ImageViews, int]],
        *,
        flip: bool,
        decoders: Sequence[Decoder],
    ) -> list[list[Points]]:
        """The keypoints of each view."""
        output = self(images)
        if flip:
            order = self.skeleton.flip.to(output.device)
            output = (output + self.codec.unflip(self(images.flip(-1)), order)) / 2
        read = [decode(output) for decode in decoders]
        return [[Points(p.xy[i : i + 1].cpu(), p.score[i : i + 1].cpu()) for p in read] for i in range(len(images))]

    def poses(
        self, views: ImageViews, answers: Sequence[list[Points]], key: Key, *, decoders: Sequence[Decoder]
    ) -> list[Poses]:
        """One pose."""
        [answer] = answers
        return [self._pose(points, views.layout, key) for points in answer]

    def _pose(self, points: Points, warp: Tensor, key: Key) -> Poses:
        xy = apply(invert(warp.double()), points.xy.double()).float()
        score = points.score.mean(dim=1)
        return Poses(xy, points.score, boxes_around(xy, points.score > -torch.inf), score, score, key)

    def similarity(self, poses: Poses, sigmas: Sequence[float]) -> Float[Tensor, "n n"]:
        """By the boxes around keypoints."""
        return pose_oks(poses.xy, (poses.boxes[:, 2:] - poses.boxes[:, :2]).prod(dim=1), sigmas)

    def round_trip(self, images: Sequence[LabelledImage]) -> list[RoundTrip]:
        """The first labelled animal of each frame."""
        trips = []
        for image in images:
            warp = fitted_layout(self.preprocess, image.size(), self.codec.size).warp
            labels = image.labels.select(torch.tensor(image.people[:1], dtype=torch.int64))
            xy, visible = convert(labels.xy, labels.visible, source=image.skeleton, target=self.skeleton)
            seen = apply(warp, xy).float()
            back = self.codec.decode(self.codec.encode(seen))
            poses = self._pose(Points(back.xy, torch.ones_like(back.score)), warp, image.key)
            trips.append(RoundTrip(poses, poses, image.people[:1], warp[None], 0, (back.xy - seen).norm(dim=-1)[visible > 0]))
        return trips

    def losses(self, batch: SceneBatch) -> dict[str, Float[Tensor, ""]]:
        """The codec's, of the first animal of each view."""
        return self._compared(self(batch.images), batch)

    def _compared(self, output: Tensor, batch: SceneBatch) -> dict[str, Float[Tensor, ""]]:
        first = torch.searchsorted(batch.scenes.scene, torch.arange(len(batch), device=output.device))
        return codec_losses([self.codec], [output], batch.scenes.xy[first], batch.scenes.visible[first])

    def train_size(self, data: TrainData) -> Size:
        """The codec's."""
        return self.codec.size

    def train_views(self, data: TrainData, *, seed: int) -> SceneViews:
        """Frames with somebody in them, as they are."""
        if data.augmentation is not None:
            raise InputError(f"recipe {data.name!r}: frames of a single animal are not augmented")
        return self.val_views(data.dataset, seed=seed)

    def val_views(self, dataset: Dataset, *, seed: int) -> SceneViews:
        """The same."""
        images = list(dict.fromkeys(image for image, _ in dataset.people()))
        return SceneViews(dataset, SceneCrop(self.codec.size, self.preprocess, self.skeleton), seed=seed, images=images)

    def validate(self, batch: SceneBatch) -> tuple[dict[str, Float[Tensor, ""]], list[Points]]:
        """Loss and keypoints, pixels of the image."""
        output = self(batch.images)
        points = self.codec.decode(output)
        home = apply(invert(batch.warps.double()), points.xy.double()).float().cpu()
        found = [Points(xy[None], score[None].cpu()) for xy, score in zip(home, points.score, strict=True)]
        return self._compared(output, batch), found

    def raw(self, images: Float[Tensor, "b 3 h w"]) -> list[Tensor]:
        """Heatmaps."""
        return [self(images)]

    def labelled(self, batch: SceneBatch) -> Float[Tensor, "_ 2"]:
        """All labelled keypoints."""
        return batch.scenes.xy[batch.scenes.visible > 0]

    def truth(self, dataset: Dataset) -> Mapping[str, Any]:
        """COCO annotations of the frames in `val_views`, by the index of the view."""
        images = dict.fromkeys(image for image, _ in dataset.people())
        return coco_format.to_coco_annotations({i: dataset.labels(image) for i, image in enumerate(images)}, dataset.skeleton)

    def score(self, truth: Mapping[str, Any], found: Mapping[int, Points]) -> dict[str, float]:
        """AP."""
        one = torch.ones(1, dtype=torch.int64)
        rows = [
            row
            for view, points in found.items()
            for row in coco_format.to_coco_results(points.xy, points.score, points.score.mean(1), image=view, categories=one)
        ]
        return {"AP": coco.evaluate(truth, rows, self.skeleton).numbers["AP"]}

    @torch.no_grad()
    def picture(self, batch: SceneBatch) -> Picture:
        """The first view with what is found."""
        points = self.codec.decode(self(batch.images[:1]))
        view = (batch.images[0].permute(1, 2, 0).clamp(-2, 2) * 60 + 128).byte().cpu().contiguous().numpy()
        return draw_people(view, points.xy.cpu(), points.score.cpu(), self.skeleton)


def network(width: int, channels: int) -> nn.Sequential:
    """Heatmaps of stride 4 from a few convolutions."""
    return nn.Sequential(
        nn.Conv2d(3, width, 7, stride=4, padding=3),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.Conv2d(width, width, 5, padding=2),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.Conv2d(width, channels, 3, padding=1),
    )


def model() -> SingleAnimal:
    """A small one for COCO's keypoints."""
    codec = UDPGaussian(size=SIZE, cells=(SIZE[0] // 4, SIZE[1] // 4), keypoints=len(COCO17))
    values = {"width": 16, "channels": codec.channels}
    made = Architecture("mykind.single_animal:network", values)
    return SingleAnimal(network(**values), codec, Canvas(side=SIZE[0], multiple=32), COCO17, Card("single", made))


def run(*, images: int = 16) -> Recipe:
    """A few drawn people, one in each frame.

    For example:

        poise train mykind.single_animal:run --plugin mykind --steps 4
    """
    return Recipe(
        name="single",
        model=model(),
        train=FigureDataset(images, seed=1),
        val=FigureDataset(4, seed=2),
        epochs=2,
        batch=8,
        augmentation=None,
        optimizer=Optimizer("adam", rate=1e-3),
        best="AP",
    )
