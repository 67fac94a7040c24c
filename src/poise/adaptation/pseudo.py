"""`PseudoTask`: a task that labels the target by itself, in rounds, and learns from the labels it accepts."""

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, final

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from poise.adaptation.consensus import SPREAD, Consensus, agree
from poise.adaptation.criteria import TargetCheck
from poise.adaptation.joint import TARGET, JointBatch
from poise.adaptation.readings import VIEWS, mirrored_views, read_target
from poise.adaptation.rounds import Round, write_rounds
from poise.adaptation.task import AdaptTask, Domains
from poise.adaptation.temporal import follow
from poise.errors import CheckpointError, InputError
from poise.geometry import apply
from poise.models.base import TrainableModel
from poise.models.losses import total_loss
from poise.models.require import require_pose
from poise.models.views.base import mixed_seed
from poise.skeletons import Skeleton
from poise.structures import Batch, Key
from poise.transforms.jitter import Augmentation


@final
@dataclass(frozen=True, eq=False)
class PseudoLabels:
    """Keypoints of every person of the target that a model has found, and which of them are accepted as labels.

    Attributes:
        xy: Positions, pixels of the image.
        score: Confidences.
        accepted: True where the keypoint is learnt from.
    """

    xy: Float[Tensor, "n k 2"]
    score: Float[Tensor, "n k"]
    accepted: Bool[Tensor, "n k"]

    def joined(self, batch: Batch, rows: Mapping[tuple[Key, int], int], skeleton: Skeleton) -> Batch:
        """A batch of target views with these labels, as if it had been loaded with them.

        Args:
            batch: Views of people of the target, with keys.
            rows: Row of each person, by the key of the image and the index in it.
            skeleton: Left and right, for mirrored views.
        """
        own = torch.tensor([rows[where] for where in zip(batch.keys, batch.people, strict=True)])
        return with_labels(batch, self.xy[own], self.accepted[own], skeleton)


def with_labels(batch: Batch, xy: Float[Tensor, "b k 2"], accepted: Bool[Tensor, "b k"], skeleton: Skeleton) -> Batch:
    """A batch with other labels.

    Args:
        batch: Views.
        xy: Positions in the image that each view shows, pixels of the image; left and right as in the image.
        accepted: Which of them are labels.
        skeleton: Left and right, for mirrored views.
    """
    flip, mirrored = skeleton.flip, mirrored_views(batch).cpu()
    place = torch.where(mirrored[:, None, None], xy[:, flip], xy).to(batch.warps)
    known = torch.where(mirrored[:, None], accepted[:, flip], accepted).to(batch.xy.device)
    seen = apply(batch.warps, place).to(batch.xy)
    return replace(batch, xy=torch.where(known[..., None], seen, 0), visible=2 * known.to(torch.int64))


@final
@dataclass(frozen=True)
class Labelling:
    """How pseudo-labels are made.

    Attributes:
        every: Epochs between two rounds in which they are made anew. Where a time budget ends a run before its epochs, rounds
            follow the time instead: as many in the budget as in all epochs, each before the next epoch that begins.
        begin: Epoch of the first round; before it the source alone is learnt.
        views: Views of each person that must agree; 1 asks the unchanged view alone (no equivariance).
        augmentation: How the other views are changed.
        spread: Deviation of a reading, as a share of the view's longer side.
        flow: Whether optical flow makes neighbouring frames consistent (temporal).
        published: With the quirks of CC-SSL's release.

    Raises:
        InputError: A number below 1, or an epoch below 0.
    """

    every: int = 10
    begin: int = 0
    views: int = 5
    augmentation: Augmentation = field(default_factory=lambda: VIEWS)
    spread: float = SPREAD
    flow: bool = False
    published: bool = False

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.every < 1 or self.views < 1 or self.begin < 0 or not self.spread > 0:
            raise InputError(
                "pseudo-labels are made every 1 or more epochs, from epoch 0 on, of 1 or more views, with a spread above 0; "
                f"found every {self.every}, from {self.begin}, {self.views} views, spread {self.spread:g}"
            )


