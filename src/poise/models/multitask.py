"""Top-down models that also say which body part each pixel shows: the multitask hourglass of arXiv 1912.08265."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan
from typing import Any, final

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor, nn
from torch.nn import functional

from poise.codecs.base import InstanceCodec
from poise.data.base import Dataset
from poise.errors import InputError
from poise.metrics.accuracy import Accuracy
from poise.models.card import Card
from poise.models.losses import total_loss
from poise.models.person_scores import FoundPerson, PeopleTruth
from poise.models.top_down import TopDown
from poise.models.views.base import TrainData
from poise.models.views.parts import UNKNOWN, PartsBatch, PartsViews
from poise.skeletons import Skeleton
from poise.structures import Batch, Preprocess

PARTS_WEIGHT = 0.01
"""Factor of the loss of part masks: that of the release in its first epoch; in epoch n, from 1, the release takes 0.01 / n.

With it both losses of a network that has learnt a little are of one size (a cross entropy of 0.1 to 1 beside map errors of
about 0.001 to 0.01)."""


@final
@dataclass(frozen=True, eq=False)
class FoundParts:
    """The predicted keypoints of a person, and how its pixels were told apart.

    Attributes:
        person: The keypoints.
        counts: Number of pixels by their labelled and their predicted part; 0 everywhere without labels.
    """

    person: FoundPerson
    counts: Int64[Tensor, "c c"]


@final
class MultitaskTopDown(TopDown):
    """A top-down model whose network also answers with a map of logits per part, for each of its outputs.

    The first outputs of the network are those that codecs compare, the last of them is decoded; as many part maps of the view's
    size follow (`nn.heads.hourglass`). The loss of the parts is their mean cross entropy over the pixels whose part is known,
    summed over the outputs, times `parts_weight`. Data without part masks teach keypoints alone.

    Args:
        network: As of `TopDown`, with part maps.
        codec: As of `TopDown`; of maps.
        preprocess: As of `TopDown`.
        skeleton: As of `TopDown`.
        card: As of `TopDown`.
        deep: As of `TopDown`.
        parts_weight: Factor of the loss of the parts.

    Raises:
        InputError: The codec decodes vectors, or codecs and skeleton count keypoints differently.
    """

    kind = "multitask-top-down"
    val_scores: tuple[str, ...] = ("pck@0.1", "AP", "part IoU")

    def __init__(
        self,
        network: nn.Module,
        codec: InstanceCodec,
        preprocess: Preprocess,
        skeleton: Skeleton,
        card: Card,
        deep: tuple[InstanceCodec, ...] = (),
        parts_weight: float = PARTS_WEIGHT,
    ) -> None:
        if codec.vectors:
            raise InputError(f"a multitask network answers with maps, which {type(codec).__name__} does not decode")
        super().__init__(network, codec, preprocess, skeleton, card, deep=deep)
        self.parts_weight = parts_weight

    @classmethod
    def of(cls, model: TopDown) -> "MultitaskTopDown":
        """A model of the network of another, which must have part maps; nothing is copied."""
        return cls(model.network, model.codec, model.preprocess, model.skeleton, model.card, model.deep)

    @property
    def output_text(self) -> str:
        """What the model finds, as text."""
        return f"{super().output_text} and {self.classes - 1} parts"

    @property
    def classes(self) -> int:
        """Classes of pixels, the background counted."""
        known = getattr(self.network, "classes", None)  # an exported network has no layers
        return int(self.network.head.parts[-1].out_channels if known is None else known)

    @property
    def loss_parts(self) -> tuple[str, ...]:
        """Keypoints and parts."""
        return "keypoints", "parts"

    # the network

    def tasks(self, images: Float[Tensor, "b 3 h w"]) -> tuple[list[Float[Tensor, "b _ _ _"]], list[Float[Tensor, "b c h w"]]]:
        """The outputs that codecs compare, and the logits of the parts, float32."""
        answers = [part.float() for part in self.network(images)]
        half = len(answers) // 2
        return answers[:half], answers[half:]

    def outputs(self, images: Float[Tensor, "b 3 h w"]) -> list[Float[Tensor, "b ..."]]:
        """Every output of keypoints, the one that is read last."""
        return list(self.tasks(images)[0])

    def raw(self, images: Float[Tensor, "b 3 h w"]) -> list[Tensor]:
        """Every output of the network: of keypoints, then of parts."""
        keypoints, parts = self.tasks(images)
        return [*keypoints, *parts]

    @torch.no_grad()
    def parts(self, images: Float[Tensor, "b 3 h w"]) -> UInt8[Tensor, "b h w"]:
        """The part that each pixel of normalised views shows, 0 for the background."""
        return self.tasks(images)[1][-1].argmax(dim=1).to(torch.uint8)

    # training

    def losses(self, batch: Batch) -> dict[str, Float[Tensor, ""]]:
        """The losses of keypoints and parts."""
        return self._losses(*self.tasks(batch.images), batch)

    def _losses(self, keypoints: Sequence[Tensor], parts: Sequence[Tensor], batch: Batch) -> dict[str, Float[Tensor, ""]]:
        found = {"keypoints": total_loss(self.compared(keypoints, batch))}
        labels = batch.parts if isinstance(batch, PartsBatch) else None
        if labels is None:
            return found | {"parts": 0 * torch.stack([part.sum() for part in parts]).sum()}
        return found | {"parts": self.parts_weight * torch.stack([part_loss(part, labels) for part in parts]).sum()}

    def batch_accuracy(self, answer: Any, batch: Batch) -> Accuracy | None:
        """That of the maps of keypoints."""
        return super().batch_accuracy(answer[: len(answer) // 2], batch)

    def train_views(self, data: TrainData, *, seed: int) -> PartsViews:  # type: ignore[override]  # views with more in them
        """Augmented views of all people, with part masks."""
        return PartsViews(super().train_views(data, seed=seed))

    def val_views(self, dataset: Dataset, *, seed: int) -> PartsViews:  # type: ignore[override]  # the same
        """All people, in the middle of their views, with part masks."""
        return PartsViews(super().val_views(dataset, seed=seed))

    def validate(self, batch: Batch) -> tuple[dict[str, Float[Tensor, ""]], list[Any]]:
        """The loss, the keypoints of each person in pixels of the images, and how its pixels were told apart."""
        keypoints, parts = self.tasks(batch.images)
        people = FoundPerson.of_batch(self.read(keypoints[-1]), batch)
        labels = batch.parts if isinstance(batch, PartsBatch) else None
        counts = _counts(parts[-1].argmax(dim=1), labels, self.classes)
        found = [FoundParts(person, count) for person, count in zip(people, counts, strict=True)]
        return self._losses(keypoints, parts, batch), found

    def score(self, truth: PeopleTruth, found: Mapping[int, Any]) -> dict[str, float]:
        """AP of the COCO protocol, pck@0.1, and the mean IoU of the parts (nan without part masks)."""
        people = {index: one.person for index, one in found.items()}
        every = torch.stack([one.counts for one in found.values()]).sum(dim=0)
        return super().score(truth, people) | {"part IoU": mean_iou(every)}

    def keypoint_scores(self, truth: PeopleTruth, found: Mapping[int, Any]) -> dict[str, float]:
        """pck@0.1 of each keypoint."""
        return super().keypoint_scores(truth, {index: one.person for index, one in found.items()})

    # files

    def to_plain(self) -> dict[str, Any]:
        """Skeleton, codecs and the factor of the parts as plain values."""
        return {**super().to_plain(), "parts_weight": self.parts_weight}

    @classmethod
    def from_plain(cls, network: Any, preprocess: Any, card: Card, *, values: Mapping[str, Any]) -> "MultitaskTopDown":
        """The model that `to_plain` wrote."""
        made = super().from_plain(network, preprocess, card, values=values)
        assert isinstance(made, cls)
        made.parts_weight = float(values["parts_weight"])
        return made


def part_loss(logits: Float[Tensor, "b c h w"], parts: UInt8[Tensor, "b h w"]) -> Float[Tensor, ""]:
    """Mean cross entropy over the pixels whose part is known; 0 where none is.

    Args:
        logits: A channel for each body part, the background first, before softmax.
        parts: The part of each pixel, `UNKNOWN` where nobody knows.

    >>> part_loss(torch.zeros(1, 10, 2, 2), torch.zeros(1, 2, 2, dtype=torch.uint8))
    tensor(2.3026)
    """
    total = functional.cross_entropy(logits, parts.long(), ignore_index=UNKNOWN, reduction="sum")
    return total / (parts != UNKNOWN).sum().clamp(min=1)


def mean_iou(counts: Int64[Tensor, "c c"]) -> float:
    """The mean over parts of their intersection over union, without the background and parts that nobody has; nan without any.

    Args:
        counts: Number of pixels by labelled and predicted part.

    >>> mean_iou(torch.tensor([[5, 0, 0], [0, 3, 1], [0, 0, 0]]))
    0.375
    """
    both = counts.diagonal()[1:].double()
    either = (counts.sum(dim=0) + counts.sum(dim=1))[1:].double() - both
    known = either > 0
    return float((both[known] / either[known]).mean()) if bool(known.any()) else nan


def _counts(found: Int64[Tensor, "b h w"], parts: UInt8[Tensor, "b h w"] | None, classes: int) -> list[Int64[Tensor, "c c"]]:
    """For each view the number of pixels by labelled and predicted part."""
    if parts is None:
        return [torch.zeros(classes, classes, dtype=torch.int64) for _ in found]
    rows = []
    for one, label in zip(found, parts.long(), strict=True):
        known = label != UNKNOWN
        pairs = label[known] * classes + one[known]
        rows.append(torch.bincount(pairs, minlength=classes**2).view(classes, classes).cpu())
    return rows
