"""Average precision of boxes by the rules of PASCAL VOC, and precision-recall curves.

Everingham et al., "The PASCAL Visual Object Classes Challenge", IJCV 2010 (11 points) and the devkit of 2010 (all points).

One image with two people and six boxes; at an IoU of 0.7 only the second box is a true positive:

>>> people = torch.tensor([[480.0, 457, 515, 529], [637, 435, 676, 536]])
>>> boxes = torch.tensor(
...     [[641.0, 439, 670, 532], [484, 455, 514, 519], [649, 479, 670, 531], [357, 458, 382, 485], [468, 435, 520, 521],
...      [336, 463, 362, 496]])
>>> score = torch.tensor([0.972, 0.9113, 0.8505, 0.2452, 0.1618, 0.1342])
>>> match = match_boxes(boxes, score, people, threshold=0.7)
>>> match.hit.tolist()
[False, True, False, False, False, False]
>>> curve = Curve.of([match])
>>> [round(value, 3) for value in curve.precision.tolist()]
[0.0, 0.5, 0.333, 0.25, 0.2, 0.167]
>>> curve.recall.tolist()
[0.0, 0.5, 0.5, 0.5, 0.5, 0.5]
>>> round(curve.points(11), 4), curve.area(), round(curve.points(101), 4)
(0.2727, 0.25, 0.2525)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from poise.errors import InputError
from poise.metrics.matches import IGNORED, TRUE_POSITIVE, Matches
from poise.metrics.nms import box_iou


@final
@dataclass(frozen=True, eq=False)
class Match:
    """The true positives among the boxes of one image.

    Attributes:
        hit: True for each box that is a true positive.
        ignored: True for each box that does not count because it matches a difficult label.
        score: Confidence of each box.
        people: Number of labels, without difficult ones.
    """

    hit: Bool[Tensor, " m"]
    ignored: Bool[Tensor, " m"]
    score: Float[Tensor, " m"]
    people: int


def match_boxes(
    boxes: Float[Tensor, "m 4"],
    score: Float[Tensor, " m"],
    labelled: Float[Tensor, "n 4"],
    *,
    difficult: Bool[Tensor, " n"] | None = None,
    threshold: float = 0.5,
    pixel: float = 1.0,
) -> Match:
    """Match the boxes of one image and one class: in the order of their scores, each takes the label of highest IoU.

    A box whose label is taken already is a false positive, even if it overlaps another label enough.

    Args:
        boxes: Boxes x0 y0 x1 y1, pixels.
        score: Confidence of each box; of equal scores the first counts first.
        labelled: Labelled boxes x0 y0 x1 y1, pixels.
        difficult: True for labels that are ignored: they and their matches do not count. None for no such label.
        threshold: IoU above which a box is a true positive.
        pixel: Length added to all widths and heights, pixels: 1 as in the devkit, where x1 and y1 are the last pixels of a box.

    Raises:
        InputError: A box or a score is not finite.
    """
    if not (torch.isfinite(boxes).all() and torch.isfinite(score).all() and torch.isfinite(labelled).all()):
        raise InputError("boxes and scores must be finite numbers; one of them is not")
    hard = torch.zeros(len(labelled), dtype=torch.bool) if difficult is None else difficult
    hit, ignored = torch.zeros(len(boxes), dtype=torch.bool), torch.zeros(len(boxes), dtype=torch.bool)
    taken: set[int] = set()
    if len(labelled):
        best, who = box_iou(boxes, labelled, pixel=pixel).max(dim=1)
        for box in score.argsort(descending=True, stable=True).tolist():
            person = int(who[box])
            if best[box] <= threshold:
                continue
            if hard[person]:
                ignored[box] = True
            elif person not in taken:
                hit[box] = True
                taken.add(person)
    return Match(hit, ignored, score, int((~hard).sum()))


@final
@dataclass(frozen=True)
class Counts:
    """The confusion matrix of people against nobody.

    Attributes:
        hits: Results that are matched with a person (true positives).
        false: Results that are not (false positives).
        missed: People without a result (false negatives).

    >>> Counts(3, 1, 2).precision, Counts(3, 1, 2).recall, round(Counts(3, 1, 2).f1, 3)
    (0.75, 0.6, 0.667)
    """

    hits: int
    false: int
    missed: int

    @property
    def precision(self) -> float:
        """Share of the results that are right; nan without any."""
        found = self.hits + self.false
        return self.hits / found if found else float("nan")

    @property
    def recall(self) -> float:
        """Share of the people that are found; nan without any."""
        people = self.hits + self.missed
        return self.hits / people if people else float("nan")

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; nan where nobody is labelled and nobody found."""
        every = 2 * self.hits + self.false + self.missed
        return 2 * self.hits / every if every else float("nan")


