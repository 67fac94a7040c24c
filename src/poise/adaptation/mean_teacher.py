"""Mean teacher (Tarvainen, Valpola; NeurIPS 2017; arXiv 1703.01780): the plain baseline of adaptation."""

import math
from collections.abc import Mapping
from typing import Any, final

from jaxtyping import Float
from torch import Tensor

from poise.adaptation.criteria import TargetCheck
from poise.adaptation.joint import TARGET, JointBatch
from poise.adaptation.pseudo import with_labels
from poise.adaptation.readings import read_batch
from poise.adaptation.selection import accept_share
from poise.adaptation.task import AdaptTask, Domains
from poise.errors import CheckpointError, InputError
from poise.models.base import TrainableModel
from poise.models.losses import total_loss
from poise.models.require import require_pose
from poise.models.views.base import AnyViews, TrainData

TEACHER = "teacher"


@final
class MeanTeacher(AdaptTask):
    """The moving average of the weights reads the unchanged view; the model learns that from a changed view of the same animal.

    The teacher's keypoints are un-warped to the image and warped to the student's view, so that any codec will do; its surest
    ones are learnt. Their weight rises over the first steps as exp(-5 (1 - t)^2), as in the paper.

    Args:
        model: The model that is trained or validated.
        domains: The data beside the source.
        gamma: Factor of the loss of the target, after the rise.
        check: Scores that need no labels of the target.
        keep: Share of a batch's keypoints that is learnt.
        rise: Steps over which the weight rises.
    """

    def __init__(
        self, model: TrainableModel, domains: Domains, *, gamma: float, check: TargetCheck, keep: float = 0.5, rise: int = 200
    ) -> None:
        super().__init__(model, domains, check=check)
        if not (gamma >= 0 and 0 < keep <= 1 and rise >= 0):
            raise InputError(f"gamma and rise are 0 or more, and keep is above 0 up to 1; found {gamma}, {rise}, {keep}")
        self.gamma, self.keep, self.rise = gamma, keep, rise
        self.steps = 0

    @property
    def target_parts(self) -> tuple[str, ...]:
        """One part, "target"."""
        return (TARGET,)

    @property
    def rising_parts(self) -> tuple[str, ...]:
        """The target's, over the first steps."""
        return (TARGET,)

    @property
    def tied(self) -> Mapping[str, str]:
        """The teacher sees the people that the student sees."""
        return {TEACHER: TARGET}

    def part_views(self, data: TrainData, *, seed: int) -> dict[str, AnyViews[Any, Any]]:
        """Those of every adaptation, and the unchanged views of the target for the teacher."""
        return super().part_views(data, seed=seed) | {TEACHER: self.model.val_views(self.domains.target, seed=seed)}

    def target_losses(self, batch: JointBatch) -> dict[str, Float[Tensor, ""]]:
        """The loss against what the teacher reads.

        Raises:
            InputError: The run has no average of the weights, which is the teacher.
        """
        if self.run is None or self.run.average is None:
            raise InputError("a mean teacher is the moving average of the weights, and the recipe has none; set its average")
        xy, score = read_batch(require_pose(self.run.average), batch.parts[TEACHER], self.run)
        accepted = accept_share(score, self.keep, by_keypoint=False)
        weight = self.gamma * rising(self.steps, self.rise)
        self.steps += 1
        if not bool(accepted.any()):
            return {TARGET: batch.target.images.new_zeros(())}
        taught = with_labels(batch.target, xy, accepted, self.model.skeleton)
        return {TARGET: weight * total_loss(self.model.losses(taught))}

    def labelled(self, batch: JointBatch) -> Float[Tensor, "_ 2"]:
        """Labelled keypoints of the source."""
        return self.model.labelled(batch.source)

    def state(self) -> dict[str, Any]:
        """The number of steps."""
        return {"steps": self.steps}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore the number of steps.

        Raises:
            CheckpointError: The state has none.
        """
        if not isinstance(state.get("steps"), int):
            raise CheckpointError("the state of the run does not say how many steps its teacher has taught; begin anew")
        self.steps = state["steps"]


def rising(step: int, steps: int) -> float:
    """Weight of a consistency at a step of its rise: exp(-5 (1 - t)^2), 1 after it.

    >>> round(rising(0, 100), 4), rising(100, 100)
    (0.0067, 1.0)
    """
    return math.exp(-5 * (1 - min(1.0, step / steps if steps else 1.0)) ** 2)
