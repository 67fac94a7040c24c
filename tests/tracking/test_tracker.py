"""Ids that stay: through crossings, short occlusion, low scores; boxes alone; appearance; a tracker that goes on."""

import json
import math
from dataclasses import dataclass, replace

import cv2
import numpy as np
import pytest
import torch

from poise.errors import InputError, SkeletonMismatch
from poise.metrics.tracks import FrameTracks, track_scores
from poise.skeletons import COCO17
from poise.structures import Key, Poses
from poise.tracking.appearance import body_colours, colour_histograms
from poise.tracking.motion import BoxMotion
from poise.tracking.seen import unit
from poise.tracking.tracker import Tracker, TrackSettings

# x, y of a standing person of height 1, feet at 0: nose, eyes, ears, shoulders, elbows, wrists, hips, knees, ankles
STANDING = np.array(
    [
        [0, -0.93], [0.02, -0.95], [-0.02, -0.95], [0.04, -0.94], [-0.04, -0.94],
        [0.11, -0.8], [-0.11, -0.8], [0.14, -0.63], [-0.14, -0.63], [0.14, -0.47], [-0.14, -0.47],
        [0.07, -0.5], [-0.07, -0.5], [0.07, -0.27], [-0.07, -0.27], [0.07, -0.03], [-0.07, -0.03],
    ]
)  # fmt: skip
SWING = {7: 0.5, 8: -0.5, 9: 1.0, 10: -1.0, 13: -0.4, 14: 0.4, 15: -1.0, 16: 1.0}
"""How far each keypoint swings with the step, by its index."""


@dataclass(frozen=True)
class Walker:
    """Somebody who walks to and fro, or once through the picture.

    Attributes:
        id: Track id.
        height: Pixels.
        ground: y of the feet.
        start: x in frame 0.
        speed: Pixels a frame, to the right.
        width: Of the picture, in which the person turns; None for somebody who walks on.
        frames: First frame, and the one after the last.
        step: Frames of a step.
    """

    id: int
    height: float
    ground: float
    start: float
    speed: float
    width: float | None = 640
    frames: tuple[int, int] = (0, 10**9)
    step: float = 17.0

    def at(self, frame: int) -> np.ndarray:
        """Keypoints in a frame (17, 2)."""
        if self.width is None:
            x = self.start + self.speed * (frame - self.frames[0])
        else:  # slower before a turn, as people are
            reach = 0.45 * self.width
            phase = math.asin(max(-1.0, min(1.0, (self.start - self.width / 2) / reach)))
            x = self.width / 2 + reach * math.sin(self.speed * frame / reach + phase)
        xy = STANDING * self.height
        swing = 0.16 * self.height * math.sin(2 * math.pi * frame / self.step + self.id)
        for index, share in SWING.items():
            xy[index, 0] += share * swing
        return xy + np.array([x, self.ground])


def frame_of(
    walkers: list[Walker], frame: int, *, noise: float = 0.0, rng: np.random.Generator | None = None
) -> tuple[list[int], Poses]:
    """The ids of those who are there, and their poses."""
    there = [one for one in walkers if one.frames[0] <= frame < one.frames[1]]
    xy = np.stack([one.at(frame) for one in there]) if there else np.zeros((0, 17, 2))
    if noise and rng is not None:
        xy = xy + noise * rng.standard_normal(xy.shape)
    return [one.id for one in there], poses_of(xy, frame)


def poses_of(xy: np.ndarray, frame: int, score: float = 0.9) -> Poses:
    places = torch.from_numpy(np.asarray(xy, dtype=np.float32))
    low, high = (places.amin(dim=1), places.amax(dim=1)) if len(places) else (torch.zeros(0, 2), torch.zeros(0, 2))
    scores = torch.full(places.shape[:2], score)
    ones = torch.full((len(places),), score)
    key = Key("walk.mp4", frame + 1, frame=frame, time=frame / 30)
    return Poses(places, scores, torch.cat((low, high), dim=1), ones, ones, key, skeleton=COCO17)


THREE = [Walker(1, 200, 420, 60, 3.1), Walker(2, 190, 410, 580, -2.3, step=19), Walker(3, 215, 440, 300, 1.7, step=15)]
"""Three people who cross each other again and again."""

EIGHT = [
    *THREE,
    Walker(4, 120, 300, 620, -2.6, step=14),
    Walker(5, 210, 430, -40, 2.9, width=None, frames=(100, 340)),
    Walker(6, 180, 400, 680, -3.3, width=None, frames=(150, 370)),
    Walker(7, 140, 320, -30, 2.2, width=None, frames=(300, 600)),
    Walker(8, 205, 425, 670, -2.0, width=None, frames=(420, 780)),
]
"""Eight, of whom four enter and leave."""


