import json
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from poise.errors import InputError, MissingExtra, SkeletonMismatch
from poise.skeletons import COCO17, Skeleton
from poise.structures import Batch, Key, Normalization, Poses, Preprocess

KEY = Key("a.jpg", 7)
TWO = Skeleton("two", ("nose", "tail"), sigmas=(0.1, 0.1))


def poses(count: int, *, start: int = 0, key: Key = KEY, keypoints: int = 2, track=None) -> Poses:
    """People whose numbers tell which one they are: person i has pose score start + i."""
    number = torch.arange(start, start + count, dtype=torch.float32)
    return Poses(
        xy=number[:, None, None] * 10 + torch.arange(keypoints * 2).reshape(keypoints, 2),
        score=number[:, None].expand(count, keypoints) / 100,
        boxes=number[:, None] + torch.tensor([0.0, 0.0, 5.0, 5.0]),
        box_score=number / 10,
        pose_score=number,
        key=key,
        track=track,
    )


def chosen(found: Poses) -> list[float]:
    return found.pose_score.tolist()


def test_a_key_of_a_photo_has_no_frame_and_no_time_and_one_of_a_video_has_both():
    assert (KEY.frame, KEY.time) == (None, None)
    assert poses(1).time is None
    frame = Key("film.mp4", frame=75, time=2.5)
    assert frame != Key("film.mp4", frame=76, time=2.5)
    assert poses(1, key=frame).time == 2.5


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        (0, [0]),
        (-1, [4]),
        (slice(1, 3), [1, 2]),
        (slice(None, None, 2), [0, 2, 4]),
        ([3, 1], [3, 1]),
        ([], []),
        ([True, False, False, True, False], [0, 3]),
        (torch.tensor([4, 4]), [4, 4]),
        (torch.tensor([False, True, False, False, True]), [1, 4]),
        (torch.zeros(5, dtype=torch.bool), []),
    ],
)
def test_poses_are_indexed_by_an_index_a_slice_indices_or_a_mask(index, expected):
    found = poses(5, track=torch.arange(5) + 100)[index]
    assert isinstance(found, Poses)
    assert chosen(found) == expected
    assert found.xy[:, 0, 0].tolist() == [10 * i for i in expected]
    assert found.boxes[:, 0].tolist() == expected
    assert found.track.tolist() == [100 + i for i in expected]
    assert len(found) == len(expected)
    assert found.key == KEY


@pytest.mark.parametrize("index", [5, -6, [5], torch.ones(4, dtype=torch.bool)])
def test_an_index_out_of_range_and_a_mask_of_another_length_are_refused(index):
    with pytest.raises(IndexError):
        poses(5)[index]


def test_iterating_gives_every_person_once():
    assert [chosen(one) for one in poses(3)] == [[0], [1], [2]]
    assert list(poses(0)) == []


def test_poses_of_one_image_are_merged_in_their_order():
    merged = Poses.merge([poses(2), poses(0), poses(1, start=7)])
    assert chosen(merged) == [0, 1, 7]
    assert merged.xy.shape == (3, 2, 2)
    assert torch.equal(merged[2].xy, poses(1, start=7).xy)
    assert merged.key == KEY
    assert merged.track is None


def test_merging_keeps_tracks_and_gives_minus_1_to_who_has_none():
    merged = Poses.merge([poses(1), poses(2, start=1, track=torch.tensor([8, 9]))])
    assert merged.track.tolist() == [-1, 8, 9]


def test_nothing_and_poses_of_two_images_or_two_skeletons_are_not_merged():
    with pytest.raises(InputError, match="at least one"):
        Poses.merge([])
    with pytest.raises(InputError, match=r"b\.jpg"):
        Poses.merge([poses(1), poses(1, key=Key("b.jpg", 8))])
    with pytest.raises(InputError, match="frame=2"):
        Poses.merge([poses(1, key=Key("film", frame=1)), poses(1, key=Key("film", frame=2))])
    with pytest.raises(SkeletonMismatch, match="2 and 3"):
        Poses.merge([poses(1), poses(1, keypoints=3)])


def test_numpy_gets_every_tensor_by_its_name():
    found = poses(3, track=torch.tensor([1, 2, 3])).to_numpy()
    assert {name: values.shape for name, values in found.items()} == {
        "xy": (3, 2, 2),
        "score": (3, 2),
        "boxes": (3, 4),
        "box_score": (3,),
        "pose_score": (3,),
        "track": (3,),
    }
    assert all(isinstance(values, np.ndarray) for values in found.values())
    np.testing.assert_array_equal(found["xy"], poses(3).xy.numpy())
    assert "track" not in poses(3).to_numpy()


def test_numpy_gets_float32_for_bfloat16_and_values_without_their_gradient():
    one = poses(1)
    half = Poses(one.xy.bfloat16(), one.score, one.boxes, one.box_score, one.pose_score.clone().requires_grad_(), KEY)
    found = half.to_numpy()
    assert found["xy"].dtype == np.float32
    assert found["pose_score"].tolist() == [0.0]