class PseudoTask(AdaptTask):
    """Learns from the source's labels and from its own labels of the target.

    Args:
        model: The model that is trained or validated.
        domains: The data beside the source.
        labelling: How labels are made.
        gamma: Factor of the loss of the target.
        check: Scores that need no labels of the target.

    Attributes:
        labels: The labels of this round; None before the first.
        rounds: The rounds so far.
        made: Which of the planned rounds was made last, from 0; -1 before the first. In a run that is cut short by its time,
            an epoch may be longer than a round, which then is left out.
    """

    def __init__(
        self, model: TrainableModel, domains: Domains, *, labelling: Labelling, gamma: float, check: TargetCheck
    ) -> None:
        super().__init__(model, domains, check=check)
        if not gamma >= 0:
            raise InputError(f"gamma, the factor of the target's loss, is 0 or more, not {gamma}")
        self.labelling = labelling
        self.gamma = gamma
        self.labels: PseudoLabels | None = None
        self.rounds: list[Round] = []
        self.made = -1

    @abstractmethod
    def accept(self, found: Consensus, *, progress: float) -> Bool[Tensor, "n k"]:
        """Which keypoints are accepted.

        Args:
            found: What the views of each person agree on.
            progress: Part of the rounds' epochs that is over, 0 to 1.
        """

    @property
    def target_parts(self) -> tuple[str, ...]:
        """One part, "target"."""
        return (TARGET,)

    def begin_epoch(self, epoch: int) -> None:
        """Make labels anew where a round begins."""
        assert self.run is not None
        since = self.run.progress() * self.run.epochs - self.labelling.begin
        due = math.floor((since + 1e-6) / self.labelling.every)
        if due > self.made:
            self.made = due
            self._make_labels(epoch, progress=since / max(1, self.run.epochs - self.labelling.begin))

    def target_losses(self, batch: JointBatch) -> dict[str, Float[Tensor, ""]]:
        """The loss of the accepted labels of a batch, times gamma; 0 where there are none."""
        return {TARGET: self.gamma * self.pseudo_loss(batch.target)}

    def pseudo_loss(self, batch: Batch) -> Float[Tensor, ""]:
        """The model's loss of a batch of the target with the labels of this round; 0 without any."""
        labelled = None if self.labels is None else self.labels.joined(batch, self.domains.target.rows, self.model.skeleton)
        if labelled is None or not bool((labelled.visible > 0).any()):
            return batch.images.new_zeros(())
        return total_loss(self.model.losses(labelled))

    def consensus(self, epoch: int) -> Consensus:
        """What several views of each person agree on, for the model that is validated."""
        assert self.run is not None
        how, target = self.labelling, self.domains.target
        seed = mixed_seed(self.run.seed, epoch, len(target))
        readings = read_target(
            require_pose(self.run.best), target, self.run, views=how.views, seed=seed, augmentation=how.augmentation
        )
        return self.followed(agree(readings, spread=how.spread), readings.extent)

    def followed(self, found: Consensus, extent: Float[Tensor, " n"]) -> Consensus:
        """Labels made consistent in time, where that is asked for.

        Args:
            found: What the views of each person agree on.
            extent: Longer side of the view of each person, pixels of the image.
        """
        how = self.labelling
        return follow(found, self.domains.target, extent=extent, published=how.published) if how.flow else found

    def _make_labels(self, epoch: int, *, progress: float) -> None:
        assert self.run is not None
        found = self.consensus(epoch)
        accepted = self.accept(found, progress=progress)
        self.labels = PseudoLabels(found.xy, found.score, accepted)
        one = Round.of(len(self.rounds), epoch, found.xy, accepted, skeleton=self.model.skeleton, truth=self.target_truth)
        self.rounds.append(one)
        self.run.say(one.sentence)
        if self.run.folder is not None:
            write_rounds(self.run.folder, self.rounds, self.model, self.domains.target, self.labels)

    # state

    def state(self) -> dict[str, Any]:
        """The labels, and the rounds so far."""
        labels = {} if self.labels is None else {name: getattr(self.labels, name) for name in ("xy", "score", "accepted")}
        return {"labels": labels, "rounds": [one.to_plain() for one in self.rounds], "made": self.made}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore labels and rounds.

        Raises:
            CheckpointError: The state has none, or of another target.
        """
        try:
            labels = state["labels"]
            self.labels = PseudoLabels(**labels) if labels else None
            self.rounds = [Round.from_plain(one) for one in state["rounds"]]
            self.made = int(state.get("made", len(self.rounds) - 1))
        except (KeyError, TypeError) as error:
            raise CheckpointError(f"the state of the run has no pseudo-labels to go on with ({error!r}); begin anew") from error
        people = len(self.domains.target.people())
        if self.labels is not None and len(self.labels.xy) != people:
            raise CheckpointError(
                f"the state of the run has pseudo-labels of {len(self.labels.xy)} people, and the target has {people}"
            )
