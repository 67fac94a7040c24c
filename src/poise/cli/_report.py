"""What a score depends on, in words, for reports."""

from collections.abc import Mapping
from pathlib import Path

import torch

import poise
from poise.codecs.decoders import described
from poise.data.boxes import PersonBoxes
from poise.inference.settings import InferenceSettings
from poise.models.base import ImageModel, PoseModel, Rescoring


def _keypoints(model: PoseModel) -> dict[str, str]:
    return {
        "decoder": described(model.codec),
        "codec": str(model.codec),
        "skeleton": f"{model.skeleton.name}, {len(model.skeleton)} keypoints",
    }


def what(network: ImageModel, *, model: Path, annotations: Path, images: Path | None) -> dict[str, str]:
    """The model and the files.

    Args:
        network: The model.
        model: Its file.
        annotations: What it was compared with.
        images: Where the images are.
    """
    return {
        "model": f"{network.card.name}, {model}",
        "input": network.input_text,
        **network.settings_text(),
        **(_keypoints(network) if isinstance(network, PoseModel) else {}),
        "annotations": str(annotations),
        "images": "none" if images is None else str(images),
        "versions": f"poise {poise.__version__}, torch {torch.__version__}",
    }


def places(network: ImageModel, found: Mapping[int, PersonBoxes] | None, boxes: str | None) -> str:
    """Where people are looked for, in words.

    Args:
        network: The model.
        found: A detector's boxes by category; None for the labelled ones.
        boxes: Where those come from.
    """
    if not network.takes_boxes:
        return "whole images"
    return "labelled boxes" if found is None else f"{sum(map(len, found.values()))} boxes of {boxes}"


def settings(setting: InferenceSettings, rating: Rescoring | None, *, boxes: str) -> dict[str, str]:
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


def _rated(rating: Rescoring) -> dict[str, str]:
    least, alike = rating.min_keypoint_score, rating.oks_nms
    own = "the codec's own"
    return {
        "pose score": own if least is None else f"box score times the mean of the keypoint scores above {least:g}",
        "doubles": "off" if alike is None else f"the better of two poses nearer than OKS {alike:g} stays",
    }
