"""The record of the rounds of pseudo-labels: `rounds.csv`, and pictures of accepted and refused ones."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from poise.adaptation.target import Target
from poise.errors import ImageError
from poise.geometry import apply
from poise.metrics.pck import distances
from poise.models.base import PoseModel
from poise.models.pictures import Picture, png
from poise.skeletons import Skeleton
from poise.structures import Labels, View
from poise.training.result import Row, write_csv
from poise.transforms.render import denormalise
from poise.viz.draw import draw_people, enlarged, titled
from poise.writing import write_atomic

if TYPE_CHECKING:
    from poise.adaptation.pseudo import PseudoLabels

RIGHT = 0.1
"""Distance of a correct pseudo-label from the true position, as a share of the longer side of the box."""

FILE = "rounds.csv"
_TILES, _TILE = 12, 192


@final
@dataclass(frozen=True)
class Round:
    """A round of pseudo-labels.

    Attributes:
        number: Which one, from 0.
        epoch: Epoch before which it was made, from 0.
        people: People of the target.
        share: Share of their keypoints that was accepted.
        precision: Share of the accepted ones that is correct, among those with a label; nan where there are no labels.
        shares: Share accepted of each keypoint, by name.
        precisions: Precision of each keypoint, by name; nan where nothing tells.
    """

    number: int
    epoch: int
    people: int
    share: float
    precision: float
    shares: Mapping[str, float]
    precisions: Mapping[str, float]

    @classmethod
    def of(
        cls,
        number: int,
        epoch: int,
        xy: Float[Tensor, "n k 2"],
        accepted: Bool[Tensor, "n k"],
        *,
        skeleton: Skeleton,
        truth: Labels | None,
    ) -> "Round":
        """The record of a round.

        Args:
            number: Which one, from 0.
            epoch: Epoch before which it was made.
            xy: Pseudo-labels, pixels of the image.
            accepted: Which are accepted.
            skeleton: Names of the keypoints.
            truth: Labels of these people, where there are any; they are used for this record alone.
        """
        names = skeleton.keypoints
        known = torch.zeros_like(accepted)
        right = torch.zeros_like(accepted)
        if truth is not None:
            distance, counted = distances(xy, truth)
            known, right = counted & accepted, (distance < RIGHT) & counted & accepted
        each = [_ratio(a, b) for a, b in zip(right.sum(dim=0), known.sum(dim=0), strict=True)]
        return cls(
            number,
            epoch,
            len(xy),
            float(accepted.double().mean()),
            _ratio(right.sum(), known.sum()),
            dict(zip(names, accepted.double().mean(dim=0).tolist(), strict=True)),
            dict(zip(names, each, strict=True)),
        )

    @property
    def row(self) -> Row:
        """The round as a row of `rounds.csv`; what nobody can tell is missing."""
        row: Row = {"round": self.number, "epoch": self.epoch + 1, "people": self.people, "share": self.share}
        values = {"precision": self.precision} | {f"share/{n}": v for n, v in self.shares.items()}
        values |= {f"precision/{n}": v for n, v in self.precisions.items()}
        return row | {name: round(value, 4) for name, value in values.items() if math.isfinite(value)}

    @property
    def sentence(self) -> str:
        """The round in a line."""
        told = "" if math.isnan(self.precision) else f"; of those with a label {self.precision:.1%} are correct (pck@{RIGHT:g})"
        return f"round {self.number}: pseudo-labels of {self.people}, {self.share:.1%} of their keypoints accepted{told}"

    def to_plain(self) -> dict[str, Any]:
        """The fields as plain values."""
        return asdict(self)

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> "Round":
        """The round that `to_plain` wrote."""
        return cls(**values)


def _ratio(part: Tensor, whole: Tensor) -> float:
    return float(part) / float(whole) if float(whole) else math.nan


def write_rounds(folder: Path, rounds: Sequence[Round], model: PoseModel, target: Target, labels: "PseudoLabels") -> None:
    """Write `rounds.csv`, and the pictures of the last round: its surest accepted labels, and refused ones.

    Args:
        folder: Folder of the run.
        rounds: The rounds so far.
        model: The model whose views are drawn.
        target: The images.
        labels: Labels of the last round.
    """
    write_csv(folder / FILE, [one.row for one in rounds])
    for name, picture in pictures(model, target, labels).items():
        write_atomic(folder / "pictures" / f"round-{rounds[-1].number:04d}-{name}.png", png(picture))


def pictures(model: PoseModel, target: Target, labels: "PseudoLabels") -> dict[str, Picture]:
    """Pictures of the surest accepted and of the least sure refused labels, by "accepted" and "refused"; none without any.

    Args:
        model: The model whose views are drawn.
        target: The images.
        labels: The labels.
    """
    drawn = {}
    for name, kept in (("accepted", labels.accepted), ("refused", ~labels.accepted)):
        sure = torch.where(kept, labels.score, 0).sum(dim=1) / kept.sum(dim=1).clamp(min=1)
        order = sure.argsort(descending=name == "accepted", stable=True)
        people = [int(i) for i in order if bool(kept[i].any())][:_TILES]
        tiles = [tile for i in people if (tile := _tile(model, target, i, labels.xy[i], kept[i])) is not None]
        if tiles:
            drawn[name] = _grid(tiles, f"{name} pseudo-labels, {'the surest' if name == 'accepted' else 'the least sure'}")
    return drawn


def _tile(model: PoseModel, target: Target, person: int, xy: Float[Tensor, "k 2"], kept: Bool[Tensor, " k"]) -> Picture | None:
    views = model.val_views(target, seed=0)
    try:
        view: View = views[(0, person)].view
    except ImageError:
        return None
    pixels = np.ascontiguousarray(denormalise(view.image, model.preprocess).permute(1, 2, 0).numpy())
    large, factor = enlarged(pixels, _TILE)
    seen = (apply(view.warp, xy.double()).float() + 0.5) * factor - 0.5
    return draw_people(large, seen[None], 2 * kept[None].to(torch.int64), model.skeleton)


def _grid(tiles: Sequence[Picture], title: str) -> Picture:
    """Up to 12 pictures of one size, four in a row, below a title."""
    size = tuple(max(tile.shape[axis] for tile in tiles) for axis in (0, 1))
    padded = [np.pad(t, ((0, size[0] - t.shape[0]), (0, size[1] - t.shape[1]), (0, 0))) for t in tiles]
    padded += [np.zeros_like(padded[0])] * (-len(padded) % min(4, len(padded)))
    width = min(4, len(padded))
    rows = [np.concatenate(padded[i : i + width], axis=1) for i in range(0, len(padded), width)]
    return titled(np.concatenate(rows), title)
