"""Encoding and decoding of keypoints: what codecs decode from a perfect output."""

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from poise.codecs.base import InstanceCodec
from poise.structures import Points

BATCH = 512
"""Keypoints that are encoded at a time, so that their maps stay in the cache of the CPU."""


def there_and_back(
    readers: Sequence[InstanceCodec], xy: Float[Tensor, "n k 2"], flip: Int64[Tensor, " k"] | None = None
) -> list[Points]:
    """What codecs decode from a perfect output: that of the first codec for these keypoints.

    Args:
        readers: At least one codec; they differ only in how they read.
        xy: Keypoints, pixels of the view.
        flip: `Skeleton.flip`; if given, views are mirrored first and their outputs flipped back, as in the flip test.
    """
    size = max(1, BATCH // readers[0].keypoints)
    found = [[one.decode(output) for one in readers] for output in _perfect_outputs(readers[0], torch.split(xy, size), flip)]
    if not len(xy):
        return [Points(xy, xy.new_zeros(xy.shape[:2]))] * len(readers)
    return [Points(torch.cat([p.xy for p in parts]), torch.cat([p.score for p in parts])) for parts in zip(*found, strict=True)]


def _perfect_outputs(
    codec: InstanceCodec, parts: Sequence[Float[Tensor, "_ k 2"]], flip: Int64[Tensor, " k"] | None
) -> Iterator[Float[Tensor, "_ ..."]]:
    for xy in parts:
        if not len(xy):
            return
        if flip is None:
            yield codec.encode(xy)
        else:
            mirrored = torch.stack((codec.size[1] - 1 - xy[..., 0], xy[..., 1]), dim=-1)[:, flip]
            yield codec.unflip(codec.encode(mirrored), flip)