@final
@dataclass(frozen=True, eq=False)
class Curve:
    """A precision-recall curve: one point for each box, in descending order of score.

    Attributes:
        recall: Share of the labels that are matched by this box and those before it.
        precision: Share of this box and those before it that are true positives.
        score: Confidence of the box.
        people: Number of labels.
    """

    recall: Float[Tensor, " m"]
    precision: Float[Tensor, " m"]
    score: Float[Tensor, " m"]
    people: int

    @classmethod
    def of(cls, matches: Sequence[Match]) -> "Curve":
        """The curve over all images of a data set.

        Args:
            matches: The matches of each image.

        Raises:
            InputError: There is no label in any image.
        """
        people = sum(match.people for match in matches)
        if not people:
            raise InputError("no image has a label, so there is no recall; give matches of labelled images")
        counted = [~match.ignored for match in matches]
        hit = torch.cat([match.hit[keep] for match, keep in zip(matches, counted, strict=True)]).double()
        score = torch.cat([match.score[keep].double() for match, keep in zip(matches, counted, strict=True)])
        order = score.argsort(descending=True, stable=True)
        right = hit[order].cumsum(dim=0)
        kept = torch.arange(1, len(right) + 1, dtype=torch.float64)
        return cls(right / people, right / kept, score[order], people)

    @classmethod
    def of_matches(cls, parts: Sequence[Matches], overlap: float = 0.5) -> "Curve":
        """The curve of results that COCO's protocol has matched, of all categories together.

        Args:
            parts: The matches of each category, with scores.
            overlap: OKS or IoU of a true positive, one of 0.5, 0.55 .. 0.95.

        Raises:
            InputError: Nobody is labelled.
        """
        row = round((overlap - 0.5) / 0.05)
        hits = [torch.from_numpy(part.outcome[row] == TRUE_POSITIVE) for part in parts]
        ignored = [torch.from_numpy(part.outcome[row] == IGNORED) for part in parts]
        scores = [torch.from_numpy(np.zeros(0) if part.score is None else part.score) for part in parts]
        every = zip(hits, ignored, scores, parts, strict=True)
        return cls.of([Match(hit, left, score, int(part.people.sum())) for hit, left, score, part in every])

    def at_score(self, score: float) -> "Counts":
        """True and false positives among the results of at least this score, and the people without one."""
        kept = int((self.score >= score).sum())
        hits = round(float(self.recall[kept - 1]) * self.people) if kept else 0
        return Counts(hits, kept - hits, self.people - hits)

    def best_score(self) -> float:
        """The score above which F1 is highest; nan without results."""
        if not len(self.score):
            return float("nan")
        last = torch.cat((self.score[1:] != self.score[:-1], torch.ones(1, dtype=torch.bool)))  # of equal scores all count
        f1 = 2 * self.precision * self.recall / (self.precision + self.recall).clamp(min=1e-12)
        return float(self.score[torch.where(last, f1, -1.0).argmax()])

    def envelope(self) -> Float[Tensor, " m"]:
        """Precision made monotonic: the best at each recall or any higher one."""
        return self.precision.flip(0).cummax(dim=0).values.flip(0)

    def at(self, recall: Float[Tensor, " p"]) -> Float[Tensor, " p"]:
        """The best precision at each given recall or any higher one; 0 for recalls that are not reached."""
        padded = torch.cat((self.envelope(), torch.zeros(1, dtype=torch.float64)))
        return padded[torch.searchsorted(self.recall.contiguous(), recall.double(), side="left")]

    def points(self, count: int) -> float:
        """Average precision at `count` recalls from 0 to 1: 11 in VOC 2007, 101 in COCO."""
        return float(self.at(torch.linspace(0, 1, count, dtype=torch.float64)).mean())

    def area(self) -> float:
        """Average precision of VOC 2010 and later: the area under the monotonic precision-recall curve."""
        steps = torch.diff(self.recall, prepend=torch.zeros(1, dtype=torch.float64))
        return float((steps * self.envelope()).sum())
