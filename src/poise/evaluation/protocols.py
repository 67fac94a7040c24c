"""Evaluation protocols of data sets: which people are evaluated, in which boxes, and the metrics beside COCO's."""

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
"""Distance, as a share of the torso, within which a keypoint is correct where head boxes are missing (PCK@0.2 of LSP, FLIC)."""

Positions = Sequence[Float[Tensor, "_ k 2"]]
"""For each image one pose per row of its labels, pixels of the image; nan where there is none."""


class EvalProtocol(ABC):
    """How a data set is evaluated. COCO's ten numbers and PCK are measured on all of them.

    Attributes:
        submission: Suffix of the result file that the benchmark takes, where it is not COCO's JSON.
    """

    submission: ClassVar[str | None] = None

    @abstractmethod
    def evaluated(self, labels: Labels) -> Bool[Tensor, " n"]:
        """Mask of the people that are evaluated, each decided alone: the labels may be those of many images."""

    @abstractmethod
    def boxes(self, index: int, boxes: Float[Tensor, "n 4"], rule: CropRule, *, size: Size | None) -> Float[Tensor, "n 4"]:
        """Boxes of these people, cleaned as in a release.

        Args:
            index: Index of the image.
            boxes: Annotated boxes, x0 y0 x1 y1.
            rule: Crop rule of the release.
            size: Size of the image (h, w), where it is known.
        """

    def rows(self, positions: Positions) -> list[tuple[str, dict[str, float]]]:
        """Further metrics, as tables of one row: caption, and numbers by column; none by default.

        Args:
            positions: Predicted keypoints.
        """
        return []

    def tables(self, positions: Positions, *, name: str) -> list[str]:
        """The lines of these tables for the terminal.

        Args:
            positions: Predicted keypoints.
            name: Name of the model.
        """
        return []

    def submit(self, path: Path, positions: Positions) -> int:
        """Write the result file that the benchmark takes, and return the number of poses.

        Raises:
            WriteError: The file cannot be written.
            InputError: The protocol has no such file.
        """
        raise InputError("results on this data set are written as COCO's JSON; end the name in .json")


@final
class CocoProtocol(EvalProtocol):
    """COCO's protocol: people with a labelled keypoint and a box of some size, in boxes cleaned as in the release."""

    def evaluated(self, labels: Labels) -> Bool[Tensor, " n"]:
        """People with a labelled keypoint and a box of some size, and no crowds."""
        return trainable(labels)

    def boxes(self, index: int, boxes: Float[Tensor, "n 4"], rule: CropRule, *, size: Size | None) -> Float[Tensor, "n 4"]:
        """The boxes clipped to the image (`release_boxes`)."""
        return release_boxes(boxes, rule, size=size)


@final
class MpiiProtocol(EvalProtocol):
    """MPII's protocol: all people, labelled or not, in boxes that are not clipped; PCKh by head boxes.

    Args:
        dataset: The data set, with boxes and head boxes.
    """

    submission = ".mat"

    def __init__(self, dataset: MpiiDataset) -> None:
        self.dataset = dataset

    def evaluated(self, labels: Labels) -> Bool[Tensor, " n"]:
        """People with a box of some size."""
        mask: Tensor = (labels.boxes[:, 2:] > labels.boxes[:, :2]).all(dim=1)
        return mask

    def boxes(self, index: int, boxes: Float[Tensor, "n 4"], rule: CropRule, *, size: Size | None) -> Float[Tensor, "n 4"]:
        """The boxes from centre and scale, as the release of a crop rule makes them."""
        return self.dataset.boxes(index, rule)

    def rows(self, positions: Positions) -> list[tuple[str, dict[str, float]]]:
        """PCKh where head boxes are known, else PCK@0.2 by torso; percent; empty where no person is labelled."""
        row, people, heads = self.pckh(positions)
        if not people:
            return []
        if heads:
            return [(f"PCKh of {heads} people with a head box, percent; Mean@0.1 is at 0.11 as published:", row)]
        caption = (
            "PCKh needs head boxes and there are none: give gt_val.mat or MPII's own .mat with --heads. Instead PCK by torso, "
            f"correct within {TORSO_SHARE:g} of it, percent:"
        )
        return [(caption, row)]

    def tables(self, positions: Positions, *, name: str) -> list[str]:
        """PCKh for the terminal; where no person is labelled, a hint how to submit the results."""
        rows = self.rows(positions)
        if not rows:
            return ["nobody is labelled, so there is no PCKh: results on the test set are submitted (--out FILE.mat)"]
        return [text for caption, row in rows for text in (caption, pckh_row(name, row))]

    def pckh(self, positions: Positions) -> tuple[dict[str, float], int, int]:
        """The row of MPII's table (percent, by column of `metrics.pckh`), the numbers of labelled people and of head boxes.

        Without head boxes the row is PCK by torso, without Mean@0.1.
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
        """Write the .mat of MPII's server: the poses of all people, in the order of the JSON; nan where there is none."""
        everybody = self.dataset.all_labels
        write_predictions(path, torch.cat(list(positions))[everybody.ids.argsort()])
        return len(everybody)


def release_boxes(boxes: Float[Tensor, "n 4"], rule: CropRule, *, size: Size | None) -> Float[Tensor, "n 4"]:
    """Boxes x0 y0 x1 y1 as the releases clean them: clipped to the image and, except DARK's, a pixel shorter.

    With the crop rule "unbiased" they stay unchanged; so does a box that would lose its size.

    Args:
        boxes: Annotated boxes.
        rule: Crop rule of the release.
        size: Size of the image (h, w), where it is known.
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
