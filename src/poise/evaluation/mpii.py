"""MPII's measure and results file, from an evaluation."""

from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from poise.data.mpii import MpiiDataset
from poise.evaluation.evaluate import Evaluation
from poise.metrics.pck import pck
from poise.metrics.pckh import grouped, pckh_table
from poise.metrics.sizes import head_sizes, torso_sizes

TORSO_SHARE = 0.2
"""Of the torso, within which a keypoint is hit where nobody knows the heads (PCK@0.2, as on LSP and FLIC)."""


@final
@dataclass(frozen=True, eq=False)
class MpiiScore:
    """The row of MPII's table.

    Attributes:
        row: Percent, by column of `metrics.pckh`; without the means at a tenth where it is by torso.
        heads: How many labelled people have a head box; 0 where the row is by torso.
        people: How many people are labelled.
    """

    row: dict[str, float]
    heads: int
    people: int


def score(dataset: MpiiDataset, evaluation: Evaluation) -> MpiiScore:
    """PCKh where head boxes are known, else PCK@0.2 by torso."""
    labels, found = dataset.everybody, _found(dataset, evaluation)
    labelled = (labels.visible > 0).any(dim=1)
    heads = dataset.all_heads
    if heads is None:
        count = pck(found, labels, TORSO_SHARE, size=torso_sizes(labels, dataset.skeleton))
        return MpiiScore(grouped(count, dataset.skeleton), 0, int(labelled.sum()))
    size = head_sizes(heads)
    row = pckh_table(found, labels, dataset.skeleton, size=size)
    return MpiiScore(row, int((labelled & (size > 0)).sum()), int(labelled.sum()))


def predictions(dataset: MpiiDataset, evaluation: Evaluation) -> Float[Tensor, "n k 2"]:
    """The pose of everybody, in the order of the JSON; nan where nobody was looked for."""
    return _found(dataset, evaluation)[dataset.everybody.ids.argsort()]


def _found(dataset: MpiiDataset, evaluation: Evaluation) -> Float[Tensor, "n k 2"]:
    return torch.cat([evaluation.positions[index] for index in range(len(dataset))])
