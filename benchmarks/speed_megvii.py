"""Decoding, and encoding with the loss, of the codecs of CPN, MSPN and RSN; the five label maps of MSPN."""

from collections.abc import Iterator

import cv2
import numpy as np
import torch
from codec_rows import (
    CELLS,
    KEYPOINTS,
    SIZE,
    VIEWS,
    Array,
    Problem,
    blurred,
    decoding,
    distances,
    drawn,
    highest,
    training,
)
from row import Row
from speed_codecs import decode_udp, shifted

from poise.codecs.megvii import Megvii
from poise.codecs.megvii_udp import MegviiUDP

HEIGHT, AROUND = 255, 10
KERNELS = (15, 11, 9, 7, 5)
LABEL, HARDEST = 1.64 / 5, 34.2
"""Public milliseconds of one label of one view, and of the loss of the hardest keypoints with its way back."""


def rows() -> Iterator[Row]:
    problem = drawn()
    mspn = Megvii(SIZE, CELLS, KEYPOINTS, ohkm=8)
    maps = problem.answer(mspn, 5.0)
    cpn = Megvii(SIZE, CELLS, KEYPOINTS, reading="cpn", blur=21)
    mmpose = Megvii(SIZE, CELLS, KEYPOINTS, reading="mmpose", blur=11)
    udp = MegviiUDP(SIZE, CELLS, KEYPOINTS)
    yield decoding("Megvii, MSPN", mspn, lambda m: towards_second(m, 5), maps, public=19.9, wanted=5.0)
    yield decoding("Megvii, CPN", cpn, lambda m: towards_second(m, 21, own_scale=True), maps, public=37.5, wanted=5.0)
    yield decoding("Megvii, MMPose", mmpose, decode_mmpose, maps)
    yield decoding("MegviiUDP", udp, decode_rsn, problem.answer(udp, 5.0), wanted=5.0)
    yield labels(problem)
    public = VIEWS * LABEL + HARDEST
    yield training("Megvii, hardest", mspn, lambda *given: loss_of_hardest(*given, kernel=7), maps, problem, public=public)
    coarse = Megvii(SIZE, CELLS, KEYPOINTS, kernel=15, weight=0.25, least_visible=2, others="emptied")
    yield training("Megvii, coarse", coarse, loss_of_coarse, maps, problem)
    yield training("MegviiUDP", udp, loss_of_rsn, maps, problem)


def labels(problem: Problem) -> Row:
    codecs = [Megvii(SIZE, CELLS, KEYPOINTS, kernel=kernel) for kernel in KERNELS]
    xy, everywhere = torch.from_numpy(problem.xy), np.full_like(problem.visible, 2)

    def ours() -> list[torch.Tensor]:
        return [codec.encode(xy) for codec in codecs]

    def theirs() -> list[Array]:
        return [dots(problem.xy, everywhere, kernel) for kernel in KERNELS]

    assert all(np.allclose(a, b, atol=1e-2) for a, b in zip(ours(), theirs(), strict=True))
    return Row("encode Megvii, five label maps", ours, theirs, VIEWS * 5 * LABEL, 10.0, 15)


def dots(xy: Array, visible: Array, kernel: int) -> Array:
    out = np.zeros((*visible.shape, *CELLS), np.float32)
    cells = (xy * (CELLS[1] / SIZE[1], CELLS[0] / SIZE[0])).astype(int)
    for view, joint in zip(*np.nonzero(visible), strict=True):
        x, y = cells[view, joint]
        one = out[view, joint]
        one[y, x] = 1
        cv2.GaussianBlur(one, (kernel, kernel), 0, dst=one)
        one *= HEIGHT / one.max()
    return out


def towards_second(maps: Array, kernel: int, *, own_scale: bool = False) -> tuple[Array, Array]:
    flat = maps.reshape(-1, *CELLS)
    shown = flat.astype(np.float64) / flat.max(axis=(1, 2), keepdims=True) if own_scale else flat
    wide = np.pad(shown, ((0, 0), (AROUND, AROUND), (AROUND, AROUND)))
    smooth = np.stack([cv2.GaussianBlur(m, (kernel, kernel), 0) for m in wide]).reshape(len(wide), -1)
    each, width = np.arange(len(smooth)), CELLS[1] + 2 * AROUND
    first = smooth.argmax(axis=1)
    smooth[each, first] = 0
    second = smooth.argmax(axis=1)
    a, b = (np.stack((i % width, i // width), axis=-1) - AROUND for i in (first, second))
    way = b - a
    cells = (a + 0.25 * way / np.hypot(*way.T)[:, None]).clip(0, (CELLS[1] - 1, CELLS[0] - 1))
    x, y = np.rint(cells).astype(int).T
    score = flat[each, y, x] / HEIGHT + 0.5
    return (cells * SIZE[1] / CELLS[1] + 2).reshape(*maps.shape[:2], 2), score.reshape(maps.shape[:2])


def decode_mmpose(maps: Array) -> tuple[Array, Array]:
    _, _, score = highest(maps)
    smooth = blurred(np.pad(maps, ((0, 0), (0, 0), (5, 5), (5, 5))), 11)[:, :, 5:-5, 5:-5]
    smooth = smooth * (score / smooth.max(axis=(2, 3)))[..., None, None]
    x, y, _ = highest(smooth)
    inside = (x > 1) & (x < CELLS[1] - 1) & (y > 1) & (y < CELLS[0] - 1)
    step = np.stack(shifted(smooth, x, y, least=2), axis=-1) + 0.5 * inside[..., None]
    return (np.stack((x, y), axis=-1) + step) * (SIZE[1] / CELLS[1], SIZE[0] / CELLS[0]), score / HEIGHT + 0.5


def decode_rsn(maps: Array) -> tuple[Array, Array]:
    return decode_udp(maps / np.float32(HEIGHT))


def loss_of_hardest(output: torch.Tensor, xy: Array, visible: Array, *, kernel: int) -> torch.Tensor:
    counts = torch.from_numpy(visible > 0)
    each = (output - torch.from_numpy(dots(xy, visible, kernel))).square().mean(dim=(2, 3)) * counts
    return each.topk(8, dim=1).values.mean()


def loss_of_coarse(output: torch.Tensor, xy: Array, visible: Array) -> torch.Tensor:
    return 0.25 * (output - torch.from_numpy(dots(xy, visible, 15))).square().mean()


def loss_of_rsn(output: torch.Tensor, xy: Array, visible: Array) -> torch.Tensor:
    scale = (np.array(SIZE[::-1]) - 1) / (np.array(CELLS[::-1]) - 1)
    target = HEIGHT * np.exp(distances((xy / scale).astype(np.float32)) / np.float32(-2 * 1.4105**2))
    counts = torch.from_numpy(visible > 0)[..., None, None]
    return ((output - torch.from_numpy(target)) * counts).square().mean()
