"""Models and images that several files try.

One sees what it is asked for: keypoints are a red, a green and a blue dot on black. One knows its images, and one finds
somebody everywhere.
"""

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from poise.codecs.udp import UDPGaussian
from poise.inference.request import ImageRequest
from poise.models.card import Card
from poise.models.keypoint_rcnn import KeypointRCNN
from poise.models.top_down import TopDown
from poise.skeletons import Skeleton
from poise.structures import Architecture, Key, Preprocess
from poise.zoo import build

STAY = (("red", "red"),)
"""A mirror exchanges no colours."""

SKELETON = Skeleton("dots", ("red", "green", "blue"), mirror=STAY, sigmas=(0.05, 0.05, 0.05), sigma_source="made up")


class Looks(nn.Module):
    """Answers with the picture, every colour on its own map."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[int] = []
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.calls.append(len(images))
        return images * self.weight


def looks(**preprocess) -> TopDown:
    size = (64, 48)
    wishes = Preprocess(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), **preprocess)
    return TopDown(Looks(), UDPGaussian(size, size, 3), wishes, SKELETON, Card("looks", Architecture("none:none")))


def picture(xy: np.ndarray, size: tuple[int, int] = (240, 320), width: float = 6.0) -> np.ndarray:
    """RGB pixels with the dots of every person; xy is (n, 3, 2)."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    image = np.zeros((*size, 3))
    for person in xy:
        for channel, (x, y) in enumerate(person):
            image[..., channel] = np.maximum(
                image[..., channel], np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 2 / width**2)
            )
    return (image * 255).round().astype(np.uint8)


PEOPLE = np.array([[[60.0, 60.0], [90.0, 120.0], [50.0, 150.0]], [[200.0, 80.0], [240.0, 90.0], [220.0, 170.0]]])
BOXES = [[30.0, 30.0, 120.0, 180.0], [170.0, 40.0, 280.0, 210.0]]


@pytest.fixture
def dots() -> SimpleNamespace:
    """The model's maker, the pictures' painter, two people and their boxes."""
    return SimpleNamespace(model=looks, picture=picture, people=PEOPLE, boxes=BOXES, skeleton=SKELETON)


@pytest.fixture
def model() -> KeypointRCNN:
    """Random weights: everything is somebody, as surely as not."""
    torch.manual_seed(0)
    made = build("poise_rcnn_t_coco_96x96").eval()
    made.config = replace(made.config, score=0.0, per_image=4)
    return made


def noise(size: tuple[int, int], seed: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 255, (3, *size), np.uint8))


@pytest.fixture(scope="session")
def requests() -> Callable[[Sequence[tuple[int, int]]], list[ImageRequest]]:
    """Asks for images of noise, one of each size, under its number."""
    return lambda sizes: [ImageRequest(Key(f"{i}.png", i), partial(noise, size, i)) for i, size in enumerate(sizes)]


@pytest.fixture(scope="session")
def knowing() -> ModuleType:
    """The module `knowing.py` beside this file: made-up images with several people, and a model that knows them."""
    spec = importlib.util.spec_from_file_location("knowing", Path(__file__).with_name("knowing.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
