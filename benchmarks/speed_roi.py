"""Decoding, and encoding with the loss, of keypoints in a detector's boxes: one cell by cross-entropy, and Gaussians.

100 boxes of people with 17 keypoints, as one image gives at most; the release decodes them in 147 ms.
"""

from collections.abc import Callable, Iterator

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from codec_rows import CELLS, KEYPOINTS, SIZE, Array, squared
from row import Row
from speed_codecs import decode_udp, encode_gaussian

from poise.codecs.gaussian import Gaussian
from poise.codecs.one_hot import OneHot
from poise.codecs.roi import RoICodec
from poise.codecs.roi_adapter import RoIAdapter
from poise.codecs.udp import UDPGaussian

BOXES, SQUARE = 100, (56, 56)
WEIGHT = 1000.0

Decoder = Callable[[Array, Array], tuple[Array, Array]]
Loss = Callable[[torch.Tensor, Array, Array, Array], torch.Tensor]


def rows() -> Iterator[Row]:
    boxes, xy, visible = drawn()
    one_hot, likely = OneHot(SQUARE, KEYPOINTS), OneHot(SQUARE, KEYPOINTS, score="mass")
    udp = RoIAdapter.of(UDPGaussian(SIZE, CELLS, KEYPOINTS))
    gaussian = RoIAdapter.of(Gaussian(SIZE, CELLS, KEYPOINTS), weight=2 * WEIGHT)
    logits = answer(RoIAdapter.of(Gaussian(SQUARE, SQUARE, KEYPOINTS), height=20.0), xy, boxes)
    yield decoding("OneHot", one_hot, decode_one_hot, logits, boxes, public=147.0, wanted=5.0)
    yield decoding("OneHot mass", likely, decode_mass, logits, boxes, wanted=3.0)
    yield decoding("RoIAdapter UDPGaussian", udp, decode_in_box, answer(udp, xy, boxes), boxes, wanted=3.0)
    yield training("OneHot", one_hot, loss_of_one_hot, logits, (xy, visible, boxes))
    yield training("RoIAdapter Gaussian", gaussian, loss_of_gaussian, answer(gaussian, xy, boxes), (xy, visible, boxes))


def drawn() -> tuple[Array, Array, Array]:
    """Boxes 20 to 400 pixels high, their keypoints, and which are seen."""
    rng = np.random.default_rng(0)
    height = np.exp(rng.uniform(np.log(20), np.log(400), BOXES))
    width = height * rng.uniform(0.3, 0.8, BOXES)
    corner = rng.uniform(0, 300, (BOXES, 2))
    boxes = np.concatenate((corner, corner + np.stack((width, height), axis=1)), axis=1).astype(np.float32)
    share = rng.uniform(0.05, 0.95, (BOXES, KEYPOINTS, 2))
    xy = boxes[:, None, :2] + share * (boxes[:, 2:] - boxes[:, :2])[:, None]
    return boxes, xy.astype(np.float32), 2 * (rng.random((BOXES, KEYPOINTS)) < 0.8).astype(np.int64)


def answer(codec: RoICodec, xy: Array, boxes: Array) -> Array:
    clean: Array = codec.encode(torch.from_numpy(xy), torch.from_numpy(boxes)).numpy()
    noisy: Array = clean * 0.9 + 0.02 * clean.max() * np.random.default_rng(1).standard_normal(clean.shape).astype(np.float32)
    return noisy


def decoding(
    name: str,
    codec: RoICodec,
    reading: Decoder,
    output: Array,
    boxes: Array,
    *,
    public: float | None = None,
    wanted: float = 1.0,
) -> Row:
    maps, at = torch.from_numpy(output), torch.from_numpy(boxes)
    ours, (xy, score) = codec.decode(maps, at), reading(output, boxes)
    assert (np.abs(ours.xy.numpy() - xy).max(axis=-1) > 0.02).mean() <= 0.001
    assert np.median(np.abs(ours.score.numpy() - score)) < 1e-3
    return Row(f"decode {name}", lambda: codec.decode(maps, at), lambda: reading(output, boxes), public, wanted, 15)


