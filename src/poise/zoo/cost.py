"""How large the models of the zoo are: stored for those listed, counted for others, without any weights.

`python -m poise.zoo.cost` counts the listed ones again and stores them beside this file.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch

from poise.nn.count import Count, count
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
    """Build the model without weights and count."""
    with torch.device("meta"):
        model = build(name)
    return count(model.network, wish_of(name).size)


def store() -> None:
    """Count every listed model and store the numbers."""
    rows = [f"{json.dumps(name)}: [{c.parameters}, {c.multiply_adds}]" for name in names() for c in [measure(name)]]
    STORED.write_text("{\n  " + ",\n  ".join(rows) + "\n}\n")


if __name__ == "__main__":
    store()
