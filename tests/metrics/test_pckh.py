import math

import pytest
import torch

from poise.errors import SkeletonMismatch
from poise.metrics.pckh import COLUMNS, pckh, pckh_table, table
from poise.metrics.sizes import head_sizes
from poise.skeletons import ANIMAL18, LSP14, MPII16
from poise.structures import Labels


def drawn(n: int = 4, k: int = 16) -> Labels:
    xy = torch.rand(n, k, 2, generator=torch.Generator().manual_seed(0)) * 200
    return Labels.of(xy, torch.full((n, k), 2), torch.tensor([[0.0, 0, 200, 200]]).expand(n, 4))


def moved(labels: Labels, name: str, pixels: float) -> torch.Tensor:
    found = labels.xy.clone()
    found[:, MPII16.index(name), 0] += pixels
    return found


def test_a_head_s_size_is_six_tenths_of_its_diagonal():
    assert head_sizes(torch.tensor([[1.0, 1, 4, 5], [0, 0, float("nan"), 5]])).tolist() == [3.0, 0.0]


def test_everything_found_is_100_and_a_column_sees_its_own_keypoints_alone():
    labels = drawn()
    assert set(pckh_table(labels.xy, labels, MPII16, size=40.0).values()) == {100.0}
    row = pckh_table(moved(labels, "left_wrist", 21.0), labels, MPII16, size=40.0)
    assert row["Wrist"] == 50
    assert [row[c] for c in ("Head", "Shoulder", "Elbow", "Hip", "Knee", "Ankle")] == [100] * 6
    assert row["Mean"] == pytest.approx(100 * 13 / 14)


def test_pelvis_and_thorax_are_in_no_mean():
    labels = drawn()
    assert pckh_table(moved(labels, "pelvis", 100.0), labels, MPII16, size=40.0)["Mean"] == 100


def test_a_keypoint_at_just_the_threshold_is_hit():
    labels = drawn(1)
    assert pckh(labels.xy.round() + torch.tensor([20.0, 0.0]), _rounded(labels), 0.5, size=40.0).mean == 1


def _rounded(labels: Labels) -> Labels:
    return Labels.of(labels.xy.round(), labels.visible, labels.boxes)


def test_the_published_mean_at_a_tenth_is_at_eleven_hundredths():
    labels = drawn()
    found = labels.xy + torch.tensor([10.5, 0.0])
    row = pckh_table(found, labels, MPII16, size=100.0)
    assert (row["Mean@0.1"], row["true Mean@0.1"]) == (100.0, 0.0)


def test_people_without_a_head_do_not_count_and_positions_that_are_not_finite_are_misses():
    labels = drawn(2)
    found = torch.full_like(labels.xy, torch.nan)
    found[1] = labels.xy[1]
    assert pckh_table(found, labels, MPII16, size=torch.tensor([0.0, 30.0]))["Mean"] == 100
    assert pckh_table(found, labels, MPII16, size=30.0)["Mean"] == 50


def test_a_column_without_its_keypoints_has_no_number():
    labels = drawn(2, 14)
    row = pckh_table(labels.xy, labels, LSP14, size=30.0)
    assert row["Head"] == 100
    animal = pckh_table(drawn(2, 18).xy, drawn(2, 18), ANIMAL18, size=30.0)
    assert math.isnan(animal["Head"])
    assert "| - |" in table("x", animal)


def test_the_table_has_the_columns_of_the_papers():
    labels = drawn()
    lines = table("mine", pckh_table(labels.xy, labels, MPII16, size=40.0)).splitlines()
    assert lines[0] == "| Arch | " + " | ".join(COLUMNS) + " |"
    assert lines[2].startswith("| mine | 100.000 |")


def test_poses_of_another_skeleton_are_refused():
    labels = drawn(2, 14)
    with pytest.raises(SkeletonMismatch, match="they must agree"):
        pckh_table(labels.xy, labels, MPII16, size=30.0)
