"""WS-CDA: weakly and semi-supervised cross-domain adaptation from people to animals (Cao et al., ICCV 2019, arXiv 1908.05806).

A batch has labelled animals ("source"), unlabelled ones ("target") and, where they are given, labelled people ("people"). The
backbone is the feature extractor and the head the keypoint estimator. Between them stands the adaptation layer, which animals
go through and people do not, so that it brings animals to what the estimator knows of people. With y = 1 for animals, z = 1 for
the target and the discriminator's answers y^, z^:

    L_DDL  = -w1 sum(y log y^ + (1 - y) log(1 - y^)) - sum y (z log z^ + (1 - z) log(1 - z^))
    L_pose = sum(w2 y L_A + (1 - y) L_H)
    L      = alpha L_DDL + beta L_pose,   alpha beta < 0

Backbone, layer and head minimise L, so they RAISE L_DDL; the discriminator itself must LOWER it. Both happen in one step of one
optimizer by a gradient-reversal layer between the features and the discriminator: what is minimised is |alpha| L_DDL + |beta|
L_pose, and the reversal changes the sign of L_DDL's gradient for everything before it. Sums are means over the views they are
of, so that weights do not depend on the batch.

The paper's layers, w1, w2, optimizer and schedule are not known to us; those here are arguments. Other values than their
defaults were measured and are hardly better by more than seeds change (docs/results.md, the controlled experiment).
"""

from dataclasses import dataclass
from typing import cast, final

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from poise.adaptation.criteria import TargetCheck
from poise.adaptation.joint import SOURCE, TARGET, JointBatch
from poise.adaptation.task import AdaptTask, Domains
from poise.codecs.maps import ROI_MSE
from poise.errors import InputError
from poise.models.adapted import feature_channels, is_adapted
from poise.models.base import TrainableModel
from poise.models.losses import total_loss
from poise.models.top_down import TopDown
from poise.nn.adaptation import DomainDiscriminator, reverse_gradient
from poise.nn.base import Feature, Network
from poise.structures import Batch

PEOPLE = "people"
"""Name of the part of a batch with labelled people, in `Domains.more`."""

KIND, DOMAIN = "human_or_animal", "target_or_not"
"""Names of the two terms of L_DDL in logs."""


@final
@dataclass(frozen=True)
class CdaWeights:
    """Weights of the loss.

    Attributes:
        alpha: Weight of L_DDL; -1 in the paper.
        beta: Weight of L_pose; 500 in the paper, for the mean squared error of heatmaps. For other codecs it is multiplied by
            what makes their first loss as large (`InstanceCodec.roi_weight`).
        w1: Weight of the term that tells people from animals.
        w2: Weight of the animals' pose loss.

    Raises:
        InputError: alpha and beta have one sign, or w1 or w2 is below 0.
    """

    alpha: float = -1.0
    beta: float = 500.0
    w1: float = 1.0
    w2: float = 1.0

    def __post_init__(self) -> None:
        """Check the signs."""
        if not self.alpha * self.beta < 0:
            raise InputError(
                f"WS-CDA needs alpha and beta of opposite signs, such as -1 and 500: the features must raise the loss of the "
                f"discriminator and lower that of poses; found alpha {self.alpha:g} and beta {self.beta:g}"
            )
        if not min(self.w1, self.w2) >= 0:
            raise InputError(f"w1 and w2 of WS-CDA are weights, 0 or more; found {self.w1:g} and {self.w2:g}")