def followed(
    walkers: list[Walker], frames: int, *, noise: float = 0.0, missed: float = 0.0, tracker: Tracker | None = None
) -> dict[str, float]:
    """Scores of a tracker on true poses, with noise in pixels and a share of people that is not found."""
    rng, tracker, video = np.random.default_rng(0), tracker or Tracker(), []
    for frame in range(frames):
        ids, poses = frame_of(walkers, frame, noise=noise, rng=rng)
        kept = [i for i in range(len(ids)) if rng.random() >= missed]
        tracked = tracker.update(poses[kept])
        assert tracked.track is not None
        similarity = np.zeros((len(ids), len(kept)))
        similarity[kept, range(len(kept))] = 1.0
        video.append(FrameTracks(np.array(ids, dtype=np.int64), tracked.track.numpy(), similarity))
    return track_scores([video])


def test_three_people_who_cross_keep_their_ids_over_2000_frames() -> None:
    scores = followed(THREE, 2000)
    assert scores["IDF1"] == 1.0
    assert scores["IDSW"] == 0
    assert scores["found ids"] == 3


def test_eight_people_who_enter_and_leave_keep_their_ids() -> None:
    scores = followed(EIGHT, 800)
    assert scores["IDF1"] == pytest.approx(1.0)
    assert scores["found ids"] == 8


def test_ids_survive_noise_and_people_who_are_missed_in_a_tenth_of_the_frames() -> None:
    scores = followed(EIGHT, 800, noise=3.0, missed=0.1)
    assert scores["IDF1"] > 0.9


def test_somebody_who_is_hidden_for_twenty_frames_has_the_same_id_again_and_a_new_one_after_longer() -> None:
    walker = Walker(1, 200, 400, 100, 2.0, width=None)
    for hidden, same in ((20, True), (40, False)):
        tracker = Tracker(TrackSettings(max_lost=30))
        for frame in range(80):
            _, poses = frame_of([walker], frame)
            last = tracker.update(poses if not 30 <= frame < 30 + hidden else poses[[]])
        assert last.track is not None
        assert (last.track.tolist() == [1]) is same


def test_a_low_score_continues_a_track_and_begins_none() -> None:
    walker = Walker(1, 200, 400, 100, 2.0, width=None)
    tracker = Tracker()
    ids = []
    for frame in range(30):
        _, poses = frame_of([walker], frame)
        weak = replace(poses, pose_score=torch.tensor([0.1])) if 10 <= frame < 25 else poses
        elsewhere = replace(poses_of(walker.at(frame)[None] + 300, frame), pose_score=torch.tensor([0.1]))
        tracked = tracker.update(Poses.merge([weak, elsewhere]))
        assert tracked.track is not None
        ids.append(tracked.track.tolist())
    assert ids == [[1, -1]] * 30


def test_boxes_alone_are_followed() -> None:
    def boxes_alone(poses: Poses) -> Poses:
        count = len(poses)
        return replace(poses, xy=torch.zeros(count, 0, 2), score=torch.zeros(count, 0), skeleton=None)

    tracker, apart = Tracker(), [Walker(1, 200, 250, 60, 3.0), Walker(2, 190, 470, 560, -2.0)]
    ids = []
    for frame in range(300):
        tracked = tracker.update(boxes_alone(frame_of(apart, frame)[1]))
        assert tracked.track is not None
        ids.append(tracked.track.tolist())
    assert ids == [[1, 2]] * 300


def test_colours_tell_two_people_apart_who_change_places_while_hidden() -> None:
    red, blue = torch.zeros(3, 300, 300, dtype=torch.uint8), torch.zeros(3, 300, 300, dtype=torch.uint8)
    red[0], blue[2] = 200, 200
    box = torch.tensor([[50.0, 50.0, 250.0, 250.0]])
    looks = torch.cat((colour_histograms(red, box), colour_histograms(blue, box)))
    assert float(looks[0] @ looks[1]) < 0.1
    a, b = Walker(1, 200, 400, 200, 0.0, width=None), Walker(2, 200, 400, 262, 0.0, width=None)
    tracker = Tracker(TrackSettings(appearance=4.0))
    for frame in range(10):
        tracker.update(frame_of([a, b], frame)[1], appearance=looks)
    swapped = poses_of(np.stack((b.at(10), a.at(10))), 10)
    tracked = tracker.update(swapped, appearance=looks)
    assert tracked.track is not None
    assert tracked.track.tolist() == [1, 2], "who looks like the first is the first"
    assert colour_histograms(red, torch.tensor([[900.0, 900.0, 950.0, 950.0]])).sum() == 0


