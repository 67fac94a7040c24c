from dataclasses import replace
from pathlib import Path

import pytest

from poise.data.figures import FigureDataset
from poise.errors import InputError, UnknownName
from poise.recipes.adapting import CcSslOptions
from poise.recipes.base import Optimizer, Recipe, Schedule
from poise.recipes.changes import changed, not_pretrained
from poise.recipes.cpn import cpn
from poise.recipes.find import find
from poise.recipes.hrnet import hrnet
from poise.recipes.offset_guided import offset_guided_hrnet
from poise.recipes.options import RecipeChanges
from poise.zoo.plain import plain as plain_model

from .finetuned import made


@pytest.fixture
def plain(coco):
    return hrnet(data=coco, size=(64, 64), pretrained=False)


def test_without_changes_a_recipe_stays_as_it_is(plain):
    assert changed(plain, RecipeChanges()) is plain


def test_epochs_rate_milestones_decay_optimizer_and_warmup_are_those_given(plain):
    made = changed(
        plain,
        RecipeChanges(
            epochs=25, rate=5e-4, milestones=[10.0, 20.0], decay=1e-5, optimizer="sgd", warmup=100, clip=2.0, average=0.99
        ),
    )
    assert (made.epochs, made.optimizer.rate, made.optimizer.decay, made.optimizer.kind) == (25, 5e-4, 1e-5, "sgd")
    assert (made.schedule.milestones, made.schedule.warmup_steps, made.clip, made.average) == ((10.0, 20.0), 100, 2.0, 0.99)
    assert made.optimizer.momentum == plain.optimizer.momentum


def test_what_differs_is_told_and_no_score_is_expected_of_it(coco):
    plain = replace(hrnet(data=coco, pretrained=False), expected={"AP": 0.744})
    made = changed(plain, RecipeChanges(epochs=4, rate=1e-4))
    assert made.differs == "not the recipe as it stands: epochs 4 (210), optimizer.rate 0.0001 (0.001)"
    assert made.expected == {}
    same = changed(plain, RecipeChanges(epochs=210))
    assert (same.differs, same.expected) == ("", {"AP": 0.744})


def test_codec_and_augmentation_fields_are_set(plain):
    made = changed(plain, RecipeChanges(sigma=3.0, codec_set=["ohkm=8"], augmentation=["rotation=30", "flip=0"]))
    assert (made.model.codec.sigma, made.model.codec.ohkm) == (3.0, 8)
    assert (made.augmentation.rotation, made.augmentation.flip) == (30.0, 0)
    assert "codec.sigma 3.0 (1.0)" in made.differs
    assert changed(plain, RecipeChanges(augmentation=["none"])).augmentation is None


def test_padding_is_that_of_the_crop(plain):
    assert changed(plain, RecipeChanges(padding=1.5)).model.preprocess.padding == 1.5


def test_the_sides_of_a_box_and_its_padding_are_told_where_they_differ(plain):
    made = changed(plain, RecipeChanges(padding=1.4, box_sides=(1.2, 1.1)))
    assert (made.model.preprocess.padding, made.model.preprocess.sides) == (1.4, (1.2, 1.1))
    assert "padding 1.4 (1.25), box sides (1.2, 1.1) ((1.0, 1.0))" in made.differs


def test_another_schedule_drops_milestones(plain):
    made = changed(plain, RecipeChanges(schedule="cosine"))
    assert (made.schedule.kind, made.schedule.milestones) == ("cosine", ())


def test_stages_change_too(plain):
    made = changed(plain.staged(3), RecipeChanges(epochs=2, rate=0.5))
    assert [(stage.epochs, stage.optimizer.rate) for stage in (made, *made.then)] == [(2, 0.5)] * 3
    assert all(stage.model is made.model for stage in made.then)


def test_crop_and_codec_of_stages_with_networks_of_their_own_change_in_each(drawn):
    plain = made("people", annotations=[drawn / "annotations.json"], images=[drawn / "images"], val_share=0.25)
    assert len({id(stage.model) for stage in (plain, *plain.then)}) == 3
    there = changed(plain, RecipeChanges(padding=1.5, sigma=1.125))
    stages = [stage.model for stage in (there, *there.then)]
    assert [(model.preprocess.padding, model.codec.sigma) for model in stages] == [(1.5, 1.125)] * 3


