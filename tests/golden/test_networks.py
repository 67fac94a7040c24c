"""Our networks with the official weights answer what the official networks answer."""

import math
from functools import cache
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from poise.zoo import build, import_release
from poise.zoo.cost import measure_network
from poise.zoo.find import family_of
from poise.zoo.importing import official_state

from .replay import Replay, digest, flat

NETWORKS = (
    "models/poseresnet_*.json",
    "models/hrnet_*.json",
    "models/cpn_*.json",
    "models/mspn_*.json",
    "models/rsn_res18_*.json",
    "models/rsn_rsn18_*.json",
    "models/rsn_4xrsn18_*.json",
    "models/rsn_udp_*.json",
    "models/lpn_*.json",
    "models/hourglass_[0-9]*.json",
    "models/hourglass_multitask_*.json",
    "models/darkpose_*.json",
    "models/udp_*.json",
    "models/offsetguided_hg*.json",
    "models/offsetguided_hrnet*.json",
    "models/blazepose_wang_*.json",
    "models/litehrnet_*.json",
    "models/mobilenetv2_*.json",
    "models/deeplabcut3_hrnet_*.json",
    "models/higherhrnet_*.json",
    "models/dekr_*.json",
    "models/rtmpose_*.json",
    "models/rtmw_*.json",
    "models/vitpose_mmpose_*.json",
)

RENAMED = "models/vitpose_hf_*.json"
"""Networks whose names are not those of our export, which are MMPose's; they also hold a position that no token has."""

UNREAD = "models/offsetguided_imhn*.json"
"""Networks without a codec; the release convolves twice what an hourglass hands to the next one at its finest level."""


COUNTERS = ("running_mean", "running_var", "num_batches_tracked")


@cache
def own_keys(name: str) -> dict[str, tuple[int, ...]]:
    """Official names and shapes, as our model exports them."""
    with torch.device("meta"):
        return {key: tuple(value.shape) for key, value in official_state(build(name), name).items()}


def idle_keys(golden: Replay) -> dict[str, tuple[int, ...]]:
    """Names and shapes of layers that the release makes and never asks; ours has none of them."""
    ours = own_keys(golden.name)
    family = family_of(golden.name)
    return {key: shape for key, shape in (golden.keys or {}).items() if key not in ours and not family.is_used(key)}


def idle_multiply_adds(golden: Replay) -> int:
    """Multiply-adds of layers that the release asks for nothing: their answer is not used. Ours has none of them."""
    idle = {key.removesuffix(".weight"): shape for key, shape in idle_keys(golden).items() if key.endswith(".weight")}
    rows = [row for row in golden.meta.get("trace", ()) if row[0] in idle and row[1] != "BatchNorm2d"]
    return sum(math.prod(idle[name]) * math.prod(shape[2:]) for name, _, shape, *_ in rows)


def repeated_multiply_adds(golden: Replay) -> int:
    """Multiply-adds of layers that the release runs a second time on the same map; ours doubles the first answer."""
    if not golden.name.startswith("litehrnet"):
        return 0
    rows = [row for row in golden.meta.get("trace", ()) if row[1] == "Conv2d"]
    again = [row for number, row in enumerate(rows) if any(row[0] == before[0] for before in rows[:number])]
    return sum(math.prod((golden.keys or {})[f"{name}.weight"]) * math.prod(shape[2:]) for name, _, shape, *_ in again)


def in_layers(network: torch.nn.Module, size: tuple[int, int]) -> int:
    """Multiply-adds of convolutions and linear layers alone, without the products of attention, for a view of `size`."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.eval()(torch.zeros(1, 3, *size, device="meta"))
    products = (torch.ops.aten.bmm, torch.ops.aten.baddbmm)
    flops = counter.get_flop_counts()["Global"]
    return sum(count for kind, count in flops.items() if kind not in products and "attention" not in str(kind)) // 2


@pytest.mark.golden(*NETWORKS, RENAMED, UNREAD, costly=True)
def test_a_network_with_official_weights_gives_the_official_answer(golden_file: Path):
    golden = Replay(golden_file)
    model = import_release(golden.name, golden.weights(golden.keys or own_keys(golden.name)))
    with torch.no_grad():
        answers = flat(model.network(*golden.inputs()))
    errors = golden.errors(answers)
    assert max(errors) <= golden.tolerance, f"{golden.stem} is off by {max(errors):.1e} of absmax"


@pytest.mark.golden(*NETWORKS, UNREAD)
def test_weights_are_exported_under_the_official_names_in_the_official_order(golden_file: Path):
    golden = Replay(golden_file)
    ours, idle = own_keys(golden.name), idle_keys(golden)
    assert len(ours) + len(idle) == golden.meta["state_dict_entries"]
    if golden.keys is not None:
        assert list(ours.items()) == [item for item in golden.keys.items() if item[0] not in idle]
    if "keys_sha256" in golden.meta:
        assert digest(ours) == golden.meta["keys_sha256"]


@pytest.mark.golden(*NETWORKS, shapes_alone=True)
def test_parameters_and_multiply_adds_are_the_official_ones(golden_file: Path):
    golden = Replay(golden_file)
    with torch.device("meta"):
        network = build(golden.name).network
    size = tuple(golden.meta["input_shapes"][0][2:])
    found = measure_network(network, size)
    unasked = sum(math.prod(shape) for key, shape in idle_keys(golden).items() if not key.endswith(COUNTERS))
    assert found.parameters + unasked == golden.meta["params"]
    counted = found.multiply_adds if "flop_counter_flops_batch" in golden.meta else in_layers(network, size)
    assert counted + idle_multiply_adds(golden) + repeated_multiply_adds(golden) == golden.multiply_adds


@pytest.mark.golden(RENAMED)
def test_a_network_under_other_names_has_all_parameters_but_the_position_of_no_token(golden_file: Path):
    golden = Replay(golden_file)
    with torch.device("meta"):
        network = build(golden.name).network
    parameters = sum(weight.numel() for weight in network.parameters())
    assert parameters == golden.meta["params"] - network.backbone.pos_embed.shape[-1]


@pytest.mark.golden(UNREAD)
def test_a_network_without_codec_has_the_official_parameters_and_convolves_nothing_twice(golden_file: Path):
    golden = Replay(golden_file)
    with torch.device("meta"):
        network = build(golden.name).network
    found = measure_network(network, tuple(golden.meta["input_shapes"][0][2:]))
    assert found.parameters == golden.meta["params"]
    assert 0.98 * golden.multiply_adds < found.multiply_adds < golden.multiply_adds
