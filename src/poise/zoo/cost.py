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

from poise.nn.count import Count, count
from poise.nn.rcnn import RCNN, RoIBranch
from poise.zoo.find import build, names, wish_of

STORED = Path(__file__).with_suffix(".json")


def costs(wanted: Iterable[str]) -> Mapping[str, Count]:
    """Parameters and multiply-adds of models by name.

    Raises:
        UnknownName, InputError: As `build`.
    """
    stored = {name: Count(*numbers) for name, numbers in json.loads(STORED.read_text()).items()}
    return {name: stored[name] if name in stored else measure(name) for name in wanted}


def measure(name: str) -> Count:
    """Build the model without weights and count; a detector's heads are asked about one box."""
    with torch.device("meta"):
        model = build(name)
    network = _OneBox(model.network) if isinstance(model.network, RCNN) else model.network
    return count(network, wish_of(name).size)


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
