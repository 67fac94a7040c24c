"""A model for whole images: a network, the codec that reads people out of its answer, and how images are brought to it."""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from poise.codecs.scene import SceneCodec
from poise.errors import InputError
from poise.models.card import Card
from poise.scenes import Canvas, People, SceneBatch
from poise.skeletons import Skeleton


@final
class BottomUp(nn.Module):
    """Network, codec, preprocessing and skeleton in one.

    Args:
        network: Answers normalised views (b 3 h w) with a list of maps: each head of the codec in turn (`SceneCodec.parts`),
            and of each head the answers of all stacks, of which the last is read.
        codec: The contract between people and one stack's answer.
        preprocess: How images are brought to the size of views and normalised.
        skeleton: The keypoints, as many as the codec's.
        card: Name, architecture, licence, scores.
        deep: Codecs of the earlier stacks, in their order; they only make losses.

    Raises:
        InputError: Codecs and skeleton count keypoints differently.
    """

    def __init__(
        self,
        network: nn.Module,
        codec: SceneCodec,
        preprocess: Canvas,
        skeleton: Skeleton,
        card: Card,
        deep: tuple[SceneCodec, ...] = (),
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

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c hh ww"]:
        """What the codec reads, for normalised views; float32 whatever the network computed in."""
        return self.outputs(images)[-1]

    def outputs(self, images: Float[Tensor, "b 3 h w"]) -> list[Float[Tensor, "b c hh ww"]]:
        """Every stack's answer, the one that is read last; float32 whatever the network computed in."""
        maps: list[Tensor] = self.network(images)
        stacks = len(self.deep) + 1
        return [torch.cat([part.float() for part in maps[number::stacks]], dim=1) for number in range(stacks)]

    def loss(self, batch: SceneBatch) -> Float[Tensor, ""]:
        """The loss of a batch: the sum of the codecs' losses, one per stack."""
        return self.compare(self.outputs(batch.images), batch)

    def compare(self, outputs: list[Float[Tensor, "b c hh ww"]], batch: SceneBatch) -> Float[Tensor, ""]:
        """The loss of the network's answers, in float32 even where the network computes in less."""
        return torch.stack(self.losses(outputs, batch)).sum()

    def losses(self, outputs: list[Float[Tensor, "b c hh ww"]], batch: SceneBatch) -> list[Float[Tensor, ""]]:
        """The loss of each stack's answer by its codec."""
        with torch.autocast(batch.images.device.type, enabled=False):
            pairs = zip((*self.deep, self.codec), outputs, strict=True)
            return [codec.loss(output, batch.scenes) for codec, output in pairs]

    def read(self, output: Float[Tensor, "b c hh ww"]) -> list[People]:
        """The people in an answer, in pixels of the views; in float32 even where the network computes in less."""
        with torch.autocast(output.device.type, enabled=False):
            return self.codec.decode(output)

    def answer(self, images: Float[Tensor, "b 3 h w"], *, flip: bool) -> Float[Tensor, "b c hh ww"]:
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
        return self.codec.merge(straight, mirrored, self.skeleton.flip.to(both.device))

    def predict(self, images: Float[Tensor, "b 3 h w"], *, flip: bool) -> list[People]:
        """People in pixels of the views, with the flip test if `flip`."""
        return self.read(self.answer(images, flip=flip))
