"""Drawn sequences: the same animals move smoothly over frames that say which they are."""

import dataclasses
import json
import pickle

import numpy as np
import pytest
import torch

from poise.data.coco import CocoDataset
from poise.data.figures import FigureSequences, write_coco
from poise.data.frame_files import open_frames
from poise.errors import InputError, UnknownName
from poise.skeletons import ANIMAL18

FRAMES = 12


@pytest.fixture(scope="module")
def walks():
    return FigureSequences(3, frames=FRAMES, kind="horse", look="plain", size=(128, 160), seed=1, keypoints="animal18")


def test_frames_come_in_order_and_say_where_they_belong(walks):
    assert len(walks) == 3 * FRAMES
    places = [(walks.sequence(i), walks.key(i).frame) for i in range(len(walks))]
    assert places == [(f"horse-{s:03d}", f) for s in (1, 2, 3) for f in range(FRAMES)]
    assert len({walks.key(i).file_name for i in range(len(walks))}) == len(walks)


def test_a_frame_is_the_same_in_any_order_and_in_another_process(walks):
    again = pickle.loads(pickle.dumps(walks))
    for i in (17, 3, FRAMES):
        assert torch.equal(again[i].image, walks[i].image)
        assert torch.equal(again[i].labels.xy, walks[i].labels.xy)


@pytest.mark.parametrize("kind", ["horse", "dog", "camel"])
def test_animals_move_smoothly(kind):
    """Steps between frames are small, and change little from one frame to the next: nothing jumps."""
    dataset = FigureSequences(3, frames=FRAMES, kind=kind, size=(128, 160), seed=4, keypoints="animal18")
    for number in range(3):
        motion = dataset.motion(number)
        course = motion.courses[0]
        points = np.stack([
            camera.project(figure.points)[:, :2]
            for figure, camera in (motion._staged(course, f, motion._shift(f)) for f in range(FRAMES))
        ])  # fmt: skip
        size = np.ptp(points[0], axis=0).max()
        assert np.abs(np.diff(points, axis=0)).max() < 0.2 * size
        assert np.abs(np.diff(points, n=2, axis=0)).max() < 0.12 * size


def test_a_walking_animal_moves_its_legs_more_than_its_trunk(walks):
    moved = {"hoof": [], "tail_base": []}
    for number in range(3):
        xy = np.stack([walks.labels(number * FRAMES + f).xy[0].numpy() for f in range(FRAMES)])
        assert len(np.unique(xy[:, 0], axis=0)) > 1
        for part, steps in moved.items():
            columns = [i for i, name in enumerate(ANIMAL18.keypoints) if part in name]
            steps.append(np.abs(np.diff(xy[:, columns], axis=0)).mean())
    assert np.mean(moved["hoof"]) > 1.5 * np.mean(moved["tail_base"])


def test_the_background_and_what_stands_on_it_move_with_the_camera(walks):
    motion = dataclasses.replace(walks.motion(0), zoom=0.0, pan=2.0, shake=(0.0, 5.0))
    first, later = (motion._moved(frame, motion._shift(frame)).astype(int) for frame in (0, 4))
    assert np.abs(later[:, 8:] - first[:, :-8]).max() <= 1
    assert motion._carried((10.0, 20.0, 30.0, 40.0), 4, (0.0, 0.0)) == (18.0, 20.0, 38.0, 40.0)
    larger = dataclasses.replace(motion, zoom=0.01)
    x0, _, x1, _ = larger._carried((10.0, 20.0, 30.0, 40.0), 4, (0.0, 0.0))
    assert x1 - x0 == pytest.approx(20 * np.exp(0.04))


def test_a_walking_animal_and_the_ground_move_against_each_other(walks):
    """A camera that follows leaves the animal in place, one that stands the ground; together it is the speed of the animal."""
    for number in range(3):
        motion = walks.motion(number)
        course = motion.courses[-1]
        assert course.drift * course.speed - motion.pan == pytest.approx(course.speed)


def test_written_sequences_are_a_coco_file_and_a_list_of_frames(tmp_path):
    dataset = FigureSequences(2, frames=3, kind="animals", look="wild", size=(64, 80), per_image=(2, 2), keypoints="animal18")
    path = write_coco(dataset, tmp_path)
    assert len(CocoDataset(path, tmp_path / "images").people()) > 6
    for source in (path, tmp_path / "frames.json", tmp_path):
        read = open_frames(source, skeleton=ANIMAL18)
        assert [read.sequence(i) for i in range(6)] == ["animals-001"] * 3 + ["animals-002"] * 3
        assert [read.key(i).frame for i in range(6)] == [0, 1, 2, 0, 1, 2]
        assert [len(read.labels(i)) for i in range(6)] == [2] * 6
    frames = json.loads((tmp_path / "frames.json").read_text())
    assert len(frames) == 12
    assert set(frames[0]) == {"file_name", "sequence", "frame", "bbox", "area"}
    assert [row["track_id"] for row in json.loads(path.read_text())["annotations"]] == [1, 2] * 6
    for row in frames:
        assert (tmp_path / "images" / row["file_name"]).exists()


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"frames": 0}, InputError),
        ({"kind": "people"}, UnknownName),
        ({"per_image": (2, 1)}, InputError),
        ({"seed": -1}, InputError),
    ],
)
def test_a_sequence_that_cannot_be_is_refused(wrong, error):
    with pytest.raises(error, match=r"found|there is no"):
        FigureSequences(1, **wrong)
