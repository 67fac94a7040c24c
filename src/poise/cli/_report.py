"""Settings that a score depends on, as text for reports and files of scores."""

from collections.abc import Mapping
from pathlib import Path

import torch

import poise
from poise.data.boxes import PersonBoxes
from poise.inference.settings import InferenceSettings
from poise.models.base import ImageModel
from poise.models.values import Rescoring


def model_text(model: ImageModel, *, file: Path, annotations: Path, images: Path | None) -> dict[str, str]:
    """The model and the files.

    Args:
        model: The model.
        file: File of the model.
        annotations: File of the labels.
        images: Folder or zip file of the images.
    """
    return {
        "model": f"{model.card.name}, {file}",
        "input": model.input_text,
        **model.settings_text(),
        **model.codec_text(),
        "annotations": str(annotations),
        "images": "none" if images is None else str(images),
        "versions": f"poise {poise.__version__}, torch {torch.__version__}",
    }


def boxes_text(model: ImageModel, found: Mapping[int, PersonBoxes] | None, source: str | None) -> str:
    """The boxes of an evaluation, as text.

    Args:
        model: The model.
        found: A detector's boxes by category; None for the labelled ones.
        source: Name of the detector, or the file, of these boxes.
    """
    if not model.takes_boxes:
        return "whole images"
    labelled = "whole images" if model.card.whole_image else "labelled boxes"
    return labelled if found is None else f"{sum(map(len, found.values()))} boxes of {source}"


def flip_text(settings: InferenceSettings) -> str:
    """Whether the flip test is on."""
    return f"flip test {_flip(settings)}"


def device_text(settings: InferenceSettings) -> str:
    """Device and precision, and the runtime unless it is PyTorch."""
    by = f", by {settings.runtime.text}" if settings.runtime.text else ""
    return f"{settings.device} in {settings.exported or settings.precision}{by}"


def _flip(settings: InferenceSettings) -> str:
    return "on" if settings.flip else "in the file" if settings.flipped else "off"


def run_text(settings: InferenceSettings, rescoring: Rescoring | None, *, boxes: str) -> dict[str, str]:
    """How the model was run and its poses scored.

    Args:
        settings: Settings of inference.
        rescoring: How poses were scored; None where there are none.
        boxes: Boxes, as text from `boxes_text`.
    """
    return {
        "boxes": boxes,
        "flip test": _flip(settings),
        **({"batches": f"of {settings.batch}, padded to their largest view"} if settings.pad_batches else {}),
        **({} if rescoring is None else _rescoring_text(rescoring)),
        "run on": device_text(settings),
    }


def _rescoring_text(rescoring: Rescoring) -> dict[str, str]:
    minimum = rescoring.min_keypoint_score
    own = "the codec's own"
    return {
        "pose score": own if minimum is None else f"box score times the mean of the keypoint scores above {minimum:g}",
        "duplicates": rescoring.duplicates,
    }
