"""Models in files of `poise export`: `.onnx` and `.xml`, with what they are in their metadata, run by a runtime."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from poise.dims import Size
from poise.errors import CheckpointError, InputError, PoiseError
from poise.models.base import Model
from poise.models.blazepose import BlazePose
from poise.models.bottom_up import BottomUp
from poise.models.one_stage import OneStage
from poise.models.point_detector import PointDetector
from poise.nn.base import check_view
from poise.nn.blaze import landmark
from poise.nn.rtmo.network import CandidateHead
from poise.reading import parse_json
from poise.runtimes.choice import ENGINES, Choice
from poise.runtimes.engine import Engine, Session
from poise.weights.model_values import check_values

ENDINGS = {".onnx": ("onnxruntime", "openvino"), ".xml": ("openvino",)}
"""Endings of exported files, and the runtimes that run them, the first that is installed by default."""

MODEL, EXPORT = "poise", "poise_export"
"""Entries of the metadata: what a model file of poise says too, and how the graph was made."""


@final
@dataclass(frozen=True)
class Colours:
    """How RGB pixels become the input of a network: value * scale + shift, in the network's order of channels.

    Attributes:
        scale: Factor of each channel, of pixels 0 to 255.
        shift: Summand of each channel, after the factor.
        channels: Order of the channels that the network reads.
    """

    scale: tuple[float, ...]
    shift: tuple[float, ...]
    channels: Literal["rgb", "bgr"] = "rgb"

    def views(self, pixels: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
        """The input of the network.

        Args:
            pixels: RGB, 0 to 255.
        """
        ordered = pixels if self.channels == "rgb" else torch.stack(pixels.unbind(1)[::-1], dim=1)
        scale, shift = (pixels.new_tensor(values)[:, None, None] for values in (self.scale, self.shift))
        return ordered * scale + shift

    def pixels(self, views: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
        """RGB pixels, 0 to 255, of an input of the network.

        Args:
            views: In the network's order of channels.
        """
        scale, shift = (views.new_tensor(values)[:, None, None] for values in (self.scale, self.shift))
        found = (views - shift) / scale
        return found if self.channels == "rgb" else found.flip(1)


class ExportedNetwork(nn.Module):
    """The network of an exported file: it has no weights of its own, and cannot be trained.

    Args:
        path: The file.
        export: How the graph was made: `colours`, `raw` (number of outputs of the network), `precision`, `flip`.

    Attributes:
        flips: Whether it averages with the mirrored views by itself.
        size: Size of the views that it takes (h, w); None for any.
    """

    def __init__(self, path: Path, export: Mapping[str, Any]) -> None:
        super().__init__()
        self.path, self.count = path, int(export["raw"])
        self.bf16 = export["precision"] == "bf16"
        self.flips = bool(export["flip"])
        self.colours = None if export["colours"] is None else Colours(**export["colours"])
        self.engine = _engine(path)
        self.size: Size | None = None
        self._session: Session | None = None

    def use(self, choice: Choice) -> None:
        """Let another runtime run it.

        Args:
            choice: The runtime that the user wants; nothing changes where it is none.

        Raises:
            InputError: It does not read such files.
        """
        able = [engine for engine in choice.engines if engine.name in ENDINGS[self.path.suffix]]
        if choice.asked and not able:
            names = " and ".join(ENDINGS[self.path.suffix])
            raise InputError(f"{self.path} is run by {names}; {choice.text} reads no {self.path.suffix}; leave out --runtime")
        if choice.asked and able[0] is not self.engine:
            self.engine, self._session = able[0], None
        choice.engines[:] = [self.engine]

    def check_flip(self) -> None:
        """Refuse a second flip test, which would give the same and take twice the time.

        Raises:
            InputError: The file averages with the mirrored views by itself.
        """
        if self.flips:
            raise InputError(f"{self.path} was exported with the flip test and does it by itself; leave out --flip (flip=)")

    def run(self, images: Float[Tensor, "b 3 h w"]) -> list[Tensor]:
        """The outputs of the network, float32.

        Args:
            images: Views as the network takes them.

        Raises:
            InputError: Views of another size.
        """
        if self.size is not None:
            check_view(images, self.size, str(self.path))
        if self._session is None:
            program = self.path.read_bytes() if self.engine.name == "onnxruntime" else self.engine.read(self.path)
            threads, kind = torch.get_num_threads(), images.device.type
            self._session = self.engine.start(program, threads=threads, device=kind, bf16=self.bf16)
        given = images.float() if self.colours is None else self.colours.pixels(images.float())
        return self._session([given])[: self.count]

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Any:
        """The output, or a list of several."""
        found = self.run(images)
        return found[0] if len(found) == 1 else found


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


def _engine(path: Path) -> Engine:
    """The runtime that runs a file by default.

    Raises:
        MissingExtra: None is installed.
    """
    able = [engine for name in ENDINGS[path.suffix] for engine in ENGINES if engine.name == name]
    there = [engine for engine in able if engine.installed]
    if not there:
        able[0].check_installed()
    return there[0]


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
    engine = _engine(path)
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
    if export["flip"]:  # the graph has both views: a second flip test would give the same and take twice the time
        model.preprocess = replace(model.preprocess, flip_test=False)
    return model


def dumped(values: Mapping[str, Any], export: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
    """The entries of the metadata of a file."""
    return [(MODEL, json.dumps(values)), (EXPORT, json.dumps(export))]
