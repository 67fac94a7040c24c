import importlib.util
import json
from pathlib import Path

import pytest

from poise.cli.main import main
from poise.data.coco import CocoDataset
from poise.data.images import read_image
from poise.skeletons import ANIMAL18

spec = importlib.util.spec_from_file_location("fake_coco", Path(__file__).parents[1] / "data" / "fakes" / "coco.py")
fake = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fake)


@pytest.fixture
def coco(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    return fake.write(tmp_path / "coco")


def run(*words) -> int:
    return main(["data", *map(str, words)])


@pytest.mark.parametrize("command", ["split", "stats", "draw", "check"])
def test_help_has_an_example(command, capsys):
    assert run(command, "--help") == 0
    assert f"poise data {command} " in capsys.readouterr().out.split("positional")[0].split("For example")[1]


def test_split_writes_two_files(coco, tmp_path, capsys):
    assert run("split", coco[0], "--share", 0.5, "--group", "sequence", "--out", tmp_path / "parts") == 0
    parts = [json.loads((tmp_path / "parts" / f"{name}.json").read_text()) for name in ("train", "val")]
    assert [len(p["images"]) for p in parts] == [2, 2]
    assert {i["sequence"] for i in parts[0]["images"]}.isdisjoint(i["sequence"] for i in parts[1]["images"])
    assert "2 images" in capsys.readouterr().out


def test_stats_prints_counts_sigmas_and_channels(coco, capsys):
    assert run("stats", coco[0]) == 0
    out = capsys.readouterr().out
    assert "4 images (1 without annotations), 5 annotations, 1 crowds" in out
    assert "sigmas: COCO's" in out
    assert "mean" not in out.splitlines()[-1]
    assert run("stats", coco[0], "--images", coco[1]) == 0
    assert "4 images read: 40 to 64 wide, 33 to 60 high" in capsys.readouterr().out


def test_draw_writes_a_picture_beside_its_mirror(coco, tmp_path, capsys):
    assert run("draw", coco[0], "--images", coco[1], "--out", tmp_path / "drawn", "--side", 100) == 0
    found = sorted((tmp_path / "drawn").iterdir())
    assert len(found) == 3, "the image without people is not drawn"
    assert read_image(found[0]).shape == (3, 75 + 22, 204)
    assert "3 pictures" in capsys.readouterr().out


def test_draw_leaves_out_what_it_cannot_read_and_says_so(coco, tmp_path, capsys):
    (coco[1] / "000000000001.jpg").write_bytes(b"no")
    assert run("draw", coco[0], "--images", coco[1], "--out", tmp_path / "drawn") == 1
    assert "2 pictures" in capsys.readouterr().out
    assert len(list((tmp_path / "drawn").iterdir())) == 2


def test_check_is_content_with_a_sound_file(coco, capsys):
    assert run("check", coco[0], "--images", coco[1]) == 0
    assert "nothing wrong found" in capsys.readouterr().out


def test_check_reports_then_mends_then_is_content(coco, tmp_path, capsys):
    document = json.loads(coco[0].read_text())
    document["annotations"][0]["area"] = 0
    document["annotations"][1]["id"] = 0
    coco[0].write_text(json.dumps(document))
    assert run("check", coco[0], "--images", coco[1]) == 1
    out = capsys.readouterr().out
    assert "area is zero" in out
    assert "2 things wrong; --fix OUT fixes 2" in out
    assert run("check", coco[0], "--images", coco[1], "--fix", tmp_path / "fixed.json") == 0
    out = capsys.readouterr().out
    assert "of the segmentation" in out
    assert "2 fixed, 0 left" in out
    assert json.loads(coco[0].read_text()) == document, "the original stays"
    assert run("check", tmp_path / "fixed.json", "--images", coco[1]) == 0


def test_check_leaves_with_1_when_something_cannot_be_mended(coco, tmp_path, capsys):
    document = json.loads(coco[0].read_text())
    document["categories"][0]["keypoints"][1] = ["nose"]
    coco[0].write_text(json.dumps(document))
    assert run("check", coco[0], "--fix", tmp_path / "fixed") == 1
    assert "only you can know" in capsys.readouterr().out


def test_check_of_two_files_finds_what_they_share(coco, tmp_path, capsys):
    run("split", coco[0], "--share", 0.5, "--out", tmp_path / "parts")
    parts = tmp_path / "parts" / "train.json", tmp_path / "parts" / "val.json"
    assert run("check", *parts, "--images", coco[1]) == 0
    assert run("check", coco[0], parts[1], "--images", coco[1]) == 1
    assert "image in both files" in capsys.readouterr().out
    assert run("check", coco[0], parts[1], "--images", coco[1], "--fix", tmp_path / "fixed") == 0
    fixed = json.loads((tmp_path / "fixed" / coco[0].name).read_text())
    assert len(fixed["images"]) == 4 - len(json.loads(parts[1].read_text())["images"])


@pytest.mark.parametrize("count", [0, -3])
def test_draw_refuses_to_draw_nothing(coco, tmp_path, capsys, count):
    assert run("draw", coco[0], "--images", coco[1], "--out", tmp_path / "drawn", "--count", count) == 1
    assert "--count is a whole number, 1 to" in capsys.readouterr().err


def test_draw_writes_a_data_set_of_drawn_animals_of_a_look(tmp_path, capsys):
    words = (
        "--kind",
        "horse",
        "--look",
        "wild",
        "--keypoints",
        "animal18",
        "--size",
        64,
        96,
        "--count",
        3,
        "--per-image",
        1,
        2,
    )
    assert run("draw", *words, "--out", tmp_path / "horses") == 0
    assert "3 images" in capsys.readouterr().out
    read = CocoDataset(tmp_path / "horses" / "annotations.json", tmp_path / "horses" / "images")
    assert read.skeleton.keypoints == ANIMAL18.keypoints
    assert [read.image_size(i) for i in range(3)] == [(64, 96)] * 3
    assert (tmp_path / "horses" / "labels.jpg").exists()


def test_draw_writes_sequences_of_moving_animals(tmp_path, capsys):
    assert run("draw", "--kind", "dog", "--frames", 3, "--count", 2, "--size", 64, 64, "--out", tmp_path / "walks") == 0
    assert "6 images" in capsys.readouterr().out
    rows = json.loads((tmp_path / "walks" / "frames.json").read_text())
    assert [(row["sequence"], row["frame"]) for row in rows] == [(f"dog-{s:03d}", f) for s in (1, 2) for f in (0, 1, 2)]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--kind", "people", "--frames", 3), "animals"),
        (("--frames", 3), "leave out --frames"),
        (("--kind", "hrose"), "horse"),
        (("--kind", "horse", "--look", "wlid"), "wild"),
        (("--kind", "horse", "--backgrounds", "gone"), "gone"),
        (("--kind", "horse", "--side", 100), "leave out --side"),
        (("--look", "wild"), "leave out --look"),
        ((), "--kind"),
    ],
)
def test_draw_says_what_it_cannot_draw(tmp_path, capsys, words, said):
    assert run("draw", *words, "--out", tmp_path / "drawn") == 1
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not (tmp_path / "drawn").exists()


