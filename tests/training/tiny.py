"""A run of seconds: coloured dots on noise, a network of three layers. Also a script, for tests that kill or multiply it."""

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from poise.codecs.udp import UDPGaussian
from poise.data.base import Dataset
from poise.models.card import Card
from poise.models.top_down import TopDown
from poise.skeletons import Skeleton
from poise.structures import Architecture, Key, Labels, Preprocess
from poise.training.fit import fit
from poise.training.recipe import Optimizer, Recipe, Schedule
from poise.transforms.jitter import Augmentation

DOTS = Skeleton("dots", ("left_dot", "right_dot"), mirror=(("left_dot", "right_dot"),), sigmas=(0.1, 0.1))


class Dots(Dataset):
    """A red dot and a green dot on grey noise."""

    def __init__(self, count: int, *, seed: int = 0) -> None:
        self.count = count
        self.seed = seed
        self.skeleton = DOTS

    def __len__(self):
        return self.count

    def key(self, index):
        return Key(f"dots-{index}.png", index)

    def _xy(self, index):
        return np.random.default_rng((self.seed, index)).uniform(12, 52, size=(2, 2)).astype(np.float32)

    def labels(self, index):
        xy = torch.from_numpy(self._xy(index))[None]
        return Labels.of(xy, torch.full((1, 2), 2), torch.tensor([[0.0, 0.0, 63.0, 63.0]]))

    def image(self, index):
        image = np.random.default_rng((self.seed, index, 1)).integers(80, 120, size=(64, 64, 3)).astype(np.uint8)
        rows, columns = np.mgrid[:64, :64]
        for place, (x, y) in enumerate(self._xy(index)):
            image[(columns - x) ** 2 + (rows - y) ** 2 < 16] = np.eye(3)[place] * 255
        return torch.from_numpy(image).permute(2, 0, 1)


class Net(nn.Module):
    """A backbone and a head, with a norm and chance in it, as real networks have."""

    def __init__(self, *, chance: bool = True) -> None:
        super().__init__()
        norm = nn.BatchNorm2d(16) if chance else nn.Identity()
        self.backbone = nn.Sequential(nn.Conv2d(3, 16, 5, 2, 2), norm, nn.ReLU(), nn.Conv2d(16, 16, 3, 2, 1), nn.ReLU())
        self.drop = nn.Dropout2d(0.1 if chance else 0.0)
        self.head = nn.Conv2d(16, 2, 3, 1, 1)

    def forward(self, images):
        return self.head(self.drop(self.backbone(images)))


class Other(Net):
    """The same layers under another name."""


@dataclass(frozen=True)
class Tiny:
    """What a test may want otherwise."""

    people: int = 40
    batch: int = 8
    epochs: int = 3
    average: float | None = 0.9
    freeze_epochs: int = 0
    rate: float = 1e-2
    chance: bool = True
    val: bool = True


def recipe(options: Tiny = Tiny()) -> Recipe:
    torch.manual_seed(0)
    codec = UDPGaussian(size=(64, 64), cells=(16, 16), keypoints=2)
    card = Card("tiny", Architecture("tiny:Net", {"chance": options.chance}))
    model = TopDown(Net(chance=options.chance), codec, Preprocess(), DOTS, card)
    return Recipe(
        name="tiny",
        model=model,
        train=Dots(options.people),
        val=Dots(10, seed=1) if options.val else None,
        epochs=options.epochs,
        batch=options.batch,
        augmentation=Augmentation(rotation=20.0, flip=0.0),
        optimizer=Optimizer(rate=options.rate),
        schedule=Schedule(kind="cosine", warmup_steps=3),
        average=options.average,
        clip=1.0,
        freeze_epochs=options.freeze_epochs,
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--resume", type=Path)
    parser.add_argument("--devices", type=int, default=1)
    parser.add_argument("--strategy", default="auto")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--save-minutes", type=float, default=5.0)
    parser.add_argument("--same", action="store_true", help="nothing that depends on how a batch is shared")
    parser.add_argument("--stages", type=int, default=1)
    parser.add_argument("--slow", action="store_true", help="time enough to be killed in the middle")
    flags = parser.parse_args()
    torch.set_num_threads(1)
    if flags.slow:
        image = Dots.image
        Dots.image = lambda dots, index: (time.sleep(0.005), image(dots, index))[1]
    fit(
        recipe(Tiny(epochs=flags.epochs, chance=not flags.same)).staged(flags.stages),
        out=flags.out,
        resume=flags.resume,
        device="cpu",
        precision="fp32",
        workers=0,
        devices=flags.devices,
        strategy=flags.strategy,
        save_minutes=flags.save_minutes,
    )


if __name__ == "__main__":
    sys.exit(main())
