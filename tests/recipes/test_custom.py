import json

import pytest

from poise.errors import InputError
from poise.recipes.custom import own


def renamed(folder, target):
    """The same annotations, the nose called snout."""
    document = json.loads((folder / "annotations.json").read_text())
    names = document["categories"][0]["keypoints"]
    names[names.index("nose")] = "snout"
    target.write_text(json.dumps(document))
    return target


def test_a_part_of_the_images_is_kept_for_validation(drawn):
    recipe = own(annotations=[drawn / "annotations.json"], images=[drawn / "images"], val_share=0.25)
    train = {recipe.train.key(i).image_id for i in range(len(recipe.train))}
    val = {recipe.val.key(i).image_id for i in range(len(recipe.val))}
    assert len(train) == 9
    assert len(val) == 3
    assert not train & val
    again = own(annotations=[drawn / "annotations.json"], images=[drawn / "images"], val_share=0.25)
    assert [again.val.key(i) for i in range(3)] == [recipe.val.key(i) for i in range(3)]
    assert again.val[0].image.shape == (3, 96, 96)
    assert again.val.people()[0] == (0, 0)


def test_files_of_different_skeletons_are_joined_by_name(drawn, tmp_path):
    other = renamed(drawn, tmp_path / "other.json")
    recipe = own(annotations=[drawn / "annotations.json", other], images=[drawn / "images"])
    assert {"nose", "snout"} <= set(recipe.train.skeleton.keypoints)
    assert recipe.model.skeleton.keypoints == recipe.train.skeleton.keypoints
    assert len(recipe.train) + len(recipe.val) == 24


def test_files_for_validation_have_the_keypoints_of_training(drawn, tmp_path):
    other = renamed(drawn, tmp_path / "other.json")
    recipe = own(annotations=[drawn / "annotations.json"], images=[drawn / "images"], val_annotations=[other])
    assert recipe.val.skeleton.keypoints == recipe.train.skeleton.keypoints
    place = recipe.val.skeleton.keypoints.index("nose")
    assert int(recipe.val.labels(0).visible[:, place].sum()) == 0


def test_any_model_of_the_zoo_takes_the_keypoints_of_the_files(drawn):
    recipe = own(annotations=[drawn / "annotations.json"], images=[drawn / "images"], model="poise_t_coco_192x160")
    assert len(recipe.model.skeleton) == len(recipe.train.skeleton)


def test_folders_must_match_files(drawn):
    with pytest.raises(InputError, match="1 annotation files and 2 image folders"):
        own(annotations=[drawn / "annotations.json"], images=[drawn / "images", drawn])


def test_a_share_that_empties_a_part_is_refused(drawn):
    with pytest.raises(InputError, match="leaves one part empty"):
        own(annotations=[drawn / "annotations.json"], images=[drawn / "images"], val_share=0.01)
