import json
from dataclasses import replace

import pytest
import torch

from poise.cli.main import main
from poise.data.coco import CocoDataset
from poise.data.figures import FigureDataset, write_coco
from poise.errors import InputError, SkeletonMismatch, UnknownName
from poise.models.base import Model
from poise.models.top_down import TopDown
from poise.notes import forget_notes
from poise.recipes.finetune import BottomUpOptions, DetectorOptions, FinetuneOptions, TopDownOptions, finetune
from poise.recipes.finetune_options import options_of
from poise.recipes.start import start_model
from poise.skeletons import COCO17, QUADRUPED
from poise.weights.cache import model_place
from poise.weights.model_file import load, save

from .finetuned import finetuned, made


def renamed(folder, target):
    """The same annotations, the nose called snout."""
    document = json.loads((folder / "annotations.json").read_text())
    names = document["categories"][0]["keypoints"]
    names[names.index("nose")] = "snout"
    target.write_text(json.dumps(document))
    return target


def test_a_part_of_the_images_is_kept_for_validation(drawn):
    recipe = finetuned(annotations=[drawn / "annotations.json"], images=[drawn / "images"], val_share=0.25)
    train = {recipe.train.key(i).image_id for i in range(len(recipe.train))}
    val = {recipe.val.key(i).image_id for i in range(len(recipe.val))}
    assert len(train) == 9
    assert len(val) == 3
    assert not train & val
    again = finetuned(annotations=[drawn / "annotations.json"], images=[drawn / "images"], val_share=0.25)
    assert [again.val.key(i) for i in range(3)] == [recipe.val.key(i) for i in range(3)]
    assert again.val[0].image.shape == (3, 96, 96)
    assert again.val.people()[0] == (0, 0)


@pytest.mark.parametrize("name", ["finetune", "people"])
def test_people_who_are_cut_out_by_their_masks_are_pasted_into_images_to_learn_from_alone(drawn, name):
    flags = {"annotations": [drawn / "annotations.json"], "images": [drawn / "images"], "val_share": 0.25}
    plain, pasted = (made(name, **flags, pasted=share) for share in (0.0, 1.0))
    assert len(pasted.train) == len(plain.train)
    assert len(pasted.train.people()) > len(plain.train.people())
    assert len(pasted.val.people()) == len(plain.val.people())


def test_nobody_is_pasted_where_a_file_has_no_masks(drawn, tmp_path):
    document = json.loads((drawn / "annotations.json").read_text())
    for one in document["annotations"]:
        del one["segmentation"]
    (tmp_path / "no_masks.json").write_text(json.dumps(document))
    with pytest.raises(InputError, match="no person with keypoints has a segmentation mask"):
        finetuned(annotations=[tmp_path / "no_masks.json"], images=[drawn / "images"], pasted=0.5)


def test_files_of_different_skeletons_are_joined_by_name(drawn, tmp_path):
    other = renamed(drawn, tmp_path / "other.json")
    recipe = finetuned(annotations=[drawn / "annotations.json", other], images=[drawn / "images"])
    assert {"nose", "snout"} <= set(recipe.train.skeleton.keypoints)
    assert recipe.model.skeleton.keypoints == recipe.train.skeleton.keypoints
    assert len(recipe.train) + len(recipe.val) == 24


def test_files_for_validation_have_the_keypoints_of_training(drawn, tmp_path):
    other = renamed(drawn, tmp_path / "other.json")
    recipe = finetuned(annotations=[drawn / "annotations.json"], images=[drawn / "images"], val_annotations=[other])
    assert recipe.val.skeleton.keypoints == recipe.train.skeleton.keypoints
    place = recipe.val.skeleton.keypoints.index("nose")
    assert int(recipe.val.labels(0).visible[:, place].sum()) == 0


def test_any_model_of_the_zoo_takes_the_keypoints_of_the_files(drawn):
    recipe = finetuned(annotations=[drawn / "annotations.json"], images=[drawn / "images"], model="poise_t_coco_192x160")
    assert len(recipe.model.skeleton) == len(recipe.train.skeleton)


