"""What all graphs of models have in common: views, names of outputs, and how an output is read."""

from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from poise.runtimes.onnx import BATCH
from poise.weights.exported_network import Colours


class Graph(nn.Module):
    """From RGB pixels of views, 0 to 255, or from normalised views, to named tensors.

    Args:
        model: The model, in evaluation mode.
        normalise: Whether it takes pixels.
        flip: Whether it averages with the outputs of the mirrored views.
        decode: Whether it also gives what is read from the outputs.

    Attributes:
        raw: Names of the outputs of the network, which come first.
        decoded: Names of what is read from them.
        free: Axes of the views that may have any length.
        rows: What the first axis of the outputs counts.
        views_at_once: Views that it is traced with; 1 where it takes one at a time.
    """

    raw: ClassVar[tuple[str, ...]] = ("output",)
    decoded: ClassVar[tuple[str, ...]] = ("keypoints", "scores")
    free: ClassVar[tuple[int, ...]] = (0,)
    rows: ClassVar[str] = BATCH
    views_at_once: ClassVar[int] = 2

    def __init__(self, model: Any, *, normalise: bool, flip: bool, decode: bool) -> None:
        super().__init__()
        self.model, self.normalise, self.flip, self.decode = model, normalise, flip, decode
        self.eval()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of its outputs."""
        return (*self.raw, *self.decoded) if self.decode else self.raw

    def colours(self) -> Colours:
        """How pixels become the input of the network."""
        own = self.model.preprocess
        scale = tuple(1 / (255 * std) for std in own.std)
        return Colours(scale, tuple(-mean / std for mean, std in zip(own.mean, own.std, strict=True)), own.channels)

    def views(self, image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
        """The views as the network takes them."""
        return self.colours().views(image) if self.normalise else image

    def described(self) -> dict[str, Any]:
        """What else the metadata of its file says."""
        return {}

    def forward(self, image: Any) -> tuple[Tensor, ...]:
        """The outputs by `names`."""
        output = self.model.output(self.views(image), flip=self.flip)
        return (output, *self.read(output)) if self.decode else (output,)

    def read(self, output: Any) -> tuple[Tensor, ...]:
        """Keypoints (b k 2), pixels of the view, and scores (b k)."""
        found = self.model.read(output)
        return found.xy, found.score
