"""`export`: a model as a file that runs without poise, compared with the model on real views before it is written."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, final

import torch
from jaxtyping import Float
from torch import Tensor

import poise
from poise.errors import InputError
from poise.exporting.graphs import BlazeGraph, Graph, PersonGraph, graph_of
from poise.exporting.quantize import calibrated, half
from poise.machine import traced
from poise.models.base import ImageModel
from poise.runtimes.choice import ENGINES
from poise.runtimes.engine import Session
from poise.runtimes.onnx import OPSET, to_onnx
from poise.runtimes.parts import difference, graph_form
from poise.weights.exported_file import ENDINGS, dumped
from poise.weights.model_file import describe
from poise.writing import draft_folder

MOST_PIXELS = 0.1
"""Largest difference of a keypoint to the model's, pixels of the view, with which a float32 file is written."""

SURE = 0.05
"""Keypoints count whose score is above this share of the highest one: on an even map nothing decides between its cells."""

NOISE = 1e-4
"""Keypoints count that move by less than a tenth of `MOST_PIXELS` when the outputs change by this share of their largest value,
about ten times what runtimes round differently: where a network is unsure, two cells are equally high, or the top is so flat
that its middle is anywhere. Of a trained network and photographs, 98 of 100 keypoints count."""

Precision = Literal["fp32", "fp16", "bf16", "int8"]


@final
@dataclass(frozen=True)
class Exporting:
    """How a model is exported.

    Attributes:
        normalise: Whether the graph takes RGB pixels, 0 to 255; else normalised views.
        flip: Whether the graph averages with the outputs of the mirrored views.
        decode: Whether the graph also gives keypoints and scores.
        precision: Of the weights, or for bf16 of the arithmetic; int8 needs views to be calibrated by.
    """

    normalise: bool = True
    flip: bool = False
    decode: bool = True
    precision: Precision = "fp32"

    def check(self, out: Path) -> None:
        """Refuse what no runtime runs.

        Raises:
            InputError: Another ending, or bfloat16 in ONNX.
        """
        if out.suffix not in ENDINGS:
            raise InputError(f"an exported file ends in {' or '.join(ENDINGS)}, not {out.suffix!r} ({out})")
        if self.precision == "bf16" and out.suffix != ".xml":
            raise InputError("ONNX Runtime does not compute in bfloat16 on CPUs; name an .xml for OpenVINO, or take --fp16")


@final
@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        path: The file.
        pixels: Largest difference of a keypoint to the model's, pixels of the view; None where it has no keypoints, or is
            sure of none.
        moved: Mean distance of keypoints to the model's, pixels of the view; None likewise.
        views: Number of views that were compared.
        runtime: The runtime that was compared, with its version.
    """

    path: Path
    pixels: float | None
    moved: float | None
    views: int
    runtime: str

    @property
    def text(self) -> str:
        """The comparison in words."""
        if self.pixels is None:
            return f"equal to the model to within rounding on {self.views} views, in {self.runtime}"
        far = f"{self.pixels:.2g} pixels from the model at most, {self.moved:.2g} in the mean"
        return f"{far}, on {self.views} views, in {self.runtime}"


def export(
    model: ImageModel,
    out: Path,
    *,
    exporting: Exporting,
    views: Float[Tensor, "b 3 h w"],
    calibration: Float[Tensor, "c 3 h w"] | None = None,
) -> Exported:
    """Write a model as a file; nothing is written where it does not give what the model gives.

    Args:
        model: The model, on the CPU.
        out: The file: `.onnx`, or `.xml` with a `.bin` beside it.
        exporting: What the graph does.
        views: Views as the network takes them, on which file and model are compared.
        calibration: Views by which an int8 file is calibrated.

    Raises:
        InputError: The model cannot be exported so, or a float32 file differs by more than 0.1 pixels.
        MissingExtra: No runtime is there that runs the file.
    """
    exporting.check(out)
    graph = graph_of(model.eval(), normalise=exporting.normalise, flip=exporting.flip, decode=exporting.decode)
    given = graph.colours().pixels(views) if exporting.normalise else views
    program = _program(graph, given, runtime="openvino" if out.suffix == ".xml" else "onnxruntime")
    if exporting.precision == "int8":
        if calibration is None:
            raise InputError("an int8 file is calibrated on images; give them")
        program = calibrated(program, graph.colours().pixels(calibration) if exporting.normalise else calibration)
    if exporting.precision == "fp16" and out.suffix == ".onnx":
        program = half(program)
    values = _described(graph, exporting)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / f"model{out.suffix}"
        _keep(program, place, entries=dumped(describe(model), values), fp16=exporting.precision == "fp16")
        engine, session = _session(place, bf16=exporting.precision == "bf16")
        compared = _compared(graph, session, given, exporting)
        found = Exported(out, *compared, len(views), engine)
        entries = dumped(describe(model), values | {"difference": {**asdict(found), "path": out.name}})
        _write(program, out, entries=entries, fp16=exporting.precision == "fp16")
    return found


def _program(graph: Graph, given: Tensor, *, runtime: str) -> bytes:
    """The graph as ONNX, whatever file it goes into, as a runtime runs it fastest."""
    written, free = graph_form(graph, runtime), [graph.free]
    two = given[:2] if len(given) > 1 else given.expand(2, -1, -1, -1).contiguous()
    with traced(), torch.no_grad():
        return _traced(
            lambda: to_onnx(
                written, [two], names=["image"], free=free, outputs=graph.names, free_outputs=[(0,)] * len(graph.names)
            ),
            graph,
        )


def _traced(convert: Callable[[], bytes], graph: Graph) -> bytes:
    try:
        return convert()
    except Exception as error:  # whatever the exporter says of an operation that ONNX has not
        said = " ".join(str(error).split())[:200]
        without = "; --no-decode leaves its decoding out of the file" if graph.decode else ""
        raise InputError(f"{graph.model.card.name} cannot be written as a graph ({said}){without}") from error


def _described(graph: Graph, exporting: Exporting) -> dict[str, Any]:
    """How the graph was made, for the metadata."""
    colours = asdict(graph.colours()) if exporting.normalise else None
    return {
        "poise": poise.__version__,
        "opset": OPSET,
        "input": "RGB pixels, 0 to 255 (b, 3, h, w)" if exporting.normalise else "normalised views (b, 3, h, w)",
        "outputs": list(graph.names),
        "raw": len(graph.raw),
        "colours": colours,
        **{name: getattr(exporting, name) for name in ("flip", "decode", "precision")},
        **({"sigmas": list(graph.model.skeleton.sigmas)} if hasattr(graph.model, "skeleton") else {}),
    }


def _keep(program: bytes, place: Path, *, entries: Sequence[tuple[str, str]], fp16: bool) -> None:
    if place.suffix == ".onnx":
        import onnx

        model = onnx.load_from_string(program)
        for name, text in entries:
            model.metadata_props.add(key=name, value=text)
        place.write_bytes(model.SerializeToString())
        return
    import openvino

    made = openvino.Core().read_model(program)
    for name, text in entries:
        made.set_rt_info(text, [name])
    openvino.save_model(made, place, compress_to_fp16=fp16)


def _write(program: bytes, out: Path, *, entries: Sequence[tuple[str, str]], fp16: bool) -> None:
    """Put the file in its place, whole or not at all; of two files the one that is named comes last."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with draft_folder(out.parent) as draft:
        _keep(program, draft / out.name, entries=entries, fp16=fp16)
        for file in sorted(draft.glob(f"{out.stem}.*"), key=lambda file: file.suffix == out.suffix):
            file.replace(out.parent / file.name)


