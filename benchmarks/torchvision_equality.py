"""Whether our Keypoint R-CNN answers as torchvision's own model with the same weights, as both come: 800 to 1333 pixels.

    python benchmarks/torchvision_equality.py [--threads 2] [--sizes 427 640 300 900]

Weights are drawn by a rule of their names alone (half as large as He's), so that anybody gets the same. Images are noise of the
sizes that are given (h, w, one after the other): 427x640 is COCO's most frequent, its short side gets 800 pixels, and the long
side of 300x900 is limited to 1333. Both models look at 1000 proposals and keep 100 boxes at most. A row tells how far boxes and
keypoints are apart at most, in pixels of the image, and scores; a keypoint may be elsewhere only where its map is as high, and
such keypoints are counted. Takes some 40 s of one core. Exit code 1 where other people are found, boxes or keypoints differ by
0.001 pixels or more, scores of boxes by 0.00001, or those of keypoints, heights of maps, by a 10000th of the largest.
"""

import sys
import zlib
from collections.abc import Mapping

import numpy as np
import torch
import tyro
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torchvision.models.detection import keypointrcnn_resnet50_fpn

import poise
from poise.models.require import require_keypoint_detector
from poise.structures import Poses
from poise.zoo import import_release

SCALE = 0.5
"""Of the weights."""


def by_rule(shapes: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights whose chance is the checksum of their name."""

    def value(key: str, like: Tensor) -> Tensor:
        shape, rng = tuple(like.shape), np.random.default_rng(zlib.crc32(key.encode()))
        if len(shape) > 1:
            drawn = SCALE * np.sqrt(2 / np.prod(shape[1:])) * rng.standard_normal(shape)
        elif key.endswith("running_var"):
            drawn = 0.5 + rng.random(shape)
        else:
            drawn = 0.1 * rng.standard_normal(shape) + (0 if key.endswith(("running_mean", ".bias")) else 1)
        return torch.as_tensor(drawn).to(like)

    return {key: value(key, like) for key, like in shapes.items()}


def compared(found: Poses, expected: Mapping[str, Tensor]) -> tuple[list[str], bool]:
    """The cells of a row: people, how far boxes, their scores and keypoints are apart, ties; and whether that is nothing."""
    if len(found) != len(expected["boxes"]):
        return [f"{len(found)} and {len(expected['boxes'])}"], False
    boxes = (found.boxes - expected["boxes"]).abs().max().item()
    sure = (found.box_score - expected["scores"]).abs().max().item()
    heights = expected["keypoints_scores"]
    height = ((found.score - heights).abs().max() / heights.abs().max()).item()
    away = (found.xy - expected["keypoints"][..., :2]).abs().amax(dim=-1)
    ties = away >= 1e-3
    near = away[~ties].max().item()
    good = boxes < 1e-3 and sure < 1e-5 and height < 1e-4 and ties.float().mean().item() < 0.01
    return [
        str(len(found)),
        f"{boxes:.1e}",
        f"{sure:.1e}",
        f"{near:.1e}",
        f"{height:.1e}",
        f"{int(ties.sum())} of {ties.numel()}",
    ], good


@torch.inference_mode()
def main(*, sizes: tuple[int, ...] = (427, 640, 300, 900), threads: int = 2) -> int:
    """Ask both about each image and print the table.

    Args:
        sizes: Height and width of each image in turn.
        threads: Of the processor.
    """
    torch.set_num_threads(threads)
    theirs = keypointrcnn_resnet50_fpn(weights=None, weights_backbone=None).eval()
    theirs.load_state_dict(by_rule(theirs.state_dict()))
    ours = require_keypoint_detector(import_release("torchvision_keypoint_rcnn_r50_fpn", theirs.state_dict()))
    shown = Table("image", "people", "boxes, px", "their scores", "keypoints, px", "heights, share", "elsewhere, as high", "")
    every = True
    for number, size in enumerate(zip(sizes[::2], sizes[1::2], strict=True)):
        image = np.random.default_rng(number).integers(0, 256, (*size, 3), np.uint8)
        [expected] = theirs([torch.from_numpy(image).permute(2, 0, 1).float() / 255])
        found = poise.predict(ours, image, flip=False, precision="fp32", device="cpu")
        cells, good = compared(found, expected)
        shown.add_row(f"{size[0]}x{size[1]}", *cells, *[""] * (6 - len(cells)), "equal" if good else "differs")
        every = every and good
    Console(width=110).print(shown)
    return 0 if every else 1


if __name__ == "__main__":
    sys.exit(tyro.cli(main))
