"""HigherHRNet (arXiv 1908.10357): heatmaps at two resolutions, and tags at the coarser one."""

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from poise.codecs.associative import AssociativeEmbedding
from poise.models.bottom_up import BottomUp
from poise.models.losses import codec_losses
from poise.scenes import SceneBatch


class HigherResolution(BottomUp):
    """A bottom-up model whose network answers with heatmaps and tags of a coarse grid, and heatmaps of a finer one.

    Heatmaps are read as the mean of both, tags from the coarse one, enlarged. `deep` has the codecs of the two, by which they
    are learnt.
    """

    kind = "higher-resolution"

    def outputs(self, images: Float[Tensor, "b 3 h w"]) -> list[Float[Tensor, "b c hh ww"]]:
        """The coarse maps, the fine ones, and what is read; an exported file gives that alone."""
        coarse, *rest = (part.float() for part in self.network(images))
        if not rest:
            return [coarse]
        [fine] = rest
        count = cast(AssociativeEmbedding, self.codec).keypoints
        heat, tags = torch.split(F.interpolate(coarse, fine.shape[2:], mode="bilinear", align_corners=False), count, dim=1)
        return [coarse, fine, torch.cat(((heat + fine) / 2, tags), dim=1)]

    def compared(self, outputs: Sequence[Float[Tensor, "b c hh ww"]], batch: SceneBatch) -> dict[str, Float[Tensor, ""]]:
        """The losses of the coarse and of the fine maps, computed in float32."""
        with torch.autocast(batch.images.device.type, enabled=False):
            return codec_losses(self.deep, outputs[:-1], batch.scenes)