def test_cc_ssl_as_released_takes_what_is_given_and_has_the_release_s_numbers_otherwise():
    own = CcSslOptions(published=True, source=Path("s"), target=Path("t"), start=Path("m"))
    given = replace(own, rate=5e-5, gamma=2.0, every=4, source_epochs=3, average=0.9)
    recipe = Recipe(
        name="any", model=plain_model("t", size=(64, 64)), train=FigureDataset(2), val=FigureDataset(1), epochs=2, batch=4,
        augmentation=None, optimizer=Optimizer("adamw", rate=1.0), schedule=Schedule("cosine"), best="AP",
    )  # fmt: skip
    one, other = own.published_recipe(recipe), given.published_recipe(recipe)
    assert (one.optimizer.kind, one.optimizer.rate, one.average, one.batch) == ("rmsprop", 2.5e-4, None, 6)
    assert (other.optimizer.rate, other.average) == (5e-5, 0.9)
    assert (own.factor, own.labelling.every, own.labelling.begin) == (10.0, 10, 0)
    assert (given.factor, given.labelling.every, given.labelling.begin) == (2.0, 4, 3)


def test_the_loss_of_offset_guided_heatmaps_is_a_flag(coco):
    plain = offset_guided_hrnet(data=coco, pretrained=False)
    assert changed(plain, RecipeChanges(loss="l2", epochs=4)).model.codec.cost.heat == "l2"


def test_the_weight_of_a_codec_is_a_flag_and_a_codec_without_one_refuses_it(coco, plain):
    made = changed(cpn(data=coco, pretrained=False), RecipeChanges(epochs=3))
    assert made.epochs == 3
    with pytest.raises(InputError, match=r"the codec Gaussian has no weight of its own; leave --weight out"):
        changed(plain, RecipeChanges(weight=2.0))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (RecipeChanges(epochs=10, milestones=[5.0, 12.0]), "--milestones 12 are after the last of 10 epochs"),
        (RecipeChanges(schedule="cosine", milestones=[5.0]), "--milestones are those of --schedule steps"),
        (RecipeChanges(augmentation=["rotation"]), "name=value"),
        (RecipeChanges(padding=-1.0), "--padding is a factor above 0; found -1"),
        (RecipeChanges(loss="l2"), "has no loss of its own"),
    ],
)
def test_changes_that_cannot_be_are_refused(plain, changes, said):
    with pytest.raises(InputError, match=said):
        changed(plain, changes)


def test_an_unknown_field_of_the_augmentation_names_the_nearest(plain):
    with pytest.raises(UnknownName, match=r"rotaton.*did you mean.*rotation"):
        changed(plain, RecipeChanges(augmentation=["rotaton=3"]))


def test_whole_images_have_no_padding(coco):
    with pytest.raises(InputError, match="whole images, which have no padding"):
        changed(offset_guided_hrnet(data=coco, pretrained=False), RecipeChanges(padding=1.5))


@pytest.mark.parametrize("name", ["hrnet", "cpn", "lpn", "simple_baseline", "keypoint_rcnn", "finetune"])
def test_every_recipe_has_the_flags_once_with_its_own_where_it_has_one(name):
    from poise.cli._recipe_command import RecipeCommand

    words = ["--model", "poise_s"] if name == "finetune" else []
    names = RecipeCommand.of(find(name), words).names
    assert len(names) == len(set(names))
    assert {"epochs", "rate", "milestones", "decay", "optimizer", "schedule", "warmup", "sigma", "augmentation"} <= set(names)


def test_random_weights_in_place_of_imagenets_are_told(coco):
    plain = replace(hrnet(data=coco, size=(64, 64), pretrained=False), expected={"AP": 0.744})
    assert not_pretrained(plain).differs == "not the recipe as it stands: random weights (ImageNet's)"
    made = not_pretrained(changed(plain, RecipeChanges(epochs=4)))
    assert made.differs == "not the recipe as it stands: epochs 4 (210), random weights (ImageNet's)"
    assert not made.expected
