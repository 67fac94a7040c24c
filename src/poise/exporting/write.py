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
from poise.errors import InputError, PoiseError
from poise.exporting.base import Graph
from poise.exporting.compare import NEAR, Difference, compare
from poise.exporting.graphs import graph_of
from poise.exporting.quantize import calibrated, half
from poise.machine import traced
from poise.models.base import ImageModel
from poise.runtimes.choice import ENGINES
from poise.runtimes.engine import Session
from poise.runtimes.onnx import OPSET, to_onnx
from poise.runtimes.parts import graph_form
from poise.weights.exported_file import dumped
from poise.weights.exported_network import ENDINGS
from poise.weights.model_file import describe
from poise.writing import draft_folder

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
        kept: Share of the keypoints within 0.05 of the view's longer side of the model's; None likewise.
        views: Number of views that were compared.
        runtime: The runtime that was compared, with its version.
    """

    path: Path
    pixels: float | None
    moved: float | None
    kept: float | None
    views: int
    runtime: str

    @property
    def text(self) -> str:
        """The comparison in words."""
        if self.pixels is None:
            return f"equal to the model to within rounding on {self.views} views, in {self.runtime}"
        far = f"{self.pixels:.2g} pixels from the model at most, {self.moved:.2g} in the mean"
        kept = "" if self.kept in (None, 1.0) else f", {self.kept:.1%} of the keypoints within {NEAR} of the view"
        return f"{far}{kept}, on {self.views} views, in {self.runtime}"


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
        compared = _compared(graph, session, given, exact=exporting.precision == "fp32", engine=engine)
        found = Exported(out, *compared, len(views), engine)
        entries = dumped(describe(model), values | {"difference": {**asdict(found), "path": out.name}})
        _write(program, out, entries=entries, fp16=exporting.precision == "fp16")
    return found


def _program(graph: Graph, given: Tensor, *, runtime: str) -> bytes:
    """The graph as ONNX, whatever file it goes into, as a runtime runs it fastest."""
    written, free = graph_form(graph, runtime), [graph.free]
    some = given[torch.arange(graph.views_at_once) % len(given)]
    with traced(), torch.no_grad():
        return _traced(
            lambda: to_onnx(
                written,
                [some],
                names=["image"],
                free=free,
                outputs=graph.names,
                free_outputs=[(0,)] * len(graph.names),
                rows=graph.rows,
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
    many = "b" if 0 in graph.free else "1"
    return {
        "poise": poise.__version__,
        "opset": OPSET,
        "input": f"{'RGB pixels, 0 to 255' if exporting.normalise else 'normalised views'} ({many}, 3, h, w)",
        "outputs": list(graph.names),
        "raw": len(graph.raw),
        "colours": colours,
        **{name: getattr(exporting, name) for name in ("flip", "decode", "precision")},
        **({"sigmas": list(skeleton.sigmas)} if (skeleton := getattr(graph.model, "skeleton", None)) else {}),
        **graph.described(),
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


def _compared(graph: Graph, session: Session, given: Tensor, *, exact: bool, engine: str) -> Difference:
    """`compare`, with a sentence where the runtime cannot run the file."""
    try:
        return compare(graph, session, given, exact=exact)
    except PoiseError:
        raise
    except Exception as error:  # whatever a runtime says of a graph that it cannot run
        said = " ".join(str(error).split())[:200]
        raise InputError(f"the file is not written: {engine} cannot run it ({said})") from error


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