def test_folders_must_match_files(drawn):
    with pytest.raises(InputError, match="1 annotation files and 2 image folders"):
        finetuned(annotations=[drawn / "annotations.json"], images=[drawn / "images", drawn])


def test_a_share_that_empties_a_part_is_refused(drawn):
    with pytest.raises(InputError, match="leaves no image for"):
        finetuned(annotations=[drawn / "annotations.json"], images=[drawn / "images"], val_share=0.01)


def files(drawn):
    return {"annotations": [drawn / "annotations.json"], "images": [drawn / "images"]}


def test_any_network_takes_any_codec_and_information_is_dropped_in_a_second_stage(drawn):
    recipe = finetuned(**files(drawn), model="hrnet_w32_coco_64x64", codec="UDPOffset", drop="cutout", epochs=10)
    assert type(recipe.model.codec).__name__ == "UDPOffset"
    assert recipe.model.preprocess.crop == "udp"
    (later,) = recipe.then
    assert (recipe.epochs, later.epochs) == (5, 5)
    assert recipe.augmentation.drop is None
    assert later.augmentation.drop.name == "cutout"
    assert replace(later.augmentation, drop=None) == recipe.augmentation


def test_information_may_be_dropped_from_the_start_or_late(drawn):
    small = files(drawn) | {"model": "poise_t", "size": (64, 64), "epochs": 10}
    recipe = finetuned(**small, drop="grid-mask", drop_from=0.0)
    assert (recipe.epochs, recipe.then, recipe.augmentation.drop.name) == (10, (), "grid_mask")
    recipe = finetuned(**small, drop="hide-and-seek", drop_from=0.8)
    assert (recipe.epochs, recipe.then[0].epochs, recipe.then[0].augmentation.drop.name) == (8, 2, "hide_and_seek")
    for share in (0.99, 0.01):
        with pytest.raises(InputError, match="leaves a stage without epochs"):
            finetuned(**small, drop="random-erasing", drop_from=share)


def test_our_own_networks_take_any_codec_and_keep_their_name(drawn):
    recipe = finetuned(**files(drawn), model="poise_t", size=(64, 96), codec="SimCC")
    assert (type(recipe.model.codec).__name__, recipe.model.codec.size) == ("SimCC", (64, 96))
    assert recipe.model.card.name == "poise_t"


def test_fields_of_a_codec_are_set_by_words(drawn):
    small = files(drawn) | {"model": "poise_t", "size": (64, 64)}
    codec = finetuned(**small, codec="Dark", codec_set=["ohkm=8", "sigma=3"]).model.codec
    assert (codec.ohkm, codec.sigma) == (8, 3.0)
    weights = "joint_weights=(" + "1," * 16 + "2.5)"
    assert finetuned(**small, codec_set=[weights]).model.codec.joint_weights == (*[1.0] * 16, 2.5)
    with pytest.raises(InputError, match="name=value"):
        finetuned(**small, codec_set=["ohkm"])
    with pytest.raises(UnknownName, match=r"did you mean 'ohkm'\? UDPGaussian has: sigma, .*ohkm"):
        finetuned(**small, codec_set=["okhm=8"])
    with pytest.raises(InputError, match="1 to 17"):
        finetuned(**small, codec_set=["ohkm=40"])
    with pytest.raises(InputError, match="another network"):
        finetuned(**small, codec="SimCC", codec_set=["ratio=3"])


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"drop_from": 0.3}, "^--drop-from says when --drop begins, which is missing; give that, or leave both out$"),
    ],
)
def test_flags_that_would_change_nothing_are_refused(drawn, flags, message):
    with pytest.raises(InputError, match=message):
        finetuned(**files(drawn), **flags)


def test_what_is_kept_for_validation_is_no_matter_where_there_are_files_for_it(drawn):
    both = files(drawn) | {"val_annotations": [drawn / "annotations.json"]}
    with pytest.raises(InputError, match=r"^--val-annotations are what .*; leave --val-share and --split-seed out$"):
        finetuned(**both, val_share=0.5, split_seed=1)
    with pytest.raises(InputError, match=r"; leave --split-seed out$"):
        finetuned(**both, split_seed=0)
    with pytest.raises(InputError, match="which are missing; give those"):
        finetuned(**files(drawn), val_images=[drawn / "images"])


