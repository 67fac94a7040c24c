import pytest
import torch

from poise.errors import SkeletonMismatch
from poise.metrics.collect import Collector
from poise.skeletons import COCO17
from poise.structures import Labels


def people(generator: torch.Generator, n: int) -> Labels:
    corner = torch.rand(n, 1, 2, generator=generator) * 300
    xy = corner + torch.rand(n, 17, 2, generator=generator) * 150
    visible = torch.randint(0, 3, (n, 17), generator=generator)
    return Labels.of(xy, visible, torch.cat((corner, corner + 150), dim=2)[:, 0])


def test_labels_given_back_score_1():
    chance = torch.Generator().manual_seed(0)
    scores = Collector(COCO17)
    for image in range(5):
        labels = people(chance, 3)
        scores.add(image, labels.xy, torch.ones(3, 17), labels)
    found = scores.compute()
    assert len(scores) == 15
    assert found["AP"] == found["AR"] == found["pck@0.05"] == found["pck@0.2"] == 1
    assert scores.keypoints()["nose"] == {"pck@0.05": 1.0, "pck@0.1": 1.0, "pck@0.2": 1.0}


def test_parts_merged_score_as_the_whole():
    chance = torch.Generator().manual_seed(1)
    whole, halves = Collector(COCO17), (Collector(COCO17), Collector(COCO17))
    for image in range(8):
        labels = people(chance, 2)
        found = labels.xy + torch.randn(labels.xy.shape, generator=chance) * 8
        score = torch.rand(2, 17, generator=chance)
        whole.add(image, found, score, labels)
        for row in range(2):
            one = slice(row, row + 1)
            halves[image % 2].add(image, found[one], score[one], labels.select(one))
    halves[0].merge(halves[1])
    assert halves[0].compute() == pytest.approx(whole.compute())
    assert 0 < whole.compute()["AP"] < 1


def test_nothing_in_gives_nothing():
    assert Collector(COCO17).compute() == {}


def test_another_number_of_people_is_refused():
    labels = people(torch.Generator().manual_seed(0), 2)
    with pytest.raises(SkeletonMismatch, match="must agree"):
        Collector(COCO17).add(0, labels.xy[:1], torch.ones(1, 17), labels)
