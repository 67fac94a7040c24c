"""Networks of detectors and their parts, with official weights, answer what the official ones answer."""

import json
from functools import cache
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from poise.zoo import build, import_release
from poise.zoo.importing import official_state

from .replay import Replay, digest, flat

RCNN = "models/maskrcnn_*.json"


@cache
def own_keys(name: str) -> dict[str, tuple[int, ...]]:
    """Official names and shapes, as our model exports them."""
    with torch.device("meta"):
        return {key: tuple(value.shape) for key, value in official_state(build(name), name).items()}


def has_answers(path: Path) -> bool:
    """Whether a file is of a network's answers; others list its weights alone."""
    return "outputs" in json.loads(path.read_text())


@pytest.mark.golden(RCNN)
def test_a_part_with_official_weights_gives_the_official_answer(golden_file: Path):
    golden = Replay(golden_file)
    if not has_answers(golden_file):
        pytest.skip("the file lists weights alone")
    model = import_release(golden.name, golden.weights(golden.keys or own_keys(golden.name)))
    with torch.no_grad():
        answers = flat(model.network(*golden.inputs()))
    errors = golden.errors(answers)
    assert max(errors) <= golden.tolerance, f"{golden.stem} is off by {max(errors):.1e} of absmax"


@pytest.mark.golden(RCNN)
def test_weights_are_exported_under_the_official_names_in_the_official_order(golden_file: Path):
    golden = Replay(golden_file)
    ours = own_keys(golden.name)
    assert len(ours) == golden.meta["state_dict_entries"]
    if golden.keys is not None:
        assert list(ours.items()) == list(golden.keys.items())
    if "keys_sha256" in golden.meta:
        assert digest(ours) == golden.meta["keys_sha256"]


@pytest.mark.golden(RCNN)
def test_parameters_and_multiply_adds_are_the_official_ones(golden_file: Path):
    golden = Replay(golden_file)
    with torch.device("meta"):
        network = build(golden.name).network.eval()
    assert sum(p.numel() for p in network.parameters()) == golden.meta["params"]
    if not has_answers(golden_file):
        return
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        network(*(torch.zeros(shape, device="meta") for shape in golden.meta["input_shapes"]))
    assert counter.get_total_flops() == golden.meta["flop_counter_flops_batch"]
