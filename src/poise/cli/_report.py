"""What a score depends on, in words, for reports."""

from pathlib import Path

import torch

import poise
from poise.inference.evaluate import Rating
from poise.inference.people import Setting
from poise.models.topdown import TopDown


def what(network: TopDown, *, model: Path, annotations: Path, images: Path | None) -> dict[str, str]:
    """The model and the files.

    Args:
        network: The model.
        model: Its file.
        annotations: What it was compared with.
        images: Where the images are.
    """
    height, width = network.codec.size
    return {
        "model": f"{network.card.name}, {model}",
        "input": f"{height} x {width} pixels (h x w), crop as {network.preprocess.crop}",
        "codec": str(network.codec),
        "skeleton": f"{network.skeleton.name}, {len(network.skeleton)} keypoints",
        "annotations": str(annotations),
        "images": "none" if images is None else str(images),
        "versions": f"poise {poise.__version__}, torch {torch.__version__}",
    }


def settings(setting: Setting, rating: Rating, *, boxes: str) -> dict[str, str]:
    """How the model was run and its poses rated.

    Args:
        setting: How it was run.
        rating: How poses were rated.
        boxes: Where people were looked for, in words.
    """
    suppressed = "off" if rating.oks_nms is None else f"the better of two poses nearer than OKS {rating.oks_nms:g} stays"
    return {
        "boxes": boxes,
        "flip test": "on" if setting.flip else "off",
        "pose score": f"box score times the mean of the keypoint scores above {rating.min_keypoint_score:g}",
        "doubles": suppressed,
        "run on": f"{setting.device} in {setting.precision}",
    }
