"""A person in an image is found in the same place of the image enlarged to 4000x3000, through `poise.predict`."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import poise
from poise.data.figures import FigureDataset
from poise.models.keypoint_rcnn import KeypointRCNN
from poise.scenes import People

PLACES = np.random.default_rng(3).permutation(
    np.stack(np.meshgrid(range(1200, 2800, 320), range(600, 2400, 450)), -1).reshape(-1, 2)
)
PLACES = PLACES[:17].astype(float)
"""Of somebody's keypoints in an image of 4000x3000 (x, y), counted from its edge."""

RADIUS = 60
"""Of the dots that keypoints are, pixels of 4000x3000."""


def test_the_same_view_of_a_larger_image_has_the_same_answer_there(model):
    """Where a pixel is enlarged to 25x25, the middle of these is looked at, so both views are one."""
    model.preprocess = replace(model.preprocess, rule="torchvision", fit="short", side=120)
    small = FigureDataset(1, size=(120, 160), per_image=(1, 2), seed=1).image(0).permute(1, 2, 0).numpy()
    large = small.repeat(25, axis=0).repeat(25, axis=1)
    assert large.shape == (3000, 4000, 3)
    found, far = (poise.predict(model, image, precision="fp32", device="cpu") for image in (small, large))
    assert len(found) == len(far) == 4
    torch.testing.assert_close(far.boxes / 25, found.boxes, rtol=0, atol=1e-3)
    torch.testing.assert_close(far.xy / 25, found.xy, rtol=0, atol=1e-3)
    torch.testing.assert_close(far.pose_score, found.pose_score, rtol=0, atol=1e-6)


@pytest.fixture(scope="module", params=[10, 1], ids=["400x300", "4000x3000"])
def drawn(request) -> tuple[np.ndarray, int]:
    """Green dots on grey, each more red than the one before, in an image smaller than 4000x3000 by the factor."""
    factor = request.param
    image = np.full((3000 // factor, 4000 // factor, 3), 90, np.uint8)
    y, x = np.mgrid[: 3000 // factor, : 4000 // factor] + 0.5
    for number, (own, down) in enumerate(PLACES / factor):
        near = np.s_[max(0, int(down - 61)) : int(down + 62), max(0, int(own - 61)) : int(own + 62)]
        image[near][(x[near] - own) ** 2 + (y[near] - down) ** 2 < (RADIUS / factor) ** 2] = (15 * number, 255, 0)
    return image, factor


def seeing(model: KeypointRCNN):
    """Finds the dots of a view as somebody's keypoints, in the box around their middles."""
    canvas = model.preprocess
    mean, std = (torch.tensor(part).view(3, 1, 1) for part in (canvas.mean, canvas.std))

    def read(images, *, flip, sizes, decoders, masks=False):
        red, green, blue = (images[0] * std + mean) * 255
        edge = 0.0 if canvas.rule in ("torchvision", "detectron2") else -0.5  # where keypoints are counted from
        points = []
        for number in range(17):
            y, x = ((red - 15 * number).abs() + (green - 255).abs() + blue < 8).nonzero(as_tuple=True)
            points.append(torch.stack((x.double().mean(), y.double().mean())).float() + 0.5 + edge)
        xy = torch.stack(points)
        last = 1.0 if canvas.rule == "pillow" else 0.0  # a box to some pixel ends behind it
        box = torch.cat((xy.amin(dim=0), xy.amax(dim=0) + last))[None]
        return [[People(xy[None], torch.ones(1, 17), torch.ones(1), box, torch.ones(1))] for _ in decoders]

    return read


@pytest.mark.parametrize("rule", ["unbiased", "torchvision", "pillow", "detectron2"])
def test_a_person_is_found_in_the_same_place_of_an_image_of_12_million_pixels(model, rule, drawn, monkeypatch):
    """To within a pixel of the view, of which maskrcnn-benchmark's way home ("pillow") costs half to both sides."""
    image, factor = drawn
    model.preprocess = replace(model.preprocess, rule=rule, side=480)
    monkeypatch.setattr(model, "read", seeing(model))
    poses = poise.predict(model, image, precision="fp32", device="cpu", flip=False)
    expected = torch.from_numpy(PLACES).float() / factor - (0.0 if rule == "torchvision" else 0.5)  # from edge or middle
    pixel = 4000 / factor / 480
    assert (poses.xy[0] - expected).abs().max() < (0.6 if rule == "pillow" else 0.3) * pixel
    last = 1.0 if rule == "pillow" else 0.0
    assert (poses.boxes[0] - torch.cat((expected.amin(dim=0), expected.amax(dim=0) + last))).abs().max() < pixel
