"""The ends of the scale on which adaptations are measured: the source alone, and the target's own labels."""

from functools import cached_property
from typing import Any, final

from jaxtyping import Float
from torch import Tensor

from poise.adaptation.criteria import TargetCheck
from poise.adaptation.joint import SOURCE, TARGET, JointBatch, JointViews, epoch_length
from poise.adaptation.pseudo import PseudoLabels
from poise.adaptation.task import AdaptTask, Domains
from poise.errors import InputError
from poise.models.base import TrainableModel
from poise.models.losses import total_loss
from poise.models.views.base import AnyViews, TrainData
from poise.structures import Batch


@final
class SourceOnly(AdaptTask):
    """Trains on the source alone, as many steps as an adaptation; the target is looked at after each epoch."""

    @property
    def target_parts(self) -> tuple[str, ...]:
        """None."""
        return ()

    def target_losses(self, batch: JointBatch) -> dict[str, Float[Tensor, ""]]:
        """Nothing."""
        return {}

    def train_views(self, data: TrainData, *, seed: int) -> AnyViews[Any, Any]:
        """Labelled views of the source, in epochs as long as those of an adaptation."""
        parts = self.part_views(data, seed=seed)
        length = self.domains.length
        count = length if isinstance(length, int) else epoch_length([len(part) for part in parts.values()], length)
        return JointViews({SOURCE: parts[SOURCE]}, seed=seed, length=count)


@final
class Supervised(AdaptTask):
    """Trains on source and target with the labels of both: what pseudo-labels without a mistake would give.

    Args:
        model: The model that is trained or validated.
        domains: The data beside the source; the target is labelled.
        gamma: Factor of the loss of the target.
        check: Scores of the target after each epoch.

    Raises:
        InputError: The target has no labels of the model's keypoints.
    """

    def __init__(self, model: TrainableModel, domains: Domains, *, gamma: float, check: TargetCheck) -> None:
        super().__init__(model, domains, check=check)
        if not domains.target.labelled:
            raise InputError(
                "supervised training needs a target with labels, and none of its images has one of the model's keypoints; give "
                "a COCO keypoint file as --target"
            )
        self.gamma = gamma

    @cached_property
    def labels(self) -> PseudoLabels:
        """The labels of the target."""
        truth = self.domains.target.people_truth
        return PseudoLabels(truth.xy, truth.visible.float(), truth.visible > 0)

    @property
    def target_parts(self) -> tuple[str, ...]:
        """One part, "target"."""
        return (TARGET,)

    def target_losses(self, batch: JointBatch) -> dict[str, Float[Tensor, ""]]:
        """The loss of the target's labels, times gamma."""
        return {TARGET: self.gamma * self._loss(batch.target)}

    def _loss(self, batch: Batch) -> Float[Tensor, ""]:
        labelled = self.labels.joined(batch, self.domains.target.rows, self.model.skeleton)
        return total_loss(self.model.losses(labelled))