def painted(people: list[tuple[np.ndarray, tuple[int, int, int]]]) -> torch.Tensor:
    """An image with people of one colour each, the last in front."""
    pixels = np.full((480, 640, 3), 90, dtype=np.uint8)
    for xy, colour in people:
        for a, b in COCO17.bones:
            ends = [tuple(np.rint(xy[COCO17.keypoints.index(name)]).astype(int).tolist()) for name in (a, b)]
            cv2.line(pixels, ends[0], ends[1], colour, 14)
    return torch.from_numpy(pixels).permute(2, 0, 1)


def test_the_looks_of_somebody_are_theirs_even_half_behind_another_one() -> None:
    red, blue = (220, 20, 20), (20, 20, 220)
    behind, before = (Walker(n, 200, 420, x, 0.0, width=None).at(0) for n, x in ((1, 300), (2, 325)))
    alone = body_colours(painted([(behind, red)]), poses_of(behind[None], 0))[0]
    both, poses = painted([(behind, red), (before, blue)]), poses_of(np.stack((behind, before)), 0)
    looks, boxes = body_colours(both, poses), colour_histograms(both, poses.boxes)
    assert float(looks[0] @ alone) > 0.8
    assert float(looks[0] @ looks[1]) < 0.5 < float(boxes[0] @ boxes[1]), "the boxes show much of the same"
    same = body_colours(both, poses_of(np.stack((before, before)), 0))
    assert not same.any(), "nothing is known of two who are in one place"
    outside = poses_of(behind[None] - [900, 0], 0)
    assert not body_colours(both, outside).any()


def test_looks_that_are_not_known_count_neither_way() -> None:
    walkers = [Walker(1, 200, 420, 200, 2.0, width=None), Walker(2, 200, 420, 420, 1.0, width=None)]
    tracker = Tracker(TrackSettings(appearance=4.0, min_similarity=0.5))
    for frame in range(12):
        looks = torch.eye(2) if frame < 5 else torch.zeros(2, 2)
        assert tracker.update(frame_of(walkers, frame)[1], appearance=looks).track.tolist() == [1, 2]  # type: ignore[union-attr]
    assert all(track.look is not None and track.look.any() for track in tracker.tracks), "what was known is remembered"


def test_somebody_new_gets_an_id_once_confirmed() -> None:
    tracker = Tracker(TrackSettings(confirm=3))
    ids = []
    for frame in range(5):
        tracked = tracker.update(frame_of(THREE[:1], frame)[1])
        assert tracked.track is not None
        ids += tracked.track.tolist()
    assert ids == [-1, -1, 1, 1, 1]


def test_a_second_pose_of_somebody_begins_no_track() -> None:
    tracker = Tracker()
    for frame in range(5):
        _, poses = frame_of(THREE[:1], frame)
        tracked = tracker.update(Poses.merge([poses, replace(poses, xy=poses.xy + 1)]))
        assert tracked.track is not None
        assert sorted(tracked.track.tolist()) == [-1, 1]


def test_a_tracker_that_goes_on_from_plain_values_gives_the_same_ids() -> None:
    whole, first = Tracker(), Tracker()
    expected = [whole.update(frame_of(EIGHT, frame)[1]).track for frame in range(400)]
    for frame in range(200):
        first.update(frame_of(EIGHT, frame)[1])
    second = Tracker()
    second.restore(json.loads(json.dumps(first.to_plain())))
    for frame in range(200, 400):
        found = second.update(frame_of(EIGHT, frame)[1]).track
        assert found is not None
        assert torch.equal(found, expected[frame])  # type: ignore[arg-type]


def test_a_box_moves_on_with_its_velocity() -> None:
    motion = BoxMotion(np.array([0.0, 0.0, 50.0, 100.0]))
    for step in range(1, 20):
        motion.predict()
        motion.update(np.array([4.0 * step, 0.0, 50 + 4.0 * step, 100.0]))
    motion.predict()
    assert motion.box.tolist() == pytest.approx([80, 0, 130, 100], abs=1.5)
    again = BoxMotion.from_plain(json.loads(json.dumps(motion.to_plain())))
    assert np.array_equal(again.box, motion.box)


