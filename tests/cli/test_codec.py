import json

import numpy as np
import pytest

from poise.cli.main import main
from poise.skeletons import COCO17


@pytest.fixture
def labels(tmp_path):
    rng = np.random.default_rng(0)
    people = []
    for i in range(1, 4):
        keypoints = np.c_[rng.uniform(30, 170, (17, 2)), np.full(17, 2)].reshape(-1).tolist()
        people.append(
            {"id": i, "image_id": i, "category_id": 1, "bbox": [20, 20, 160, 160], "area": 12000, "keypoints": keypoints}
        )
    images = [{"id": i, "file_name": f"{i}.jpg"} for i in range(1, 4)]
    category = {"id": 1, "name": "person", "keypoints": list(COCO17.keypoints)}
    path = tmp_path / "labels.json"
    path.write_text(json.dumps({"images": images, "annotations": people, "categories": [category]}))
    return path


def test_codecs_and_their_readings_are_rows_and_no_image_is_read(labels, capsys):
    words = ["codec", "--annotations", str(labels), "--codec", "Gaussian", "Dark", "--reading", "dark", "--count", "2"]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "Gaussian, dark" in said
    assert "2 of 3 images" in said
    assert all(len(line) <= 80 for line in said.splitlines() if "│" in line)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--size", "256"], "--size is height x width"),
        (["--size", "255x192"], "multiples of 4"),
        (["--codec", "Drak"], "no codec 'Drak'; did you mean 'Dark'?"),
        (["--codec", "OffsetGuided"], "OffsetGuided is a codec for whole images"),
        (["--codec", "RoIAdapter"], "RoIAdapter is a codec for boxes of a detector"),
        (["--count", "0"], "--count is a whole number, 1"),
    ],
)
def test_mistakes_are_told_in_one_sentence(words, says, labels, capsys):
    assert main(["codec", "--annotations", str(labels), *words]) == 1
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1
