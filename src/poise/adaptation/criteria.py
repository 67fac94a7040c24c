"""Criteria that choose the best model of an adaptation without labels of the target; and the oracle, which uses them.

* `agreement`: share of keypoints that stay where they are when the view is scaled, rotated, shifted and mirrored.
* `confidence`: mean confidence of the unchanged view.
* `consensus`: both at once: mean height of the readings' mean (`consensus.agree`).
* `pck@0.1`: the score on labelled source data that were held out.
* `target_pck@0.1`: the score on the target's own labels, by which releases chose their epoch: an oracle.
"""

from dataclasses import dataclass
from typing import final

from poise.adaptation.consensus import agree
from poise.adaptation.readings import CHANGES, read_target
from poise.adaptation.target import Target
from poise.data.subset import Subset
from poise.errors import InputError
from poise.metrics.pck import pck
from poise.models.require import require_pose
from poise.training.task import TaskRun

CRITERIA = ("agreement", "confidence", "consensus")
"""Scores of a validation that need no labels."""

ORACLE = "target_pck@0.1"
"""Score of a validation that needs the target's labels; told where they are, used where the oracle is asked for."""

WIDE_SPREAD = 1 / 32
"""Deviation of a reading for the criteria, as a share of the view's longer side: about pck@0.05 of a box."""


@final
@dataclass(frozen=True)
class TargetCheck:
    """How a model is looked at after each epoch, on people of the target.

    Attributes:
        people: Most images that are looked at, evenly spaced; 0 for no look.
        views: Views of each person.
        seed: Seed of the views, the same after each epoch.
    """

    people: int = 200
    views: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.people < 0 or self.views < 2:
            raise InputError(f"a check looks at 0 or more images in 2 or more views, not {self.people} in {self.views}")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the scores that need no labels."""
        return CRITERIA if self.people else ()

    def part(self, target: Target) -> Target:
        """The images that are looked at."""
        images = sorted({i for i, _ in target.people()})
        count = min(self.people, len(images))
        chosen = [images[at * len(images) // count] for at in range(count)]
        return Target(Subset(target.dataset, chosen), skeleton=target.skeleton)

    def scores(self, part: Target, run: TaskRun) -> dict[str, float]:
        """The scores of the model that is validated; the oracle's too where the target has labels.

        Args:
            part: What `part` gave.
            run: The run.
        """
        readings = read_target(require_pose(run.best), part, run, views=self.views, seed=self.seed, augmentation=CHANGES)
        found = agree(readings, spread=WIDE_SPREAD)
        values = (found.agreement.mean(), found.confidence.mean(), found.score.mean())
        scores = dict(zip(CRITERIA, (float(value) for value in values), strict=True))
        if part.labelled:
            scores[ORACLE] = pck(readings.xy[0], part.people_truth, 0.1).mean
        return scores