def test_answers_alike_are_set_together(drawn):
    model = finetuned(**files(drawn), model="hourglass_2stack_b1_17j_64x64", codec_set=["sigma=2.0"]).model
    assert [codec.sigma for codec in (*model.deep, model.codec)] == [2.0, 2.0]


def test_a_codec_nobody_knows_names_the_nearest(drawn):
    with pytest.raises(UnknownName, match="did you mean 'UDPOffset'"):
        finetuned(**files(drawn), model="poise_t", codec="UDPOfset")


@pytest.mark.parametrize("name", ["poise_t", "poise_rcnn_t", "poise_scene_t"])
def test_our_own_networks_have_no_weights_to_start_from(drawn, name):
    with pytest.raises(InputError, match="there are no ImageNet weights of poise's own networks"):
        finetuned(annotations=[drawn / "annotations.json"], images=[drawn / "images"], model=name, pretrained=True)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (None, TopDownOptions),
        ("poise_t", TopDownOptions),
        ("udp_hrnet_w32_offset_coco_256x192", TopDownOptions),
        ("poise_scene_s", BottomUpOptions),
        ("poise_scene_t_coco_64x64", BottomUpOptions),
        ("poise_rcnn_s", DetectorOptions),
        ("keypoint_rcnn_r50_fpn", DetectorOptions),
        ("faster_rcnn_r18_fpn_2cls", DetectorOptions),
    ],
)
def test_the_kind_of_a_model_is_told_by_its_name_and_no_weight_is_made(name, kind):
    state = torch.random.get_rng_state()
    assert FinetuneOptions.for_model(name) is kind
    assert torch.equal(torch.random.get_rng_state(), state), "the weights of the run are drawn as if nobody had asked"


def test_a_users_own_kind_of_model_has_the_flags_of_all_kinds(drawn):
    class Subclass(TopDown):
        """Augmented as its parent."""

    class Own(TopDown):
        """Augmented in no way that poise knows."""

        augmentation_type = None

    made = start_model("poise_t")
    parts = (made.network, made.codec, made.preprocess, made.skeleton, made.card)
    assert options_of(Subclass(*parts)) is TopDownOptions
    assert options_of(Own(*parts)) is FinetuneOptions


def test_a_users_own_kind_of_model_is_trained_without_augmentation(drawn, monkeypatch):
    class Own(TopDown):
        """Augmented in no way that poise knows."""

        augmentation_type = None

    def started(name: str, **wanted) -> Model:
        made = start_model("poise_t", size=(64, 64), **wanted)
        return Own(made.network, made.codec, made.preprocess, made.skeleton, made.card)

    monkeypatch.setattr("poise.recipes.finetune_options.start_model", started)
    recipe = finetune(FinetuneOptions(**files(drawn), model="own", epochs=3, rate=2e-3))
    assert type(recipe.model) is Own
    assert (recipe.augmentation, recipe.batch, recipe.best, recipe.epochs) == (None, 32, "pck@0.1", 3)
    assert recipe.optimizer.rate == 2e-3


def test_options_of_another_kind_of_model_are_refused(drawn):
    with pytest.raises(InputError, match=r"^poise_rcnn_t needs DetectorOptions, and these are TopDownOptions$"):
        finetune(TopDownOptions(**files(drawn), model="poise_rcnn_t"))


def test_flags_of_another_kind_say_which_kinds_they_are_for():
    assert TopDownOptions.other_flags() == {"mosaic": "detectors", "empty": "detectors", "detecting_set": "detectors"}
    own = (
        "half_body",
        "super_augmentation",
        "pck",
        "padding",
        "whole_image",
        "align",
        "alignment_keypoints",
        "missing",
        "axis_centre",
        "axis_top",
    )
    assert DetectorOptions.other_flags() == dict.fromkeys(own, "top-down models")
    assert FinetuneOptions.other_flags()["size"] == "top-down models and bottom-up models and detectors"


