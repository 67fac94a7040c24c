"""`poise data fetch`: where sets live, what of one is there, and its labels as a COCO-style file."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from poise.cli.main import main
from poise.data.coco import CocoDataset
from poise.data.frame_files import open_frames
from poise.data.published_sets import SETS
from poise.data.tigdog import TigDogDataset

FAKE = Path(__file__).parents[1] / "data" / "fakes" / "animals.py"


@pytest.fixture(scope="module")
def fake():
    spec = importlib.util.spec_from_file_location("fake_animals", FAKE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def fetch(capsys, *words):
    code = main(["data", "fetch", *map(str, words)])
    return code, " ".join("".join(capsys.readouterr()).split())


def test_sets_are_listed_and_each_says_where_it_lives_and_how_it_is_used(capsys):
    code, text = fetch(capsys)
    assert code == 0
    assert all(name in text for name in SETS)
    for name, one in SETS.items():
        code, text = fetch(capsys, name)
        assert code == 0
        assert one.page in text
        assert f"terms: {one.terms}" in text
        assert f"poise data fetch {name} --folder FOLDER" in text
    assert SETS["ap10k"].terms.startswith("CC BY 4.0")
    code, text = fetch(capsys, "tigdogs")
    assert code == 1
    assert "no data set 'tigdogs'; did you mean 'tigdog'" in text


def test_a_folder_is_looked_at_and_what_lacks_is_named(fake, tmp_path, capsys):
    pytest.importorskip("scipy")
    fake.write_tigdog(tmp_path)
    code, text = fetch(capsys, "tigdog", "--folder", tmp_path)
    assert code == 1, "the tigers are missing"
    assert "found ranges/horse/ranges.mat found landmarks/horse: 3 shots found horse: 10 frames missing ranges/tiger" in text
    fake.write_tigdog(tmp_path / "both", animal="horse")
    fake.write_synthetic(tmp_path, count=2)
    code, text = fetch(capsys, "synthetic_animals", "--folder", tmp_path)
    assert code == 1
    assert "found horse_combineds5r5_texture: 2 *_img.png, 2 *_kpts.npy, 2 *_seg.png" in text
    assert "missing tiger_combineds5r5_texture: 0" in text
    code, text = fetch(capsys, "ap10k", "--folder", tmp_path / "nowhere")
    assert code == 1
    assert "there is no folder of ap10k" in text


def test_a_set_that_is_whole_is_said_to_be(tmp_path, capsys):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.jpg").touch()
    (tmp_path / "keypoints.json").write_text("{}")
    code, text = fetch(capsys, "animalpose", "--folder", tmp_path)
    assert (code, text) == (0, "found keypoints.json found images: 1 files")


def test_a_set_becomes_a_coco_file_that_every_command_takes(fake, tmp_path, capsys):
    pytest.importorskip("scipy")
    base = fake.write_tigdog(tmp_path)
    out = tmp_path / "horse.json"
    with fake.scipy_here():
        code, text = fetch(capsys, "tigdog", "--folder", tmp_path, "--write", out)
        real = TigDogDataset(base)
    assert code == 0
    assert f"--images: {base / 'horse'}" in text
    read = CocoDataset(out, base / "horse")
    assert read.skeleton.keypoints == real.skeleton.keypoints
    assert torch.equal(read.skeleton.flip, real.skeleton.flip)
    for i in range(len(real)):
        ours, theirs = real.labels(i), read.labels(i)
        torch.testing.assert_close(ours.xy, theirs.xy, atol=1e-3, rtol=0)
        assert torch.equal(ours.visible, theirs.visible)
        torch.testing.assert_close(ours.boxes, theirs.boxes, atol=2e-3, rtol=0)
        assert (read.key(i).file_name, read.key(i).image_id) == (real.key(i).file_name, real.key(i).image_id)
    frames = open_frames(out, base / "horse", skeleton=real.skeleton)
    assert [(frames.sequence(i), frames.key(i).frame) for i in range(7)] == [
        (real.sequence(i), real.key(i).frame) for i in range(7)
    ]


def test_what_cannot_be_written_is_refused(fake, tmp_path, capsys):
    code, text = fetch(capsys, "ap10k", "--folder", tmp_path, "--write", tmp_path / "a.json")
    assert code == 1
    assert "ap10k is in COCO's form already" in text
    code, text = fetch(capsys, "tigdog", "--write", tmp_path / "a.json")
    assert code == 1
    assert "give --folder" in text
    data = fake.write_synthetic(tmp_path, count=2)
    (tmp_path / "a.json").write_text("[]")
    code, text = fetch(capsys, "synthetic_animals", "--folder", data, "--write", tmp_path / "a.json")
    assert code == 1
    assert (tmp_path / "a.json").read_text() == "[]"


def quadrupeds(rng, count):
    """Species with 20 keypoints each, as Animal-Pose lists them: boxes are corners, keypoints rows, images an object."""
    names = ["left_eye", "right_eye", "nose", *(f"point_{i}" for i in range(17))]
    images = {str(i): f"{i}.jpg" for i in range(1, count + 1)}
    annotations = []
    for i in range(1, count + 1):
        x0, y0 = rng.integers(30, 40, 2).tolist()
        points = [[int(x), int(y), 1] for x, y in rng.integers((x0, y0), (x0 + 40, y0 + 30), (20, 2))]
        points[-1] = [0, 0, 0]
        annotations.append(
            {
                "image_id": i,
                "bbox": [x0, y0, x0 + 45, y0 + 35],
                "keypoints": points,
                "num_keypoints": 20,
                "category_id": 1 + i % 2,
            }
        )
    kinds = [
        {"supercategory": "animal", "id": i, "name": name, "keypoints": names, "skeleton": [[0, 1], [0, 2]]}
        for i, name in ((1, "dog"), (2, "cat"))
    ]
    return {"images": images, "annotations": annotations, "categories": kinds}


def test_animal_pose_is_read_after_its_corners_are_turned(fake, tmp_path, capsys):
    document = quadrupeds(np.random.default_rng(0), 6)
    (tmp_path / "keypoints.json").write_text(json.dumps(document))
    for name in document["images"].values():
        fake.picture(tmp_path / "images" / name, (80, 90), 0)
    words = ["data", "check", tmp_path / "keypoints.json", "--images", tmp_path / "images", "--fix", tmp_path / "fixed.json"]
    main(list(map(str, words)))
    capsys.readouterr()
    dataset = CocoDataset(tmp_path / "fixed.json", tmp_path / "images")
    assert len(dataset.people()) == 6
    for i, annotation in enumerate(document["annotations"]):
        assert dataset.labels(i).boxes[0].tolist() == annotation["bbox"]
        assert dataset.labels(i).visible[0].tolist() == [1] * 19 + [0]


def test_ap10k_is_read_as_it_is(fake, tmp_path):
    names = ["L_Eye", "R_Eye", "Nose", *(f"p{i}" for i in range(14))]
    kinds = [{"id": i, "name": f"s{i}", "supercategory": "f", "keypoints": names, "skeleton": [[1, 2]]} for i in range(1, 55)]
    points = [v for i in range(17) for v in (10 + i, 20 + i, 2)]
    people = [
        {"id": i, "image_id": i, "category_id": 10 * i, "bbox": [5, 5, 40, 40], "area": 1600, "iscrowd": 0, "keypoints": points}
        for i in (1, 2)
    ]
    images = [{"license": 1, "id": i, "file_name": f"{i:012d}.jpg", "width": 64, "height": 64, "background": 4} for i in (1, 2)]
    (tmp_path / "a.json").write_text(
        json.dumps({"info": {}, "licenses": [], "images": images, "annotations": people, "categories": kinds})
    )
    for image in images:
        fake.picture(tmp_path / "data" / image["file_name"], (64, 64), 0)
    dataset = CocoDataset(tmp_path / "a.json", tmp_path / "data")
    assert len(dataset.skeleton) == 17
    assert dataset.labels(1).categories.tolist() == [20]
    frames = open_frames(tmp_path / "a.json", tmp_path / "data", skeleton=dataset.skeleton, categories=["s10"])
    assert len(frames) == 1
