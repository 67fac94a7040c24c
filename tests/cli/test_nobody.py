"""Images in which nobody is found are counted, with the reason where it is known."""

from pathlib import Path

import pytest

from poise.cli._predict import nobody_text, print_predictions
from poise.inference.sources import Source, requests_of
from poise.inference.write import Writer
from poise.terminal import Console
from poise.zoo.find import build


@pytest.fixture
def writer():
    """A writer that has found four people in four images."""
    made = object.__new__(Writer)
    made.people = made.with_people = 4
    made.unsure = made.lost_boxes = made.small = 0
    made.predictions, made.pictures = Path("found/predictions.json"), True
    return made


def test_images_without_anybody_are_counted_before_the_last_line(writer, capsys):
    model = build("poise_t_coco_192x160")
    images = [Source(Path(f"{i}.jpg"), f"{i}.jpg", i) for i in range(1, 7)]
    print_predictions(Console(), model, images, requests_of(images, None), writer=writer, skipped=[])
    *_, nobody, last = capsys.readouterr().out.splitlines()
    assert nobody == "nobody was found in 2 of 6 images"
    assert last.startswith("4 people in 6 images")
    print_predictions(Console(), model, images[:4], requests_of(images[:4], None), writer=writer, skipped=[])
    assert "nobody" not in capsys.readouterr().out


def test_of_blazepose_the_reason_is_told_and_a_detector_named():
    said = nobody_text(2, "6 images", build("blazepose_landmark_lite"))
    assert said.startswith("nobody was found in 2 of 6 images; BlazePose looks for people in a view of 224 pixels")
    assert "--detector" in said
