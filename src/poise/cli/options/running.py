"""Flags of how a model is run: device, batch, seed, flip test."""

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from tyro.conf import FlagCreatePairsOff

from poise.cli.options.types import Name, Number

if TYPE_CHECKING:
    from poise.inference.detect import Detector
    from poise.inference.settings import InferenceSettings
    from poise.models.base import ImageModel


WORKERS = 2
"""Threads that read images, where `--workers` is not given."""


@dataclass(frozen=True, kw_only=True)
class SeedOptions:
    """Random choices.

    Attributes:
        seed: Seed: the same seed gives the same result.
    """

    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class ResamplingOptions(SeedOptions):
    """Bootstrap intervals.

    Attributes:
        resamples: Bootstrap resamples, for the 95 % intervals.
    """

    resamples: int = 1000


@dataclass(frozen=True, kw_only=True)
class DeviceOptions:
    """How the model is run.

    Attributes:
        device: cpu, cuda, cuda:1, mps; by default a GPU where there is one.
        precision: fp32 or bf16; by default bf16 where it is faster.
    """

    device: Name = None
    precision: Name = None


@dataclass(frozen=True, kw_only=True)
class InferenceOptions(DeviceOptions):
    """How the model is run.

    Attributes:
        runtime: What runs the network: torch, compile, onnxruntime (poise[onnx]) or openvino (poise[openvino]); by default the
            fastest that is installed. A model is converted once, kept, and compared with PyTorch before it is used.
    """

    runtime: Name = None

    def settings_for(self, model: "ImageModel", *, flip: bool | None = None) -> "InferenceSettings":
        """How a model is run with these flags; what they leave open the model and the machine choose.

        Args:
            model: The model.
            flip: Whether to average with the mirrored view, where no flag says so.

        Raises:
            PoiseError: As `InferenceSettings.of`.
        """
        from poise.inference.settings import InferenceSettings

        return InferenceSettings.of(model, **({"flip": flip} | self._settings()))

    def _settings(self) -> dict[str, Any]:
        """The flags, as keyword arguments of `InferenceSettings.of`."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True, kw_only=True)
class FlipOptions(InferenceOptions):
    """How the model is run.

    Attributes:
        flip: Average with the mirrored view (flip test), also where the model's release does not; by default as it does.
        no_flip: Leave out the flip test: half the time of the network.
    """

    flip: FlagCreatePairsOff[bool] = False
    no_flip: FlagCreatePairsOff[bool] = False

    def _settings(self) -> dict[str, Any]:
        settings = super()._settings()
        without = settings.pop("no_flip")
        return settings | {"flip": False if without else self.flip or None}


@dataclass(frozen=True, kw_only=True)
class RunOptions(InferenceOptions):
    """How the model is run.

    Attributes:
        batch: People in a batch (32), or whole images (4; 2 for detectors); torchvision's detectors see one image at a time.
        workers: Threads that read images (2).
    """

    batch: Number = None
    workers: Number = None

    @property
    def threads(self) -> int:
        """Threads that read images."""
        return WORKERS if self.workers is None else self.workers

    def _settings(self) -> dict[str, Any]:
        return super()._settings() | {"workers": self.threads}


@dataclass(frozen=True, kw_only=True)
class PaddedRunOptions(RunOptions):
    """How the model is run.

    Attributes:
        pad_batches: Pad views of whole images to the largest of their batch, so that images of mixed shapes share it: faster on
            a GPU; results then vary slightly with the other images of the batch.
    """

    pad_batches: bool = False

    def detector(self, name: str, *, batch: int | None = None) -> "Detector":
        """The detector of a model file, or one of torchvision's by name, run with these flags.

        Args:
            name: The file or the name.
            batch: Images in a batch; by default the model's.

        Raises:
            PoiseError: As `detector_of`.
        """
        from poise.inference.detect import detector_of

        return detector_of(
            name,
            device=self.device,
            precision=self.precision,
            batch=batch,
            workers=self.threads,
            pad_batches=self.pad_batches,
            runtime=self.runtime,
        )


@dataclass(frozen=True, kw_only=True)
class FlipRunOptions(RunOptions, FlipOptions):
    """How the model is run."""


@dataclass(frozen=True, kw_only=True)
class EvalRunOptions(PaddedRunOptions, FlipRunOptions):
    """How the model is run."""
