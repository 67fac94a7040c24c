"""One animal an image, learnt and looked for in the whole image."""

import io
import json
from dataclasses import replace

import pytest
import torch
from rich.console import Console

from poise.data.coco import CocoDataset
from poise.data.whole_images import WholeImages, whole_images_text
from poise.errors import InputError
from poise.evaluation.eval_set import EvalSet
from poise.evaluation.requests import eval_requests
from poise.notes import forget_notes
from poise.training.fit import fit
from poise.weights.model_file import load, save

from .finetuned import finetuned


@pytest.fixture
def small(drawn, tmp_path):
    """Labels whose people lie in a corner of their images, by what the file says."""
    document = json.loads((drawn / "annotations.json").read_text())
    for annotation in document["annotations"]:
        annotation["bbox"] = [10, 20, 30, 40]
    path = tmp_path / "small.json"
    path.write_text(json.dumps(document))
    return path


def test_the_box_of_the_one_person_is_the_image_and_all_else_stays(drawn, small):
    own = CocoDataset(small, drawn / "images")
    whole = WholeImages(own)
    assert whole.people() == own.people()
    for i in range(len(own)):
        assert whole.labels(i).boxes.tolist() == [[0, 0, 96, 96]]
        assert torch.equal(whole.labels(i).xy, own.labels(i).xy)
        assert torch.equal(whole.labels(i).area, own.labels(i).area)


def test_two_people_in_an_image_are_refused(drawn, tmp_path):
    document = json.loads((drawn / "annotations.json").read_text())
    second = document["annotations"][0] | {"id": 999}
    (tmp_path / "two.json").write_text(json.dumps(document | {"annotations": [*document["annotations"], second]}))
    with pytest.raises(InputError, match=r"several labelled people, .* --model poise_rcnn_t"):
        finetuned(annotations=[tmp_path / "two.json"], images=[drawn / "images"], whole_image=True)


def test_the_model_looks_at_whole_images_in_training_evaluation_and_after_loading(drawn, small, tmp_path, capsys):
    recipe = finetuned(annotations=[small], images=[drawn / "images"], val_share=0.25, size=(64, 64), whole_image=True)
    assert (recipe.model.preprocess.padding, recipe.best) == (1.0, "AP")
    assert all(data.labels(0).boxes.tolist() == [[0, 0, 96, 96]] for data in (recipe.train, recipe.val))
    save(recipe.model, tmp_path / "model.safetensors")
    model = load(tmp_path / "model.safetensors")
    assert model.card.whole_image
    data = EvalSet.of_file(small, drawn / "images", skeleton=model.skeleton)
    forget_notes()
    assert all(one.request.boxes is None and one.rows for one in eval_requests(model, data, None).values())
    assert "in place of labelled boxes" in capsys.readouterr().err
    model.card = replace(model.card, whole_image=False)
    assert all(one.request.boxes is not None for one in eval_requests(model, data, None).values())


def test_alignment_and_whole_images_exclude_each_other(drawn):
    with pytest.raises(InputError, match="--whole-image takes all of an image"):
        finetuned(annotations=[drawn / "annotations.json"], images=[drawn / "images"], whole_image=True, align="circle")


def test_the_way_without_boxes_is_said_where_each_image_shows_one_small_animal(drawn, small):
    text = whole_images_text(CocoDataset(small, drawn / "images"))
    assert text is not None
    assert "covers 13% of it, and `poise predict` will need boxes" in text
    assert whole_images_text(WholeImages(CocoDataset(small, drawn / "images"))) is None


def test_training_says_it(drawn, small, tmp_path):
    said = io.StringIO()
    recipe = finetuned(annotations=[small], images=[drawn / "images"], val_share=0.25, size=(64, 64), model="poise_t")
    fit(recipe, out=tmp_path, steps=1, device="cpu", workers=0, loggers=(), console=Console(file=said, width=500))
    assert said.getvalue().count("with --whole-image it is learnt in the whole image") == 1
