"""PCK by thresholds and units that a user names, on pictures whose keypoints a model sees (`conftest.dots`)."""

import json

import cv2
import numpy as np
import pytest
import torch

from poise.cli.main import main
from poise.codecs.udp_offset import UDPOffset
from poise.errors import InputError
from poise.evaluation.eval_set import EvalSet
from poise.evaluation.measures import check_measures, map_errors, map_pck, measure_pck
from poise.metrics.accuracy import released_accuracy
from poise.metrics.measure_names import PCKMeasure
from poise.weights.model_file import save
from poise.zoo import build


@pytest.fixture
def eval_set(dots, tmp_path):
    """Four pictures of two people each; in picture i of the second half people's red dots are labelled 60 pixels aside."""
    people = []
    for i in range(1, 5):
        cv2.imwrite(str(tmp_path / f"{i}.png"), dots.picture(dots.people)[..., ::-1])
        for row in (0, 1):
            xy = dots.people[row] + (np.array([[40.0, 0.0], [0, 0], [0, 0]]) if i > 2 else 0)
            x0, y0, x1, y1 = dots.boxes[row]
            people.append(
                {
                    "id": 2 * i + row, "image_id": i, "category_id": 1, "bbox": [x0, y0, x1 - x0, y1 - y0], "area": 9000,
                    "iscrowd": 0, "num_keypoints": 3, "keypoints": np.c_[xy, [2, 2, 2 * (i < 4)]].reshape(-1).tolist(),
                }
            )  # fmt: skip
    images = [{"id": i, "file_name": f"{i}.png", "width": 320, "height": 240} for i in range(1, 5)]
    category = {"id": 1, "name": "dots", "keypoints": ["red", "green", "blue"]}
    (tmp_path / "labels.json").write_text(json.dumps({"images": images, "annotations": people, "categories": [category]}))
    return EvalSet.of_file(tmp_path / "labels.json", tmp_path, skeleton=dots.skeleton)


def test_maps_are_compared_over_people_and_over_batches(dots, eval_set):
    model = dots.model()
    measure = PCKMeasure(0.05, "map")
    [found] = measure_pck([measure], eval_set, [], model=model)
    assert found.counts.labelled.tolist() == [8, 8, 6]
    assert found.counts.hits.tolist() == [4, 8, 6]
    assert found.counts.mean == 18 / 22
    # batches of 6 people: red is right in 4 of 6, the others always; then 0 of 2, green 2 of 2, blue is not labelled
    assert found.published == pytest.approx((6 * (4 / 6 + 1 + 1) / 3 + 2 * (0 + 1) / 2) / 8)
    one = map_pck([measure], model, eval_set.dataset, batch=8)[measure]
    assert one.published == pytest.approx((0.5 + 1 + 1) / 3)
    assert one.counts.hits.tolist() == found.counts.hits.tolist()


def test_batches_are_what_the_release_prints(dots, eval_set):
    model = dots.model()
    errors = map_errors(model, eval_set.dataset, batch=8)
    views = model.val_views(eval_set.dataset, seed=0)
    batch = views.collate([views[0, i] for i in range(8)]).batch
    target = model.codec.encode(batch.xy) * (batch.visible > 0)[..., None, None]
    printed = released_accuracy(model.outputs(batch.images)[-1], target, first=1)
    assert torch.equal(errors.batches[0], printed.distances)
    assert errors.pck(PCKMeasure(0.05, "map")).published == pytest.approx(printed.mean)


def test_the_size_of_the_image_is_a_unit(eval_set, dots):
    truth = [eval_set.dataset.labels(i).xy for i in range(4)]
    shifted = [xy + torch.tensor([31.0, 0.0]) for xy in truth]
    wide, narrow = measure_pck([PCKMeasure(0.1, "image"), PCKMeasure(0.09, "image")], eval_set, shifted)
    assert (wide.counts.mean, narrow.counts.mean) == (1.0, 0.0)
    assert wide.numbers == {"pck@0.1:image": 1.0}


