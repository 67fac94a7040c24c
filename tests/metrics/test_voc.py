import numpy as np
import pytest
import torch

from poise.errors import InputError
from poise.metrics.voc import Curve, Match, match_boxes


def test_a_second_box_on_a_person_is_false_even_if_it_overlaps_another():
    people = torch.tensor([[0.0, 0, 9, 9], [4, 0, 13, 9]])
    found = torch.tensor([[0.0, 0, 9, 9], [1.0, 0, 10, 9]])
    match = match_boxes(found, torch.tensor([0.9, 0.8]), people, threshold=0.5)
    assert match.hit.tolist() == [True, False]


def test_difficult_people_neither_help_nor_harm():
    people = torch.tensor([[0.0, 0, 9, 9], [50, 50, 59, 59]])
    hard = torch.tensor([True, False])
    match = match_boxes(people, torch.tensor([0.9, 0.8]), people, difficult=hard)
    assert match.ignored.tolist() == [True, False]
    assert match.people == 1
    curve = Curve.of([match])
    assert (curve.points(11), curve.area()) == (1.0, 1.0)


def test_an_overlap_at_just_the_threshold_misses():
    people, found = torch.tensor([[0.0, 0, 9, 9]]), torch.tensor([[0.0, 0, 9, 4]])
    assert not match_boxes(found, torch.ones(1), people, threshold=0.5).hit.any()
    assert match_boxes(found, torch.ones(1), people, threshold=0.49).hit.all()


def reading(hit: np.ndarray, score: np.ndarray, people: int) -> tuple[float, float]:
    """Both rules as loops over their definition."""
    order = sorted(range(len(hit)), key=lambda i: -score[i])
    pairs, right = [], 0
    for kept, row in enumerate(order, start=1):
        right += int(hit[row])
        pairs.append((right / people, right / kept))
    points = [max((p for r, p in pairs if r >= t / 10), default=0.0) for t in range(11)]
    area, last = 0.0, 0.0
    for level in sorted({r for r, _ in pairs}):
        area += (level - last) * max(p for r, p in pairs if r >= level)
        last = level
    return sum(points) / 11, area


@pytest.mark.parametrize("seed", range(5))
def test_both_rules_are_their_definitions(seed):
    rng = np.random.default_rng(seed)
    matches = []
    for _ in range(8):
        n = int(rng.integers(0, 6))
        hit, score = torch.from_numpy(rng.random(n) < 0.5), torch.from_numpy(rng.random(n))
        matches.append(Match(hit, torch.zeros(n, dtype=torch.bool), score, int(hit.sum()) + int(rng.integers(0, 3))))
    curve = Curve.of(matches)
    hit, score = (np.concatenate([getattr(m, name).numpy() for m in matches]) for name in ("hit", "score"))
    eleven, area = reading(hit, score, sum(m.people for m in matches))
    assert curve.points(11) == pytest.approx(eleven)
    assert curve.area() == pytest.approx(area)


def test_no_boxes_find_nobody_and_nobody_to_find_is_refused():
    none = match_boxes(torch.zeros(0, 4), torch.zeros(0), torch.tensor([[0.0, 0, 9, 9]]))
    curve = Curve.of([none])
    assert (curve.points(11), curve.area(), curve.points(101)) == (0, 0, 0)
    with pytest.raises(InputError, match="no image has a label"):
        Curve.of([match_boxes(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, 4))])


def test_boxes_that_are_not_finite_are_refused():
    with pytest.raises(InputError, match="finite"):
        match_boxes(torch.full((1, 4), torch.nan), torch.ones(1), torch.zeros(1, 4))
