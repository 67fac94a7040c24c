"""RTMPose and RTMW on whole bodies, hands, faces and animals: settings of the releases, and first steps on drawn people."""

import json
import math
from dataclasses import replace

import pytest
import torch
from rich.console import Console

from poise.data.subset import Subset
from poise.errors import InputError, ReadError
from poise.recipes.rtmpose import rtmpose
from poise.recipes.rtmw import rtmw
from poise.skeletons.animal_sets import AP10K17
from poise.skeletons.faces import FACE68, WFLW98
from poise.skeletons.hands import HAND21
from poise.skeletons.wholebody import WHOLEBODY133
from poise.training.checkpoint import AtomicIO
from poise.training.fit import fit

from .whole_body_files import inside, write_whole_bodies


@pytest.fixture
def whole(coco):
    """COCO's folder with COCO-WholeBody's annotations."""
    write_whole_bodies(coco)
    return coco


@pytest.fixture
def ap10k(coco):
    """AP-10K's folder, of two species, the names of whose keypoints are those of its files."""
    (coco / "ap-10k" / "annotations").mkdir(parents=True)
    (coco / "ap-10k" / "data").symlink_to((coco / "train2017").resolve())
    document = json.loads((coco / "annotations/person_keypoints_train2017.json").read_text())
    names = [f"point_{i}" for i in range(17)]
    document["categories"] = [{"id": i, "name": f"species {i}", "keypoints": names, "skeleton": []} for i in (1, 2, 3)]
    for number, animal in enumerate(document["annotations"]):
        animal["category_id"] = 1 + number % 2
    for part in ("train", "val"):
        (coco / f"ap-10k/annotations/ap10k-{part}-split1.json").write_text(json.dumps(document))
    return coco


def rates(recipe):
    return recipe.epochs, recipe.last.begin(recipe.epochs), recipe.batch, recipe.base_batch


def test_whole_bodies_are_trained_as_their_release(whole):
    recipe = rtmpose(data=whole, on="wholebody", pretrained=False)
    assert rates(recipe) == (270, 240, 512, 512)
    assert (recipe.augmentation.scale, recipe.augmentation.rotation, recipe.clip) == (0.4, 80.0, None)
    assert (recipe.last.augmentation.scale, recipe.last.augmentation.rotation) == (0.25, 60.0)
    assert recipe.train.skeleton.keypoints == recipe.model.skeleton.keypoints == WHOLEBODY133.keypoints
    assert {"face-3", "left_thumb2"} < set(recipe.train.skeleton.upper) < set(WHOLEBODY133.keypoints) - {"left_heel"}
    assert recipe.expected == {"coco-wholebody-val/AP": 0.582}
    large = rtmpose(data=whole, on="wholebody", network="rtmpose_x", size=(384, 288), pretrained=False)
    assert (rates(large), large.clip, large.augmentation.rotation) == ((270, 240, 256, 512), 35.0, 90.0)
    assert (large.last.augmentation.scale, large.last.augmentation.rotation) == (0.5, 90.0)
    assert large.expected == {"coco-wholebody-val/AP": 0.653}
    assert rtmpose(data=whole, on="wholebody", network="rtmpose_s", pretrained=False).expected == {}


def test_hands_and_faces_are_learnt_in_their_own_boxes(whole):
    hand = rtmpose(data=whole, on="hand", pretrained=False)
    assert rates(hand) == (210, 180, 256, 256)
    assert (hand.augmentation.rotation, hand.augmentation.half_body, hand.last.augmentation.rotation) == (180.0, 0.0, 180.0)
    assert hand.train.skeleton.keypoints == HAND21.keypoints
    assert hand.expected == {"coco-wholebody-hand-val/pck@0.2": 0.837}
    face = rtmpose(data=whole, on="face", pretrained=False)
    assert rates(face) == (60, 50, 256, 512)
    assert face.train.skeleton.keypoints == FACE68.keypoints
    people = len(rtmpose(data=whole, on="wholebody", pretrained=False).train.people())
    assert (len(hand.train.people()), len(face.train.people())) == (people, people)  # no right hand is valid
    image, person = face.train.people()[0]
    labels = face.train.labels(image)
    x0, y0, x1, y1 = labels.boxes[person].tolist()
    assert ((labels.xy[person] >= torch.tensor([x0, y0])) & (labels.xy[person] <= torch.tensor([x1, y1]))).all()


def test_animals_are_learnt_from_files_that_name_them_otherwise(ap10k):
    recipe = rtmpose(data=ap10k, on="ap10k", pretrained=False)
    assert rates(recipe) == (210, 180, 512, 512)
    assert recipe.model.skeleton.keypoints == recipe.train.skeleton.keypoints == AP10K17.keypoints
    assert recipe.model.codec.size == (256, 256)
    assert recipe.expected == {"ap10k-val/AP": 0.722}
    assert rates(rtmpose(data=ap10k / "ap-10k", on="ap10k", pretrained=False)) == rates(recipe)


