"""PPLO: progressive pseudo-label optimisation for a species without labels (Cao et al., ICCV 2019, arXiv 1908.05806).

The paper does not say which predictions become labels, how their share grows and when it ends. The rule here is ours:

* The confidence of a keypoint is that of CC-SSL's consensus, compared within each keypoint; that of an animal is the mean of
  its keypoints' ranks. A round accepts the surest share of the ANIMALS, and of these the surest share of the keypoints.
* The share grows by the same step from round to round, up to its last value.
* Steps on the source's labels and steps on pseudo-labels alternate.
* The run ends when the share has reached its last value and the agreement of the views has not risen for some rounds.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

from jaxtyping import Bool, Float
from torch import Tensor

from poise.adaptation.consensus import Consensus
from poise.adaptation.criteria import TargetCheck
from poise.adaptation.joint import SOURCE, TARGET, JointBatch
from poise.adaptation.pseudo import Labelling, PseudoTask
from poise.adaptation.selection import accept_people
from poise.adaptation.task import Domains
from poise.errors import InputError
from poise.models.base import TrainableModel


@final
@dataclass(frozen=True)
class Growth:
    """How the share of accepted animals grows, and when that ends.

    Attributes:
        first: Share of the animals in the first round.
        step: How much it grows from round to round.
        last: Largest share.
        keypoints: Share of the keypoints of an accepted animal that are labels.
        patience: Rounds at the largest share without a higher agreement, after which the run ends.

    Raises:
        InputError: A share that is none.
    """

    first: float = 0.2
    step: float = 0.1
    last: float = 0.8
    keypoints: float = 0.8
    patience: int = 2

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not (0 < self.first <= self.last <= 1 and self.step > 0 and 0 < self.keypoints <= 1 and self.patience >= 1):
            raise InputError(
                "the share of accepted animals grows by a step above 0 within 0 to 1, of their keypoints a share above 0 is "
                f"learnt, and patience is 1 or more; found {self}"
            )

    def share(self, number: int) -> float:
        """Share of the animals in a round, counted from 0."""
        return min(self.last, self.first + self.step * number)


@final
class Pplo(PseudoTask):
    """Labels of the surest animals, more of them from round to round, in turn with steps on the source.

    Args:
        model: The model that is trained or validated.
        domains: The data beside the source.
        labelling: How labels are made.
        gamma: Factor of the loss of the target.
        check: Scores that need no labels of the target.
        growth: How the share grows.
    """

    def __init__(
        self, model: TrainableModel, domains: Domains, *, labelling: Labelling, gamma: float, check: TargetCheck, growth: Growth
    ) -> None:
        super().__init__(model, domains, labelling=labelling, gamma=gamma, check=check)
        self.growth = growth
        self.steps = 0
        self.agreements: list[float] = []

    def accept(self, found: Consensus, *, progress: float) -> Bool[Tensor, "n k"]:
        """The surest keypoints of the surest animals."""
        self.agreements.append(float(found.agreement.mean()))
        return accept_people(found.score, self.growth.share(len(self.rounds)), keypoints=self.growth.keypoints)

    def losses(self, batch: JointBatch) -> dict[str, Float[Tensor, ""]]:
        """The loss of the source and that of the target in turn, the other one 0; of the source where no label is accepted."""
        none, turn = batch.source.images.new_zeros(()), self.steps % 2
        self.steps += 1
        found = self.target_losses(batch) if turn and self.gamma else {TARGET: none}
        return {SOURCE: none, **found} if found[TARGET].requires_grad else {SOURCE: self.source_losses(batch), TARGET: none}

    @property
    def done(self) -> bool:
        """Whether the share is at its largest and the views have not agreed better for some rounds."""
        full = [a for number, a in enumerate(self.agreements) if self.growth.share(number) >= self.growth.last]
        late = full[: -self.growth.patience]
        return bool(late) and max(full[-self.growth.patience :]) <= max(late)

    def state(self) -> dict[str, Any]:
        """Labels, rounds, steps and agreements."""
        return super().state() | {"steps": self.steps, "agreements": self.agreements}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore labels, rounds, steps and agreements.

        Raises:
            CheckpointError: The state has no labels.
        """
        super().load_state(state)
        self.steps, self.agreements = int(state.get("steps", 0)), list(state.get("agreements", []))
