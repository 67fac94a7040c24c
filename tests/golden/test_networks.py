"""Our networks with the official weights answer what the official networks answer."""

from functools import cache
from pathlib import Path

import pytest
import torch

from poise.nn.count import count
from poise.zoo import build, import_release
from poise.zoo.checkpoint import official_state

from .replay import Replay, digest, flat

NETWORKS = (
    "models/poseresnet_*.json",
    "models/hrnet_*.json",
    "models/cpn_*.json",
    "models/mspn_*.json",
    "models/rsn_res18_*.json",
    "models/rsn_rsn18_*.json",
    "models/rsn_4xrsn18_*.json",
    "models/lpn_*.json",
    "models/hourglass_[0-9]*.json",
    "models/darkpose_*.json",
    "models/udp_*.json",
)


@cache
def own_keys(name: str) -> dict[str, tuple[int, ...]]:
    """Official names and shapes, as our model exports them."""
    with torch.device("meta"):
        return {key: tuple(value.shape) for key, value in official_state(build(name), name).items()}


@pytest.mark.golden(*NETWORKS)
def test_a_network_with_official_weights_gives_the_official_answer(golden_file: Path):
    golden = Replay(golden_file)
    model = import_release(golden.name, golden.weights(golden.keys or own_keys(golden.name)))
    with torch.no_grad():
        answers = flat(model.network(*golden.inputs()))
    errors = golden.errors(answers)
    assert max(errors) <= golden.tolerance, f"{golden.stem} is off by {max(errors):.1e} of absmax"


@pytest.mark.golden(*NETWORKS)
def test_weights_are_exported_under_the_official_names_in_the_official_order(golden_file: Path):
    golden = Replay(golden_file)
    ours = own_keys(golden.name)
    assert len(ours) == golden.meta["state_dict_entries"]
    if golden.keys is not None:
        assert list(ours.items()) == list(golden.keys.items())
    if "keys_sha256" in golden.meta:
        assert digest(ours) == golden.meta["keys_sha256"]


@pytest.mark.golden(*NETWORKS)
def test_parameters_and_multiply_adds_are_the_official_ones(golden_file: Path):
    golden = Replay(golden_file)
    with torch.device("meta"):
        network = build(golden.name).network
    found = count(network, tuple(golden.meta["input_shapes"][0][2:]))
    assert (found.parameters, found.multiply_adds) == (golden.meta["params"], golden.multiply_adds)
