"""A model for views of one person: a network, the codec that reads it, and how its views are cut."""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from poise.codecs.base import InstanceCodec
from poise.errors import InputError
from poise.models.card import Card
from poise.skeletons import Skeleton
from poise.structures import Batch, Points, Preprocess


@final
class TopDown(nn.Module):
    """Network, codec, preprocessing and skeleton in one.

    Args:
        network: Answers normalised views (b 3 h w) with what `codec` reads; or with a list, of which `codec` reads the last.
        codec: The contract between keypoints and that answer.
        preprocess: How views are cut and normalised.
        skeleton: The keypoints, as many as the codec's.
        card: Name, architecture, licence, scores.
        deep: Codecs of the earlier answers of a network with several, in their order; they only make losses.

    Raises:
        InputError: Codecs and skeleton count keypoints differently.
    """

    def __init__(
        self,
        network: nn.Module,
        codec: InstanceCodec,
        preprocess: Preprocess,
        skeleton: Skeleton,
        card: Card,
        deep: tuple[InstanceCodec, ...] = (),
    ) -> None:
        super().__init__()
        for part in (*deep, codec):
            if part.keypoints != len(skeleton):
                raise InputError(
                    f"the codec has {part.keypoints} keypoints and skeleton {skeleton.name!r} has {len(skeleton)}; "
                    "they must agree"
                )
        self.network = network
        self.codec = codec
        self.deep = deep
        self.preprocess = preprocess
        self.skeleton = skeleton
        self.card = card

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b ..."]:
        """What the codec reads, for normalised views; float32 whatever the network computed in."""
        return self.outputs(images)[-1]

    def outputs(self, images: Float[Tensor, "b 3 h w"]) -> list[Float[Tensor, "b ..."]]:
        """Every answer of the network, the one that is read last; float32 whatever it computed in."""
        answer: Tensor | list[Tensor] = self.network(images)
        return [part.float() for part in ([answer] if isinstance(answer, Tensor) else answer)]

    def loss(self, batch: Batch) -> Float[Tensor, ""]:
        """The loss of a batch: the sum of the codecs' losses, one per answer."""
        return self.compare(self.outputs(batch.images), batch)

    def compare(self, outputs: list[Float[Tensor, "b ..."]], batch: Batch) -> Float[Tensor, ""]:
        """The loss of the network's answers, in float32 even where the network computes in less."""
        parts = self.losses(outputs, batch)
        return torch.stack(parts).sum() if len(parts) > 1 else parts[0]

    def losses(self, outputs: list[Float[Tensor, "b ..."]], batch: Batch) -> list[Float[Tensor, ""]]:
        """The loss of each of the network's answers by its codec."""
        with torch.autocast(batch.xy.device.type, enabled=False):
            pairs = zip((*self.deep, self.codec), outputs, strict=True)
            return [codec.loss(output, batch.xy, batch.visible) for codec, output in pairs]

    def read(self, output: Float[Tensor, "b ..."]) -> Points:
        """The keypoints in an answer, in pixels of the views; in float32 even where the network computes in less."""
        with torch.autocast(output.device.type, enabled=False):
            return self.codec.decode(output)

    def answer(self, images: Float[Tensor, "b 3 h w"], *, flip: bool) -> Float[Tensor, "b ..."]:
        """What the codec reads, averaged with that for the mirrored views if `flip`.

        Raises:
            SkeletonMismatch: The flip test is wanted and the skeleton does not say what a mirror exchanges.
        """
        if not flip:
            straight: Tensor = self(images)
            return straight
        self.skeleton.check_flip()
        both: Tensor = self(torch.cat((images, images.flip(-1))))
        straight, mirrored = both.chunk(2)
        return (straight + self.codec.unflip(mirrored, self.skeleton.flip.to(both.device))) / 2

    def predict(self, images: Float[Tensor, "b 3 h w"], *, flip: bool) -> Points:
        """Keypoints in pixels of the views, with the flip test if `flip`."""
        return self.read(self.answer(images, flip=flip))
