"""`poise export`: a model as one file that runs without poise."""

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from poise.cli._flags import check_out, refuse
from poise.cli._inputs import SOURCE
from poise.cli.options.types import ModelFile
from poise.errors import InputError

ExportedFile = Annotated[Path, arg(metavar="FILE.onnx|FILE.xml|FILE.safetensors")]
MODEL_FILE = ".safetensors"
Images = Annotated[tuple[str, ...], arg(metavar="SOURCE [SOURCE ...]"), SOURCE]


def run(
    model: Positional[ModelFile],
    *,
    out: ExportedFile,
    normalise: bool = True,
    flip: bool = False,
    decode: bool = True,
    kernels: Annotated[str | None, arg(metavar="float16|int8")] = None,
    fp16: bool = False,
    bf16: bool = False,
    int8: Images = (),
    images: Images = (),
) -> int:
    """Write a model as ONNX or for OpenVINO; the file runs without poise, and in every command of poise.

    It takes RGB pixels of views, any number of them, and gives keypoints (pixels of the view) and scores, and what the network
    answers. Its metadata has skeleton, codec, sizes, sigmas, preprocessing and licence, and how far it is from the model: both
    are run on real views first, and a float32 file whose keypoints differ by more than 0.1 pixels is not written.
    Of whole images it gives the maps and their peaks, of detectors with proposals people, of BlazePose the landmark network;
    its detector is a model of its own.

    For example:

        poise export model.safetensors --out model.onnx

        poise export model.safetensors --out model.xml --flip

        poise export blazepose_detector --out detector.onnx

        poise export model.safetensors --out small.onnx --int8 photos

        poise export runs/first/model.safetensors --out mine.safetensors --kernels float16

    Args:
        model: Model file, or the name of a model of `poise get`.
        out: File to write; an .xml has its weights in a .bin beside it. A .safetensors is a model file of poise again
            (--kernels).
        normalise: The file takes RGB pixels, 0 to 255; else views normalised as its metadata says.
        flip: The file averages with the mirrored view (flip test); twice the time.
        decode: The file also gives keypoints and scores; else what the network answers alone.
        kernels: Of a .safetensors: keep the weights of convolutions and linear layers in float16, at half the size, or in int8
            with a scale for each output channel, at a quarter. It is computed in fp32; measure what int8 costs.
        fp16: Weights in float16: half the size.
        bf16: OpenVINO computes in bfloat16: fast on CPUs with AMX.
        int8: Photographs of single people, or whole images for models of those, by which an int8 file is calibrated.
        images: Photographs on which file and model are compared; by default those of --int8, else drawn people.
    """
    check_out("--out", out, ends=(".onnx", ".xml", MODEL_FILE))
    if sum((fp16, bf16, bool(int8))) > 1:
        raise InputError("--fp16, --bf16 and --int8 are three precisions; give one of them")
    from poise.exporting.views import drawn_views, views_of
    from poise.exporting.write import Exporting, Precision, export
    from poise.models.require import require_image
    from poise.terminal import Console, say
    from poise.weights.exported_network import ENDINGS
    from poise.weights.model_file import load

    if model.suffix in ENDINGS:
        raise InputError(f"{model} is exported already; give the .safetensors it was made of")
    if out.suffix == MODEL_FILE:
        others = {"--int8": int8, "--fp16": fp16, "--bf16": bf16, "--flip": flip, "--images": images, "--no-decode": not decode}
        others |= {"--no-normalise": not normalise}
        refuse(others, why="a model file of poise is for no runtime and takes --kernels alone")
        return _copied(model, out, kernels=kernels or "float32")
    refuse({"--kernels": kernels}, why=f"--kernels is for a {MODEL_FILE}")
    precision: Precision = "int8" if int8 else "fp16" if fp16 else "bf16" if bf16 else "fp32"
    exporting = Exporting(normalise, flip, decode, precision)
    exporting.check(out)
    found = require_image(load(model))
    shown = views_of(found, images or int8) if images or int8 else drawn_views(found)
    made = export(found, out, exporting=exporting, views=shown, calibration=views_of(found, int8) if int8 else None)
    console = Console()
    say(console, f"{made.path}: {precision}, {made.text}")
    return 0


def _copied(model: Path, out: Path, *, kernels: str) -> int:
    """Write the model file again, with kernels in other bits."""
    from poise.terminal import Console, say
    from poise.weights.kernels import check_kernels
    from poise.weights.model_file import load, save

    path = save(load(model), out, kernels=check_kernels(kernels))
    say(Console(), f"{path}: kernels in {kernels}, {path.stat().st_size / 1e6:.1f} MB")
    return 0
