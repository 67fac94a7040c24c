"""WS-CDA as a command: few labelled animals, unlabelled ones and people, from a model of people."""

import json

import pytest
import torch

from poise.cli.main import main
from poise.data.figures import FigureDataset, write_coco
from poise.errors import InputError
from poise.models.adapted import is_adapted
from poise.recipes.start import start_model
from poise.recipes.ws_cda import WsCdaOptions, ws_cda
from poise.skeletons import COCO17, QUADRUPED
from poise.weights.model_file import load, save


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Files of animals, of others with boxes only, of people, and a model of people."""
    folder = tmp_path_factory.mktemp("data")
    for name, kind, seed in (("few", "animals", 1), ("many", "animals", 2), ("people", "people", 3)):
        write_coco(FigureDataset(8, kind=kind, size=(64, 64), seed=seed), folder / name)
    file = folder / "many" / "annotations.json"
    document = json.loads(file.read_text())
    for row in document["annotations"]:
        del row["keypoints"], row["num_keypoints"]
    document["categories"] = [{"id": 1, "name": "horse", "supercategory": "animal"}]
    file.write_text(json.dumps(document))
    model = start_model("poise_t", size=(64, 64))
    with torch.no_grad():
        model.network.head.final.weight.normal_()
    save(model, folder / "people.safetensors")
    return folder


def words(data, out, *more):
    files = ["--source", data / "few" / "annotations.json", "--target", data / "many" / "annotations.json"]
    return [*map(str, ["adapt", "ws-cda", *files, "--out", out, "--batch", "4", "--device", "cpu", "--workers", "0"]), *more]


def test_a_model_of_people_becomes_one_of_animals(data, tmp_path, capsys):
    start, file = data / "people.safetensors", data / "people" / "annotations.json"
    words_of_map = ["left_wrist:left_eye", "analogies"]
    flags = ["--people", str(file), "--start", str(start), "--map", *words_of_map, "--epochs", "1", "--logger", "none"]
    assert main(words(data, tmp_path / "run", *flags)) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "left_eye from left_wrist" in said
    assert "right_front_paw from right_wrist" in said
    assert all(part in said for part in ("source", "people", "human_or_animal", "target_or_not"))
    model = load(tmp_path / "run" / "model.safetensors")
    assert model.skeleton.keypoints == QUADRUPED.keypoints
    assert is_adapted(model)


def test_the_rows_of_the_head_go_where_the_map_says(data):
    options = WsCdaOptions(
        source=data / "few" / "annotations.json",
        target=data / "many" / "annotations.json",
        people=data / "people" / "annotations.json",
        start=data / "people.safetensors",
        map=["left_wrist:tail_base", "analogies"],
        w2=2.0,
    )
    recipe = ws_cda(options)
    old, new = load(options.start).network.head.final.weight, recipe.model.network.head.final.weight
    for animal, person in (("tail_base", "left_wrist"), ("right_front_paw", "right_wrist")):
        assert torch.equal(new[QUADRUPED.index(animal)], old[COCO17.index(person)])
    task = recipe.task(recipe.model)
    assert task.weights.w2 == 2.0
    views = task.train_views(recipe.data, seed=0)
    batch = views.collate([views[0, i] for i in range(2)]).batch
    assert set(batch.parts) == {"source", "target", "people"}
    assert int(batch.target.visible.sum()) == 0
    assert int(batch.parts["people"].visible[:, QUADRUPED.index("tail_base")].sum()) > 0


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--alpha", "1"], "alpha and beta of opposite signs"),
        (["--map", "analogies"], "--map analogies changes nothing"),
        (["--people-images", "{data}/people/images"], "--people, which is missing"),
        (["--people", "{data}/people/annotations.json", "--map", "left_wrist:left_pew"], "there is no keypoint 'left_pew'"),
        (["--start", "{data}/people.safetensors", "--map", "left_wrst:tail_base"], "there is no keypoint 'left_wrst'"),
        (["--people", "{data}/nobody.json"], "nobody.json"),
        (["--w1", "-1"], "--w1 is a number, 0 to"),
    ],
)
def test_mistakes_are_told_in_one_sentence_and_leave_nothing(data, tmp_path, flags, says, capsys):
    assert main(words(data, tmp_path / "run", *(flag.format(data=data) for flag in flags))) == 1
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_map_is_a_flag_of_every_adaptation(data):
    with pytest.raises(InputError, match="changes nothing"):
        ws_cda(
            WsCdaOptions(source=data / "few" / "annotations.json", target=data / "many" / "annotations.json", map=["nose:nose"])
        )