def test_a_dictionary_of_poses_is_json_and_names_the_keypoints_of_a_skeleton():
    found = poses(2, start=1).to_dict(TWO)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert (found["file_name"], found["image_id"], found["keypoint_names"]) == ("a.jpg", 7, ["nose", "tail"])
    first, second = found["people"]
    assert first["keypoints"] == [[10.0, 11.0, pytest.approx(0.01)], [12.0, 13.0, pytest.approx(0.01)]]
    assert first["box"] == [1.0, 1.0, 6.0, 6.0]
    assert (second["box_score"], second["pose_score"]) == (pytest.approx(0.2), 2.0)
    assert {"frame", "time", "track"}.isdisjoint({*found, *first})


def test_a_dictionary_of_a_frame_has_its_frame_time_and_tracks():
    found = poses(1, key=Key("film.mp4", frame=0, time=0.0), track=torch.tensor([4])).to_dict()
    assert (found["frame"], found["time"]) == (0, 0.0)
    assert found["people"][0]["track"] == 4
    assert "keypoint_names" not in found


def test_what_json_does_not_have_is_none_in_a_dictionary():
    one = poses(1)
    lost = Poses(one.xy * torch.nan, one.score, one.boxes + torch.inf, one.box_score, one.pose_score, KEY).to_dict()
    assert lost["people"][0]["keypoints"][0] == [None, None, 0.0]
    assert lost["people"][0]["box"] == [None] * 4
    json.dumps(lost, allow_nan=False)


def test_a_dictionary_of_nobody_is_an_image_without_people():
    assert poses(0).to_dict(TWO)["people"] == []


def test_a_skeleton_of_another_number_of_keypoints_is_refused():
    with pytest.raises(SkeletonMismatch, match=r"2 keypoints .* 'coco17' has 17"):
        poses(1).to_dict(COCO17)


def test_a_batch_of_no_views_is_refused():
    with pytest.raises(InputError, match="at least one view"):
        Batch.of([])


@pytest.mark.parametrize("fill", [(0.0, 0.0, 256.0), (-1.0, 0.0, 0.0)])
def test_a_fill_that_is_no_colour_is_refused(fill):
    with pytest.raises(InputError, match="fill"):
        Normalization(fill=fill)


@pytest.mark.parametrize("wrong", [{"sides": (1.0, 0.0)}, {"sides": (1.0, float("inf"))}])
def test_preprocessing_that_cannot_be_is_refused(wrong):
    with pytest.raises(InputError, match="`sides`"):
        Preprocess(**wrong)


def test_poses_that_know_their_keypoints_and_image_say_so():
    known = replace(poses(2), skeleton=TWO, size=(40, 60))
    found = known.to_dict()
    assert (found["width"], found["height"], found["keypoint_names"]) == (60, 40, ["nose", "tail"])
    assert known[0].skeleton is TWO
    assert Poses.merge([known, poses(1)]).size == (40, 60)


def test_a_table_of_poses_has_a_row_for_each_person_and_a_column_for_each_number():
    first, second = replace(poses(2, start=1, track=torch.tensor([4, 5])), skeleton=TWO, size=(40, 60)).to_rows()
    assert list(first) == [
        *("file_name", "image_id", "width", "height", "person", "track", "pose_score", "box_score"),
        *("box_x0", "box_y0", "box_x1", "box_y1", "nose_x", "nose_y", "nose_score", "tail_x", "tail_y", "tail_score"),
    ]
    assert (first["person"], second["person"], second["track"]) == (1, 2, 5)
    assert (first["box_x1"], first["nose_x"], first["tail_y"]) == (6.0, 10.0, 13.0)
    assert "keypoint_2_score" in poses(1).to_rows()[0]
    assert poses(0).to_rows() == []


def test_a_frame_is_the_table_in_pandas_and_without_pandas_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", SimpleNamespace(DataFrame=lambda rows: ("frame", rows)))
    assert poses(2).to_frame(TWO) == ("frame", poses(2).to_rows(TWO))
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtra, match=r"pip install 'poise\[pandas\]'"):
        poses(2).to_frame(TWO)


def test_poses_are_drawn_on_an_image_that_is_given_or_on_their_file(tmp_path):
    image = np.zeros((40, 60, 3), np.uint8)
    file = tmp_path / "a.png"
    Image.fromarray(image).save(file)
    made = replace(poses(2, start=1, key=Key(str(file))), skeleton=TWO)
    drawn = made.plot(image)
    assert drawn.size == (60, 40)
    assert np.asarray(drawn).any()
    assert np.array_equal(made.plot(), drawn)
    assert not np.array_equal(made.plot(boxes=True), drawn)
    assert not np.array_equal(made.plot(min_score=0.001), drawn), "those below are thin"


def test_drawing_needs_an_image_and_a_skeleton():
    image = np.zeros((40, 60, 3), np.uint8)
    with pytest.raises(InputError, match="give plot a skeleton="):
        poses(1).plot(image)
    with pytest.raises(InputError, match="give plot the image"):
        poses(1, key=Key("")).plot(skeleton=TWO)
