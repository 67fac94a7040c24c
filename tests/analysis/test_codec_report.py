import json

import numpy as np
import pytest
import torch

from poise.analysis.codec_report import codec_report, evenly_spaced
from poise.codecs.registry import codec_types
from poise.errors import AnnotationError, UnknownName
from poise.evaluation.eval_set import EvalSet
from poise.evaluation.self_test import self_test
from poise.models.card import Card
from poise.models.top_down import TopDown
from poise.skeletons import COCO17
from poise.structures import Architecture, Preprocess
from poise.zoo.assemble import named_codec


@pytest.fixture(scope="module")
def eval_set(tmp_path_factory):
    """Forty people; no images."""
    rng = np.random.default_rng(0)
    images, people = [], []
    for i in range(1, 41):
        images.append({"id": i, "file_name": f"{i}.jpg", "width": 640, "height": 480})
        size = rng.uniform(60, 200)
        low = rng.uniform(0, 240, 2)
        xy = low + rng.uniform(0, 1, (17, 2)) * (size, 1.3 * size)
        keypoints = np.c_[xy, rng.integers(0, 3, 17)].ravel().tolist()
        box = [*low.tolist(), size, 1.3 * size]
        people.append({"id": i, "image_id": i, "category_id": 1, "bbox": box, "area": 0.6 * size**2, "keypoints": keypoints})
    category = {"id": 1, "name": "person", "keypoints": list(COCO17.keypoints)}
    path = tmp_path_factory.mktemp("labels") / "labels.json"
    path.write_text(json.dumps({"images": images, "annotations": people, "categories": [category]}))
    return EvalSet.of_file(path, None, skeleton=COCO17)


@pytest.fixture(scope="module")
def rows(eval_set):
    return {(row.codec, row.reading): row for row in codec_report(eval_set, (256, 192))}


def test_every_codec_has_a_row_and_the_crop_rule_of_its_release(rows):
    assert {name for name, reading in rows if reading == "own"} == set(codec_types())
    assert all(row.crop == named_codec(row.codec, (256, 192), (64, 48), keypoints=1).crop_rule for row in rows.values())


def test_codecs_are_also_read_in_the_ways_they_name(rows):
    also = {(name, reading) for name, reading in rows if reading != "own"}
    assert also == {("Gaussian", "dark"), ("Gaussian", "fit5"), ("Dark", "quarter"), ("Dark", "fit5")}


def test_rounding_costs_a_pixel_and_a_half_with_every_decoder(rows):
    for reading in ("own", "dark", "fit5"):
        assert 1.4 < rows["Gaussian", reading].mean < 1.65
    assert rows["Gaussian", "own"].p95 < 2 * 2**0.5 + 1e-3


def test_exact_gaussians_decoded_by_dark_have_no_error(rows):
    assert rows["Dark", "own"].mean < 0.01
    assert rows["UDPGaussian", "own"].mean < 0.01
    assert rows["Dark", "own"].flip < 0.02
    assert rows["Gaussian", "own"].flip > rows["Gaussian", "own"].mean
    assert rows["Dark", "own"].ap > 0.999


def test_the_upper_bound_is_that_of_the_self_test(eval_set, rows):
    codec = named_codec("Gaussian", (256, 192), (64, 48), keypoints=17)
    model = TopDown(torch.nn.Identity(), codec, Preprocess(crop="hrnet"), COCO17, Card("none", Architecture("none:none")))
    test = self_test(model, eval_set)
    assert rows["Gaussian", "own"].mean == pytest.approx(float(test.errors.mean()), abs=1e-5)
    assert rows["Gaussian", "own"].ap == pytest.approx(test.evaluation.coco.numbers["AP"], abs=1e-9)


def test_what_lies_outside_of_the_view_is_lost_to_maps_and_not_to_numbers(eval_set):
    narrow = {row.codec: row for row in codec_report(eval_set, (256, 192), codecs=["Dark", "Regression"], padding=0.6)}
    assert narrow["Dark"].outside > 0.1
    assert narrow["Dark"].lost > 0.05
    assert narrow["Regression"].lost < narrow["Dark"].lost
    assert narrow["Dark"].ap < 0.9 < narrow["Regression"].ap


def test_some_images_and_other_readings_can_be_asked_for(eval_set):
    found = codec_report(
        eval_set, (128, 96), codecs=["Gaussian", "Regression"], readings=["quarter"], images=evenly_spaced(40, 10)
    )
    assert [(row.codec, row.reading) for row in found] == [("Gaussian", "own"), ("Gaussian", "quarter"), ("Regression", "own")]
    assert all(row.ap > 0.5 for row in found)


def test_mistakes_are_explained(eval_set, tmp_path):
    with pytest.raises(UnknownName, match="no codec 'Gausian'"):
        codec_report(eval_set, (256, 192), codecs=["Gausian"])
    with pytest.raises(UnknownName, match="no reading"):
        codec_report(eval_set, (256, 192), codecs=["Gaussian"], readings=["darc"])
    (tmp_path / "empty.json").write_text(
        json.dumps(
            {"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": [], "categories": list(eval_set.truth["categories"])}
        )
    )
    with pytest.raises(AnnotationError, match="have no person with a box"):
        codec_report(EvalSet.of_file(tmp_path / "empty.json", None, skeleton=COCO17), (256, 192))
