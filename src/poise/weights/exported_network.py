"""The network of a file of `poise export`, run by a runtime: pixels of views in, what the network answers out."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from poise.dims import Size
from poise.errors import InputError
from poise.nn.base import check_view
from poise.runtimes.choice import ENGINES, Choice
from poise.runtimes.engine import Engine, Session

ENDINGS = {".onnx": ("onnxruntime", "openvino"), ".xml": ("openvino",)}
"""Endings of exported files, and the runtimes that run them, the first that is installed by default."""


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
        precision: In which it was exported: "fp32", "fp16", "bf16" or "int8".
        flips: Whether it averages with the mirrored views by itself.
        size: Size of the views that it takes (h, w); None for any.
    """

    def __init__(self, path: Path, export: Mapping[str, Any]) -> None:
        super().__init__()
        self.path, self.count = path, int(export["raw"])
        self.precision = str(export["precision"])
        self.flips = bool(export["flip"])
        self.colours = None if export["colours"] is None else Colours(**export["colours"])
        self.engine = engine_of(path)
        self.size: Size | None = None
        self._session: Session | None = None
        self._choice = Choice()

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
        self._choice = choice

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
            with self._choice.starting():
                program = self.path.read_bytes() if self.engine.name == "onnxruntime" else self.engine.read(self.path)
                threads, kind = torch.get_num_threads(), images.device.type
                self._session = self.engine.start(program, threads=threads, device=kind, bf16=self.precision == "bf16")
        given = images.float() if self.colours is None else self.colours.pixels(images.float())
        return self._session([given])[: self.count]

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Any:
        """The output, or a list of several."""
        found = self.run(images)
        return found[0] if len(found) == 1 else found


def engine_of(path: Path) -> Engine:
    """The runtime that runs a file by default.

    Raises:
        MissingExtra: None is installed.
    """
    able = [engine for name in ENDINGS[path.suffix] for engine in ENGINES if engine.name == name]
    there = [engine for engine in able if engine.installed]
    if not there:
        able[0].check_installed()
    return there[0]