def exported(folder, target, *, unlabelled=10, category=None, **people):
    """The annotations as an export leaves them: images that nobody has labelled yet stand beside the others."""
    document = json.loads((folder / "annotations.json").read_text())
    document["images"] += [
        {"id": 1000 + i, "file_name": f"later_{i}.jpg", "width": 96, "height": 96} for i in range(unlabelled)
    ]
    document["annotations"] = [a | people for a in document["annotations"]]
    document["categories"] = [c | (category or {}) for c in document["categories"]]
    target.write_text(json.dumps(document))
    return target


@pytest.mark.parametrize("model", ["poise_t", "poise_rcnn_t", "poise_scene_t"])
def test_unlabelled_images_of_an_export_are_counted_once_and_ignored(drawn, tmp_path, capsys, model):
    forget_notes()
    file = exported(drawn, tmp_path / "a.json", unlabelled=100)
    recipe = finetuned(annotations=[file], images=[drawn / "images"], val_share=0.25, model=model, size=(64, 64))
    assert (len(recipe.train), len(recipe.val)) == (9, 3)
    assert len({i for i, _ in recipe.val.people()}) == 3
    told = capsys.readouterr().err
    assert told.count("100 of the 112 images") == 1
    assert recipe.repeats is None, "few images come several times in an epoch"
    if model == "poise_rcnn_t":
        assert "--empty" in told
        asked = finetuned(annotations=[file], images=[drawn / "images"], model=model, size=(64, 64), empty=True)
        assert len(asked.train) + len(asked.val) == 112


def test_names_and_pairs_of_a_file_without_are_flags(drawn, tmp_path):
    names = [f"k{i}" for i in range(17)]
    numbered = exported(drawn, tmp_path / "a.json", unlabelled=0, category={"keypoints": names, "skeleton": [], "sigmas": None})
    small = {"annotations": [numbered], "images": [drawn / "images"], "model": "poise_t", "size": (64, 64)}
    assert not finetuned(**small).model.skeleton.mirrors
    assert not finetuned(**small).model.flip
    paired = finetuned(**small, mirror=["k1:k2", "k3:k4"])
    assert paired.model.skeleton.flip.tolist()[:5] == [0, 2, 1, 4, 3]
    assert paired.model.flip
    named = finetuned(**small, skeleton="coco")
    assert named.model.skeleton.keypoints == COCO17.keypoints
    nameless = exported(drawn, tmp_path / "b.json", unlabelled=0, category={"keypoints": [], "skeleton": []})
    two = small | {"annotations": [nameless], "val_annotations": [nameless]}
    assert finetuned(**two, skeleton="coco17").val.skeleton.mirrors


def test_one_keypoint_has_no_limbs_and_says_which_models_take_it(drawn, tmp_path):
    one = exported(
        drawn,
        tmp_path / "a.json",
        unlabelled=0,
        category={"keypoints": ["tip"], "skeleton": [], "sigmas": None},
        keypoints=[5, 5, 2],
    )
    small = {"annotations": [one], "images": [drawn / "images"], "size": (64, 64)}
    with pytest.raises(InputError, match=r"1 keypoint and so no limbs.*poise_rcnn_t"):
        finetuned(**small, model="poise_scene_t")
    assert finetuned(**small, model="poise_t").model.skeleton.mirrors


@pytest.fixture(scope="module")
def animals(tmp_path_factory):
    """A folder with `annotations.json` and `images/` of eight drawn animals."""
    folder = tmp_path_factory.mktemp("animals")
    write_coco(FigureDataset(8, kind="animals", size=(96, 96)), folder)
    return folder


def both(animals, drawn):
    return {
        "annotations": [animals / "annotations.json", drawn / "annotations.json"],
        "images": [animals / "images", drawn / "images"],
        "model": "poise_t",
        "size": (64, 64),
    }


