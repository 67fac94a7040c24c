"""Masks of Mask R-CNN by the commands: predicted, drawn, scored, written as run lengths."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

import poise
from poise.cli.main import main
from poise.data.masks import mask, run_lengths
from poise.models.rcnn_masks import pasted
from poise.skeletons import COCO17
from poise.structures import Poses
from poise.weights.model_file import load, save
from poise.zoo import faster_rcnn, keypoint_rcnn

pytestmark = pytest.mark.usefixtures("weights_as_ever")

SIZES = ((100, 120), (80, 60))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two images, labels without masks, a detector with masks alone, and one with keypoints and masks; both find everything."""
    place = tmp_path_factory.mktemp("place")
    (place / "images").mkdir()
    rng = np.random.default_rng(0)
    people = []
    for i, size in enumerate(SIZES, start=1):
        cv2.imwrite(str(place / "images" / f"{i}.png"), rng.integers(0, 255, (*size, 3), np.uint8))
        keypoints = np.c_[rng.uniform(12, 48, (17, 2)), np.full(17, 2)].reshape(-1).tolist()
        person = {"id": i, "image_id": i, "category_id": 1, "bbox": [10, 10, 40, 50], "area": 2000, "keypoints": keypoints}
        people.append(person | {"iscrowd": 0, "num_keypoints": 17})
    images = [{"id": i, "file_name": f"{i}.png", "height": h, "width": w} for i, (h, w) in enumerate(SIZES, start=1)]
    category = {"id": 1, "name": "person", "keypoints": list(COCO17.keypoints)}
    (place / "labels.json").write_text(json.dumps({"images": images, "annotations": people, "categories": [category]}))
    small = {"convolutions": 1, "width": 16, "box_width": 16}
    for builder, others, file in (
        (faster_rcnn, {"name": "mask_rcnn_r18_fpn_2cls"}, "masks"),
        (keypoint_rcnn, {"name": "keypoint_mask_rcnn_r18_fpn_2cls"} | small, "both"),
    ):
        torch.manual_seed(0)
        made = builder("resnet18", classes=2, masks=True, **others)
        made.preprocess = replace(made.preprocess, side=64, most=128)
        made.config = replace(made.config, score=0.0, per_image=3, nms=0.3)
        made.network.mask.head.reader.logits.weight.data *= 1e-3  # so that a part of a pixel of a box changes no mask
        made.network.mask.head.reader.logits.bias.data += 0.01
        save(made, place / f"{file}.safetensors")
    return place


@pytest.fixture
def run(folder, tmp_path, monkeypatch, capsys):
    """Runs a command where nothing else is; answers its exit code and what it says."""
    monkeypatch.chdir(tmp_path)
    places = {"IMAGES": folder / "images", "LABELS": folder / "labels.json"}
    places |= {"MASKS": folder / "masks.safetensors", "BOTH": folder / "both.safetensors"}

    def words(text: str) -> tuple[int, str]:
        code = main([str(places.get(word, word)) for word in text.split()])
        said = capsys.readouterr()
        return code, said.out + said.err

    return words


def outlined(folder, rows, place):
    """The labels with people whose masks are those of these rows."""
    truth = json.loads((folder / "labels.json").read_text())
    people = []
    for i, row in enumerate(rows, start=1):
        size = SIZES[row["image_id"] - 1]
        area = float(mask(row["segmentation"], size).sum())
        whole = truth["annotations"][row["image_id"] - 1]
        people.append(whole | {"id": i, "bbox": row["bbox"], "area": area, "segmentation": row["segmentation"]})
    place.write_text(json.dumps(truth | {"annotations": people}))


def test_a_detectors_masks_are_written_drawn_and_scored(run, folder, tmp_path):
    code, said = run("detect LABELS --images IMAGES --detector MASKS --precision fp32 --out found.json --pictures drawn")
    assert code == 0, said
    found = json.loads((tmp_path / "found.json").read_text())
    assert len(found) == 6
    assert {tuple(row["segmentation"]["size"]) for row in found} == set(SIZES)
    inside = [row for row in found if mask(row["segmentation"], SIZES[row["image_id"] - 1]).any()]
    assert inside
    for row in inside:  # a mask stays within its box and a pixel around it
        rows, columns = np.nonzero(mask(row["segmentation"], SIZES[row["image_id"] - 1]))
        x, y, width, height = row["bbox"]
        assert columns.min() >= x - 2
        assert columns.max() <= x + width + 2
        assert rows.min() >= y - 2
        assert rows.max() <= y + height + 2
    for i, size in enumerate(SIZES, start=1):
        picture = cv2.imread(str(tmp_path / "drawn" / f"{i}.png.jpg"))
        assert picture.shape == (*size, 3)
    outlined(folder, found, tmp_path / "own.json")
    code, said = run("evaluate MASKS --annotations own.json --images IMAGES --precision fp32 --out r.json")
    assert code == 0, said
    assert "| Masks | mask AP |" in said
    scores = json.loads((tmp_path / "r.scores.json").read_text())["scores"]
    assert scores["mask AP"] == pytest.approx(1.0)
    assert scores["box AP"] == pytest.approx(1.0)
    assert len(json.loads((tmp_path / "r.masks.json").read_text())) == 6


