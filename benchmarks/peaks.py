"""Why one reading of a map's peaks beats another: on drawn labels, with noise and without.

    python benchmarks/peaks.py [--images N]

prints tables. The first says how far a fit of given width moves a peak, as a share of how far it should: the square of its
width over the labels' is expected. The others read people from answers of several kinds in several ways: how many peaks there
are for each labelled keypoint, how far found keypoints are off, and AP.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
import tyro
from rich.console import Console
from rich.table import Table
from scene_labels import Blur, answer, codec, drawn
from torch import Tensor

from poise.decoding.grouping_config import GroupingConfig
from poise.decoding.peaks import find_peaks, refine_peaks, top_local_maxima
from poise.metrics import coco, coco_format
from poise.scenes import People
from poise.skeletons import COCO17
from poise.structures import Labels

SIGMA, STRIDE = 1.75, 4
WIDTHS = (1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0)
NEAR = 8.0
"""Pixels; a peak counts for the keypoint that is nearer than this."""


@dataclass(frozen=True)
class Way:
    """A way to read people.

    Attributes:
        reading: Ours.
        shift: Pixels that keypoints are moved afterwards.
        slope: They are moved down by their x times this: the release's line for a peak's row, divided as newer PyTorch does.
    """

    reading: GroupingConfig
    shift: float = 0.0
    slope: float = 0.0

    def people(self, output: Tensor) -> People:
        """Of one view."""
        (found,) = replace(codec(), reading=self.reading).decode(output)
        moved = found.xy + self.shift + torch.stack((0 * found.xy[..., 0], self.slope * found.xy[..., 0]), dim=-1)
        return replace(found, xy=moved.where(found.score[..., None] > 0, 0.0))


WAYS = {
    "upsampled": Way(GroupingConfig("upsampled")),
    "upsampled, row divided": Way(GroupingConfig("upsampled"), slope=1 / 512),
    "bilinear": Way(GroupingConfig("bilinear")),
    "cell": Way(GroupingConfig("cell")),
    "cell, times 4": Way(GroupingConfig("cell"), shift=-1.5),
    "cell, row divided": Way(GroupingConfig("cell"), slope=1 / 128),
    "quarter": Way(GroupingConfig("quarter")),
    "dark": Way(GroupingConfig("dark")),
    "fit1": Way(GroupingConfig("fit1")),
    "fit2": Way(GroupingConfig("fit2")),
    "fit1, sigma 3": Way(GroupingConfig("fit1", sigma=3.0)),
    "fit2, sigma 3": Way(GroupingConfig("fit2", sigma=3.0)),
    "fit1-sigma": Way(GroupingConfig("fit1-sigma")),
    "fit2-sigma": Way(GroupingConfig("fit2-sigma")),
}


def clean(labels: Labels, seed: int) -> Tensor:
    return answer(labels, Blur(1.0, 0.0, 0.0), seed=seed)


def white(labels: Labels, seed: int) -> Tensor:
    return answer(labels, Blur(0.9, 0.03, 2.0), seed=seed)


def smooth(labels: Labels, seed: int) -> Tensor:
    """Noise of neighbouring cells is alike."""
    return answer(labels, Blur(0.9, 0.0, 2.0), seed=seed) + spread(labels, seed, 0.05)


def unsure(labels: Labels, seed: int) -> Tensor:
    """Gaussians of a network that has not learnt long: each keypoint's is as high as it is sure, and what it says is rough."""
    made = codec()
    output = answer(labels, Blur(1.0, 0.0, 4.0), seed=seed)
    heat = output[:, : made.keypoints]
    generator = torch.Generator().manual_seed(seed)
    sure = F.interpolate(torch.rand(1, made.keypoints, 8, 8, generator=generator), heat.shape[2:], mode="bilinear")
    heat *= 0.2 + 0.6 * sure
    heat *= 1 + 0.15 * torch.randn(heat.shape, generator=generator)
    return output + spread(labels, seed, 0.02)


ANSWERS: dict[str, Callable[[Labels, int], Tensor]] = {
    "the labels": clean, "white noise": white, "smooth noise": smooth, "unsure": unsure
}  # fmt: skip


