"""People read out of maps of 128x128 with guiding offsets, beside whole maps enlarged; and how often both agree.

    python benchmarks/speed_scenes.py [--images N]

alone prints which share of the poses of the exact reading the fast one has too, every keypoint within half a pixel.
"""

import sys
from collections.abc import Iterator
from functools import partial

import torch
import tyro
from row import Row
from scene_labels import SIDE, Blur, answer, codec, drawn
from scene_reading import read_scene
from torch import Tensor

from poise.codecs.decoders import read_as
from poise.scenes import People

NEAR = 0.5
"""Pixels."""

WANTED = 0.99

NOISY = Blur()


def rows() -> Iterator[Row]:
    """Ten people in a view of 512x512 pixels; every way to read them beside the exact one."""
    output = answer(drawn(1, seed=7, people=(10, 10))[0], Blur(), seed=1)
    made = codec()
    reading = made.reading
    heat, offsets = output[:, : made.keypoints], output[:, made.keypoints :]
    share = agreement(6, seed=3)
    if share < WANTED:
        raise RuntimeError(f"only {share:.1%} of the poses are those of the exact reading, {WANTED:.0%} are wanted")

    def plain() -> object:
        return read_scene(heat, offsets, made.limbs, threshold=reading.threshold, top=reading.top_k, far=reading.dist_max)

    for peaks, wanted in {"fast": 8.0, "cell": 8.0, "dark": 8.0, "fit1-sigma": 8.0, "upsampled": 0.8}.items():
        ours = read_as(made, peaks)
        yield Row(f"people of {SIDE}x{SIDE}, 10, {peaks}", partial(ours.decode, output), plain, 247.3, wanted, 15)


def agreement(count: int, *, seed: int, blur: Blur = NOISY) -> float:
    """Which share of the exact reading's poses the fast one has too."""
    made = codec()
    exact, fast = read_as(made, "upsampled"), read_as(made, "fast")
    same = poses = 0
    for i, labels in enumerate(drawn(count, seed=seed)):
        output = answer(labels, blur, seed=i)
        shared = in_both(exact.decode(output)[0], fast.decode(output)[0])
        same, poses = same + int(shared.sum()), poses + len(shared)
    return same / max(poses, 1)


def in_both(exact: People, fast: People) -> Tensor:
    """Of each pose whether the others have one with the same keypoints, none farther than half a pixel."""
    if not len(exact) or not len(fast):
        return torch.zeros(len(exact), dtype=torch.bool)
    found = (exact.score > 0)[:, None] == (fast.score > 0)[None]
    near = (exact.xy[:, None] - fast.xy[None]).norm(dim=-1) <= NEAR
    same: Tensor = (found & near).all(dim=-1).any(dim=1)
    return same


def main(*, images: int = 60) -> int:
    """Print how often both agree.

    Args:
        images: Drawn images of one to eight people.
    """
    share = agreement(images, seed=5)
    sys.stdout.write(f"{share:.2%} of the poses in {images} drawn images are the exact reading's\n")
    return 0 if share >= WANTED else 1


if __name__ == "__main__":
    sys.exit(tyro.cli(main))