def test_nobody_at_all_is_fine_and_mistakes_are_told() -> None:
    tracker = Tracker()
    empty = tracker.update(frame_of([], 0)[1])
    assert empty.track is not None
    assert empty.track.tolist() == []
    tracker.update(frame_of(THREE, 1)[1])
    other = poses_of(np.zeros((1, 5, 2)) + np.arange(5)[None, :, None], 2)
    with pytest.raises(SkeletonMismatch, match="take a new Tracker"):
        tracker.update(replace(other, skeleton=None))
    with pytest.raises(InputError, match="a row for each of 3 poses"):
        tracker.update(frame_of(THREE, 2)[1], appearance=torch.ones(2, 8))
    for wrong in ({"oks": -1.0}, {"reach": 0.0}, {"confirm": 0}, {"oks": 0.0, "iou": 0.0, "motion": 0.0}):
        with pytest.raises(InputError, match="tracking"):
            TrackSettings(**wrong)  # type: ignore[arg-type]


RED, BLUE, GREY = np.eye(3)
"""Looks of three people."""


def ids_of(tracker: Tracker, walkers: list[Walker], frame: int, looks: list[np.ndarray]) -> list[int]:
    tracked = tracker.update(frame_of(walkers, frame)[1], appearance=torch.tensor(np.array(looks).reshape(len(walkers), -1)))
    assert tracked.track is not None
    return [int(track) for track in tracked.track.tolist()]


def test_who_was_hidden_for_long_is_known_again_by_the_looks() -> None:
    here, there = Walker(1, 200, 400, 200, 0.0, width=None), Walker(2, 200, 400, 500, 0.0, width=None)
    tracker = Tracker()
    for frame in range(5):
        assert ids_of(tracker, [here, there], frame, [RED, BLUE]) == [1, 2]
    for frame in range(5, 200):
        assert ids_of(tracker, [there], frame, [BLUE]) == [2], "the first is hidden, far longer than max_lost"
    elsewhere = Walker(3, 200, 400, 320, 0.0, width=None)
    assert ids_of(tracker, [there, elsewhere], 200, [BLUE, RED]) == [2, 1]
    tracker.restore(json.loads(json.dumps(tracker.to_plain())))
    assert ids_of(tracker, [there, elsewhere, here], 201, [BLUE, RED, GREY]) == [2, 1, 3], "who looks like nobody is new"


def test_who_looks_like_two_people_is_new() -> None:
    here, there = Walker(1, 200, 400, 200, 0.0, width=None), Walker(2, 200, 400, 500, 0.0, width=None)
    tracker = Tracker()
    for frame in range(5):
        ids_of(tracker, [here, there], frame, [RED, RED])
    for frame in range(5, 60):
        ids_of(tracker, [there], frame, [RED])
    assert ids_of(tracker, [there, Walker(3, 200, 400, 320, 0.0, width=None)], 60, [RED, RED]) == [2, 3]


def test_ids_that_were_exchanged_go_back_once_both_are_alone() -> None:
    a, b = Walker(1, 200, 400, 200, 0.0, width=None), Walker(2, 200, 400, 500, 0.0, width=None)
    tracker = Tracker()
    for frame in range(10):
        assert ids_of(tracker, [a, b], frame, [RED, BLUE]) == [1, 2]
    assert ids_of(tracker, [a, b], 10, [BLUE, RED]) == [2, 1]


PURPLE = 0.62 * RED + 0.78 * BLUE
"""Not so unlike blue, and rather like red, that it must be somebody else."""


def test_ids_of_people_who_dress_alike_go_back_too() -> None:
    a, b = Walker(1, 200, 400, 200, 0.0, width=None), Walker(2, 200, 400, 500, 0.0, width=None)
    tracker = Tracker()
    for frame in range(10):
        assert ids_of(tracker, [a, b], frame, [RED, PURPLE]) == [1, 2]
    assert ids_of(tracker, [a, b], 10, [PURPLE, RED]) == [2, 1]
    assert ids_of(tracker, [a, b], 11, [PURPLE, RED]) == [2, 1]
    assert ids_of(tracker, [a, b], 12, [0.8 * RED + 0.6 * PURPLE, PURPLE]) == [2, 1], "neither looks clearly like the other"


def test_who_took_the_place_of_somebody_lost_gets_their_own_id_back() -> None:
    a, b = Walker(1, 200, 400, 200, 0.0, width=None), Walker(2, 200, 400, 500, 0.0, width=None)
    tracker = Tracker()
    for frame in range(10):
        assert ids_of(tracker, [a, b], frame, [RED, PURPLE]) == [1, 2]
    assert ids_of(tracker, [a], 10, [PURPLE]) == [2], "the second stands where the first stood, and the first is not seen"
    for frame in range(11, 40):
        assert ids_of(tracker, [a], frame, [PURPLE]) == [2]
    assert ids_of(tracker, [a, b], 40, [PURPLE, RED]) == [2, 1]