def test_people_join_animals_by_a_map_with_missing_keypoints_masked(animals, drawn):
    recipe = finetuned(**both(animals, drawn), map=["left_wrist:tail_base", "analogies"], val_share=0.25)
    assert recipe.model.skeleton.keypoints == QUADRUPED.keypoints
    assert (len(recipe.train), len(recipe.val)) == (6 + 12, 2)
    labels, person = recipe.train.labels(6), COCO17.index
    own = CocoDataset(drawn / "annotations.json", drawn / "images").labels(0)
    at = QUADRUPED.index("tail_base")
    assert torch.equal(labels.visible[:, at], own.visible[:, person("left_wrist")])
    seen = labels.visible[:, at] > 0
    assert torch.equal(labels.xy[seen, at], own.xy[seen, person("left_wrist")])
    unseen = [QUADRUPED.index(name) for name in ("throat", "withers", "left_front_paw")]
    assert not labels.visible[:, unseen].any()
    assert not recipe.train.known(6)[unseen].any()
    assert recipe.train.known(0).all()
    views = recipe.model.train_views(recipe.data, seed=0)
    batch = views.collate([views[0, i] for i in range(len(views))]).batch
    recipe.model.loss(batch).backward()
    assert recipe.mapping is not None
    recipe.mapping.check_used()


def test_a_map_of_unknown_names_is_told(animals, drawn):
    with pytest.raises(SkeletonMismatch, match="there is no keypoint 'left_front_pew'"):
        finetuned(**both(animals, drawn), map=["left_wrist:left_front_pew"])
    recipe = finetuned(**both(animals, drawn), map=["left_wrst:left_front_paw", "analogies"])
    with pytest.raises(InputError, match="--map left_wrst:left_front_paw changes nothing"):
        recipe.mapping.check_used()


def test_an_animal_model_starts_from_one_of_people(animals, tmp_path):
    person = start_model("poise_t", size=(64, 64))
    with torch.no_grad():
        person.network.head.final.weight.normal_()
    start, run = save(person, tmp_path / "people.safetensors"), tmp_path / "run"
    words = ["train", "finetune", "--annotations", animals / "annotations.json", "--images", animals / "images"]
    words += ["--model", "poise_t", "--size", "64", "64", "--map", "analogies", "--steps", "1", "--batch", "4"]
    assert main([str(word) for word in (*words, "--start", start, "--out", run, "--rate", "1e-9", "--logger", "none")]) == 0
    made = load(run / "model.safetensors")
    row = made.network.head.final.weight[QUADRUPED.index("left_front_paw")]
    assert torch.allclose(row, person.network.head.final.weight[COCO17.index("left_wrist")], atol=1e-4)


def test_a_map_without_a_start_is_told(animals, tmp_path, capsys):
    words = ["train", "finetune", "--annotations", animals / "annotations.json", "--images", animals / "images"]
    words += ["--model", "poise_t", "--size", "64", "64", "--map", "analogies", "--out", tmp_path / "run"]
    assert main([str(word) for word in words]) == 1
    said = capsys.readouterr().err
    assert "--map analogies changes nothing" in said
    assert said.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_published_model_starts_one_of_the_users_own_keypoints_with_their_rows_by_name(animals, tmp_path, monkeypatch):
    monkeypatch.setenv("POISE_HOME", str(tmp_path / "home"))
    name = "rtmpose_t_coco_64x64"
    published = start_model(name)
    with torch.no_grad():
        published.network.head.final.weight.normal_(generator=torch.Generator().manual_seed(0))
    save(published, model_place(name))
    words = ["train", "own", "--annotations", animals / "annotations.json", "--images", animals / "images"]
    words += ["--model", name, "--start", name, "--steps", "1", "--batch", "4", "--rate", "1e-9", "--logger", "none"]
    assert main([str(word) for word in (*words, "--out", tmp_path / "run")]) == 0
    made = load(tmp_path / "run" / "model.safetensors")
    assert made.skeleton.keypoints == QUADRUPED.keypoints
    old, new = (model.network.head for model in (published, made))
    kept = [key for key in QUADRUPED.keypoints if key in COCO17.keypoints]
    assert "nose" in kept
    for key in kept:
        rows = new.final.weight[QUADRUPED.index(key)], old.final.weight[COCO17.index(key)]
        torch.testing.assert_close(*rows, atol=1e-4, rtol=0)
    torch.testing.assert_close(new.bins.gau.uv.weight, old.bins.gau.uv.weight, atol=1e-4, rtol=0)
