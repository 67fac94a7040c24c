"""TigDog and the synthetic animals on made-up copies in the layout of the releases."""

import os
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from poise.data.frames import previous_images
from poise.data.mat import read_mats
from poise.data.positions import read_positions
from poise.data.synthetic_animals import VERTICES, SyntheticAnimals, read_parts
from poise.data.tigdog import TIGER_ORDER, TigDogDataset
from poise.errors import AnnotationError, ImageError, InputError, PoiseError, ReadError, UnknownName
from poise.skeletons import ANIMAL18

from .conftest import FAKES, load

fake = load(FAKES / "animals.py")


@pytest.fixture
def tigdog(tmp_path, scipy_io):
    """The folder of a made-up TigDog."""
    return fake.write_tigdog(tmp_path)


def names(dataset):
    return [dataset.key(i).file_name for i in range(len(dataset))]


def test_the_copy_has_the_nesting_of_the_release(tigdog, scipy_io):
    found = scipy_io.loadmat(tigdog / "landmarks" / "horse" / "1.mat")["landmarks"]
    points, seen = fake.landmarks(2)
    np.testing.assert_array_equal(found[1][0][0][0][0], points)
    np.testing.assert_array_equal(found[1][0][0][0][1], seen)


def test_frames_of_labelled_shots_with_more_than_nine_landmarks_are_read(tigdog, capsys):
    dataset = TigDogDataset(tigdog)
    assert names(dataset) == [f"{frame:08d}.jpg" for frame in (1, 2, 4, 7, 20, 21, 22)]
    assert "1 of 4 shots have no landmarks and are not used" in capsys.readouterr().err
    points, seen = fake.landmarks(4)
    labels = dataset.labels(2)
    known = seen[:18, 0] > 0
    np.testing.assert_allclose(labels.xy[0][known].numpy(), points[:18][known], atol=1e-4)
    np.testing.assert_array_equal(labels.visible[0].numpy(), 2 * known)
    np.testing.assert_allclose(
        labels.boxes[0].numpy(), [*points[:18].min(axis=0), *points[:18].max(axis=0)], atol=1e-4
    )  # seen or not
    assert dataset[2].image.shape == (3, *fake.TIG_SIZE)
    assert [dataset.key(i).image_id for i in range(len(dataset))] == [1, 2, 4, 5, 6, 7, 8]
    assert len(TigDogDataset(tigdog.parent)) == 7, "the folder above is taken too"
    assert len(TigDogDataset(tigdog, min_visible=1)) == 8


def test_shots_are_sequences(tigdog):
    dataset = TigDogDataset(tigdog)
    assert [dataset.sequence(i) for i in range(7)] == ["horse 1"] * 3 + ["horse 7"] + ["horse 12"] * 3
    assert previous_images(dataset) == [None, 0, 1, None, None, 4, 5]


def test_nesting_in_cells_is_read_too(tmp_path, scipy_io):
    base = fake.write_tigdog(tmp_path, how="cell")
    dataset = TigDogDataset(base)
    points, seen = fake.landmarks(7)
    known = seen[:18, 0] > 0
    np.testing.assert_allclose(dataset.labels(3).xy[0][known].numpy(), points[:18][known], atol=1e-4)


def test_tigers_have_the_order_of_the_horses(tmp_path, scipy_io):
    base = fake.write_tigdog(tmp_path, animal="tiger")
    points, seen = fake.landmarks(20)
    order = [i - 1 for i in (*range(1, 9), *range(15, 19), 13, 14, *range(9, 13))]
    assert list(TIGER_ORDER) == order
    dataset = TigDogDataset(base, "tiger")
    known = seen[order, 0] > 0
    np.testing.assert_array_equal(dataset.labels(4).visible[0].numpy() > 0, known)
    np.testing.assert_allclose(dataset.labels(4).xy[0][known].numpy(), points[order][known], atol=1e-4)
    assert ANIMAL18.keypoints[8] == "left_front_knee"