def test_looks_of_somebody_behind_another_one_are_not_believed() -> None:
    a, b = Walker(1, 200, 400, 300, 0.0, width=None), Walker(2, 200, 400, 320, 0.0, width=None)
    tracker = Tracker()
    for frame in range(10):
        assert ids_of(tracker, [a, b], frame, [RED, BLUE]) == [1, 2]
    assert ids_of(tracker, [a, b], 10, [BLUE, BLUE]) == [1, 2], "the box of the first shows the second"


def test_who_came_back_beside_somebody_is_known_again_once_alone() -> None:
    a, b = Walker(1, 200, 400, 200, 0.0, width=None), Walker(2, 200, 400, 500, 0.0, width=None)
    back = Walker(3, 200, 400, 470, -4.0, width=None, frames=(60, 10**9))
    tracker = Tracker()
    for frame in range(5):
        assert ids_of(tracker, [a, b], frame, [RED, BLUE]) == [1, 2]
    for frame in range(5, 60):
        ids_of(tracker, [b], frame, [BLUE])
    assert ids_of(tracker, [back, b], 60, [BLUE, BLUE]) == [3, 2], "the box shows the person in front"
    for frame in range(61, 90):
        ids = ids_of(tracker, [back, b], frame, [BLUE if frame < 70 else RED, BLUE])
    assert ids == [1, 2]


def test_who_comes_back_beside_somebody_is_known_again_by_a_look_that_is_clearly_theirs() -> None:
    a, b = Walker(1, 200, 400, 200, 0.0, width=None), Walker(2, 200, 400, 500, 0.0, width=None)
    back = Walker(3, 200, 400, 470, 0.0, width=None)
    mixed = unit(RED + 0.8 * BLUE)
    for settings, first, later in ((TrackSettings(), 3, 1), (TrackSettings(beside_look=1.0), 3, 3)):
        tracker = Tracker(settings)
        for frame in range(5):
            assert ids_of(tracker, [a, b], frame, [RED, BLUE]) == [1, 2]
        for frame in range(5, 60):
            ids_of(tracker, [b], frame, [BLUE])
        assert ids_of(tracker, [back, b], 60, [mixed, BLUE]) == [first, 2], "hidden by half, it could be either"
        assert ids_of(tracker, [back, b], 61, [unit(RED + 0.3 * BLUE), BLUE]) == [later, 2]


def test_who_is_taken_for_another_pose_is_known_again_where_they_are_alone() -> None:
    a, b = Walker(1, 200, 400, 150, 0.0, width=None), Walker(2, 200, 400, 500, 0.0, width=None)
    back = Walker(3, 200, 400, 320, 0.0, width=None)
    tracker = Tracker()
    for frame in range(5):
        assert ids_of(tracker, [a, b], frame, [RED, BLUE]) == [1, 2]
    nothing = np.zeros(3)
    for frame in range(5, 40):
        assert ids_of(tracker, [a, b], frame, [nothing, BLUE]) == [1, 2], "a false pose, of which no looks are known"
    assert ids_of(tracker, [a, b, back], 40, [nothing, BLUE, RED]) == [3, 2, 1]


@pytest.mark.parametrize(("still", "believed"), [(10, False), (0, True)])
def test_who_is_lost_for_a_moment_still_stands_before_others(still: int, believed: bool) -> None:
    tracker = Tracker(TrackSettings(still=still))
    for frame in range(5):
        ids_of(tracker, [Walker(1, 200, 400, 500, 0.0, width=None)], frame, [BLUE])
    for frame in range(5, 7):  # the first is not found in these frames, and would look otherwise
        assert ids_of(tracker, [Walker(2, 200, 400, 470, 0.0, width=None)], frame, [unit(RED + BLUE / 2)]) == [2]
    [track] = [track for track in tracker.tracks if track.id == 2]
    assert track.sure == believed


def test_remembered_looks_do_not_drift_to_somebody_else() -> None:
    walker, tracker = [Walker(1, 200, 400, 200, 0.0, width=None)], Tracker(TrackSettings(memory=0.99))
    for frame in range(5):
        ids_of(tracker, walker, frame, [RED])
    for step in range(60):  # little by little another one stands before them
        angle = step / 60 * math.pi / 2
        ids_of(tracker, walker, 5 + step, [np.array([math.cos(angle), math.sin(angle), 0.0])])
    [track] = [track for track in tracker.tracks if track.id == 1]
    assert track.look is not None
    assert float(track.look @ RED) > 0.9