def test_units_that_cannot_be_measured_are_told_before_anything_slow(eval_set, dots):
    with pytest.raises(InputError, match="needs head boxes"):
        check_measures([PCKMeasure(0.5, "head")], eval_set, dots.model())
    with pytest.raises(InputError, match="has no left_shoulder, right_hip"):
        check_measures([PCKMeasure(0.2, "torso")], eval_set, dots.model())
    scenes = build("poise_scene_t_coco_128x128")
    with pytest.raises(InputError, match="heatmaps of one person each"):
        check_measures([PCKMeasure(0.05, "map")], eval_set, scenes)
    offsets = dots.model()
    offsets.codec = UDPOffset((64, 48), (16, 12), 3)
    with pytest.raises(InputError, match="one heatmap for each keypoint, and UDPOffset"):
        check_measures([PCKMeasure(0.05, "map")], eval_set, offsets)


def test_a_broken_picture_is_left_out_of_the_maps(dots, eval_set, tmp_path):
    (tmp_path / "1.png").write_bytes(b"broken")
    assert len(map_errors(dots.model(), eval_set.dataset).distances) == 6


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A model of COCO's keypoints, two people of noise."""
    folder = tmp_path_factory.mktemp("files")
    rng = np.random.default_rng(0)
    model = save(build("poise_t_coco_64x64"), folder / "m.safetensors")
    people = []
    for i in (1, 2):
        cv2.imwrite(str(folder / f"{i}.png"), rng.integers(0, 255, (100, 100, 3), np.uint8))
        keypoints = np.c_[rng.uniform(20, 80, (17, 2)), np.full(17, 2)].reshape(-1).tolist()
        people.append(
            {"id": i, "image_id": i, "category_id": 1, "bbox": [10, 10, 80, 80], "area": 4000, "keypoints": keypoints}
        )
    images = [{"id": i, "file_name": f"{i}.png", "width": 100, "height": 100} for i in (1, 2)]
    category = {"id": 1, "name": "person", "keypoints": list(build("poise_t_coco_64x64").skeleton.keypoints)}
    (folder / "l.json").write_text(json.dumps({"images": images, "annotations": people, "categories": [category]}))
    return [str(model), "--annotations", str(folder / "l.json"), "--images", str(folder), "--no-flip"], folder


def test_the_flag_prints_every_keypoint_and_writes_the_numbers(files, tmp_path, capsys):
    words, _ = files
    out = tmp_path / "r.json"
    assert main(["evaluate", *words, "--pck", "0.2:torso,0.05:map,0.5:image", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    for part in ("pck@0.2:torso", "pck@0.05:map", "batches of 6"):
        assert part in said
    scores = json.loads((tmp_path / "r.scores.json").read_text())["scores"]
    assert {"pck@0.2:torso", "pck@0.05:map", "pck@0.05:map as published", "pck@0.5:image"} <= set(scores)
    assert scores["pck@0.5:image"] > scores["pck@0.05:map"]


def test_the_report_has_the_measures(files, tmp_path):
    words, _ = files
    assert main(["evaluate", *words, "--pck", "0.05:map", "--report", str(tmp_path / "r.html")]) == 0
    assert (tmp_path / "r.html").read_text(encoding="utf-8").count("pck@0.05:map") >= 2


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--pck", "0.2:torsoo"), "no unit of PCK 'torsoo'"),
        (("--pck", "half"), "a PCK is THRESHOLD:UNIT, such as 0.2:torso"),
        (("--pck", "0.5:head"), "needs head boxes"),
        (("--pck", "0.05:map", "--self-test"), "--self-test runs no network"),
    ],
)
def test_mistakes_are_told_in_one_sentence(files, words, says, capsys):
    base, _ = files
    assert main(["evaluate", *base[: 3 if "--self-test" in words else 6], *words]) == 1
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1


def test_the_self_test_measures_what_the_codec_costs(files, capsys):
    base, _ = files
    assert main(["evaluate", *base[:3], "--self-test", "--pck", "0.05:torso"]) == 0
    assert "pck@0.05:torso" in capsys.readouterr().out