def _session(place: Path, *, bf16: bool) -> tuple[str, Session]:
    """The file in a runtime that is there.

    Raises:
        MissingExtra: None is.
    """
    able = [engine for name in ENDINGS[place.suffix] for engine in ENGINES if engine.name == name]
    engine = next((engine for engine in able if engine.installed), able[0])
    engine.check_installed()
    program = engine.read(place)
    return engine.text, engine.start(program, threads=torch.get_num_threads(), device="cpu", bf16=bf16)


def _compared(graph: Graph, session: Session, given: Tensor, exporting: Exporting) -> tuple[float | None, float | None]:
    """Largest and mean distance of keypoints, pixels.

    Raises:
        InputError: A float32 file differs.
    """
    with torch.inference_mode():
        right = list(graph(given))
    found = session([given])
    exact = exporting.precision == "fp32"
    wrong = difference(found[: len(graph.raw)], right[: len(graph.raw)], bf16=False) if exact else ""
    if wrong:
        raise InputError(f"the file is not written: {wrong}")
    if not isinstance(graph, PersonGraph | BlazeGraph):
        return None, None
    away = _distances(graph, found, right)
    if not len(away):
        return None, None
    most, mean = float(away.max()), float(away.mean())
    if exact and not most <= MOST_PIXELS:
        raise InputError(
            f"the file is not written: a keypoint is {most:.2g} pixels from the model's, more than {MOST_PIXELS}"
            + ("; --no-decode leaves its decoding out of the file" if exporting.decode else "")
        )
    return most, mean


def _distances(graph: Graph, found: Sequence[Tensor], right: Sequence[Tensor]) -> Float[Tensor, " n"]:
    """Distances between keypoints of the file and of the model, of which the model is sure; read by poise and by the file."""
    with torch.inference_mode():
        xy, score = _read(graph, right)
        shaken, _ = _read(graph, [_shaken(one) for one in right[: len(graph.raw)]])
        theirs = [_read(graph, found)[0], *found[len(graph.raw) : len(graph.raw) + 1]]
    sure = (score > SURE * score.amax()) & ((shaken - xy).norm(dim=-1) < MOST_PIXELS / 10)
    return torch.cat([(one - xy).norm(dim=-1)[sure] for one in theirs])


def _shaken(output: Tensor) -> Tensor:
    chance = torch.Generator().manual_seed(0)
    return output + NOISE * output.abs().amax() * torch.randn(output.shape, generator=chance)


def _read(graph: Graph, outputs: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    if isinstance(graph, BlazeGraph):
        numbers, presence, _, heatmaps, _ = outputs[:5]
        found = graph.read(graph.model.joined(numbers, presence, heatmaps)[:, : graph.model.codec.keypoints])
    else:
        found = graph.read(outputs[0])
    return found[0], found[1]
