"""Scores of tracking: known answers by hand, laws, and TrackEval as the referee where it is installed."""

import numpy as np
import pytest

from poise.metrics.tracks import FrameKeypoints, FrameTracks, keypoint_mota, track_scores


def perfect(frames: int, people: int) -> list[FrameTracks]:
    ids = np.arange(people)
    return [FrameTracks(ids, ids + 10, np.eye(people)) for _ in range(frames)]


def random_video(seed: int, *, frames: int = 40, people: int = 5) -> list[FrameTracks]:
    """Noisy similarities, people who come and go, ids that change, people who are not there."""
    rng = np.random.default_rng(seed)
    named = np.arange(people) + 100
    video = []
    for _ in range(frames):
        if rng.random() < 0.1:
            a, b = rng.choice(people, 2, replace=False)
            named[[a, b]] = named[[b, a]]
        truth, found = np.flatnonzero(rng.random(people) < 0.9), np.flatnonzero(rng.random(people) < 0.85)
        base = (truth[:, None] == found[None]) * rng.uniform(0.3, 1.0, (len(truth), len(found)))
        similarity = np.clip(base + rng.uniform(0, 0.35, base.shape), 0, 1)
        video.append(FrameTracks(truth, named[found], similarity))
    return video


def test_perfect_tracks_have_perfect_scores() -> None:
    scores = track_scores([perfect(20, 3)])
    for name in ("HOTA", "DetA", "AssA", "LocA", "MOTA", "MOTP", "IDF1", "IDP", "IDR"):
        assert scores[name] == pytest.approx(1.0), name
    assert [scores[name] for name in ("IDSW", "FP", "FN", "Frag", "MT", "ML")] == [0, 0, 0, 0, 3, 0]


def test_a_switch_in_the_middle_costs_what_the_definitions_say() -> None:
    ids = np.arange(2)
    video = [FrameTracks(ids, ids if t < 10 else ids[::-1], np.eye(2)) for t in range(20)]
    scores = track_scores([video])
    assert scores["IDSW"] == 2
    assert scores["MOTA"] == pytest.approx((40 - 2) / 40)
    assert scores["IDF1"] == pytest.approx(0.5)
    assert scores["AssA"] == pytest.approx(10 / (20 + 20 - 10))
    assert scores["HOTA"] == pytest.approx(np.sqrt(10 / 30))


def test_somebody_missed_and_somebody_too_many() -> None:
    none = np.zeros(0, dtype=np.int64)
    video = [FrameTracks(np.array([1]), none, np.zeros((1, 0))), FrameTracks(none, np.array([4]), np.zeros((0, 1)))]
    scores = track_scores([video])
    assert (scores["FN"], scores["FP"], scores["MOTA"], scores["HOTA"], scores["IDF1"]) == (1, 1, -1.0, 0.0, 0.0)


def test_ids_of_different_videos_do_not_meet() -> None:
    one, two = perfect(5, 2), [FrameTracks(f.truth, f.found + 1, f.similarity) for f in perfect(5, 2)]
    assert track_scores([one, two])["IDF1"] == pytest.approx(1.0)
    assert track_scores([[*one, *two]])["IDF1"] < 1


@pytest.mark.parametrize("seed", range(6))
def test_all_scores_are_those_of_trackeval(seed: int) -> None:
    trackeval = pytest.importorskip("trackeval")
    video = random_video(seed)
    names = {old: new for new, old in enumerate(sorted({int(i) for f in video for i in f.found}))}
    data = {
        "gt_ids": [f.truth for f in video],
        "tracker_ids": [np.array([names[int(i)] for i in f.found], dtype=int) for f in video],
        "similarity_scores": [f.similarity for f in video],
        "num_gt_ids": 5,
        "num_tracker_ids": len(names),
        "num_gt_dets": sum(len(f.truth) for f in video),
        "num_tracker_dets": sum(len(f.found) for f in video),
        "num_timesteps": len(video),
    }
    ours = track_scores([video])
    quiet = {"PRINT_CONFIG": False}
    hota = trackeval.metrics.HOTA(quiet).eval_sequence(data)
    for name in ("HOTA", "DetA", "AssA", "LocA", "DetRe", "DetPr", "AssRe", "AssPr"):
        assert ours[name] == pytest.approx(float(np.mean(hota[name])), abs=1e-9), name
    clear = trackeval.metrics.CLEAR(quiet).eval_sequence(data)
    for name in ("MOTA", "MOTP", "IDSW", "Frag", "MT", "ML"):
        assert ours[name] == pytest.approx(float(clear[name]), abs=1e-9), name
    assert (ours["FN"], ours["FP"]) == (clear["CLR_FN"], clear["CLR_FP"])
    identity = trackeval.metrics.Identity(quiet).eval_sequence(data)
    for name in ("IDF1", "IDP", "IDR"):
        assert ours[name] == pytest.approx(float(identity[name]), abs=1e-9), name


def test_scores_that_trackeval_gave_once_stay() -> None:
    """TrackEval 1.3.0 on the same made-up videos, so that a machine without it compares too."""
    scores = track_scores([random_video(0), random_video(1)])
    assert {name: round(scores[name], 6) for name in STORED} == STORED


STORED = {
    "HOTA": 0.387397,
    "DetA": 0.545118,
    "AssA": 0.275813,
    "LocA": 0.841852,
    "DetRe": 0.642341,
    "DetPr": 0.709956,
    "AssRe": 0.373632,
    "AssPr": 0.412116,
    "MOTA": 0.473389,
    "MOTP": 0.823379,
    "IDSW": 22.0,
    "FP": 66.0,
    "FN": 100.0,
    "Frag": 91.0,
    "MT": 1.0,
    "ML": 0.0,
    "IDF1": 0.470588,
    "IDP": 0.495356,
    "IDR": 0.448179,
}


def test_keypoints_are_counted_one_by_one() -> None:
    truth = np.array([[[10.0, 10], [20, 20]], [[110.0, 10], [120, 20]]])
    found = truth.copy()
    found[1, 1] += 30  # too far
    frame = FrameKeypoints(np.array([1, 2]), np.array([7, 8]), truth, found, np.array([20.0, 20.0]))
    mean, each = keypoint_mota([[frame] * 4], 2)
    assert each.tolist() == pytest.approx([1.0, (8 - 4 - 4) / 8])
    assert mean == pytest.approx(each.mean())
    swapped = FrameKeypoints(np.array([1, 2]), np.array([8, 7]), truth, truth, np.array([20.0, 20.0]))
    straight = FrameKeypoints(np.array([1, 2]), np.array([7, 8]), truth, truth, np.array([20.0, 20.0]))
    mean, each = keypoint_mota([[straight, straight, swapped, swapped]], 2)
    assert each.tolist() == pytest.approx([(8 - 2) / 8] * 2)


def test_a_keypoint_that_nobody_labels_has_no_score() -> None:
    truth = np.array([[[10.0, 10], [np.nan, np.nan]]])
    frame = FrameKeypoints(np.array([1]), np.array([1]), truth, truth, np.array([20.0]))
    mean, each = keypoint_mota([[frame]], 2)
    assert each[0] == 1
    assert np.isnan(each[1])
    assert mean == 1
