"""CC-SSL: consistency-constrained semi-supervised learning from synthetic animals (arXiv 1912.08265)."""

from typing import final

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from poise.adaptation.consensus import Consensus
from poise.adaptation.criteria import TargetCheck
from poise.adaptation.pseudo import Labelling, PseudoTask
from poise.adaptation.published import published_consensus
from poise.adaptation.selection import accept_share, accepted_share, published_threshold
from poise.adaptation.task import Domains
from poise.errors import InputError
from poise.models.base import TrainableModel
from poise.models.require import require_pose
from poise.models.views.base import mixed_seed


@final
class CcSsl(PseudoTask):
    """Labels that views of several scales and rotations, and neighbouring frames, agree on; a growing share is accepted.

    Its third consistency, against changes of appearance, is in the augmentation of the target's training views.

    Args:
        model: The model that is trained or validated.
        domains: The data beside the source.
        labelling: How labels are made.
        gamma: Factor of the loss of the target.
        check: Scores that need no labels of the target.
        first: Share of the keypoints that the first round accepts.
        last: Share that is accepted from the middle of the rounds on.
        by_keypoint: Whether the share is taken of each keypoint's own confidences instead of all.
    """

    def __init__(
        self,
        model: TrainableModel,
        domains: Domains,
        *,
        labelling: Labelling,
        gamma: float,
        check: TargetCheck,
        first: float = 0.2,
        last: float = 0.8,
        by_keypoint: bool = True,
    ) -> None:
        super().__init__(model, domains, labelling=labelling, gamma=gamma, check=check)
        if not 0 < first <= last <= 1:
            raise InputError(f"the share of accepted keypoints grows within 0 to 1, not from {first} to {last}")
        self.first, self.last, self.by_keypoint = first, last, by_keypoint

    def consensus(self, epoch: int) -> Consensus:
        """What the views agree on; by the release's mean of maps where it is asked for."""
        if not self.labelling.published:
            return super().consensus(epoch)
        assert self.run is not None
        target = self.domains.target
        seed = mixed_seed(self.run.seed, epoch, len(target))
        how = self.labelling
        found, extent = published_consensus(
            require_pose(self.run.best), target, self.run, views=how.views, augmentation=how.augmentation, seed=seed
        )
        return self.followed(found, extent)

    def accept(self, found: Consensus, *, progress: float) -> Bool[Tensor, "n k"]:
        """The surest 20 % of the keypoints in the first round, up to 80 % from the middle of the run on."""
        share = accepted_share(progress, first=self.first, last=self.last)
        if not self.labelling.published:
            return accept_share(found.score, share, by_keypoint=self.by_keypoint)
        return accept_published(found.score, rejected=1 - share)


def accept_published(score: Float[Tensor, "n k"], *, rejected: float) -> Bool[Tensor, "n k"]:
    """True above the threshold of CC-SSL's release."""
    return torch.gt(score, published_threshold(score, rejected=rejected))
