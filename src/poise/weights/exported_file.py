"""Models in files of `poise export`: `.onnx` and `.xml`, with what they are in their metadata, run by a runtime."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, final

from jaxtyping import Float
from torch import Tensor

from poise.errors import CheckpointError, PoiseError
from poise.models.base import Model
from poise.models.blazepose import BlazePose
from poise.models.bottom_up import BottomUp
from poise.models.box_detector import BoxDetector
from poise.models.keypoint_rcnn import KeypointRCNN
from poise.models.multitask import MultitaskTopDown
from poise.models.one_stage import OneStage
from poise.models.point_detector import PointDetector
from poise.nn.blaze import landmark
from poise.nn.rtmo.network import CandidateHead
from poise.reading import parse_json
from poise.weights.exported_detector import ExportedDetector
from poise.weights.exported_network import ExportedNetwork, engine_of
from poise.weights.model_values import check_values

MODEL, EXPORT = "poise", "poise_export"
"""Entries of the metadata: what a model file of poise says too, and how the graph was made."""


@final
class ExportedScenes(ExportedNetwork):
    """That of a bottom-up model, whose network gives a list of maps."""

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> list[Tensor]:
        """All maps."""
        return self.run(images)


@final
class ExportedPeople(ExportedNetwork):
    """That of RTMO: its graph gives candidates with their keypoints behind the maps, of which poise leaves out duplicates.

    Args:
        path: The file.
        export: How the graph was made.

    Raises:
        CheckpointError: The file has the maps alone.
    """

    def __init__(self, path: Path, export: Mapping[str, Any]) -> None:
        super().__init__(path, export)
        if not export["decode"]:
            raise CheckpointError(
                f"{path} was exported with --no-decode, so it lacks what reads people off its maps; export it again without"
            )
        self.first, self.count = self.count, len(export["outputs"])
        self.head = CandidateHead()

    def maps(self, images: Float[Tensor, "b 3 h w"]) -> list[Tensor]:
        """Scores, boxes, keypoints and their scores of candidates, and the size of each view, as `CandidateHead` takes them."""
        score, boxes, xy, visible = self.run(images)[self.first :]
        size = images.new_tensor((images.shape[3], images.shape[2])).expand(len(images), 1, 1, 2)
        return [score[:, None, :, None], boxes[..., None], xy, visible[..., None], size]


@final
class ExportedParts(ExportedNetwork):
    """That of a multitask model, whose graph gives maps and parts.

    Args:
        path: The file.
        export: How the graph was made.
    """

    def __init__(self, path: Path, export: Mapping[str, Any]) -> None:
        super().__init__(path, export)
        self.classes = int(export["classes"])


@final
class ExportedLandmarks(ExportedNetwork):
    """BlazePose's landmark network, without a detector: people are looked for in boxes, or fill the image."""

    side = landmark.SIDE
    detector = None

    @property
    def landmarks(self) -> int:
        """How many the network finds."""
        return landmark.LANDMARKS

    def keypoint_outputs(self, images: Float[Tensor, "b 3 h w"]) -> tuple[Tensor, Tensor, Tensor]:
        """Landmarks, presence and heatmaps."""
        numbers, presence, _, heatmaps, _ = self.run(images)
        return numbers, presence, heatmaps


def read_exported(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a file says of its model, and how its graph was made.

    Raises:
        CheckpointError: It is no such file, or poise did not write it.
        MissingExtra: No runtime is installed that reads it.
    """
    try:
        entries = _entries(path)
    except PoiseError:
        raise
    except Exception as error:  # whatever a runtime says of a file that is none
        said = " ".join(str(error).split())[:200]
        raise CheckpointError(f"{path} is damaged, or no file of its kind ({said}); make it anew with: poise export") from error
    if MODEL not in entries or EXPORT not in entries:
        raise CheckpointError(
            f"{path} was not written by poise: its metadata says neither skeleton nor codec; make one with: poise export"
        )
    values, export = (parse_json(entries[name], name="its metadata", error=CheckpointError) for name in (MODEL, EXPORT))
    check_values(values)
    return values, export


def _entries(path: Path) -> dict[str, str]:
    engine = engine_of(path)
    if engine.name == "onnxruntime":
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        return dict(session.get_modelmeta().custom_metadata_map)
    program = engine.read(path)
    if path.suffix == ".onnx":
        program = _as_kept(program)
    return {name: str(program.get_rt_info([name]).value) for name in (MODEL, EXPORT) if program.has_rt_info([name])}


def _as_kept(program: Any) -> Any:
    """A program that OpenVINO read out of ONNX, with the entries of its metadata where those of its own files are."""
    for name in (MODEL, EXPORT):
        for place in (["framework", name], [name]):
            if program.has_rt_info(place):
                program.set_rt_info(program.get_rt_info(place).value, [name])
    return program


def network_of(path: Path, kind: type[Model], export: Mapping[str, Any]) -> ExportedNetwork:
    """The network of an exported file.

    Args:
        path: The file.
        kind: Kind of its model.
        export: How its graph was made.
    """
    if issubclass(kind, BlazePose):
        return ExportedLandmarks(path, export)
    if issubclass(kind, OneStage):
        return ExportedPeople(path, export)
    if issubclass(kind, KeypointRCNN | BoxDetector):
        return ExportedDetector(path, export)
    if issubclass(kind, MultitaskTopDown):
        return ExportedParts(path, export)
    return (ExportedScenes if issubclass(kind, BottomUp | PointDetector) else ExportedNetwork)(path, export)


def prepared(model: Any, export: Mapping[str, Any]) -> Any:
    """The model of an exported file, whose graph does some of its work.

    Args:
        model: As it was before it was exported.
        export: How its graph was made.
    """
    model.deep = ()
    if model.takes_boxes:
        model.network.size = model.codec.size
    if export["flip"] or isinstance(model.network, ExportedDetector):  # the flip test is the graph's own, if there is one
        model.preprocess = replace(model.preprocess, flip_test=False)
    return model


def dumped(values: Mapping[str, Any], export: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
    """The entries of the metadata of a file."""
    return [(MODEL, json.dumps(values)), (EXPORT, json.dumps(export))]
