"""Streams at full speed: JPEG files read smaller, pixels dropped, memory bounded, the time of each stage."""

from typing import get_args

import cv2
import numpy as np
import pytest
import torch

from poise.inference import stream
from poise.inference.predictor import Predictor
from poise.inference.sources import SourceBoxes, find_images, requests_of
from poise.structures import CropRule

TIMES = 8
"""The pictures are so many times larger than those of the other tests, and a view shows a pixel of every 20 or so."""


@pytest.fixture
def large(dots, tmp_path):
    """A request for a large JPEG file of two people with their boxes."""
    pixels = cv2.resize(dots.picture(dots.people), None, fx=TIMES, fy=TIMES)
    cv2.imwrite(str(tmp_path / "1.jpg"), np.ascontiguousarray(pixels[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, 95])
    boxes = torch.tensor(dots.boxes) * TIMES
    return requests_of(find_images([str(tmp_path)]), {1: SourceBoxes(boxes, torch.ones(2), [1, 1])})


@pytest.mark.parametrize("rule", get_args(CropRule))
def test_large_files_read_smaller_give_the_keypoints_of_the_whole_image(rule, dots, large):
    model = dots.model(crop=rule)
    size = (240 * TIMES, 320 * TIMES)
    assert model.reduced_by(size, large[0].boxes) == 8
    whole, dropped, reduced = (
        next(Predictor(model, pixels=pixels, precision="fp32").stream(large)) for pixels in ("kept", "dropped", "reduced")
    )
    assert (whole.image is None, dropped.image, reduced.image) == (False, None, None)
    assert torch.equal(dropped.poses.xy, whole.poses.xy)
    assert whole.poses.size == dropped.poses.size == reduced.poses.size == size
    view = (large[0].boxes[:, 2] - large[0].boxes[:, 0]).amax() * 1.25 / 48  # pixels of the image that one of the view shows
    assert (reduced.poses.xy - whole.poses.xy).norm(dim=-1).max() < 0.1 * view
    assert not torch.equal(reduced.poses.xy, whole.poses.xy)
    assert (reduced.poses.xy - torch.from_numpy(dots.people * TIMES + (TIMES - 1) / 2)).norm(
        dim=-1
    ).max() < view  # CPN moves pixels by half of one


def test_how_much_smaller_follows_from_the_smallest_box_and_some_models_read_every_pixel(dots, model):
    top_down, size = dots.model(), (4000, 4000)
    for width, factor in ((60, 1), (90, 2), (170, 4), (400, 8), (4000, 8)):
        boxes = torch.tensor([[100.0, 100.0, 100.0 + width, 100.0 + width], [0.0, 0.0, 4000.0, 4000.0]])
        assert top_down.reduced_by(size, boxes) == factor, width
    assert top_down.reduced_by(size, None) == 8
    assert model.reduced_by(size, None) == 1


def test_images_that_wait_for_a_batch_take_no_more_memory_than_they_may(dots, monkeypatch, requests):
    monkeypatch.setattr(stream, "MOST_BYTES", 3 * 90 * 120 * 4)
    sizes = [(90, 120)] * 20
    for pixels, most in (("kept", 5), ("dropped", 20)):
        model = dots.model()
        found = list(Predictor(model, pixels=pixels, batch=32, precision="fp32", flip=False).stream(requests(sizes)))
        assert [one.poses.key.image_id for one in found] == list(range(20))
        assert max(model.network.calls) == most


def test_the_time_of_each_stage_is_told(dots, large, model, requests):
    predictor = Predictor(dots.model(), detector=model, workers=2)
    list(predictor.stream(requests([(96, 96)] * 3)))
    assert all(predictor.stages.seconds[name] > 0 for name in ("reading", "crops", "detector", "network", "decoding"))
