"""A model for views of one person: a network, the codec that reads it, and how its views are cut."""

from dataclasses import dataclass, field
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from poise.codecs.base import InstanceCodec
from poise.errors import InputError
from poise.skeletons import Skeleton
from poise.structures import Architecture, Batch, Points, Preprocess


@dataclass(frozen=True)
class Card:
    """What a model file says about its model.

    Attributes:
        name: Of the model.
        architecture: How to build the network again.
        licence: Of the weights.
        scores: Measured figures by name, such as "coco-val/AP".
        notes: Where the weights are from, in words.
    """

    name: str
    architecture: Architecture
    licence: str = "unknown"
    scores: dict[str, float] = field(default_factory=dict)
    notes: str = ""


@final
class TopDown(nn.Module):
    """Network, codec, preprocessing and skeleton in one.

    Args:
        network: Answers normalised views (b 3 h w) with what `codec` reads.
        codec: The contract between keypoints and that answer.
        preprocess: How views are cut and normalised.
        skeleton: The keypoints, as many as the codec's.
        card: Name, architecture, licence, scores.

    Raises:
        InputError: Codec and skeleton count keypoints differently.
    """

    def __init__(
        self, network: nn.Module, codec: InstanceCodec, preprocess: Preprocess, skeleton: Skeleton, card: Card
    ) -> None:
        super().__init__()
        if codec.keypoints != len(skeleton):
            raise InputError(
                f"the codec has {codec.keypoints} keypoints and skeleton {skeleton.name!r} has {len(skeleton)}; they must agree"
            )
        self.network = network
        self.codec = codec
        self.preprocess = preprocess
        self.skeleton = skeleton
        self.card = card

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c i j"]:
        """The network's answer for normalised views, as float32 whatever it computed in."""
        output: Tensor = self.network(images)
        return output.float()

    def loss(self, batch: Batch) -> Float[Tensor, ""]:
        """The codec's loss of a batch."""
        return self.compare(self(batch.images), batch)

    def compare(self, output: Float[Tensor, "b c i j"], batch: Batch) -> Float[Tensor, ""]:
        """The codec's loss of an answer, in float32 even where the network computes in less."""
        with torch.autocast(output.device.type, enabled=False):
            return self.codec.loss(output, batch.xy, batch.visible)

    def read(self, output: Float[Tensor, "b c i j"]) -> Points:
        """The keypoints in an answer, in pixels of the views; in float32 even where the network computes in less."""
        with torch.autocast(output.device.type, enabled=False):
            return self.codec.decode(output)

    def answer(self, images: Float[Tensor, "b 3 h w"], *, flip: bool) -> Float[Tensor, "b c i j"]:
        """The network's answer, averaged with that for the mirrored views if `flip`."""
        both: Tensor = self(torch.cat((images, images.flip(-1))) if flip else images)
        if not flip:
            return both
        straight, mirrored = both.chunk(2)
        back: Tensor = self.codec.unflip(mirrored, self.skeleton.flip.to(both.device))
        return (straight + back) / 2

    def predict(self, images: Float[Tensor, "b 3 h w"], *, flip: bool) -> Points:
        """Keypoints in pixels of the views, with the flip test if `flip`."""
        return self.read(self.answer(images, flip=flip))
