"""Perfect maps of drawn people who hide each other: everybody is found."""

import pytest
import torch

from poise.codecs.guiding_losses import LabelMaps
from poise.codecs.offset_guided import OffsetGuided
from poise.data.figures import FigureDataset
from poise.decoding.grouping_config import GroupingConfig
from poise.metrics import coco, coco_format
from poise.recipes.scenes import MAPS
from poise.scenes import Scenes
from poise.skeletons import COCO17
from poise.skeletons.limbs import limbs

IMAGES = 12


def scene_of(labels, size):
    extent = (labels.boxes[:, 2:] - labels.boxes[:, :2]).prod(dim=1).sqrt()
    where = torch.zeros(len(labels.xy), dtype=torch.int64)
    return Scenes(labels.xy, labels.visible, labels.boxes, extent, where, torch.zeros(1, *size, dtype=torch.bool))


@pytest.fixture(scope="module", params=[320, 512])
def drawings(request):
    """Labels of images of one size, one to eight people in each."""
    size = (request.param, request.param)
    images = FigureDataset(IMAGES, size=size, per_image=(1, 8), seed=11)
    return {i: images.labels(i) for i in range(IMAGES)}, size


def scores(codec, drawings):
    """AP and AR of what is read out of the labels themselves, and how many people and how many of them were found."""
    labels, size = drawings
    rows = []
    for image, own in labels.items():
        (found,) = codec.decode(codec.encode(scene_of(own, size)))
        categories = torch.ones(len(found), dtype=torch.int64)
        rows += coco_format.to_coco_results(found.xy, found.score, found.pose_score, image=image, categories=categories)
    numbers = coco.evaluate(coco_format.to_coco_annotations(labels, COCO17), rows, COCO17).numbers
    return numbers, sum(int((own.visible > 0).any(dim=1).sum()) for own in labels.values()), len(rows)


def test_drawn_people_occlude_each_other(drawings):
    labels, _ = drawings
    counts = {len(own) for own in labels.values()}
    assert {1, 8} <= counts
    assert sum(int((own.visible == 1).sum()) for own in labels.values()) > 50


@pytest.mark.parametrize(
    ("maps", "reading", "least"),
    [
        (
            LabelMaps(),
            GroupingConfig(),
            {512: 0.98, 320: 0.97},
        ),  # a peak on a whole pixel is too coarse for faces of small people
        (LabelMaps(), GroupingConfig("fit1-sigma"), {512: 0.98, 320: 0.98}),
        (MAPS, GroupingConfig(), {512: 0.98, 320: 0.98}),
    ],
    ids=["default", "between pixels", "narrow Gaussians"],
)
def test_every_drawn_person_is_found_in_perfect_maps(drawings, maps, reading, least):
    numbers, people, found = scores(OffsetGuided(17, limbs(COCO17), maps, reading=reading), drawings)
    assert numbers["AP"] >= least[drawings[1][0]]
    assert numbers["AR50"] == 1
    assert people <= found <= 1.02 * people
