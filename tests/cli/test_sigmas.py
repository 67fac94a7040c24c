import json

import numpy as np
import pytest

from poise.cli.main import main
from poise.data.coco import CocoDataset


@pytest.fixture
def files(tmp_path):
    """Forty fish, labelled by two people with sigma 0.05 at the head and 0.1 at the tail."""
    truth = np.random.default_rng(0).uniform(20, 180, (40, 2, 2))
    for seed, name in ((1, "first"), (2, "second")):
        spread = np.array([0.05, 0.1])[:, None] * 100 / 2**0.5
        xy = truth + np.random.default_rng(seed).normal(size=truth.shape) * spread
        people = [
            {
                "id": i,
                "image_id": i,
                "category_id": 1,
                "bbox": [0, 0, 200, 200],
                "area": 10000,
                "keypoints": np.c_[xy[i], [2, 2]].ravel().tolist(),
            }
            for i in range(40)
        ]
        images = [{"id": i, "file_name": f"{i}.jpg"} for i in range(40)]
        category = {"id": 1, "name": "fish", "keypoints": ["head", "tail"]}
        document = {"images": images, "annotations": people, "categories": [category]}
        (tmp_path / f"{name}.json").write_text(json.dumps(document))
    return tmp_path / "first.json", tmp_path / "second.json"


def test_sigmas_are_printed_and_written_into_a_copy(files, tmp_path, capsys):
    out = tmp_path / "with-sigmas.json"
    assert main(["data", "sigmas", *map(str, files), "--resamples", "200", "--out", str(out)]) == 0
    assert "head" in capsys.readouterr().out
    skeleton = CocoDataset(out, None).skeleton
    assert skeleton.sigmas == pytest.approx((0.05, 0.1), rel=0.3)
    assert skeleton.sigma_source == "given in the annotation file"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["{first}"], "two or more files"),
        (["{first}", "{second}", "--by", "name"], '--by is "overlap" or "id"'),
        (["{first}", "{second}", "--out", "{first}"], "would overwrite"),
        (["{first}", "nowhere.json"], "no annotation file"),
        (["{first}", "{first}"], "the very same positions"),
    ],
)
def test_mistakes_are_told_in_one_sentence(words, says, files, capsys):
    given = [word.format(first=files[0], second=files[1]) for word in words]
    assert main(["data", "sigmas", *given]) == 1
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1
