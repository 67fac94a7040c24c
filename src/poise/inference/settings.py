"""How a model is run: device, precision, flip test, batches, threads."""

from dataclasses import dataclass, field
from typing import Literal, final

import torch

from poise.errors import InputError
from poise.models.base import ImageModel
from poise.models.device import Precision, choose_device, choose_precision
from poise.notes import note
from poise.runtimes.choice import TORCH, Choice, choose_runtime
from poise.weights.exported_network import ExportedNetwork

Pixels = Literal["kept", "dropped", "reduced"]
"""What becomes of an image once its views are made."""


@final
@dataclass(frozen=True)
class InferenceSettings:
    """How a model is run.

    Attributes:
        device: Device of the model.
        precision: "fp32" or "bf16".
        flip: Whether to average with the mirrored views (flip test).
        batch: Views per batch.
        workers: Threads that read images and make views; 0 does it in the calling thread.
        pad_batches: Whether views of whole images are padded to the largest of their batch, so that sizes can be mixed.
        runtime: Runtimes that run the network, to be tried one after the other; none for PyTorch.
        pixels: What becomes of an image whose views are made: it is "kept" with its poses, or "dropped"; "reduced" drops it and
            reads JPEG files smaller where every view still has a pixel for each of its own.
        exported: Precision in which an exported file was written ("fp32", "fp16", "bf16", "int8"); "" for other models.
        flipped: Whether an exported file makes the flip test by itself.
    """

    device: torch.device
    precision: Precision
    flip: bool
    batch: int = 32
    workers: int = 2
    pad_batches: bool = False
    runtime: Choice = field(default_factory=Choice)
    pixels: Pixels = "kept"
    exported: str = ""
    flipped: bool = False

    @classmethod
    def of(
        cls,
        model: ImageModel,
        *,
        device: str | None = None,
        precision: str | None = None,
        flip: bool | None = None,
        batch: int | None = None,
        workers: int = 2,
        pad_batches: bool = False,
        runtime: str | None = TORCH,
        pixels: Pixels = "kept",
    ) -> "InferenceSettings":
        """Choose what is not given: device and precision by the machine, flip test and batch by the model.

        The runtime is PyTorch unless another is named; None, or "auto", takes the fastest that is installed.

        Raises:
            UnknownName: No such device, precision or runtime.
            MissingExtra: The runtime is not installed.
            InputError: This machine has no such device, a number is too small, or views of one person are to be padded.
            SkeletonMismatch: The flip test needs mirror pairs, and the skeleton has none.
        """
        use_flip = model.flip if flip is None else flip
        views = model.default_batch if batch is None else batch
        if views < 1 or workers < 0:
            raise InputError(f"a batch needs at least 1 view and workers cannot be below 0, found {views} and {workers}")
        if pad_batches and model.takes_boxes:
            raise InputError(
                f"views of {model.card.name} are all of one size: nothing to pad; leave out --pad-batches (pad_batches)"
            )
        chosen = choose_device(device)
        if use_flip:
            model.check_flip()
        by = choose_runtime(runtime, chosen.type, first=model.fastest_runtime)
        if isinstance(model.network, ExportedNetwork):
            model.network.use(by)
            if use_flip:
                model.network.check_flip()
            elif flip is False and model.network.flips:
                note(f"{model.network.path} was exported with the flip test and makes it by itself: --no-flip changes nothing")
        how = _precision(model, precision, chosen, by)
        return cls(chosen, how, use_flip, views, workers, pad_batches, by, pixels, *_of_file(model.network))


def _of_file(network: object) -> tuple[str, bool]:
    """Precision of an exported file, and whether it makes the flip test by itself."""
    return (network.precision, network.flips) if isinstance(network, ExportedNetwork) else ("", False)


def _precision(model: ImageModel, name: str | None, device: torch.device, by: Choice) -> Precision:
    """The precision of a model; one that always computes in one precision says so where another is asked for."""
    if isinstance(model.network, ExportedNetwork):
        if name not in (None, "auto", model.network.precision):
            choose_precision(name, device)
            note(f"{model.network.path} computes in {model.network.precision}, as it was exported: --precision changes nothing")
        return "fp32"
    if by.engines and not by.engines[0].bf16:
        if choose_precision(name, device) == "bf16" == name:
            note(f"{by.engines[0].label} computes in fp32, so --precision bf16 (precision=) changes nothing of it")
        return "fp32"
    found = choose_precision(name, device)
    if model.exact and name == "bf16":
        note(f"{model.card.name} always computes in fp32, so --precision bf16 (precision=) changes nothing of it")
    return "fp32" if model.exact else found
