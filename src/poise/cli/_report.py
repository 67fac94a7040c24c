"""What a score depends on, in words, for reports."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

import poise
from poise.codecs.decoders import described
from poise.data.boxes import PersonBoxes
from poise.evaluation.protocols import Rating
from poise.inference.top_down import Setting
from poise.models.bottom_up import BottomUp
from poise.models.box_detector import BoxDetector
from poise.models.keypoint_rcnn import KeypointRCNN
from poise.models.kinds import Boxing, Model
from poise.models.top_down import TopDown
from poise.scenes import Canvas


def _views(network: TopDown) -> str:
    height, width = network.codec.size
    return f"{height} x {width} pixels (h x w), crop as {network.preprocess.crop}"


def _canvas(network: BottomUp | Boxing) -> str:
    canvas = network.preprocess
    side = {"long": "long side", "short": "short side", "height": "height"}[canvas.fit]
    sizes = " and ".join(f"{max(1, round(canvas.side * scale))}" for scale in canvas.scales)
    return f"whole images, {side} {sizes} pixels, filled up to multiples of {canvas.multiple}, resized as {canvas.rule}"


INPUTS: dict[type, Callable[[Any], str]] = {TopDown: _views, BottomUp: _canvas, KeypointRCNN: _canvas, BoxDetector: _canvas}
"""What each kind of model is shown, in words."""


def _keypoints(network: Model) -> dict[str, str]:
    return {
        "decoder": described(network.codec),
        "codec": str(network.codec),
        "skeleton": f"{network.skeleton.name}, {len(network.skeleton)} keypoints",
    }


def _found(network: Boxing) -> dict[str, str]:
    return {"people found": ", ".join(f"{name}={value}" for name, value in network.detecting.reading.items())}


def what(network: Model, *, model: Path, annotations: Path, images: Path | None) -> dict[str, str]:
    """The model and the files.

    Args:
        network: The model.
        model: Its file.
        annotations: What it was compared with.
        images: Where the images are.
    """
    return {
        "model": f"{network.card.name}, {model}",
        "input": INPUTS[type(network)](network),
        **(_found(network) if isinstance(network, KeypointRCNN | BoxDetector) else {}),
        **({} if isinstance(network, BoxDetector) else _keypoints(network)),
        "annotations": str(annotations),
        "images": "none" if images is None else str(images),
        "versions": f"poise {poise.__version__}, torch {torch.__version__}",
    }


def places(network: Model, found: Mapping[int, PersonBoxes] | None, boxes: str | None) -> str:
    """Where people are looked for, in words.

    Args:
        network: The model.
        found: A detector's boxes by category; None for the labelled ones.
        boxes: Where those come from.
    """
    if isinstance(network.preprocess, Canvas):
        return "whole images"
    return "labelled boxes" if found is None else f"{sum(map(len, found.values()))} boxes of {boxes}"


def settings(setting: Setting, rating: Rating | None, *, boxes: str) -> dict[str, str]:
    """How the model was run and its poses rated.

    Args:
        setting: How it was run.
        rating: How poses were rated; None where there are none.
        boxes: Where people were looked for, in words.
    """
    return {
        "boxes": boxes,
        "flip test": "on" if setting.flip else "off",
        **({"batches": f"of {setting.batch}, padded to their largest view"} if setting.pad_batches else {}),
        **({} if rating is None else _rated(rating)),
        "run on": f"{setting.device} in {setting.precision}",
    }


def _rated(rating: Rating) -> dict[str, str]:
    least, alike = rating.min_keypoint_score, rating.oks_nms
    own = "the codec's own"
    return {
        "pose score": own if least is None else f"box score times the mean of the keypoint scores above {least:g}",
        "doubles": "off" if alike is None else f"the better of two poses nearer than OKS {alike:g} stays",
    }
