"""What a command reads stays, whatever it is told to write; rows are kept as they come."""

import json
import os

import cv2
import numpy as np
import pytest

from poise.cli.main import main
from poise.data.figures import FigureDataset, write_coco
from poise.inference.row_file import RowFile
from poise.inference.write import Writer, picture_names
from poise.weights.model_file import save
from poise.zoo import build


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save(build("poise_t_coco_192x160"), tmp_path_factory.mktemp("model") / "tiny.safetensors")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Three drawings with their labels."""
    return write_coco(FigureDataset(3, size=(96, 96)), tmp_path_factory.mktemp("drawn"))


@pytest.fixture
def home(drawn, model, tmp_path, monkeypatch):
    """A folder to work in, with labels, images, boxes and a model."""
    monkeypatch.chdir(tmp_path)
    document = json.loads(drawn.read_text())
    for name in ("train.json", "r.scores.json", "r.boxes.json", "second.json"):
        (tmp_path / name).write_text(json.dumps(document))
    boxes = [{"image_id": image["id"], "category_id": 1, "bbox": [5, 5, 50, 50], "score": 0.9} for image in document["images"]]
    (tmp_path / "boxes.json").write_text(json.dumps(boxes))
    (tmp_path / "m.json").write_bytes(model.read_bytes())
    (tmp_path / "m.safetensors").write_bytes(model.read_bytes())
    (tmp_path / "link.json").symlink_to("train.json")
    os.mkfifo(tmp_path / "pipe.json")
    return tmp_path


def everything(folder):
    return {
        path.relative_to(folder): path.read_bytes() if path.is_file() and not path.is_symlink() else os.lstat(path).st_mode
        for path in folder.rglob("*")
    }


IMAGES = "--images {images}"


@pytest.mark.parametrize(
    "words",
    [
        "data split train.json --out .",
        "data split link.json --out .",
        "data sigmas train.json second.json --out second.json",
        "data sigmas train.json second.json --out link.json",
        "data check train.json --fix second.json",
        "data check train.json --fix link.json",
        "data check train.json --fix pipe.json",
        f"evaluate m.safetensors --annotations r.scores.json {IMAGES} --out r.json",
        f"evaluate m.safetensors --annotations r.boxes.json {IMAGES} --out r.json",
        f"evaluate m.json --annotations train.json {IMAGES} --out m.json",
        f"evaluate m.safetensors --annotations train.json {IMAGES} --out x --report x",
        f"evaluate m.safetensors --annotations train.json {IMAGES} --out r.json --report r.scores.json",
        f"evaluate m.safetensors --annotations train.json {IMAGES} --out link.json",
        f"evaluate m.safetensors --annotations train.json {IMAGES} --out pipe.json",
        f"evaluate m.safetensors --annotations train.json {IMAGES} --boxes boxes.json --out boxes.json",
        f"evaluate m.safetensors --annotations train.json {IMAGES} --out /dev/stdout",
        f"compare-decoders m.json --annotations train.json {IMAGES} --out m.json",
        f"detect train.json {IMAGES} --detector m.json --out m.json",
        "predict {images} --model m.safetensors --boxes predictions.json --out .",
        "import poise_t_coco_192x160 m.safetensors --out m.safetensors",
        f"calibrate m.safetensors --annotations train.json {IMAGES} --out m.safetensors",
        f"data walk --annotations train.json {IMAGES} --out train.json",
        f"train finetune --annotations train.json {IMAGES} --start m.safetensors --out .",
        "demo --out .",
    ],
)
def test_nothing_that_is_read_and_no_link_or_pipe_is_replaced(words, home, drawn, capsys):
    (home / "predictions.json").write_bytes((home / "boxes.json").read_bytes())
    (home / "model.safetensors").write_bytes((home / "m.safetensors").read_bytes())
    before = everything(home)
    assert main(words.format(images=drawn.parent / "images").split()) in (1, 2)
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "Traceback" not in said
    assert everything(home) == before


@pytest.fixture
def finished(tmp_path):
    """Folders of others that have names which a demo writes, too."""
    for name in ("data/labels.json", "run/thesis.txt"):
        (tmp_path / "p" / name).parent.mkdir(parents=True)
        (tmp_path / "p" / name).write_text("mine")
    return tmp_path / "p"


def test_a_demo_deletes_nothing_that_no_demo_made(finished, capsys):
    before = everything(finished)
    assert main(["demo", "--out", str(finished)]) == 1
    assert "no demo made" in capsys.readouterr().err
    assert everything(finished) == before


def test_a_demo_deletes_what_its_marker_names_and_nothing_else(tmp_path):
    from poise.cli._demo import clear, mark
    from poise.errors import WriteError

    clear(tmp_path / "p")
    for name in ("data/images/000001.jpg", "metrics.json"):
        (tmp_path / "p" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "p" / name).write_text("of the demo")
    mark(tmp_path / "p")
    (tmp_path / "p" / "data" / "images" / "mine.jpg").write_text("mine")
    with pytest.raises(WriteError, match=r"data/images/mine\.jpg"):
        clear(tmp_path / "p")
    assert (tmp_path / "p" / "metrics.json").exists()
    (tmp_path / "p" / "data" / "images" / "mine.jpg").unlink()
    clear(tmp_path / "p")
    assert [path.name for path in (tmp_path / "p").iterdir()] == [".poise-demo"]


def test_a_demo_that_was_killed_is_begun_anew(tmp_path):
    from poise.cli._demo import clear

    clear(tmp_path)
    (tmp_path / "data" / "images").mkdir(parents=True)
    (tmp_path / "data" / "images" / "000001.jpg").write_text("of the demo")
    (tmp_path / "data" / "images" / ".poise-0.part").write_text("half")
    clear(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".poise-demo"]


def photos(folder, names):
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / name), np.full((40, 40, 3), number, np.uint8))


def test_pictures_of_one_flattened_name_are_numbered_and_long_names_shortened(model, tmp_path):
    long = "/".join(3 * [90 * "x"]) + ".jpg"
    photos(tmp_path / "in", ["a/b.jpg", "a_b.jpg", "A_B.JPG", long])
    assert main(["predict", str(tmp_path / "in"), "--model", str(model), "--out", str(tmp_path / "out")]) == 0
    made = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert len({name.casefold() for name in made}) == 5
    assert {"a_b.jpg", "A_B-2.JPG"} & set(made) or {"A_B.JPG", "a_b-2.jpg"} & set(made)
    assert max(map(len, made)) == 200


def test_file_names_of_pictures_differ_without_upper_and_lower_case():
    names = picture_names([f"{i % 7}/x_{i % 3}.jpg" for i in range(21)] + ["0_x/0.jpg", "0/X_0.jpg"])
    assert len({name.casefold() for name in names.values()}) == len(names)


def test_rows_of_all_images_before_a_failure_are_kept(model, tmp_path, monkeypatch, capsys):
    photos(tmp_path / "in", [f"{i}.png" for i in range(1, 6)])
    add = Writer.add

    def fail(self, found):
        if found.poses.key.file_name == "4.png":
            raise MemoryError
        add(self, found)

    monkeypatch.setattr(Writer, "add", fail)
    assert main(["predict", str(tmp_path / "in"), "--model", str(model), "--out", str(tmp_path / "out")]) == 1
    said = capsys.readouterr().err
    assert said.startswith("poise predict: the memory does not suffice")
    assert said.endswith(f"what was found before, in 3 images, is in {str(tmp_path / 'out' / 'predictions.json')!r}\n")
    rows = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert [row["file_name"] for row in rows] == ["1.png", "2.png", "3.png"]


def fails(rows):
    rows.add([{"a": 4}])
    raise ZeroDivisionError


def test_rows_are_on_the_disk_as_they_come_and_an_older_file_stays_until_the_end(tmp_path):
    path = tmp_path / "rows.json"
    path.write_text("old")
    with RowFile(path) as rows:
        rows.add([{"a": 1}])
        rows.add([])
        rows.add([{"a": 2}, {"a": 3}])
        assert json.loads((tmp_path / "rows.json.part").read_text() + "]") == [{"a": 1}, {"a": 2}, {"a": 3}]
        assert path.read_text() == "old"
    assert json.loads(path.read_text()) == [{"a": 1}, {"a": 2}, {"a": 3}]
    assert [p.name for p in tmp_path.iterdir()] == ["rows.json"]
    with pytest.raises(ZeroDivisionError), RowFile(path):
        raise ZeroDivisionError  # before anything came
    assert rows.count == len(json.loads(path.read_text()))
    with pytest.raises(ZeroDivisionError) as error, RowFile(path) as rows:
        fails(rows)
    assert "in 1 images" in error.value.__notes__[0]
    assert json.loads(path.read_text()) == [{"a": 4}]
