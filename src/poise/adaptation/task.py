"""`AdaptTask`: a task that learns from a labelled source and an unlabelled target at once."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from poise.adaptation.criteria import ORACLE, TargetCheck
from poise.adaptation.joint import SOURCE, TARGET, EpochLength, JointBatch, JointViews
from poise.adaptation.target import Target
from poise.data.base import Dataset
from poise.models.base import PoseModel, TrainableModel
from poise.models.losses import total_loss
from poise.models.pictures import Picture
from poise.models.require import require_top_down
from poise.models.views.base import AnyViews, TrainData, mixed_seed
from poise.skeletons.nouns import nouns
from poise.structures import Labels
from poise.training.task import ModelTask, TaskRun
from poise.transforms.jitter import Augmentation


@final
@dataclass(frozen=True, eq=False)
class Domains:
    """What every adaptation learns from beside the recipe's own, labelled data (the source).

    Attributes:
        target: The unlabelled images.
        augmentation: How target views are changed at random; None for the source's.
        length: Views of an epoch: of the longer of source and target, of the shorter (CC-SSL's release), or a number.
        more: Further data sets of the batch, by name: `WS-CDA` has people, animals and target.
        keep_norms: Whether the batch norms of the model keep the statistics that they have.
    """

    target: Target
    augmentation: Augmentation | None = None
    length: EpochLength | int = "longest"
    more: Mapping[str, Dataset] = field(default_factory=dict)
    keep_norms: bool = False


class AdaptTask(ModelTask):
    """Training on source and target together; what is done with the target is the method's (`target_losses`).

    The loss is that of the source as the model computes it ("source") plus the method's parts. Validation, scores and pictures
    are those of the model; the recipe's validation data are labelled source data.

    Args:
        model: The model that is trained or validated; a top-down model.
        domains: The data beside the source.
        check: Scores of the target that need no labels, after each epoch; none by default.

    Attributes:
        run: The run, once it has begun; the task of the validated model never has one.
    """

    model: PoseModel

    def __init__(self, model: TrainableModel, domains: Domains, *, check: TargetCheck | None = None) -> None:
        super().__init__(require_top_down(model))
        self.domains = domains
        self.target_check = TargetCheck(people=0) if check is None else check
        self.run: TaskRun | None = None

    # the method

    @property
    @abstractmethod
    def target_parts(self) -> tuple[str, ...]:
        """Names of the parts of `target_losses`, always the same."""

    @abstractmethod
    def target_losses(self, batch: JointBatch) -> dict[str, Float[Tensor, ""]]:
        """What the method adds to the loss of the source, by name, weighted."""

    def source_losses(self, batch: JointBatch) -> Float[Tensor, ""]:
        """The loss of the labelled part of a batch."""
        return total_loss(self.model.losses(batch.source))

    @property
    def tied(self) -> Mapping[str, str]:
        """Parts of a batch that show the same people as another one, by name; none by default."""
        return {}

    # the contract of tasks

    def start(self, run: TaskRun) -> None:
        """Keep what is known of the run, and say where whole images are taken as boxes."""
        self.run = run
        target = self.domains.target
        if target.whole_images and not self.model.card.learnt_whole_images:
            run.say(
                f"{target.whole_images} of {len(target)} target images have no box, so each is taken as that of one "
                f"{nouns(self.model.skeleton)[0]}; where that does not fill the image, labels of it will be wrong. Give boxes "
                "(--target-boxes FILE, or bbox in a frames.json), or crop the images"
            )

    @property
    def val_scores(self) -> tuple[str, ...]:
        """Those of the model on source data, and those of the target (`criteria`)."""
        looked = self.target_check.names
        return (*self.model.val_scores, *looked, *((ORACLE,) if looked and self.domains.target.labelled else ()))

    def check(self) -> dict[str, float]:
        """The scores of the target."""
        assert self.run is not None
        return self.target_check.scores(self._checked, self.run) if self.target_check.people else {}

    @cached_property
    def _checked(self) -> Target:
        return self.target_check.part(self.domains.target)

    @cached_property
    def target_truth(self) -> Labels | None:
        """The labels of the target's people, to report how good pseudo-labels are; None where there are none."""
        return self.domains.target.people_truth if self.domains.target.labelled else None

    @property
    def loss_parts(self) -> tuple[str, ...]:
        """Source, then the parts of the method."""
        return (SOURCE, *self.target_parts)

    @property
    def steady_parts(self) -> Sequence[nn.Module]:
        """The batch norms, where they keep their statistics."""
        norms = [part for part in self.model.network.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)]
        return norms if self.domains.keep_norms else ()

    @property
    def more_data(self) -> Mapping[str, Dataset]:
        """The target, and further data sets."""
        return {TARGET: self.domains.target, **self.domains.more}

    def train_views(self, data: TrainData, *, seed: int) -> AnyViews[Any, Any]:
        """Labelled views of the source and unlabelled ones of the target, and of further data sets, paired."""
        return JointViews(self.part_views(data, seed=seed), seed=seed, length=self.domains.length, tied=self.tied)

    def part_views(self, data: TrainData, *, seed: int) -> dict[str, AnyViews[Any, Any]]:
        """The views of each part of a batch, by name; a method may add parts.

        Args:
            data: Data and augmentation of the source.
            seed: Seed of the run.
        """
        own: dict[str, AnyViews[Any, Any]] = {SOURCE: self.model.train_views(data, seed=seed)}
        for number, (name, dataset) in enumerate(self.more_data.items(), start=1):
            own[name] = self.model.train_views(self.part_data(name, dataset, data), seed=mixed_seed(seed, number))
        return own

    def part_data(self, name: str, dataset: Dataset, data: TrainData) -> TrainData:
        """Data and augmentation of the views of another data set than the source.

        Args:
            name: Name of the part: "target", or one of `Domains.more`.
            dataset: The data set.
            data: Data and augmentation of the source.
        """
        other = self.domains.augmentation if name == TARGET else None
        return TrainData(data.name, dataset, data.augmentation if other is None else other, data.size)

    def losses(self, batch: JointBatch) -> dict[str, Float[Tensor, ""]]:
        """The loss of the source and the parts of the method."""
        return {SOURCE: self.source_losses(batch), **self.target_losses(batch)}

    def accuracy(self, answer: Any, batch: JointBatch) -> None:
        """None: the network answers to several parts of a batch."""

    def labelled(self, batch: JointBatch) -> Float[Tensor, "_ 2"]:
        """Labelled keypoints of all parts of a batch."""
        return torch.cat([self.model.labelled(part) for part in batch.parts.values()])

    def picture(self, batch: JointBatch) -> Picture:
        """The pictures of all parts, one below the other."""
        parts = [self.model.picture(part) for part in batch.parts.values()]
        width = max(part.shape[1] for part in parts)
        return np.concatenate([np.pad(part, ((0, 0), (0, width - part.shape[1]), (0, 0))) for part in parts])