@final
@dataclass(frozen=True)
class Discriminator:
    """Layers of the domain discriminator (`nn.adaptation.DomainDiscriminator`).

    Attributes:
        width: Channels inside.
        layers: 3x3 convolutions.
        seed: Seed of its first weights.
    """

    width: int = 64
    layers: int = 2
    seed: int = 0

    def build(self, channels: tuple[int, ...]) -> DomainDiscriminator:
        """The discriminator; random numbers of the run are not used.

        Args:
            channels: Channels of the feature maps.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            return DomainDiscriminator(channels, width=self.width, layers=self.layers)


@final
class WsCda(AdaptTask):
    """Adversarial training on labelled people, few labelled animals and unlabelled animals.

    Args:
        model: A top-down model with a domain adaptation layer (`models.adapted.add_adaptation`).
        domains: The unlabelled animals, and labelled people as `Domains.more` "people"; without these the discriminator only
            tells the target from the labelled animals.
        weights: Weights of the loss.
        discriminator: Layers of the discriminator.
        check: Scores of the target that need no labels, after each epoch; none by default.

    Raises:
        InputError: The model has no adaptation layer, or `Domains.more` has other parts.
    """

    def __init__(
        self,
        model: TrainableModel,
        domains: Domains,
        *,
        weights: CdaWeights | None = None,
        discriminator: Discriminator | None = None,
        check: TargetCheck | None = None,
    ) -> None:
        super().__init__(model, domains, check=check)
        if not is_adapted(model) or not isinstance(model, TopDown):
            raise InputError(
                f"{model.card.name!r} has no domain adaptation layer between backbone and head; add_adaptation gives one"
            )
        strange = sorted(set(domains.more) - {PEOPLE})
        if strange:
            raise InputError(f"WS-CDA learns from animals and {PEOPLE}; there is no use for {', '.join(strange)}")
        self.weights = weights or CdaWeights()
        self.extra = (discriminator or Discriminator()).build(feature_channels(model))

    @property
    def target_parts(self) -> tuple[str, ...]:
        """People, where there are some, and the two terms of L_DDL."""
        return (*self.domains.more, KIND, DOMAIN) if self.domains.more else (DOMAIN,)

    @property
    def pose_weight(self) -> float:
        """Factor of the codec's loss: |beta|, for the mean squared error."""
        codec = cast(TopDown, self.model).codec
        share = codec.mse_share
        return abs(self.weights.beta) * (codec.roi_weight / ROI_MSE if share is None else 1 / share)

    def losses(self, batch: JointBatch) -> dict[str, Float[Tensor, ""]]:
        """The loss of labelled animals, of people, and both terms of L_DDL, each with its weight."""
        names = [SOURCE, TARGET, *self.domains.more]
        features, outputs = self._seen(torch.cat([batch.parts[name].images for name in names]), people=len(names) == 3)
        count = len(batch)
        parts = {SOURCE: self.weights.w2 * self._pose([out[:count] for out in outputs], batch.source)}
        for name in self.domains.more:
            parts[name] = self._pose([out[2 * count :] for out in outputs], batch.parts[name])
        return parts | self._domains(features, count)

    def target_losses(self, batch: JointBatch) -> dict[str, Float[Tensor, ""]]:
        """All but the loss of the labelled animals."""
        return {name: value for name, value in self.losses(batch).items() if name != SOURCE}

    def _seen(self, images: Float[Tensor, "b 3 h w"], *, people: bool) -> tuple[list[Feature], list[Float[Tensor, "b ..."]]]:
        """Feature maps as the head reads them, and its outputs; the last third of the views is of people."""
        network, model = cast(Network, self.model.network), cast(TopDown, self.model)
        features = network.backbone(images)
        animals = 2 * len(images) // 3 if people else len(images)
        adapted = network.adapted([one[:animals] for one in features])
        joined = [torch.cat((new, old[animals:])) for new, old in zip(adapted, features, strict=True)] if people else adapted
        return joined, model.listed(network.answer(joined))

    def _pose(self, outputs: list[Float[Tensor, "b ..."]], batch: Batch) -> Float[Tensor, ""]:
        return self.pose_weight * total_loss(cast(TopDown, self.model).compared(outputs, batch))

    def _domains(self, features: list[Feature], count: int) -> dict[str, Float[Tensor, ""]]:
        """The terms of L_DDL: labelled animals, target, and people, `count` views of each."""
        assert self.extra is not None
        logits: Tensor = self.extra([reverse_gradient(one) for one in features]).float()
        animal, target = torch.ones(len(logits), device=logits.device), torch.zeros(2 * count, device=logits.device)
        animal[2 * count :], target[count:] = 0.0, 1.0
        alpha = abs(self.weights.alpha)
        kind = {KIND: alpha * self.weights.w1 * binary_cross_entropy_with_logits(logits[:, 0], animal)}
        domain = alpha * binary_cross_entropy_with_logits(logits[: 2 * count, 1], target)
        return (kind if self.domains.more else {}) | {DOMAIN: domain}

    def labelled(self, batch: JointBatch) -> Float[Tensor, "_ 2"]:
        """Labelled keypoints of animals and people."""
        return torch.cat([self.model.labelled(part) for name, part in batch.parts.items() if name != TARGET])
