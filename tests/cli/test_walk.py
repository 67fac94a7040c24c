import importlib.util
import json
from pathlib import Path

import pytest

from poise.cli.main import main
from poise.weights.model_file import save
from poise.zoo import build

spec = importlib.util.spec_from_file_location("fake_coco", Path(__file__).parents[1] / "data" / "fakes" / "coco.py")
fake = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fake)


@pytest.fixture
def coco(tmp_path):
    return fake.write(tmp_path / "coco")


def walk(coco, *words) -> int:
    return main(["data", "walk", "--annotations", str(coco[0]), "--images", str(coco[1]), *map(str, words)])


def test_a_codec_is_walked_on_one_page_that_fetches_nothing(coco, tmp_path, capsys):
    out = tmp_path / "page.html"
    assert walk(coco, "--codec", "Gaussian", "--size", "64x48", "--out", out) == 0
    page = out.read_text()
    assert "1 x 17 x 16 x 12" in page
    assert page.count("data:image") > 20
    assert "http" not in page.replace("http-equiv", "")
    for section in ("The warp", "The target", "The mirrored view", "Unflipped, and the mean"):
        assert section in page
    assert "The output of the network" not in page
    assert str(out) in capsys.readouterr().out


def test_a_model_is_walked_with_its_own_codec(coco, tmp_path):
    model = save(build("poise_t_coco_64x64"), tmp_path / "tiny.safetensors")
    number = json.loads(coco[0].read_text())["annotations"][1]["id"]
    assert walk(coco, "--model", model, "--id", number, "--out", tmp_path / "page.html") == 0
    page = (tmp_path / "page.html").read_text()
    assert "The output of the network" in page
    assert f"annotation {number}" in page


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--codec", "Gausian"), "Gaussian"),
        (("--size", "256"), "--size is height x width"),
        (("--size", "66x64"), "multiples of 4"),
        (("--id", "99999"), "has no annotation 99999; it has such as"),
        (("--model", "none.safetensors"), "there is no model file"),
    ],
)
def test_mistakes_are_told_in_one_sentence_and_leave_nothing(words, says, coco, tmp_path, capsys):
    assert walk(coco, *words, "--out", tmp_path / "page.html") == 1
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1
    assert not (tmp_path / "page.html").exists()


def test_the_page_takes_the_place_of_no_other_file(coco, tmp_path, capsys):
    kept = tmp_path / "annotations.json"
    kept.write_text("{}")
    assert walk(coco, "--out", kept) == 1
    assert "--out names a file that ends in .html or .htm" in capsys.readouterr().err
    assert kept.read_text() == "{}"