def test_masks_of_people_with_keypoints_are_written_drawn_and_scored(run, folder, tmp_path):
    words = "predict IMAGES --model BOTH --min-box-score 0 --precision fp32 --out made"
    code, said = run(words)
    assert code == 0, said
    found = json.loads((tmp_path / "made" / "predictions.json").read_text())
    assert len(found) == 6
    assert all("segmentation" in row and len(row["keypoints"]) == 51 for row in found)
    code, said = run(words.replace("made", "lines") + " --format jsonl")
    assert code == 0, said
    lines = [json.loads(line) for line in (tmp_path / "lines" / "predictions.jsonl").read_text().splitlines()]
    assert [person["segmentation"] for line in lines for person in line["people"]] == [row["segmentation"] for row in found]
    outlined(folder, found, tmp_path / "own.json")
    code, said = run("evaluate BOTH --annotations own.json --images IMAGES --precision fp32 --report r.html --out r.json")
    assert code == 0, said
    assert "| Masks | mask AP |" in said
    assert json.loads((tmp_path / "r.scores.json").read_text())["scores"]["mask AP"] == pytest.approx(1.0)
    assert "mask AP" in (tmp_path / "r.html").read_text(encoding="utf-8")
    assert len(json.loads((tmp_path / "r.masks.json").read_text())) == 6


def test_where_no_mask_is_labelled_it_is_said_and_the_rest_is_scored(run):
    code, said = run("evaluate BOTH --annotations LABELS --images IMAGES --no-flip")
    assert code == 0, said
    assert "masks are predicted and not scored: no annotation has one" in said
    assert "mask AP" not in said


def test_poses_keep_their_masks_and_show_them(folder):
    model = load(folder / "both.safetensors")
    image = np.full((100, 120, 3), 128, np.uint8)
    poses = poise.predict(model, image)
    assert poses.masks.shape == (len(poses), 28, 28)
    assert len(poses[[0]].masks) == 1
    assert Poses.merge([poses, poses]).masks.shape[0] == 2 * len(poses)
    assert Poses.merge([poses, replace(poses, masks=None)]).masks is None
    covered = next(pasted(torch.ones(1, 28, 28), torch.tensor([[20.0, 30, 60, 80]]), (100, 120)))
    assert covered[35:75, 25:55].all()
    assert not covered[:28].any()
    assert not covered[:, 65:].any()
    only = replace(poses[[0]], masks=torch.ones(1, 28, 28), boxes=torch.tensor([[20.0, 30, 60, 80]]), score=torch.zeros(1, 17))
    bare = replace(only, masks=None)
    differ = (np.asarray(only.plot(image)) != np.asarray(bare.plot(image))).any(axis=-1)
    assert differ[40:70, 30:50].mean() > 0.5
    assert not differ[:, 70:].any()


@torch.no_grad()
def test_with_the_flip_test_mirrored_views_have_the_mirrored_masks(folder):
    model = load(folder / "masks.safetensors").eval()
    images = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    views = [(model.views(torch.zeros(3, 64, 96, dtype=torch.uint8)), 0)]
    [one], [other] = (model.boxes(shown, views, flip=True, masks=True) for shown in (images, images.flip(-1)))
    order, same = one.boxes[:, 0].argsort(), other.boxes[:, 2].argsort(descending=True)
    assert len(one.masks) == len(one.boxes) > 0
    assert torch.allclose(one.masks[order], other.masks[same].flip(-1), atol=1e-3)


def test_a_mask_beyond_the_image_covers_nothing():
    gone = list(pasted(torch.ones(2, 28, 28), torch.tensor([[-30.0, -30, -10, -10], [200, 10, 240, 50]]), (100, 120)))
    assert not any(one.any() for one in gone)
    assert mask(run_lengths(gone[0]), (100, 120)).sum() == 0
