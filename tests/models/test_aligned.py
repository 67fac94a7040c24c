"""A top-down model with aligned crops: two passes, and what comes back in pixels of the image."""

from dataclasses import replace

import pytest
import torch
from torch import nn

import poise
from poise.data.aligned import AlignedDataset
from poise.data.figures import FigureDataset
from poise.errors import SkeletonMismatch
from poise.geometry import apply, rotation, translation
from poise.models.aligned import AlignedTopDown
from poise.models.values import LabelledImage
from poise.skeletons import COCO17, LSP14, select
from poise.skeletons.alignment import with_alignment
from poise.structures import Key, Labels, Points
from poise.transforms.aligned_crop import AlignedPreprocess
from poise.zoo.plain import plain

SIZE = (128, 128)


def model_of(skeleton=None, **fields) -> AlignedTopDown:
    torch.manual_seed(0)
    small = plain("t", skeleton=skeleton or with_alignment(COCO17), size=SIZE)
    return AlignedTopDown.of(small, AlignedPreprocess(**fields)).eval()


class Oracle(nn.Module):
    """Answers a view with the true keypoints in it, through the warp that the test knows: the views are made of coordinates."""

    def __init__(self, codec, xy):
        super().__init__()
        self.codec, self.xy = codec, xy

    def forward(self, images):
        """The x and y of each pixel of the image stand in the red and green of its views."""
        found = []
        for view in images:
            places = torch.stack((view[0], view[1]), dim=-1)  # image pixels shown at each view pixel
            away = (places[None] - self.xy[:, None, None]).norm(dim=-1).flatten(1)
            best = away.argmin(dim=1)
            found.append(torch.stack((best % places.shape[1], best // places.shape[1]), dim=1).float())
        return self.codec.encode(torch.stack(found))


def test_the_pose_is_read_in_the_aligned_view_and_comes_back_into_the_image():
    figures = FigureDataset(1, size=(200, 200), seed=2)
    labels = figures.labels(0)
    xy = apply(translation(100.0, 100.0) @ rotation(100.0) @ translation(-100.0, -100.0), labels.xy[0].double()).float()
    aligned = AlignedDataset(_Turned(figures, xy)).labels(0)
    model = model_of()
    model.preprocess = replace(model.preprocess, mean=(0.0, 0.0, 0.0), std=(1 / 255,) * 3)
    rows, columns = torch.meshgrid(torch.arange(200), torch.arange(200), indexing="ij")
    image = torch.stack((columns, rows, torch.zeros_like(rows))).to(torch.uint8)
    model.network = Oracle(model.codec, aligned.xy[0])
    seen = []
    read = model.output
    model.output = lambda images, flip: seen.append(len(images)) or read(images, flip=flip)
    views = model.views(image, aligned.boxes)
    decoders = [model.codec.decode]
    answers = model.answer(torch.stack(list(views.views)), [(views, 0)], flip=False, decoders=decoders)
    [poses] = model.poses(views, answers, Key("turned"), decoders=decoders)
    inside = (aligned.xy[0] > 2).all(dim=1) & (aligned.xy[0] < 197).all(dim=1)
    assert seen == [1, 1]
    assert inside.sum() > 12
    assert (poses.xy[0] - aligned.xy[0])[inside].norm(dim=1).max() < 2.5


class _Turned(FigureDataset):
    def __init__(self, figures, xy):
        self.inner, self.skeleton = figures, figures.skeleton
        box = torch.cat((xy.amin(dim=0), xy.amax(dim=0)))
        self.one = Labels.of(xy[None], torch.full((1, len(xy)), 2), box[None])

    def __len__(self):
        return 1

    def labels(self, index):
        return self.one

    def people(self, *, crowd=False):
        return [(0, 0)]


def test_two_views_at_once_are_answered_as_one_by_one():
    model = model_of(min_alignment_score=-1.0)
    image = FigureDataset(1, size=(90, 120), seed=1).image(0)
    views = model.views(image, torch.tensor([[30.0, 10.0, 90.0, 80.0], [5.0, 5.0, 60.0, 85.0]]))
    decoders = [model.codec.decode]
    with torch.no_grad():
        together = model.answer(torch.stack(list(views.views)), [(views, 0), (views, 1)], flip=True, decoders=decoders)
        alone = [model.answer(views.views[i][None], [(views, i)], flip=True, decoders=decoders)[0] for i in (0, 1)]
    for [a], [b] in zip(together, alone, strict=True):
        assert torch.allclose(a.xy, b.xy, atol=1e-3)


def test_a_low_score_keeps_the_pose_of_the_first_view():
    first, never = model_of(passes=1), model_of(min_alignment_score=2.0)
    image = FigureDataset(1, size=(90, 120), seed=1).image(0).permute(1, 2, 0).numpy()
    box = [[10.0, 5.0, 80.0, 85.0]]
    assert torch.equal(poise.predict(first, image, boxes=box).xy, poise.predict(never, image, boxes=box).xy)


def test_it_is_saved_and_loaded_with_its_alignment(tmp_path):
    model = model_of(rotate=False, padding=1.1, axis_top=("nose",))
    again = poise.load(poise.save(model, tmp_path / "aligned.safetensors"))
    assert type(again) is AlignedTopDown
    assert again.preprocess == model.preprocess
    assert again.skeleton == model.skeleton


def test_its_codec_gives_labels_of_turned_people_back():
    figures = AlignedDataset(FigureDataset(4, size=(200, 160), seed=3))
    model = model_of()
    images = [
        LabelledImage(figures.key(i), figures.labels(i), [0], figures.labels(i).boxes, figures.skeleton, lambda: (200, 160))
        for i in range(4)
    ]
    for trip in model.round_trip(images):
        assert trip.errors.max() < 1.5


def test_skeletons_without_hips_and_shoulders_are_refused():
    with pytest.raises(SkeletonMismatch, match="--axis-centre"):
        model_of(select(COCO17, ["nose", "left_eye"]))
    assert model_of(LSP14).skeleton is LSP14


def test_the_input_is_said_in_words():
    assert "around the circle of the body, turned upright, 2 passes" in model_of().input_text


def test_a_first_view_tells_the_second_only_by_keypoints_of_the_model():
    found = Points(torch.zeros(1, 14, 2), torch.ones(1, 14))
    model = model_of(LSP14)
    rows, _, _ = model._aligned_views(found, [torch.eye(3)], [torch.zeros(3, 10, 10, dtype=torch.uint8)])
    assert rows == []  # all keypoints in one place: no direction