def test_shots_are_held_out_whole_and_a_seed_says_which(tmp_path, scipy_io):
    ranges = tuple((shot, shot * 10, shot * 10 + 2) for shot in range(3, 13))
    base = fake.write_tigdog(tmp_path, ranges=ranges)
    train, val = (TigDogDataset(base, part=part) for part in ("train", "val"))
    shots = [{d.sequence(i) for i in range(len(d))} for d in (train, val)]
    assert (len(shots[0]), len(shots[1])) == (8, 2)
    assert shots[0].isdisjoint(shots[1])
    assert len(train) + len(val) == len(TigDogDataset(base))
    again, other = TigDogDataset(base, part="val"), TigDogDataset(base, part="val", seed=1)
    assert names(again) == names(val)
    assert names(other) != names(val)


def test_index_lists_are_positions_in_the_list_that_is_not_filtered(tigdog, tmp_path):
    lists = tmp_path / "lists"
    lists.mkdir()
    np.save(lists / "real_animal__horse__train_idxs_by_video.npy", np.array([0, 1, 3, 4]))
    (lists / "real_animal" / "horse").mkdir(parents=True)
    np.save(lists / "real_animal" / "horse" / "valid_idxs_by_video.npy", np.array([5, 6, 7]))
    train, val = (TigDogDataset(tigdog, part=part, lists=lists) for part in ("train", "val"))
    assert names(train) == [f"{frame:08d}.jpg" for frame in (1, 2, 4, 7)]
    assert names(val) == [f"{frame:08d}.jpg" for frame in (20, 21, 22)]


def test_frames_of_an_index_list_with_few_landmarks_are_counted(tigdog, tmp_path, capsys):
    np.save(tmp_path / "train_idxs_by_video.npy", np.array([0, 2, 3]))
    assert len(TigDogDataset(tigdog, part="train", lists=tmp_path)) == 2
    assert "1 of 3 frames of the index list have too few landmarks" in capsys.readouterr().err
    np.save(tmp_path / "train_idxs_by_video.npy", np.array([0, 8]))
    with pytest.raises(AnnotationError, match="names frame 8, and the labelled shots have 8"):
        TigDogDataset(tigdog, part="train", lists=tmp_path)


def test_a_shot_that_is_cut_short_loses_its_last_frames_and_no_others(tigdog, tmp_path, scipy_io, capsys):
    entries = fake.nested([fake.landmarks(1), None])
    scipy_io.savemat(tigdog / "landmarks" / "horse" / "1.mat", {"landmarks": entries})
    dataset = TigDogDataset(tigdog)
    assert names(dataset) == [f"{frame:08d}.jpg" for frame in (1, 7, 20, 21, 22)]
    assert "such as shot 1 2 for 4; the 2 last frames" in capsys.readouterr().err
    np.save(tmp_path / "valid_idxs_by_video.npy", np.array([4]))
    assert names(TigDogDataset(tigdog, part="val", lists=tmp_path)) == ["00000007.jpg"], "positions stay"


BAD_MATS = {
    "ranges/horse/ranges.mat": [
        ({"other": np.zeros((2, 3))}, "no file of ranges"),
        ({"ranges": np.zeros((2, 4))}, "no file of ranges"),
        ({"ranges": np.array([[1, 1.5, 2], [2, 3, 4]])}, "whole numbers"),
        ({"ranges": np.array([[1, 5, 4], [2, 3, 4]])}, "shot 1 ends at frame 4, before its first 5"),
        ({"ranges": np.array([[1, 1, 4], [1, 3, 4]])}, "lists a shot twice"),
    ],
    "landmarks/horse/1.mat": [
        ({"points": np.zeros((2, 3))}, "has no `landmarks`"),
        ({"landmarks": np.ones((19, 2))}, "has landmarks of 19 frames, and shot 1 has 4"),
        ({"landmarks": np.ones((4, 3))}, "frame 1 has values of 3; expected positions"),
    ],
}


@pytest.mark.parametrize("name", BAD_MATS)
def test_files_of_other_content_are_refused_in_a_sentence_with_their_name(tigdog, scipy_io, name):
    for content, says in BAD_MATS[name]:
        scipy_io.savemat(tigdog / name, content)
        with pytest.raises(AnnotationError, match=re.escape(says)) as error:
            TigDogDataset(tigdog)
        assert str(tigdog / name) in str(error.value)


