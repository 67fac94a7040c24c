"""How large the models of the zoo are: stored for those listed, counted for others, without any weights.

`python -m poise.zoo.cost` counts the listed ones again and stores them beside this file.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from poise.dims import Size
from poise.models.base import Model
from poise.nn.count import Count, count
from poise.nn.rcnn import RCNN, RoIBranch
from poise.scenes import Canvas
from poise.zoo.find import build, build_request, names

STORED = Path(__file__).with_suffix(".json")


def costs(wanted: Iterable[str]) -> Mapping[str, Count]:
    """Parameters and multiply-adds of models by name.

    Raises:
        UnknownName, InputError: As `build`.
    """
    stored = {name: Count(*numbers) for name, numbers in json.loads(STORED.read_text()).items()}
    return {name: stored[name] if name in stored else measure(name) for name in wanted}


def measure(name: str) -> Count:
    """Build the model without weights and count; a detector's heads are asked about one box.

    Raises:
        UnknownName, InputError: As `build` and `view_of`.
    """
    size = view_of(name)
    network = _unbuilt(name).network
    return count(_OneBox(network) if isinstance(network, RCNN) else network, size)


def view_of(name: str) -> Size:
    """The size (h, w) of the view that a model is counted on: that of its name, else the largest of a lying image.

    Raises:
        UnknownName: No family has such a name.
        InputError: A part of a detector, which is shown no images by itself.
    """
    wish = build_request(name)
    if wish.parts.get("size"):
        return wish.size
    canvas = _unbuilt(name).preprocess
    assert isinstance(canvas, Canvas), name  # all others have their size in their name
    width = -(-(canvas.most or canvas.side) // canvas.multiple) * canvas.multiple
    return -(-canvas.side // canvas.multiple) * canvas.multiple, width


def _unbuilt(name: str) -> Model:
    """The model without numbers in its weights."""
    with torch.device("meta"):
        return build(name)


@final
class _OneBox(nn.Module):
    """A detector that proposes a single box, which needs no numbers in its weights."""

    def __init__(self, network: RCNN) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> None:
        """Ask every part once."""
        features = self.network(images)
        self.network.rpn.head(features)
        for branch in (self.network.box, self.network.keypoint, self.network.mask):
            if isinstance(branch, RoIBranch) and branch.pooler is not None:
                branch.head(features[0].new_zeros(1, features[0].shape[1], *branch.pooler.cells))


def store() -> None:
    """Count every listed model and store the numbers."""
    rows = [f"{json.dumps(name)}: [{c.parameters}, {c.multiply_adds}]" for name in names() for c in [measure(name)]]
    STORED.write_text("{\n  " + ",\n  ".join(rows) + "\n}\n")


if __name__ == "__main__":
    store()
