"""Why a detector's boxes suffer from its keypoint head: how large the gradients are that the head sends into what both share.

    python benchmarks/roi_gradients.py [--steps 100] [--rate 0.002]

A made-up detector: features of boxes, in which keypoints and the box's place can be seen, go through one convolution that a box
head and a keypoint head of 56x56 maps share. It is trained by SGD with momentum, once with one cell by cross-entropy and once
with Gaussians for each weight of their mean squared error; labels are off by a cell, as people's are. The table says, at the
start and at the end, the length of the keypoint loss's gradient in its own maps and in the shared layer, the latter beside that
of the box losses; and what boxes and keypoints came to. It takes a minute of one core.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
import tyro
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from poise.codecs.gaussian import Gaussian
from poise.codecs.one_hot import OneHot
from poise.codecs.roi import RoICodec
from poise.codecs.roi_adapter import RoIAdapter

KEYPOINTS, CELLS, CHANNELS, ROI = 17, (56, 56), 48, 14
PEOPLE, OTHERS = 12, 36
"""Boxes with and without a person: a quarter with one, as in training."""

BOX = torch.tensor([[0.0, 0.0, 56.0, 56.0]])
SMALL = 0.001
"""Deviation of the last layer's first weights in Simple Baselines' release, whose maps then start at nothing."""

WEIGHTS = (1, 40, 1000, 2000, 3000, 10000)


@dataclass(frozen=True, eq=False)
class Scene:
    """Features of boxes, those with people first; keypoints as they are and as labelled; how the boxes are to be mended."""

    features: Tensor
    xy: Tensor
    labelled: Tensor
    delta: Tensor


class Detector(nn.Module):
    """One shared convolution, a box head and a keypoint head, initialised as Mask R-CNN's release initialises its own.

    Args:
        last: Deviation of the keypoint head's last weights; None for the release's, which depends on the layer's size.
    """

    def __init__(self, last: float | None) -> None:
        super().__init__()
        self.shared = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1)
        self.boxes = nn.Sequential(nn.AvgPool2d(2), nn.Flatten(), nn.Linear(CHANNELS * 49, 128), nn.ReLU(), nn.Linear(128, 6))
        convolutions = [layer for _ in range(3) for layer in (nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1), nn.ReLU())]
        self.points = nn.Sequential(*convolutions, nn.ConvTranspose2d(CHANNELS, KEYPOINTS, 4, stride=2, padding=1))
        for part in self.modules():
            if isinstance(part, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
                nn.init.zeros_(part.bias)  # type: ignore[arg-type]
        if last is not None:
            nn.init.normal_(self.points[-1].weight, std=last)  # type: ignore[arg-type]

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """The box head's answer for all boxes, and the maps of those with people."""
        seen = self.shared(features).relu()
        maps = F.interpolate(self.points(seen[:PEOPLE]), scale_factor=2.0, mode="bilinear", align_corners=False)
        return self.boxes(seen), maps


def drawn(words: Tensor, chance: torch.Generator) -> Scene:
    """Every keypoint shows as a Gaussian of its own word; the box's error shows as a word that fills it."""
    xy = 6 + 44 * torch.rand(PEOPLE, KEYPOINTS, 2, generator=chance)
    delta = torch.randn(PEOPLE, 4, generator=chance)
    at = (torch.arange(ROI) + 0.5) * CELLS[0] / ROI
    dx, dy = ((at - part[..., None]).square() for part in xy.unbind(-1))
    gaussians = torch.exp(-(dy[..., :, None] + dx[..., None, :]) / 32)
    features = 0.5 * torch.randn(PEOPLE + OTHERS, CHANNELS, ROI, ROI, generator=chance)
    features[:PEOPLE] += torch.einsum("nkhw,kc->nchw", gaussians, words[:KEYPOINTS])
    features[:PEOPLE] += 0.3 * (delta @ words[KEYPOINTS:])[..., None, None]
    return Scene(features, xy, xy + torch.randn(xy.shape, generator=chance), delta)