def test_missing_annotations_are_named_before_anything_is_made(coco, tmp_path):
    with pytest.raises(ReadError, match=r"coco_wholebody_train_v1\.0\.json.*jin-s13"):
        rtmpose(data=coco, on="hand")
    with pytest.raises(ReadError, match=r"ap10k-train-split1\.json"):
        rtmpose(data=coco, on="ap10k")
    with pytest.raises(ReadError, match="no images of COCO train2017"):
        rtmw(data=tmp_path / "empty")


def test_rtmw_trains_as_its_release(whole):
    recipe = rtmw(data=whole, network="rtmw_m", pretrained=False)
    assert rates(recipe) == (270, 260, 8192, 8192)
    assert (recipe.optimizer.rate, recipe.optimizer.decay, recipe.clip, recipe.average) == (5e-4, 0.05, 35.0, 0.9998)
    views, last = recipe.augmentation, recipe.last.augmentation
    assert (views.rotation, views.drop.probability, views.hsv) == (90.0, 0.5, (18.0, 0.0, 32.0))
    assert (last.rotation, last.scale, last.translation, last.drop, last.colour) == (90.0, 0.5, 0.0, None, 0.0)
    assert recipe.model.codec.joint_weights[23:91] == (0.5,) * 68
    assert recipe.expected == {"coco-wholebody-val/AP": 0.582}
    large = rtmw(data=whole, network="rtmw_x", size=(384, 288), pretrained=False)
    assert (large.batch, large.optimizer.decay, large.expected) == (2560, 0.1, {"coco-wholebody-val/AP": 0.702})
    assert rtmw(data=whole, network="rtmw_x", pretrained=False).batch == 5632


def test_rtmw_learns_from_faces_of_other_numbers_and_from_bodies_beside_whole_bodies(whole, drawn, tmp_path):
    document = json.loads((drawn / "annotations.json").read_text())
    document["categories"] = [{"id": 1, "name": "face", "keypoints": list(WFLW98.keypoints)}]
    document["annotations"] = [p | {"category_id": 1, "keypoints": inside(p["bbox"], 98)} for p in document["annotations"]]
    for face in document["annotations"]:
        face["keypoints"][2::3] = [2] * 98
    (tmp_path / "wflw.json").write_text(json.dumps(document))
    other = tmp_path / "other"
    other.mkdir()
    for image in (drawn / "images").iterdir():
        (other / image.name).write_bytes(image.read_bytes())
    files = [tmp_path / "wflw.json", drawn / "annotations.json"]
    recipe = rtmw(data=whole, more=files, more_images=[other], pretrained=False)
    _, faces, bodies = recipe.train.datasets
    assert recipe.train.skeleton.keypoints == WHOLEBODY133.keypoints
    labels, own = faces.labels(0), json.loads((tmp_path / "wflw.json").read_text())["annotations"][0]["keypoints"]
    middle = WHOLEBODY133.index("face-8")  # the tip of the chin is WFLW's 16th
    assert labels.xy[0, middle].tolist() == pytest.approx(own[48:50], abs=1e-3)
    assert int(faces.known(0).sum()) == 68
    assert int(bodies.known(0).sum()) == 17
    named = rtmw(data=whole, more=files[:1], more_images=[other], map=["wflw-96:left_eye"], pretrained=False)
    assert int(named.train.datasets[1].known(0).sum()) == 69
    with pytest.raises(InputError, match="--more-images"):
        rtmw(data=whole, more=files, pretrained=False)
    with pytest.raises(InputError, match="all images of"):
        rtmw(data=whole, more=files[:1], more_images=[drawn / "images"], pretrained=False)  # those of the validation


RUNS = {
    "wholebody": (rtmpose, {"on": "wholebody", "network": "rtmpose_t"}),
    "hand": (rtmpose, {"on": "hand", "network": "rtmpose_t"}),
    "face": (rtmpose, {"on": "face", "network": "rtmpose_t"}),
    "ap10k": (rtmpose, {"on": "ap10k", "network": "rtmpose_t"}),
    "rtmw": (rtmw, {"network": "rtmw_m"}),
}


@pytest.mark.parametrize("name", sorted(RUNS))
def test_two_steps_on_drawn_people_change_the_network_and_are_checked(name, whole, ap10k, tmp_path, monkeypatch):
    monkeypatch.setattr(AtomicIO, "save_checkpoint", lambda *args, **kwargs: None)  # states are large, and not the matter here
    monkeypatch.setattr("poise.training.logging.summary", lambda model, size: "")
    make, flags = RUNS[name]
    recipe = make(data=whole, size=(64, 64), pretrained=False, **flags)
    before = [p.detach().clone() for p in recipe.model.network.parameters()]
    recipe = replace(recipe, epochs=1, last=None, val=Subset(recipe.val, range(2)))
    quiet = Console(quiet=True)
    result = fit(recipe, out=tmp_path / "run", batch=2, device="cpu", precision="fp32", workers=0, steps=2, console=quiet)
    assert math.isfinite(result.metrics["loss"])
    assert any(not torch.equal(a, b) for a, b in zip(before, result.model.network.parameters(), strict=True))