def test_draw_outlines_people_and_tints_crowds(coco, tmp_path):
    def pixels(document):
        coco[0].write_text(json.dumps(document))
        out = tmp_path / f"drawn{len(document['annotations'][3].get('segmentation', ()))}"
        assert run("draw", coco[0], "--images", coco[1], "--out", out, "--side", 50) == 0
        return read_image(next(out.glob("000002_*"))).int()

    document = json.loads(coco[0].read_text())
    plain = json.loads(coco[0].read_text())
    for annotation in plain["annotations"]:
        del annotation["segmentation"]
    change = (pixels(document) - pixels(plain)).abs().amax(dim=0)[22:, :50] > 40
    assert change[:, :8].float().mean() > 0.2, "the crowd lies on the left"
    x, y, w, h = (round(v) for v in document["annotations"][3]["bbox"])
    assert 0 < change[y : y + h, max(x, 14) : x + w].float().mean() < 0.6, "of the person there is a line"


def test_draw_ignores_a_segmentation_that_is_broken_and_says_so(coco, tmp_path, capsys):
    document = json.loads(coco[0].read_text())
    document["annotations"][0]["segmentation"] = [[1, 2, 3]]
    coco[0].write_text(json.dumps(document))
    assert run("draw", coco[0], "--images", coco[1], "--out", tmp_path / "drawn") == 0
    out, err = capsys.readouterr()
    assert "1 segmentation is ignored" in err
    assert "annotation 1: a polygon needs" in err
    assert "3 pictures" in out


@pytest.mark.parametrize("kind", ["captions", "instances"])
def test_check_names_the_file_to_use_instead(kind, tmp_path, capsys):
    path = tmp_path / f"{kind}_val2017.json"
    row = {"id": 1, "image_id": 1, "caption": "x"} if kind == "captions" else {"id": 1, "image_id": 1, "bbox": [1, 2, 3, 4]}
    path.write_text(json.dumps({"images": [{"id": 1}], "annotations": [row]}))
    assert run("check", path) == 1
    assert "person_keypoints_val2017.json" in capsys.readouterr().err


def test_a_copy_never_overwrites_an_original(coco, capsys):
    assert run("check", coco[0], "--fix", coco[0]) == 1
    assert run("check", coco[0], "--fix", coco[0].parent) == 1
    assert "overwrite" in capsys.readouterr().err


def test_an_unwritable_place_is_one_sentence(coco, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert run("split", coco[0], "--out", tmp_path / "file" / "parts") == 1
    assert "cannot be written" in capsys.readouterr().err


def test_both_parts_of_a_file_without_names_have_those_that_are_given(coco, tmp_path):
    content = json.loads(coco[0].read_text())
    count = len(content["categories"][0].pop("keypoints"))
    names = tmp_path / "names.txt"
    names.write_text("\n".join(f"point{i}" for i in range(count)))
    nameless = tmp_path / "nameless.json"
    nameless.write_text(json.dumps(content))
    words = ("split", nameless, "--share", 0.5, "--skeleton", names, "--mirror", "point0:point1", "--out", tmp_path / "parts")
    assert run(*words) == 0
    for name in ("train", "val"):
        [category] = json.loads((tmp_path / "parts" / f"{name}.json").read_text())["categories"]
        assert category["keypoints"][:2] == ["point0", "point1"]
        assert ["point0", "point1"] in category["mirror"]