def box_loss(answer: Tensor, scene: Scene) -> Tensor:
    """Person or not, and smooth L1 of the deltas, both averaged over all boxes as published."""
    kind = (torch.arange(len(answer)) < PEOPLE).long()
    moved = F.smooth_l1_loss(answer[:PEOPLE, 2:], scene.delta, beta=1 / 9, reduction="sum") / len(answer)
    return F.cross_entropy(answer[:, :2], kind) + moved


@dataclass(frozen=True)
class Measured:
    """Lengths of gradients, and how good the answers are."""

    maps: float
    points: float
    boxes: float
    box_error: float
    wrong: float
    off: float
    score: float


def measure(model: Detector, codec: RoICodec, scene: Scene) -> Measured:
    everyone, place = torch.full(scene.xy.shape[:2], 2), BOX.expand(PEOPLE, 4)
    answer, maps = model(scene.features)
    loss = codec.loss(maps, scene.labelled, everyone, place)
    to_maps, points = torch.autograd.grad(loss, (maps, model.shared.weight), retain_graph=True)
    (boxes,) = torch.autograd.grad(box_loss(answer, scene), model.shared.weight)
    found = codec.decode(maps.detach(), place)
    wrong = answer[:, :2].argmax(dim=1) != (torch.arange(len(answer)) < PEOPLE).long()
    return Measured(
        to_maps.norm().item(),
        points.norm().item(),
        boxes.norm().item(),
        (answer[:PEOPLE, 2:] - scene.delta).abs().mean().item(),
        wrong.float().mean().item(),
        (found.xy - scene.xy).norm(dim=-1).median().item(),
        found.score.median().item(),
    )


def trained(codec: RoICodec, *, last: float | None, steps: int, rate: float) -> tuple[Measured, Measured]:
    """At the start and at the end."""
    torch.manual_seed(0)
    chance = torch.Generator().manual_seed(0)
    words = torch.randn(KEYPOINTS + 4, CHANNELS, generator=chance)
    model, test = Detector(last), drawn(words, torch.Generator().manual_seed(1))
    start = measure(model, codec, test)
    pull = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9, weight_decay=1e-4)
    everyone, place = torch.full((PEOPLE, KEYPOINTS), 2), BOX.expand(PEOPLE, 4)
    for step in range(steps):
        scene = drawn(words, chance)
        for group in pull.param_groups:
            group["lr"] = rate * min(1.0, 1 / 3 + step / (0.2 * steps))
        answer, maps = model(scene.features)
        pull.zero_grad()
        (box_loss(answer, scene) + codec.loss(maps, scene.labelled, everyone, place)).backward()  # type: ignore[no-untyped-call]
        pull.step()
    return start, measure(model, codec, test)


def main(*, steps: int = 100, rate: float = 0.002) -> None:
    """Train with every head and print the table."""
    torch.set_num_threads(1)
    gaussians = Gaussian(CELLS, CELLS, KEYPOINTS, shift_flipped=False)
    one_hot = OneHot(CELLS, KEYPOINTS)
    heads: list[tuple[str, RoICodec, float | None]] = [
        ("cross-entropy", one_hot, None),
        ("cross-entropy, small", one_hot, SMALL),
    ]
    for weight in WEIGHTS:
        in_box = RoIAdapter.of(gaussians, weight=2.0 * weight)  # the codec halves its squares
        heads += [(f"MSE x {weight}", in_box, None), (f"MSE x {weight}, small", in_box, SMALL)]
    table = Table("head", "at first", "in shared", "beside boxes'", "at last", "beside boxes'")
    for column in ("box error", "wrong", "px off", "score"):
        table.add_column(column)
    for name, codec, last in heads:
        start, end = trained(codec, last=last, steps=steps, rate=rate)
        ratio = end.points / end.boxes if end.boxes > 0 else math.nan
        found = (f"{end.box_error:.2f}", f"{end.wrong:.0%}", f"{end.off:.1f}", f"{end.score:.3g}")
        sent = (start.maps, start.points, start.points / start.boxes, end.maps, ratio)
        table.add_row(name, *(f"{value:.2g}" for value in sent), *found)
    Console(width=140).print(table)


if __name__ == "__main__":
    tyro.cli(main)
