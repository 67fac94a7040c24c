"""How large networks are: parameters and multiply-adds, stored for the listed models of the zoo, counted for others.

Counting needs no weights. `python -m poise.zoo.cost` counts the listed models again and stores the numbers beside this file.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from poise.dims import Size
from poise.models.base import Model
from poise.models.blaze_detector import BlazeDetector
from poise.models.blazepose import BlazePose
from poise.models.require import require_image
from poise.models.top_down import TopDown
from poise.nn.fcos import FCOS
from poise.nn.rcnn import RCNN, RoIBranch
from poise.scenes import Canvas
from poise.zoo.find import build, build_request, names


@dataclass(frozen=True)
class NetworkCost:
    """The cost of a network.

    Attributes:
        parameters: Number of trainable parameters.
        multiply_adds: Multiply-adds for one view, of convolutions, matrix products and attention.
    """

    parameters: int
    multiply_adds: int


def measure_network(network: nn.Module, size: Size) -> NetworkCost:
    """The cost of a network, counted on one view; on "meta" nothing is computed.

    Args:
        network: The network.
        size: Size of the view (h, w).
    """
    parameters = list(network.parameters())
    training = network.training
    network.eval()
    counter = FlopCounterMode(display=False)
    view = torch.zeros(1, 3, *size, device=parameters[0].device, dtype=parameters[0].dtype)
    with torch.no_grad(), counter:
        network(view)
    network.train(training)
    return NetworkCost(sum(p.numel() for p in parameters), counter.get_total_flops() // 2)


STORED = Path(__file__).with_suffix(".json")


def model_costs(names: Iterable[str]) -> Mapping[str, NetworkCost]:
    """Costs of models, by name.

    Raises:
        UnknownName: No family has such a name.
        InputError: A part of a detector, which takes no images by itself.
    """
    stored = {name: NetworkCost(*numbers) for name, numbers in json.loads(STORED.read_text()).items()}
    return {name: stored[name] if name in stored else measure_model(name) for name in names}


def measure_model(name: str) -> NetworkCost:
    """The cost of a model, built without weights; the heads of a detector are counted for one box.

    Raises:
        UnknownName: No family has such a name.
        InputError: A part of a detector, which takes no images by itself.
    """
    size = view_size_of(name)
    return measure_network(countable(unbuilt(name).network), size)


def countable(network: nn.Module) -> nn.Module:
    """A network that answers to a view alone: itself, or a detector with a single box, which needs no values in its weights."""
    return _OneBox(network) if isinstance(network, RCNN | FCOS) else network


def view_size_of(name: str) -> Size:
    """The size (h, w) of the view that a model is counted on: that of its name, else the largest of a landscape image.

    Raises:
        UnknownName: No family has such a name.
        InputError: A part of a detector, which takes no images by itself.
    """
    request = build_request(name)
    if request.parts.get("size"):
        return request.size
    model = require_image(unbuilt(name))
    if isinstance(model, TopDown):
        return model.codec.size
    if isinstance(model, BlazePose | BlazeDetector):
        return (model.network.side, model.network.side)
    canvas = model.preprocess
    assert isinstance(canvas, Canvas), name
    width = -(-(canvas.most or canvas.side) // canvas.multiple) * canvas.multiple
    return -(-canvas.side // canvas.multiple) * canvas.multiple, width


def unbuilt(name: str) -> Model:
    """The model on the device "meta", without values in its weights."""
    with torch.device("meta"):
        return build(name)


@final
class _OneBox(nn.Module):
    """A detector with a single proposal, which needs no values in its weights."""

    def __init__(self, network: RCNN | FCOS) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> None:
        """Call every part once."""
        features = self.network(images)
        finder = self.network.rpn.head if isinstance(self.network, RCNN) else self.network.head
        finder(features)
        for branch in (self.network.box, self.network.keypoint, self.network.mask):
            if isinstance(branch, RoIBranch) and branch.pooler is not None:
                branch.head(features[0].new_zeros(1, features[0].shape[1], *branch.pooler.cells))


def store() -> None:
    """Count every listed model and store the numbers."""
    rows = [f"{json.dumps(name)}: [{c.parameters}, {c.multiply_adds}]" for name in names() for c in [measure_model(name)]]
    STORED.write_text("{\n  " + ",\n  ".join(rows) + "\n}\n")


if __name__ == "__main__":
    store()