def test_damaged_and_missing_files_are_named(tigdog):
    file = tigdog / "landmarks" / "horse" / "12.mat"
    good = file.read_bytes()
    file.write_bytes(good[: len(good) // 2])
    with pytest.raises(ReadError, match=r"12\.mat.* is damaged"):
        TigDogDataset(tigdog)
    file.write_bytes(good)
    (tigdog / "horse" / "00000021.jpg").unlink()
    with pytest.raises(ImageError, match=r"1 of 7 labelled frames are not in .* such as '00000021.jpg'"):
        TigDogDataset(tigdog)
    with pytest.raises(ReadError, match="holds no TigDog of 'tiger'"):
        TigDogDataset(tigdog, "tiger")
    with pytest.raises(PoiseError, match="there is no TigDog folder"):
        TigDogDataset(tigdog / "nowhere")
    for shot in (1, 7, 12):
        (tigdog / "landmarks" / "horse" / f"{shot}.mat").unlink()
    with pytest.raises(ReadError, match="landmarks for none of 4 shots"):
        TigDogDataset(tigdog)


def test_parts_and_emptiness_are_told(tigdog):
    with pytest.raises(InputError, match="train, val, all, found 'test'"):
        TigDogDataset(tigdog, part="test")
    with pytest.raises(InputError, match="none of 8 frames of 3 shots is left"):
        TigDogDataset(tigdog, min_visible=19)


def test_several_files_are_read_in_one_process_and_the_damaged_one_is_named(tmp_path):
    pytest.importorskip("scipy")
    base = fake.write_tigdog(tmp_path) / "landmarks" / "horse"
    good = read_mats([base / "1.mat", base / "12.mat"])
    assert [len(one["landmarks"]) for one in good] == [4, 3]


def test_rendered_animals_have_their_vertices_as_keypoints(tmp_path):
    base = fake.write_synthetic(tmp_path)
    dataset = SyntheticAnimals(tmp_path)
    assert len(dataset) == 5
    assert len(SyntheticAnimals(base)) == len(SyntheticAnimals(base / "horse_combineds5r5_texture")) == 5
    rows, labels = fake.vertices("horse", 3), dataset.labels(3)
    own = rows[list(VERTICES["horse"])]
    inside = (own[:, :2] >= 0).all(axis=1)
    assert not inside.all()
    np.testing.assert_allclose(labels.xy[0][inside].numpy(), own[inside, :2], atol=1e-3)
    np.testing.assert_array_equal(labels.visible[0].numpy(), np.where(inside, 1 + own[:, 2], 0))
    expected = [0, rows[:, 1].min(), rows[:, 0].max(), rows[:, 1].max()]
    np.testing.assert_allclose(labels.boxes[0].numpy(), expected, atol=1e-3)
    assert dataset.key(3).image_id == 4
    assert dataset[3].image.shape == (3, 480, 640)


def test_part_masks_say_what_each_pixel_shows(tmp_path):
    fake.write_synthetic(tmp_path, count=1)
    dataset = SyntheticAnimals(tmp_path)
    parts = dataset.parts(0)
    assert parts.unique().tolist() == list(range(10))
    assert int(parts[200, 50]) == 1
    assert torch.equal(dataset.masks(0)[0], parts > 0)
    seg = tmp_path / "synthetic_animal" / "horse_combineds5r5_texture" / "0_seg.png"
    cv2.imwrite(str(seg), np.repeat(parts.numpy().astype(np.uint8)[..., None], 3, axis=2))
    assert torch.equal(read_parts(seg), parts), "grey in three channels"
    cv2.imwrite(str(seg), np.arange(480 * 640).reshape(480, 640).astype(np.uint8) % 11)
    with pytest.raises(ImageError, match="values above 9"):
        dataset.parts(0)
    seg.write_bytes(b"nothing")
    with pytest.raises(ImageError, match="missing or damaged"):
        dataset.parts(0)
    seg.unlink()
    assert dataset.masks(0) is None


def test_a_mask_of_the_animal_alone_has_no_parts_which_stand_in_partseg_files(tmp_path):
    """The release's own layout: `generate_partseg.py` writes numbers beside the masks, and its loss leaves out 255."""
    fake.write_synthetic(tmp_path, count=1)
    dataset = SyntheticAnimals(tmp_path)
    parts = dataset.parts(0).numpy()
    seg = tmp_path / "synthetic_animal" / "horse_combineds5r5_texture" / "0_seg.png"
    cv2.imwrite(str(seg), np.where(parts > 0, 255, 0).astype(np.uint8))
    assert dataset.parts(0) is None
    assert torch.equal(dataset.masks(0)[0], torch.from_numpy(parts > 0))
    parts[0, 0] = 255
    cv2.imwrite(str(seg.with_name("0_partseg.png")), parts)
    assert torch.equal(dataset.parts(0), torch.from_numpy(parts))
    assert not dataset.masks(0)[0, 0, 0]


def test_index_lists_of_the_rendered_animals_are_positions_in_the_sorted_files(tmp_path):
    fake.write_synthetic(tmp_path, count=12)
    np.save(tmp_path / "synthetic_animal__horse_combineds5r5_texture__train_idxs.npy", np.arange(9))
    np.save(tmp_path / "valid_idxs.npy", np.array([11, 2]))
    train, val = (SyntheticAnimals(tmp_path, part=part, lists=tmp_path) for part in ("train", "val"))
    assert names(train)[:4] == ["0_img.png", "10_img.png", "11_img.png", "1_img.png"], "sorted as text"
    assert names(val) == ["9_img.png", "11_img.png"]
    held, rest = SyntheticAnimals(tmp_path, part="val"), SyntheticAnimals(tmp_path, part="train")
    assert (len(held), len(rest)) == (2, 10)
    assert set(names(held)).isdisjoint(names(rest))


def test_what_is_wrong_with_rendered_animals_is_said_in_a_sentence(tmp_path):
    place = fake.write_synthetic(tmp_path, count=2) / "horse_combineds5r5_texture"
    kpts = place / "1_kpts.npy"
    good = kpts.read_bytes()
    kpts.write_bytes(good[:1000])
    with pytest.raises(ReadError, match=r"1_kpts\.npy.* is cut or damaged"):
        SyntheticAnimals(tmp_path)
    np.save(kpts, fake.vertices("horse", 0)[:1000])
    with pytest.raises(AnnotationError, match=r"1_kpts\.npy' has an array of 1000 x 3; expected .* 1719 vertices or more"):
        SyntheticAnimals(tmp_path)
    np.save(kpts, np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(ReadError, match="cut or damaged"):
        SyntheticAnimals(tmp_path)
    kpts.unlink()
    with pytest.raises(ReadError, match=r"there is no file of vertices .*1_kpts\.npy"):
        SyntheticAnimals(tmp_path)
    np.save(tmp_path / "train_idxs.npy", np.array([0, 2]))
    with pytest.raises(AnnotationError, match="names image 2, and the folder has 2"):
        SyntheticAnimals(tmp_path, part="train", lists=tmp_path)
    with pytest.raises(UnknownName, match="no synthetic animal 'hors'"):
        SyntheticAnimals(tmp_path, "hors")
    with pytest.raises(ReadError, match="there is no folder"):
        SyntheticAnimals(tmp_path / "nowhere", "tiger")


def test_index_lists_that_are_none_are_refused(tmp_path):
    for values, says in (
        (np.array([-1, 2]), "whole numbers of 0 and more"),
        (np.array([0.5]), "whole numbers"),
        (np.array([1, 1]), "names a position twice"),
    ):
        np.save(tmp_path / "train_idxs.npy", values)
        with pytest.raises(AnnotationError, match=says):
            read_positions(tmp_path, ("train_idxs.npy",))
    (tmp_path / "train_idxs.npy").write_bytes(b"\x93NUMPY\x01")
    with pytest.raises(ReadError, match="cut or damaged"):
        read_positions(tmp_path, ("train_idxs.npy",))
    with pytest.raises(ReadError, match="there is no index list"):
        read_positions(tmp_path, ("valid_idxs.npy",))


def test_the_index_lists_of_the_release_are_read():
    root = os.environ.get("POISE_DATA")
    if root is None or not (Path(root) / "animal-splits").is_dir():
        pytest.skip("$POISE_DATA/animal-splits is not here")
    place = Path(root) / "animal-splits"
    for animal, counts in (("horse", (8380, 1772)), ("tiger", (6523, 1765))):
        for part, count in zip(("train", "valid"), counts, strict=True):
            assert len(read_positions(place, (f"real_animal__{animal}__{part}_idxs_by_video.npy",))) == count
    for animal in VERTICES:
        folder = f"synthetic_animal__{animal}_combineds5r5_texture"
        train, val = (read_positions(place, (f"{folder}__{part}_idxs.npy",)) for part in ("train", "valid"))
        assert sorted([*train, *val]) == list(range(10000))
