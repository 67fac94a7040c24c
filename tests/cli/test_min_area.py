"""People below an area: not learnt, not evaluated, not predicted, and told; and how boxes are cropped in videos."""

import json

import cv2
import pytest
import torch

from poise.cli.main import main
from poise.cli.options.video import VideoOptions
from poise.data.figures import FigureDataset
from poise.data.figures.export import write_coco
from poise.data.large import LargePeople, large_text
from poise.errors import InputError, UnknownName
from poise.evaluation.eval_set import EvalSet
from poise.evaluation.protocols import MpiiProtocol
from poise.geometry import box_area, large
from poise.metrics.coco import evaluate
from poise.recipes.changes import changed
from poise.recipes.options import RecipeChanges
from poise.recipes.short import short_run
from poise.transforms.scene_jitter import SceneAugmentation
from poise.weights.model_file import save
from poise.zoo import build

COUNT, SIZE = 3, (96, 96)


@pytest.fixture(scope="module")
def drawn():
    return FigureDataset(COUNT, size=SIZE, per_image=(2, 3), seed=3)


@pytest.fixture(scope="module")
def middle(drawn):
    """An area that some have and some have not."""
    return float(drawn.all_labels.area.median()) + 1


@pytest.fixture(scope="module")
def home(drawn, tmp_path_factory):
    folder = tmp_path_factory.mktemp("home")
    write_coco(drawn, folder)
    frames = folder / "frames"
    frames.mkdir()
    for i in range(3):
        cv2.imwrite(str(frames / f"{i}.png"), drawn.image(i).permute(1, 2, 0).numpy()[..., ::-1])
    torch.manual_seed(0)
    save(build("poise_t_coco_64x64", codec="Gaussian"), folder / "person.safetensors")
    return folder


def test_small_people_are_crowds_nobody_learns_from(drawn, middle):
    shown = LargePeople(drawn, middle)
    every, small = drawn.all_labels, drawn.all_labels.area < middle
    assert 0 < shown.small == int(small.sum()) < len(every)
    assert torch.equal(shown.all_labels.crowd, small)
    left = [(i, p) for i, p in drawn.people() if drawn.labels(i).area[p] >= middle]
    assert shown.people() == left
    for i in range(COUNT):
        ignored = shown.sample_with_ignore(i).ignore
        for box, area in zip(drawn.labels(i).boxes, drawn.labels(i).area, strict=True):
            x, y = ((box[:2] + box[2:]) / 2).long().clamp(0, 95).tolist()
            assert area >= middle or bool(ignored[y, x])
    assert large_text(shown, done="trained on").startswith(f"{shown.small} of {len(every)} people have an area below ")


def test_a_recipe_leaves_small_people_out_of_training_and_validation(drawn, middle, capsys):
    model, views = build("poise_scene_t_coco_64x64"), SceneAugmentation()
    recipe = short_run("x", model, drawn, drawn, epochs=1, rate=1.0, clip=1.0, augmentation=views)
    made = changed(recipe, RecipeChanges(min_area=middle))
    assert made.train.small == made.val.small > 0
    assert f"min area {middle} (0)" in made.differs
    said = capsys.readouterr().err
    assert all(f"px^2 and are not {word} on" in said for word in ("trained", "validated"))


def test_the_ground_truth_ignores_small_people_as_coco_does(drawn, middle):
    whole = EvalSet.of_dataset(drawn)
    part = whole.at_least(middle)
    assert part.everybody < whole.everybody
    every = whole.truth["annotations"]
    rows = [{"image_id": a["image_id"], "category_id": 1, "keypoints": a["keypoints"], "score": 1.0} for a in every]
    assert evaluate(part.truth, rows, drawn.skeleton).numbers["AP"] == pytest.approx(1), "who finds them does no wrong"
    found = [row for row, a in zip(rows, every, strict=True) if a["area"] >= middle]
    assert evaluate(part.truth, found, drawn.skeleton).numbers["AP"] == pytest.approx(1), "who misses them does no wrong"
    assert evaluate(whole.truth, found, drawn.skeleton).numbers["AP"] < 1
    assert whole.at_least(0.0) is whole
    mpii = EvalSet(whole.dataset, whole.truth, whole.skeletons, whole.ids, object.__new__(MpiiProtocol))
    with pytest.raises(InputError, match="leave --min-area out"):
        mpii.at_least(1.0)


def run(home, tmp_path, *words):
    out = tmp_path / "out.json"
    command = [
        home / "person.safetensors",
        "--annotations",
        home / "annotations.json",
        "--images",
        home / "images",
        "--no-flip",
    ]
    assert main(["evaluate", *map(str, (*command, "--out", out, *words))]) == 0
    return json.loads(out.read_text())


def test_evaluation_leaves_small_people_out_and_tells_how_many(drawn, home, middle, tmp_path, capsys):
    small = int((drawn.all_labels.area < middle).sum())
    every, rest = run(home, tmp_path), run(home, tmp_path, "--min-area", f"{middle}")
    assert f"{small} of {len(drawn.all_labels)} people have an area below" in capsys.readouterr().err
    assert len(every) - len(rest) == small
    boxes = [
        {"image_id": i + 1, "category_id": 1, "bbox": [*b[:2], b[2] - b[0], b[3] - b[1]], "score": 0.9}
        for i in range(COUNT)
        for b in drawn.labels(i).boxes.tolist()
    ]
    (tmp_path / "boxes.json").write_text(json.dumps(boxes))
    found = run(home, tmp_path, "--boxes", tmp_path / "boxes.json", "--min-area", middle)
    assert len(found) == int((box_area(drawn.all_labels.boxes) >= middle).sum())


def predict(home, out, source, *words):
    assert (
        main(["predict", *map(str, (source, "--model", home / "person.safetensors", "--whole-image", "--out", out, *words))])
        == 0
    )
    return [row["keypoints"] for row in json.loads((out / "predictions.json").read_text())]


def test_small_people_are_not_predicted_and_told(home, tmp_path, capsys):
    few = predict(home, tmp_path / "a", home / "frames", "--min-area", 96 * 96, "--no-pictures")
    assert len(few) == 3
    assert predict(home, tmp_path / "b", home / "frames", "--min-area", 96 * 96 + 1, "--no-pictures") == []
    assert "3 people with an area below 9217 px^2 were left out" in capsys.readouterr().out
    assert large(torch.tensor([[0.0, 0.0, 2.0, torch.nan]]), 0.0).all(), "without a minimum everybody stays"


def test_every_setting_of_following_and_tracking_has_a_flag():
    options = VideoOptions(follow_set=("growth=1.3",), track_set=("reach=0.2", "confirm=3"), causal=True, track_score=0.3)
    made = options.settings(whole_image=False, min_score=0.0)
    assert (made.follow.growth, made.track.reach, made.track.confirm, made.track.min_score) == (1.3, 0.2, 3, 0.3)
    assert made.causal
    with pytest.raises(UnknownName, match="field of TrackSettings 'raech'"):
        VideoOptions(track_set=("raech=1",)).settings(whole_image=False, min_score=0.0)


def test_videos_are_cropped_as_the_flags_say_and_leave_small_people_out(home, tmp_path):
    def video(name, *more):
        return predict(home, tmp_path / name, home / "frames", "--as-video", "--no-video", "--smooth", "none", *more)

    usual = video("a")
    assert usual
    assert video("b", "--padding", 1.25) == usual
    assert video("c", "--padding", 1.6) != usual
    assert video("d", "--box-sides", 1.3, 1.1) != usual
    assert video("e", "--min-area", 1e6) == []
