"""One animal an image, learnt and looked for in the whole image."""

import json
from dataclasses import replace

import pytest
import torch

from poise.data.coco import CocoDataset
from poise.data.whole_images import WholeImages
from poise.errors import InputError
from poise.evaluation.eval_set import EvalSet
from poise.evaluation.requests import eval_requests
from poise.notes import forget_notes
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


def test_the_way_without_boxes_is_said_where_each_image_shows_one_small_animal(drawn, small, capsys):
    forget_notes()
    finetuned(annotations=[small], images=[drawn / "images"])
    assert capsys.readouterr().err.count("covers 13% of it, and `poise predict` will need boxes") == 1
    forget_notes()
    finetuned(annotations=[small], images=[drawn / "images"], whole_image=True)
    assert "will need boxes" not in capsys.readouterr().err
