"""Evaluation protocols of data sets: who is looked for, in which boxes, and what is measured beside COCO's numbers."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, final

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from poise.data.label_ops import trainable
from poise.data.mpii import MpiiDataset, write_predictions
from poise.dims import Size
from poise.errors import InputError
from poise.metrics.pck import pck
from poise.metrics.pckh import grouped, pckh_table
from poise.metrics.pckh import table as pckh_row
from poise.metrics.sizes import head_sizes, torso_sizes
from poise.structures import CropRule, Labels

TORSO_SHARE = 0.2
"""Share of the torso within which a keypoint is a hit where nobody knows the heads (PCK@0.2, as on LSP and FLIC)."""

Positions = Sequence[Float[Tensor, "_ k 2"]]
"""For each image a pose for each of its labels, pixels; nan where there is none."""


class EvalProtocol(ABC):
    """How a data set is evaluated. COCO's ten numbers and PCK are measured on all of them.

    Attributes:
        submission: Ending of the file in which results are handed in, where it is another than COCO's JSON.
    """

    submission: ClassVar[str | None] = None

    @abstractmethod
    def wanted(self, labels: Labels) -> Bool[Tensor, " n"]:
        """Which labelled people of an image a model looks for."""

    @abstractmethod
    def boxes(self, index: int, boxes: Float[Tensor, "n 4"], rule: CropRule, *, size: Size | None) -> Float[Tensor, "n 4"]:
        """The boxes of these people as the reader of a release cleans them.

        Args:
            index: Of the image.
            boxes: As annotated, x0 y0 x1 y1.
            rule: Crop rule of the release.
            size: Of the image (h, w), where it is known.
        """

    def rows(self, positions: Positions) -> list[tuple[str, dict[str, float]]]:
        """Tables of one row beside COCO's numbers: what a row is, in words, and its numbers by column; none by default.

        Args:
            positions: Found keypoints.
        """
        return []

    def tables(self, positions: Positions, *, name: str) -> list[str]:
        """The same rows ready for the terminal.

        Args:
            positions: Found keypoints.
            name: Of the model.
        """
        return []

    def submit(self, path: Path, positions: Positions) -> int:
        """Write the results as they are handed in; the number of poses comes back.

        Raises:
            WriteError: The place cannot be written.
            InputError: The protocol has no such file.
        """
        raise InputError("results on this data set are written as COCO's JSON; end the name in .json")


@final
class CocoProtocol(EvalProtocol):
    """COCO's: labelled people with a box of some size, in boxes that the release's reader cleans."""

    def wanted(self, labels: Labels) -> Bool[Tensor, " n"]:
        """People with a labelled keypoint and a box of some size, and no crowds."""
        return trainable(labels)

    def boxes(self, index: int, boxes: Float[Tensor, "n 4"], rule: CropRule, *, size: Size | None) -> Float[Tensor, "n 4"]:
        """The boxes cut at the image (`release_boxes`)."""
        return release_boxes(boxes, rule, size=size)


@final
class MpiiProtocol(EvalProtocol):
    """MPII's: everybody is looked for, labelled or not, in boxes nobody cuts; PCKh by head boxes.

    Args:
        dataset: Knows boxes and heads.
    """

    submission = ".mat"

    def __init__(self, dataset: MpiiDataset) -> None:
        self.dataset = dataset

    def wanted(self, labels: Labels) -> Bool[Tensor, " n"]:
        """Everybody with a box of some size."""
        wanted: Tensor = (labels.boxes[:, 2:] > labels.boxes[:, :2]).all(dim=1)
        return wanted

    def boxes(self, index: int, boxes: Float[Tensor, "n 4"], rule: CropRule, *, size: Size | None) -> Float[Tensor, "n 4"]:
        """The boxes from centre and scale, as the release of a crop rule makes them."""
        return self.dataset.boxes(index, rule)

    def rows(self, positions: Positions) -> list[tuple[str, dict[str, float]]]:
        """PCKh where head boxes are known, else PCK@0.2 by torso; percent. None where nobody is labelled."""
        row, people, heads = self.pckh(positions)
        if not people:
            return []
        if heads:
            return [(f"PCKh of {heads} people with a head box, percent; Mean@0.1 is at 0.11 as published:", row)]
        said = (
            "PCKh needs head boxes and there are none: give gt_val.mat or MPII's own .mat with --heads. Instead PCK by torso, "
            f"hits within {TORSO_SHARE:g} of it, percent:"
        )
        return [(said, row)]

    def tables(self, positions: Positions, *, name: str) -> list[str]:
        """The same for the terminal; where nobody is labelled, what to do with the results."""
        rows = self.rows(positions)
        if not rows:
            return ["nobody is labelled, so there is no PCKh: this is the part whose results are handed in (--out FILE.mat)"]
        return [text for said, row in rows for text in (said, pckh_row(name, row))]

    def pckh(self, positions: Positions) -> tuple[dict[str, float], int, int]:
        """The row of MPII's table (percent, by column of `metrics.pckh`), how many people are labelled, how many have a head.

        Without head boxes the row is by torso, and has no means at a tenth.
        """
        labels, found = self.dataset.all_labels, torch.cat(list(positions))
        labelled = (labels.visible > 0).any(dim=1)
        heads = self.dataset.all_heads
        if heads is None:
            count = pck(found, labels, TORSO_SHARE, size=torso_sizes(labels, self.dataset.skeleton))
            return grouped(count, self.dataset.skeleton), int(labelled.sum()), 0
        size = head_sizes(heads)
        row = pckh_table(found, labels, self.dataset.skeleton, size=size)
        return row, int(labelled.sum()), int((labelled & (size > 0)).sum())

    def submit(self, path: Path, positions: Positions) -> int:
        """The .mat people hand in: the pose of everybody, in the order of the JSON; nan where nobody was looked for."""
        everybody = self.dataset.all_labels
        write_predictions(path, torch.cat(list(positions))[everybody.ids.argsort()])
        return len(everybody)


def release_boxes(boxes: Float[Tensor, "n 4"], rule: CropRule, *, size: Size | None) -> Float[Tensor, "n 4"]:
    """Annotated boxes x0 y0 x1 y1 as the releases clean them: cut at the image and, but for DARK's, a pixel shorter.

    Ours stay as they are, and so does a box of which nothing would be left.

    Args:
        boxes: As annotated.
        rule: Whose reader.
        size: Of the image (h, w), where it is known.
    """
    if rule == "unbiased":
        return boxes
    low = boxes[:, :2].clamp(min=0)
    high = low + (boxes[:, 2:] - boxes[:, :2] - 1).clamp(min=0)
    if size is not None:
        high = torch.minimum(high, high.new_tensor([size[1] - 1, size[0] - 1]))
    high = high + 1 if rule == "dark" else high
    kept = (high > low).all(dim=1, keepdim=True)
    return torch.where(kept, torch.cat((low, high), dim=1), boxes)
