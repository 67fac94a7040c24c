"""What recipes learn from and are checked on where files share their images."""

import json
import shutil

import pytest

from poise.errors import InputError
from poise.recipes.files import mixture
from poise.skeletons import COCO17

from .finetuned import finetuned


@pytest.fixture
def other(drawn, tmp_path):
    """Another file of the last six of the twelve images, with other ids."""
    document = json.loads((drawn / "annotations.json").read_text())
    document["images"] = [{**one, "id": one["id"] + 100} for one in document["images"][6:]]
    ids = {one["id"] for one in document["images"]}
    document["annotations"] = [{**a, "image_id": a["image_id"] + 100} for a in document["annotations"]]
    document["annotations"] = [a for a in document["annotations"] if a["image_id"] in ids]
    path = tmp_path / "other.json"
    path.write_text(json.dumps(document))
    return path


def mixed(annotations, images, *, share=0.5, seed=0):
    words = {"complete": None, "copies": None, "more": list, "skeleton": COCO17, "val_share": share, "split_seed": seed}
    return mixture(annotations, images, **words)


def apart(train, val):
    learnt, checked = ({data.file_path(i) for i in range(len(data))} for data in (train, val))
    return learnt.isdisjoint(checked)


def test_a_file_given_twice_is_not_learnt_from_where_it_is_checked_on(drawn, other):
    file, images = drawn / "annotations.json", drawn / "images"
    train, val = mixed([file, file], [images])
    assert (len(train), len(val)) == (12, 6)
    assert apart(train, val)
    train, val = mixed([file, other], [images, drawn / "images" / ".." / "images"])
    assert len(val) == 6
    assert 6 <= len(train) < 12
    assert apart(train, val)


def test_copies_of_a_folder_are_other_images(drawn, other, tmp_path):
    shutil.copytree(drawn / "images", tmp_path / "copied")
    train, val = mixed([drawn / "annotations.json", other], [drawn / "images", tmp_path / "copied"])
    assert (len(train), len(val)) == (12, 6)


def test_a_file_of_which_nothing_is_left_is_refused(drawn, other):
    file, images = drawn / "annotations.json", drawn / "images"
    early = next(s for s in range(20) if mixed([file], [images], share=0.95, seed=s)[0].key(0).image_id <= 6)
    with pytest.raises(InputError, match=r"all images of .*other\.json are held out for validation"):
        mixed([file, other], [images], share=0.95, seed=early)


def test_joined_files_hold_out_by_image(drawn, other):
    recipe = finetuned(annotations=[drawn / "annotations.json", other], images=[drawn / "images"], val_share=0.5)
    assert len(recipe.train) + len(recipe.val) == 18
    assert apart(recipe.train, recipe.val)