def training(name: str, codec: RoICodec, reading: Loss, output: Array, labels: tuple[Array, Array, Array]) -> Row:
    xy, visible, boxes = (torch.from_numpy(part) for part in labels)
    learnt = torch.from_numpy(output).requires_grad_()

    def backward(loss: torch.Tensor) -> torch.Tensor:
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def ours() -> torch.Tensor:
        learnt.grad = None
        return backward(codec.loss(learnt, xy, visible, boxes))

    def theirs() -> torch.Tensor:
        learnt.grad = None
        return backward(reading(learnt, *labels))

    found, one = ours(), learnt.grad
    expected, other = theirs(), learnt.grad
    assert torch.allclose(found, expected, rtol=1e-3), (found, expected)
    assert one is not None
    assert other is not None
    assert torch.allclose(one, other, rtol=1e-2, atol=1e-3 * other.abs().max().item())
    return Row(f"encode + loss {name}", ours, theirs, repeats=15)


def decode_one_hot(maps: Array, boxes: Array) -> tuple[Array, Array]:
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 1)
    xy, score = np.empty((*maps.shape[:2], 2), np.float32), np.empty(maps.shape[:2], np.float32)
    for i, (width, height) in enumerate(np.ceil(sides).astype(int)):
        pixels = cv2.resize(maps[i].transpose(1, 2, 0), (width, height), interpolation=cv2.INTER_CUBIC).reshape(-1, KEYPOINTS)
        index = pixels.argmax(axis=0)
        score[i] = pixels[index, np.arange(KEYPOINTS)]
        middle = np.stack((index % width, index // width), axis=1) + 0.5
        xy[i] = middle * sides[i] / (width, height) + boxes[i, :2]
    return xy, score


def decode_mass(maps: Array, boxes: Array) -> tuple[Array, Array]:
    xy, _ = decode_one_hot(maps, boxes)
    flat = maps.reshape(-1, SQUARE[0] * SQUARE[1])
    share = np.exp(flat - flat.max(axis=1, keepdims=True))
    share = (share / share.sum(axis=1, keepdims=True)).reshape(-1, *SQUARE)
    wide = np.pad(share, ((0, 0), (2, 2), (2, 2)))
    y, x = np.divmod(flat.argmax(axis=1), SQUARE[1])
    near = np.arange(5)
    index = np.arange(len(flat))[:, None, None], y[:, None, None] + near[:, None], x[:, None, None] + near
    return xy, wide[index].sum(axis=(1, 2)).reshape(maps.shape[:2])


def decode_in_box(maps: Array, boxes: Array) -> tuple[Array, Array]:
    found, score = decode_udp(maps)
    sides = (boxes[:, 2:] - boxes[:, :2])[:, None]
    return boxes[:, None, :2] + (found + 0.5) * sides / SIZE[::-1], score


def in_view(xy: Array, boxes: Array) -> Array:
    share = (xy - boxes[:, None, :2]) / (boxes[:, 2:] - boxes[:, :2])[:, None]
    seen: Array = (share * np.array(SIZE[::-1]) - 0.5).astype(np.float32)
    return seen


def loss_of_one_hot(maps: torch.Tensor, xy: Array, visible: Array, boxes: Array) -> torch.Tensor:
    share = (xy - boxes[:, None, :2]) / (boxes[:, 2:] - boxes[:, :2])[:, None]
    cell = np.floor(share * SQUARE[::-1]).astype(np.int64)
    valid = torch.from_numpy((share >= 0).all(axis=-1) & (share < 1).all(axis=-1) & (visible > 0)).flatten()
    index = torch.from_numpy(cell[..., 1] * SQUARE[1] + cell[..., 0]).flatten()
    return F.cross_entropy(maps.flatten(0, 1).flatten(1)[valid], index[valid])


def loss_of_gaussian(maps: torch.Tensor, xy: Array, visible: Array, boxes: Array) -> torch.Tensor:
    target, weight = encode_gaussian(in_view(xy, boxes), visible)
    factor = float(2 * WEIGHT * weight.size / weight.sum())
    return squared(target, weight, maps) * factor
