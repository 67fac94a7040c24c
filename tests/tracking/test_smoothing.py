"""Smoothing: what moves, what stays, what is marked, and that a smoother goes on where it stopped."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from poise.errors import InputError, UnknownName
from poise.structures import Key, Poses
from poise.tracking.choose import SMOOTHERS, smoothers
from poise.tracking.gaps import GAP, GapFiller
from poise.tracking.kalman import KalmanSmoother
from poise.tracking.median import MedianSmoother
from poise.tracking.one_euro import OneEuroSmoother
from poise.tracking.quality import TrackPositions, jitter, lag
from poise.tracking.smoothing import Chain, Smoother, poses_from_plain, poses_to_plain

FRAMES, KEYPOINTS = 60, 4


def frame(index: int, xy: np.ndarray, *, tracks: tuple[int, ...] = (1,), score: np.ndarray | None = None) -> Poses:
    places = torch.from_numpy(np.asarray(xy, dtype=np.float32)).reshape(len(tracks), -1, 2)
    scores = torch.ones(places.shape[:2]) if score is None else torch.from_numpy(score).float().reshape(places.shape[:2])
    boxes = torch.tensor([[0.0, 0.0, 100.0, 200.0]]).expand(len(tracks), 4)
    ones = torch.ones(len(tracks))
    key = Key("walk.mp4", index + 1, frame=index, time=index / 30)
    return Poses(places, scores, boxes, ones, ones, key, track=torch.tensor(tracks))


def still_and_moving(noise: float, seed: int = 0) -> np.ndarray:
    """Two keypoints at rest, two that swing; positions with noise (frames, keypoints, 2)."""
    rng = np.random.default_rng(seed)
    time = np.arange(FRAMES) / 30
    swing = 60 * np.sin(2 * math.pi * 0.8 * time)
    xy = np.zeros((FRAMES, KEYPOINTS, 2))
    xy[:, 0], xy[:, 1] = (40, 50), (60, 150)
    xy[:, 2] = np.stack((50 + swing, np.full(FRAMES, 100.0)), axis=-1)
    xy[:, 3] = np.stack((np.full(FRAMES, 30.0), 100 - swing), axis=-1)
    return xy + noise * rng.standard_normal(xy.shape)


def run(smoother: Smoother, frames: list[Poses]) -> list[Poses]:
    out = [one for poses in frames for one in smoother.update(poses)]
    return [*out, *smoother.finish()]


def positions(frames: list[Poses]) -> TrackPositions:
    return TrackPositions(np.stack([one.xy[0].double().numpy() for one in frames]), np.full(len(frames), 200.0))


ALL = {name: make(False, GAP) for name, make in SMOOTHERS.items()} | {
    "kalman, whole video": KalmanSmoother(None),
    "median, causal": MedianSmoother(causal=True),
    "fill, causal": GapFiller(causal=True),
    "all": smoothers(["one-euro", "median", "fill"]),
}


def made(name: str) -> Smoother:
    again = {
        "kalman, whole video": lambda: KalmanSmoother(None),
        "median, causal": lambda: MedianSmoother(causal=True),
        "fill, causal": lambda: GapFiller(causal=True),
        "all": lambda: smoothers(["one-euro", "median", "fill"]),
    }
    return again[name]() if name in again else SMOOTHERS[name](False, GAP)


@pytest.mark.parametrize("name", list(ALL))
def test_every_frame_comes_back_once_in_its_order_and_without_noise_where_it_was(name: str) -> None:
    frames = [frame(i, xy) for i, xy in enumerate(still_and_moving(0.0))]
    out = run(made(name), frames)
    assert [one.key.frame for one in out] == list(range(FRAMES))
    for before, after in zip(frames, out, strict=True):
        assert (before.xy[0, :2] - after.xy[0, :2]).norm(dim=-1).max() < 0.01, "what rests stays"
        assert after.filled is None or not after.filled.any()


@pytest.mark.parametrize("name", list(ALL))
def test_a_smoother_that_goes_on_from_plain_values_gives_the_same(name: str) -> None:
    rng = np.random.default_rng(3)
    score = (rng.random((FRAMES, KEYPOINTS)) > 0.2).astype(np.float32)
    frames = [frame(i, xy, score=score[i]) for i, xy in enumerate(still_and_moving(2.0))]
    frames[20] = frames[20][torch.zeros(1, dtype=torch.bool)]  # nobody
    whole = run(made(name), frames)
    first = made(name)
    out = [one for poses in frames[:31] for one in first.update(poses)]
    second = made(name)
    second.restore(json.loads(json.dumps(first.to_plain())), None)
    out += run(second, frames[31:])
    assert len(out) == len(whole) == FRAMES
    for a, b in zip(whole, out, strict=True):
        assert torch.equal(a.xy, b.xy), a.key
        assert poses_to_plain(a) == poses_to_plain(b)


@pytest.mark.parametrize(
    ("name", "share", "late"),
    [("one-euro", 0.7, 3.0), ("kalman", 0.55, 0.3), ("kalman, whole video", 0.55, 0.3)],
)
def test_what_rests_gets_steadier_and_what_moves_is_not_late(name: str, share: float, late: float) -> None:
    frames = [frame(i, xy) for i, xy in enumerate(still_and_moving(1.5))]
    raw, smooth = positions(frames), positions(run(made(name), frames))
    rest = np.zeros((FRAMES, KEYPOINTS), dtype=bool)
    rest[5:-5, :2] = True
    assert jitter([smooth], [rest])[0] < share * jitter([raw], [rest])[0]
    assert abs(lag([smooth], [raw])) < late


def test_the_lag_of_a_shift_is_the_shift_and_noise_of_known_size_is_measured() -> None:
    xy = still_and_moving(0.0)
    raw = TrackPositions(xy, np.full(FRAMES, 200.0))
    for shift in (0, 1, 4):
        late = TrackPositions(np.concatenate((np.repeat(xy[:1], shift, axis=0), xy[: FRAMES - shift])), np.full(FRAMES, 200.0))
        assert lag([late], [raw]) == pytest.approx(shift, abs=0.1)
    noisy = TrackPositions(np.random.default_rng(0).standard_normal((4000, 1, 2)) + 50, np.full(4000, 200.0))
    rest = [np.ones((4000, 1), dtype=bool)]
    # a point from the middle of its neighbours: a normal vector of variance 1.5 in each axis, of mean length sqrt(1.5 pi / 2)
    assert jitter([noisy], rest)[0] == pytest.approx(1000 * math.sqrt(1.5 * math.pi / 2) / 200, rel=0.03)


def test_a_jump_of_one_frame_is_put_back_and_marked_and_a_real_step_stays() -> None:
    xy = np.tile(np.array([[50.0, 50], [60, 150], [70, 90], [80, 20]]), (10, 1, 1))
    xy[4, 1] += (80, 0)  # for one frame
    xy[6:, 2] += (0, 60)  # for good
    frames = [frame(i, one) for i, one in enumerate(xy)]
    out = run(MedianSmoother(), frames)
    assert torch.equal(out[4].xy[0, 1], torch.tensor([60.0, 150.0]))
    assert out[4].filled is not None
    assert out[4].filled[0].tolist() == [False, True, False, False]
    assert all(torch.equal(a.xy, b.xy) for i, (a, b) in enumerate(zip(frames, out, strict=True)) if i != 4)
    causal = run(MedianSmoother(causal=True), frames)
    assert torch.equal(causal[4].xy[0, 1], torch.tensor([60.0, 150.0]))
    assert [float(one.xy[0, 2, 1]) for one in causal[5:8]] == [90, 90, 150], "a step is believed one frame later"


def test_gaps_up_to_the_limit_are_filled_on_the_line_and_marked_and_longer_ones_stay() -> None:
    xy = np.stack([np.array([[i * 2.0, 10.0], [50.0, 60 + i]]) for i in range(20)])
    score = np.ones((20, 2), dtype=np.float32)
    score[3:6, 0] = 0  # three frames
    score[8:15, 1] = 0  # seven
    wrong = xy.copy()
    wrong[score == 0] = 0
    out = run(GapFiller(5), [frame(i, wrong[i], score=score[i]) for i in range(20)])
    for i in (3, 4, 5):
        assert out[i].xy[0, 0].tolist() == pytest.approx(xy[i, 0].tolist(), abs=1e-4)
        assert out[i].filled is not None
        assert out[i].filled[0].tolist() == [True, False]
        assert float(out[i].score[0, 0]) == 1
    assert all(float(out[i].score[0, 1]) == 0 for i in range(8, 15)), "a longer gap stays open"


def test_the_longest_gap_is_chosen_and_whole_people_come_back_over_it() -> None:
    xy = np.stack([np.array([[i * 2.0, 10.0], [50.0, 60 + i]]) for i in range(60)])
    frames = [frame(i, one) for i, one in enumerate(xy)]
    nobody = torch.zeros(1, dtype=torch.bool)
    hidden = [one[nobody] if 10 <= i < 50 else one for i, one in enumerate(frames)]
    assert len(run(smoothers(["fill"], gap=39), hidden)[30]) == 0
    out = run(smoothers(["fill"], gap=40), hidden)
    assert all(torch.allclose(out[i].xy[0], frames[i].xy[0], atol=1e-3) for i in range(60))
    assert [bool(one.filled is not None and one.filled.all()) for one in out] == [10 <= i < 50 for i in range(60)]


def test_a_person_who_is_missing_for_two_frames_is_put_in_as_a_whole() -> None:
    xy = np.stack([np.array([[i * 3.0, 10.0], [50.0, 60 + i]]) for i in range(9)])
    frames = [frame(i, one) for i, one in enumerate(xy)]
    for i in (4, 5):
        frames[i] = frames[i][torch.zeros(1, dtype=torch.bool)]
    out = run(GapFiller(3), frames)
    assert [len(one) for one in out] == [1] * 9
    assert out[4].xy[0].tolist() == [pytest.approx(row, abs=1e-4) for row in xy[4].tolist()]
    assert out[4].filled is not None
    assert out[4].filled.all()
    assert out[4].track is not None
    assert out[4].track.tolist() == [1]
    held = run(GapFiller(3, causal=True), frames)
    assert held[5].xy[0].tolist() == [pytest.approx(row) for row in xy[3].tolist()], "without waiting, where it was seen last"


def test_two_tracks_do_not_touch_each_other_and_untracked_poses_stay() -> None:
    a, b = still_and_moving(1.0, seed=1), still_and_moving(1.0, seed=2) + 300
    both = [frame(i, np.stack((a[i], b[i])), tracks=(1, 2)) for i in range(FRAMES)]
    alone = [frame(i, a[i]) for i in range(FRAMES)]
    for name in ("one-euro", "kalman", "median", "fill"):
        together, single = run(made(name), both), run(made(name), alone)
        assert all(torch.allclose(x.xy[0], y.xy[0]) for x, y in zip(together, single, strict=True)), name
        nobody = [replace(one, track=torch.tensor([-1])) for one in alone]
        assert all(torch.equal(x.xy, y.xy) for x, y in zip(run(made(name), nobody), nobody, strict=True)), name


def test_poses_become_plain_values_and_come_back_exactly() -> None:
    poses = frame(7, still_and_moving(1.0)[7] / 3)
    back = poses_from_plain(json.loads(json.dumps(poses_to_plain(poses))), None)
    assert torch.equal(back.xy, poses.xy)
    assert back.key == poses.key
    assert back.track is not None
    assert back.track.tolist() == [1]


def test_mistakes_are_told() -> None:
    with pytest.raises(UnknownName, match="one-euro"):
        smoothers(["one_euro"])
    with pytest.raises(InputError, match="of one-euro and kalman one"):
        smoothers(["kalman", "one-euro"])
    with pytest.raises(InputError, match="give the poses to a Tracker first"):
        OneEuroSmoother().update(replace(frame(0, np.zeros((KEYPOINTS, 2))), track=None))
    for wrong in (lambda: GapFiller(0), lambda: MedianSmoother(0.0), lambda: KalmanSmoother(-1)):
        with pytest.raises(InputError):
            wrong()
    assert isinstance(smoothers(["none"]), Chain)
    assert smoothers([]).update(frame(0, np.zeros((KEYPOINTS, 2))))[0].key.frame == 0
