"""What numba brings: milliseconds of the steps that have compiled loops, with them and without.

Run it as: OMP_NUM_THREADS=1 python benchmarks/numba_steps.py, and once more with --without.
"""

import sys
import time
from collections.abc import Callable

import numpy as np
import torch


def main() -> None:
    if "--without" in sys.argv:
        sys.modules["numba"] = None  # type: ignore[assignment]
    for name, step in steps().items():
        step()
        begin = time.process_time()
        step()
        sys.stdout.write(f"{name}: {1000 * (time.process_time() - begin):.0f} ms\n")


def steps() -> dict[str, Callable[[], object]]:
    from poise.decoding.blur import blur_maps, blurred_peaks
    from poise.decoding.cubic import bicubic_argmax
    from poise.decoding.peaks import fast_peaks
    from poise.metrics.matches import Matches

    made, rng = torch.Generator().manual_seed(0), np.random.default_rng(0)
    maps = torch.rand(32 * 17, 64, 48, generator=made)
    inside, sides = torch.rand(20, 17, 56, 56, generator=made), torch.randint(30, 300, (20, 2), generator=made)
    sparse = torch.zeros(4, 17, 128, 128)
    sparse[..., ::20, ::20] = 1
    scene = 20 * torch.nn.functional.avg_pool2d(sparse, 5, 1, 2)
    matches = Matches(rng.integers(0, 3, (10, 2000), dtype=np.int8), rng.integers(0, 500, 2000), rng.integers(0, 4, 500))
    draws = rng.integers(0, 3, (200, 500))
    return {
        "blur of the maps of 32 people (DARK, UDP)": lambda: blur_maps(maps, 11, "mirror"),
        "two peaks of blurred maps of 32 people (CPN, MSPN)": lambda: blurred_peaks(maps, 11, "zeros", count=2),
        "highest pixel of resized maps of 20 boxes (Keypoint R-CNN)": lambda: bicubic_argmax(inside, sides),
        "peaks of resized maps of 4 images (OffsetGuided)": lambda: fast_peaks(scene, top=32, stride=4, threshold=0.1),
        "AP of 200 draws of 500 images (intervals)": lambda: matches.resampled(draws),
    }


if __name__ == "__main__":
    main()
