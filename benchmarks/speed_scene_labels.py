"""Labels of whole views with ten people at 512x512, and what is learnt from them, beside OffsetGuided's procedure in NumPy.

The reading goes from person to person and from keypoint to keypoint, or limb to limb, and fills the windows of the maps as the
release does (arXiv 2107.03098, section 3). Public figure: the official code on one core of a Xeon, all maps.
"""

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from codec_rows import Array
from row import Row
from scene_labels import SIDE, drawn, scene

from poise.codecs.guiding_losses import Costs, LabelMaps
from poise.codecs.offset_guided import OffsetGuided
from poise.scenes import Scenes
from poise.skeletons import COCO17
from poise.skeletons.limbs import limbs

PUBLIC = 12.055
WANTED = 5.0
CELLS = SIDE // 4
GRID = (np.arange(CELLS) * 4 + 1.5).astype(np.float32)


def rows() -> Iterator[Row]:
    scenes = scene(drawn(1, seed=7, people=(10, 10))[0])
    assert len(scenes.xy) == 10
    maps = LabelMaps(background=True, jitter=True, scale=True)
    codec = OffsetGuided(len(COCO17), limbs(COCO17), maps, Costs(weights=(1.0,) * 5), sigmas=COCO17.sigmas)
    ours, theirs = (
        codec.encode(scenes)[0].numpy(),
        np.concatenate([np.nan_to_num(m, posinf=0) for m in read_maps(scenes, codec)[:5]]),
    )
    assert np.abs(ours - theirs).max() < 1e-3, np.abs(ours - theirs).max()
    yield Row(
        f"labels of {SIDE}x{SIDE}, 10 people", lambda: codec.encode(scenes), lambda: read_maps(scenes, codec), PUBLIC, WANTED
    )
    yield learnt("focal", codec, scenes)
    yield learnt("instance", replace(codec, cost=replace(codec.cost, offset="instance_l1", root=True)), scenes)


def learnt(name: str, codec: OffsetGuided, scenes: Scenes) -> Row:
    """Labels, loss and the way back."""
    generator = torch.Generator().manual_seed(0)
    output = codec.encode(scenes)
    output = (output + 0.1 * torch.randn(output.shape, generator=generator)).requires_grad_()

    def ours() -> torch.Tensor:
        output.grad = None
        loss = codec.loss(output, scenes)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def theirs() -> torch.Tensor:
        output.grad = None
        loss = read_loss(output, read_maps(scenes, codec), codec)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    found, one = ours(), output.grad
    expected, other = theirs(), output.grad
    assert one is not None
    assert other is not None
    assert torch.allclose(found, expected, rtol=1e-3), (found, expected)
    assert torch.allclose(one, other, rtol=1e-2, atol=1e-5 * other.abs().max().item())
    return Row(f"labels + loss of {SIDE}x{SIDE}, 10 people, {name}", ours, theirs)


def window(at: float, side: int) -> slice:
    first, end = round(at / 4 - side / 2), round(at / 4 + side / 2)
    return slice(max(first, 0), max(end, 0))


def read_maps(scenes: Scenes, codec: OffsetGuided) -> tuple[Array, Array, Array, Array, Array, Array]:
    """Heatmaps, background, jitter, offsets, scales, and sizes of the people offsets belong to; inf and NaN where none is."""
    xy, visible, extent = scenes.xy.numpy(), scenes.visible.numpy(), scenes.extent.numpy()
    heat = np.zeros((codec.keypoints, CELLS, CELLS), np.float32)
    jitter, jitter_length = np.full((2, CELLS, CELLS), np.inf, np.float32), np.full((CELLS, CELLS), np.inf, np.float32)
    offsets = np.full((len(codec.limbs), 2, CELLS, CELLS), np.inf, np.float32)
    length = np.full((len(codec.limbs), CELLS, CELLS), np.inf, np.float32)
    scales, sizes = np.full_like(heat, np.nan), np.ones_like(offsets)
    side = 2 * math.ceil(math.sqrt(-2 * codec.maps.sigma**2 * math.log(codec.maps.clip)) / 4)
    for person, seen in zip(xy, visible > 0, strict=True):
        for keypoint in np.flatnonzero(seen):
            x, y = person[keypoint]
            across, down = window(x, side), window(y, side)
            gaussian = np.outer(bell(GRID[down] - y, codec.maps.sigma), bell(GRID[across] - x, codec.maps.sigma))
            gaussian[gaussian < codec.maps.clip] = 0
            np.maximum(heat[keypoint, down, across], gaussian, out=heat[keypoint, down, across])
            near = (slice(None), window(y, codec.maps.jitter_fill), window(x, codec.maps.jitter_fill))
            shortest(jitter[near], jitter_length[near[1:]], (x - GRID[near[2]], y - GRID[near[1]]))
    for number, (start, end) in enumerate(codec.limbs):
        for person, seen, size in zip(xy, visible > 0, extent, strict=True):
            if seen[start] and seen[end]:
                down, across = window(person[start, 1], codec.maps.fill), window(person[start, 0], codec.maps.fill)
                vector = person[end, 0] - GRID[across], person[end, 1] - GRID[down]
                won = shortest(offsets[number, :, down, across], length[number, down, across], vector)
                scale = size * COCO17.sigmas[start]
                scales[start, down, across][won] = scale if scale >= 1 else np.nan
                sizes[number, :, down, across][:, won] = size
    return (
        heat,
        1 - heat.max(axis=0, keepdims=True),
        jitter,
        offsets.reshape(-1, CELLS, CELLS),
        scales,
        sizes.reshape(-1, CELLS, CELLS),
    )


def bell(distance: Array, sigma: float) -> Array:
    return np.exp(-(distance**2) / (2 * sigma**2))


def shortest(vectors: Array, lengths: Array, vector: tuple[Array, Array]) -> Array:
    """Fill in the vectors where they are shorter than what is there."""
    x, y = np.broadcast_arrays(vector[0][None, :], vector[1][:, None])
    own = np.sqrt(x**2 + y**2)
    won: Array = own < lengths
    lengths[won], vectors[0][won], vectors[1][won] = own[won], x[won], y[won]
    return won


def read_loss(output: torch.Tensor, maps: tuple[Array, ...], codec: OffsetGuided) -> torch.Tensor:
    """Focal L2, L1 of vectors and scales, each dropped where nothing is labelled."""
    heat, background, jitter, offsets, scales, sizes = (torch.from_numpy(m)[None] for m in maps)
    counts = [codec.keypoints, 1, 2, 2 * len(codec.limbs), codec.keypoints]
    found = torch.split(output, counts, dim=1)
    total = focal(found[0], heat) + focal(found[1], background)
    people = sizes if codec.cost.offset == "instance_l1" else torch.ones_like(sizes)
    for answer, target, size, margin in (
        (found[2], jitter, torch.ones_like(jitter), 1e-5),
        (found[3], offsets, people, 1e-5),
        (found[4], scales, torch.ones_like(scales), 0.1),
    ):
        there = torch.isfinite(target)
        error = (answer[there] / size[there] - target[there] / size[there]).abs()
        error = error[error >= margin]
        total = total + (error.sqrt() if codec.cost.root else error).sum() / (1 + len(error))
    return total


def focal(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    sure = torch.where(target >= 0.01, output, 1 - output)
    return (0.5 * (output - target) ** 2 * (1 - sure).abs()).sum()