def spread(labels: Labels, seed: int, deviation: float) -> Tensor:
    """Smooth noise for the heatmaps, none elsewhere."""
    made = codec()
    noise = torch.randn(1, made.channels, 128, 128, generator=torch.Generator().manual_seed(seed + 1))
    noise[:, made.keypoints :] = 0
    taps = torch.exp(-(torch.arange(-4.0, 5.0) ** 2) / 2 / 1.5**2)
    for kernel in (taps[:, None], taps[None]):
        weight = kernel.expand(made.channels, 1, *kernel.shape)
        noise = F.conv2d(noise, weight, padding=(kernel.shape[0] // 2, kernel.shape[1] // 2), groups=made.channels)
    return noise / noise[:, : made.keypoints].std() * deviation


def moves(scenes: list[Labels], kind: str, reading: GroupingConfig) -> tuple[float, float]:
    """How far peaks are moved from their cells, as a share of how far keypoints are from them; and the mean miss, pixels."""
    moved, due = [], []
    for i, labels in enumerate(scenes):
        heat = ANSWERS[kind](labels, i)[:, : codec().keypoints]
        score, index = top_local_maxima(heat, top=reading.top_k)
        cells = torch.stack((index % heat.shape[-1], index // heat.shape[-1]), dim=-1)
        step = refine_peaks(heat, cells, score, reading) - cells
        for xy, seen in zip(labels.xy, labels.visible, strict=True):
            at = (xy - 1.5) / STRIDE
            off = (at[:, None] - cells[0]).abs().amax(dim=-1).masked_fill(score[0] < 0.5, torch.inf)
            best = off.argmin(dim=1, keepdim=True)
            close = (off.gather(1, best)[:, 0] <= 0.5) & (seen > 0) & alone(labels, xy)
            pick = best[..., None].expand(-1, -1, 2)
            moved.append(step[0].gather(1, pick)[close, 0])
            due.append((at - cells[0].gather(1, pick)[:, 0])[close])
    step, wanted = torch.cat(moved), torch.cat(due)
    return float((step * wanted).sum() / wanted.square().sum()), float((step - wanted).norm(dim=-1).mean()) * STRIDE


def alone(labels: Labels, xy: Tensor) -> Tensor:
    """Keypoints that stand in nobody else's Gaussian."""
    apart = (labels.xy - xy).norm(dim=-1).masked_fill(labels.visible == 0, torch.inf)
    return apart.sort(dim=0).values[1] > 40 if len(labels) > 1 else torch.ones(len(xy), dtype=torch.bool)


def widths(images: list[Labels]) -> Table:
    table = Table("width of the fit, cells", "expected", "labels, 3x3", "5x5", "white noise, 3x3", "5x5", "miss, 3x3, pixels")
    for width in WIDTHS:
        found = [
            moves(images, kind, replace(fit, sigma=width))
            for kind in ("the labels", "white noise")
            for fit in (GroupingConfig("fit1"), GroupingConfig("fit2"))
        ]
        numbers = (f"{share:.2f}" for share, _ in found)
        table.add_row(f"{width:g}", f"{(width / SIGMA) ** 2:.2f}", *numbers, f"{found[0][1]:.2f}")
    return table


def peaks_each(images: list[Labels], outputs: list[Tensor], reading: GroupingConfig) -> float:
    """Peaks for each keypoint that is labelled."""
    count = codec().keypoints
    found = [find_peaks(output[:, :count], reading, stride=STRIDE).score >= reading.threshold for output in outputs]
    return float(sum(f.sum() for f in found)) / float(sum((labels.visible > 0).sum() for labels in images))


def misses(images: list[Labels], people: list[People]) -> Tensor:
    """Of each keypoint that is labelled and found, how far it is off, pixels."""
    out = []
    for labels, found in zip(images, people, strict=True):
        if len(found):
            apart = (labels.xy[:, None] - found.xy[None]).norm(dim=-1).masked_fill((found.score == 0)[None], torch.inf)
            least = apart.amin(dim=1)
            out.append(least[(labels.visible > 0) & (least < NEAR)])
    return torch.cat(out)


def ap(images: list[Labels], people: list[People]) -> float:
    truth = coco_format.to_coco_annotations(dict(enumerate(images)), COCO17)
    rows = [
        {
            "image_id": i,
            "category_id": 1,
            "keypoints": torch.cat((xy, score[:, None]), dim=-1).flatten().tolist(),
            "score": float(whole),
        }
        for i, found in enumerate(people)
        for xy, score, whole in zip(found.xy, found.score, found.pose_score, strict=True)
    ]
    return coco.evaluate(truth, rows, COCO17).numbers["AP"]


def readings(images: list[Labels]) -> Iterator[Table]:
    labelled = sum(int((labels.visible > 0).any(dim=1).sum()) for labels in images)
    for kind, make in ANSWERS.items():
        table = Table(kind, "peaks per keypoint", "people per person", "miss, pixels: median", "mean", "AP")
        outputs = [make(labels, i) for i, labels in enumerate(images)]
        for name, way in WAYS.items():
            people = [way.people(output) for output in outputs]
            off = misses(images, people)
            numbers = (peaks_each(images, outputs, way.reading), sum(len(p) for p in people) / labelled)
            table.add_row(name, *(f"{n:.2f}" for n in (*numbers, off.median(), off.mean())), f"{ap(images, people):.3f}")
        yield table


def main(*, images: int = 60) -> None:
    """Print the tables.

    Args:
        images: Drawn images of one to eight people.
    """
    labels = drawn(images, seed=11)
    Console().print(widths(labels))
    for table in readings(labels):
        Console().print(table)


if __name__ == "__main__":
    sys.exit(tyro.cli(main))
