"""Base of top-down and bottom-up models: a network whose outputs codecs decode, with deep supervision."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from poise.models.base import PoseModel
from poise.models.card import Card
from poise.models.values import Batch
from poise.skeletons import Skeleton

TOGETHER = 8
"""Views below which the mirrored ones of the flip test share their batch; two batches of so many are as fast, and no copy."""


class DenseModel(PoseModel):
    """Network, codec, preprocessing and skeleton; the last of the network's outputs is read.

    Args:
        network: Answers normalised views (b 3 h w); `outputs` says what its answers are.
        codec: The contract between keypoints and the output that is read.
        preprocess: How views are made and normalised.
        skeleton: The keypoints, as many as the codec's.
        card: Name, architecture, licence, scores.
        deep: Codecs of the earlier outputs, in their order; they only make losses.

    Raises:
        InputError: Codecs and skeleton count keypoints differently.
    """

    def __init__(
        self,
        network: nn.Module,
        codec: Any,
        preprocess: Any,
        skeleton: Skeleton,
        card: Card,
        deep: tuple[Any, ...] = (),
    ) -> None:
        super().__init__()
        self.check_keypoints(skeleton, codec, *deep)
        self.network = network
        self.codec = codec
        self.deep = deep
        self.preprocess = preprocess
        self.skeleton = skeleton
        self.card = card

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b ..."]:
        """The output that the codec decodes, for normalised views; float32 whatever precision the network computed in."""
        return self.outputs(images)[-1]

    @abstractmethod
    def outputs(self, images: Float[Tensor, "b 3 h w"]) -> list[Float[Tensor, "b ..."]]:
        """Every output of the network, the one that is read last; float32 whatever the network computed in."""

    @abstractmethod
    def merged(self, straight: Float[Tensor, "b ..."], mirrored: Float[Tensor, "b ..."]) -> Float[Tensor, "b ..."]:
        """An output averaged with that for the mirrored views (flip test)."""

    def mirrored_views(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
        """The mirrored views of the flip test."""
        return images.flip(-1)

    @abstractmethod
    def compared(self, outputs: Sequence[Float[Tensor, "b ..."]], batch: Batch) -> dict[str, Float[Tensor, ""]]:
        """The loss of each output by its codec, in float32 even where the network computes in less."""

    def output(self, images: Float[Tensor, "b 3 h w"], *, flip: bool) -> Float[Tensor, "b ..."]:
        """The output that the codec decodes, averaged with that of the mirrored views if `flip`.

        Raises:
            SkeletonMismatch: The flip test is wanted and the skeleton has no mirror pairs.
        """
        if not flip:
            straight: Tensor = self(images)
            return straight
        self.skeleton.check_flip()
        mirrored = self.mirrored_views(images)
        if len(images) < TOGETHER:
            return self.merged(*self(torch.cat((images, mirrored))).chunk(2))
        return self.merged(self(images), self(mirrored))

    def read(self, output: Float[Tensor, "b ..."]) -> Any:
        """The predictions that the codec decodes from an output, pixels of the views; computed in float32."""
        with torch.autocast(output.device.type, enabled=False):
            return self.codec.decode(output)

    def predict(self, images: Float[Tensor, "b 3 h w"], *, flip: bool) -> Any:
        """The predictions for views, with the flip test if `flip`."""
        return self.read(self.output(images, flip=flip))

    def losses(self, batch: Batch) -> dict[str, Float[Tensor, ""]]:
        """The loss of each output of the network by its codec."""
        return self.compared(self.outputs(batch.images), batch)

    def raw(self, images: Float[Tensor, "b 3 h w"]) -> list[Tensor]:
        """Every output of the network."""
        return self.outputs(images)
