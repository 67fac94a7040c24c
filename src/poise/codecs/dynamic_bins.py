"""RTMO's dynamic coordinate classifier (arXiv 2312.07526): bins laid over each person's box, and which people are read."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, final

from jaxtyping import Float
from torch import Tensor

from poise.errors import InputError
from poise.geometry import Boxes
from poise.scenes import People

PADDING = 1.25
"""Factor by which boxes grow before bins are laid over them."""

FindPeople = Callable[..., Sequence[Any]]
"""Finds the people of each view in maps: `nn.rtmo.network.RTMOHead.people`."""


@dataclass(frozen=True)
class DynamicBins:
    """How people are read from RTMO's maps; the classifier itself is part of the network.

    Attributes:
        keypoints: Number of keypoints.
        min_score: People have a higher score.
        max_iou: IoU above which of two boxes the one of lower score is left out.

    Raises:
        InputError: No keypoints, or a number that is no share.
    """

    keypoints: int
    min_score: float = 0.1
    max_iou: float = 0.65

    def __post_init__(self) -> None:
        """Check the numbers."""
        if self.keypoints < 1 or not (0 <= self.min_score <= 1 and 0 <= self.max_iou <= 1):
            raise InputError(
                "RTMO's people have one keypoint or more, min_score and max_iou from 0 to 1; found "
                f"{self.keypoints}, {self.min_score} and {self.max_iou}"
            )

    def decode(
        self, persons: Float[Tensor, "b 1 h w"], others: Sequence[Float[Tensor, "b _ _ _"]], find: FindPeople
    ) -> list[People]:
        """The people of each view, the best first, with the boxes they were found in.

        Args:
            persons: Logits of persons at the finest level: the first output of the network.
            others: All other outputs of the network.
            find: Finds people in them.
        """
        found = find([persons, *others], min_score=self.min_score, max_iou=self.max_iou)
        return [People(one.xy, one.visible, one.score, one.boxes, one.score) for one in found]


@final
@dataclass(frozen=True)
class RTMOBins(DynamicBins):
    """The bins of RTMO's releases: 192 across and 256 down a box that is a quarter larger than the person's.

    Attributes:
        proxy: Whether the classified keypoints teach scores and regressed keypoints, as in the second half of the release's
            training; for fine-tuning a released model.
    """

    proxy: bool = False

    def within(self, xy: Float[Tensor, "n k 2"], boxes: Boxes) -> Float[Tensor, "n k 2"]:
        """Positions clamped to the bins of their box: no others can be found.

        Args:
            xy: Keypoints.
            boxes: x0 y0 x1 y1 of each person, in the same pixels.
        """
        centre, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) * PADDING / 2
        return xy.clamp(min=(centre - half)[:, None], max=(centre + half)[:, None])
