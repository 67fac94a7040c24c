import pytest
import torch
from torch import nn

from poise.errors import InputError
from poise.training.optim import build, factor, scaled_rate, set_rate
from poise.training.recipe import Optimizer, Schedule


def at(schedule: Schedule, step: int, *, time_share: float = 0.0) -> float:
    return factor(schedule, step=step, steps_per_epoch=10, epochs=10, time_share=time_share)


def test_steps_fall_at_their_epochs():
    schedule = Schedule("steps", milestones=(4, 7))
    assert [at(schedule, s) for s in (0, 39, 40, 69, 70, 99)] == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])


def test_a_cosine_falls_from_one_to_its_floor():
    schedule = Schedule("cosine", floor=0.2)
    assert [at(schedule, s) for s in (0, 50, 100)] == pytest.approx([1, 0.6, 0.2])


def test_a_cosine_that_is_held_falls_in_the_rest_of_the_run():
    schedule = Schedule("cosine", floor=0.2, hold=0.5)
    assert [at(schedule, s) for s in (0, 50, 75, 100)] == pytest.approx([1, 1, 0.6, 0.2])
    with pytest.raises(InputError, match="share of the run"):
        Schedule("cosine", hold=1.0)


def test_rates_fall_from_block_to_block_in_transformers_alone():
    with pytest.raises(InputError, match="this is none"):
        build(Optimizer(layers=0.5), nn.ModuleDict({"backbone": nn.Linear(2, 2)}), rate=1.0)
    body = nn.ModuleDict({"blocks": nn.ModuleList(nn.Linear(2, 2) for _ in range(2)), "norm": nn.LayerNorm(2)})
    body.register_parameter("pos_embed", nn.Parameter(torch.zeros(1, 3, 2)))
    network = nn.ModuleDict({"backbone": nn.ModuleDict({"body": nn.ModuleDict({"model": body})}), "head": nn.Linear(2, 2)})
    optimizer = build(Optimizer("adamw", decay=0.1, layers=0.5), network, rate=1.0)
    of = {id(p): (group["lr"], group["weight_decay"]) for group in optimizer.param_groups for p in group["params"]}
    found = [of[id(p)] for p in (body.pos_embed, *(block.weight for block in body["blocks"]), body["norm"].weight)]
    assert found == [(0.125, 0.0), (0.25, 0.1), (0.5, 0.1), (1.0, 0.0)]


def test_a_line_falls_evenly_to_its_floor_after_a_warm_up_that_counts_steps():
    assert [at(Schedule("linear", floor=0.0), s) for s in (0, 25, 50, 100)] == pytest.approx([1, 0.75, 0.5, 0])
    schedule = Schedule("linear", floor=0.0, warmup_steps=10, warmup_start=0.1)
    assert [at(schedule, s) for s in (0, 5, 10, 50)] == pytest.approx([0.1, 0.55 * 0.95, 0.9, 0.5])


def test_a_budget_moves_the_cosine_only_where_that_is_asked_for():
    assert at(Schedule("cosine", floor=0.0, over_time=True), 10, time_share=1.0) == pytest.approx(0)
    assert at(Schedule("cosine", floor=0.0), 50, time_share=1.0) == pytest.approx(0.5)


def test_the_rate_rises_linearly_while_warming_up():
    schedule = Schedule("constant", warmup_steps=10, warmup_start=0.1)
    assert [at(schedule, s) for s in (0, 5, 10, 11)] == pytest.approx([0.1, 0.55, 1, 1])


def test_a_warm_up_longer_than_a_tenth_of_the_run_is_cut_to_it():
    schedule = Schedule("constant", warmup_steps=200, warmup_start=0.0)
    assert [at(schedule, s) for s in (0, 5, 10, 99)] == pytest.approx([0, 0.5, 1, 1])


def test_a_budget_that_ends_before_the_steps_moves_the_warm_up_too():
    schedule = Schedule("cosine", warmup_steps=10, warmup_start=0.0, floor=1.0, over_time=True)
    assert [at(schedule, 1, time_share=t) for t in (0.0, 0.05, 0.1, 0.5)] == pytest.approx([0.1, 0.5, 1, 1])


def test_the_rate_is_linear_in_the_batch():
    assert scaled_rate(Optimizer(rate=1e-3), batch=32, base_batch=128) == pytest.approx(2.5e-4)


def test_norms_and_biases_do_not_decay_and_the_backbone_has_its_own_rate():
    network = nn.ModuleDict({"backbone": nn.Conv2d(3, 4, 3), "head": nn.BatchNorm2d(4)})
    optimizer = build(Optimizer("adamw", rate=1.0, decay=0.1, backbone=0.5), network, rate=0.2)
    groups = {id(p): g for g in optimizer.param_groups for p in g["params"]}
    assert groups[id(network["backbone"].weight)]["weight_decay"] == 0.1
    assert groups[id(network["backbone"].bias)]["weight_decay"] == 0.0
    assert groups[id(network["head"].weight)]["weight_decay"] == 0.0
    assert groups[id(network["backbone"].weight)]["lr"] == pytest.approx(0.1)
    set_rate(optimizer, 0.5)
    assert groups[id(network["backbone"].weight)]["lr"] == pytest.approx(0.05)
    assert groups[id(network["head"].weight)]["lr"] == pytest.approx(0.1)


def test_norms_and_biases_decay_too_where_they_are_not_spared():
    network = nn.ModuleDict({"head": nn.BatchNorm2d(4)})
    optimizer = build(Optimizer(decay=1e-5, spare=False), network, rate=0.2)
    assert [group["weight_decay"] for group in optimizer.param_groups] == [1e-5]


def test_rmsprop_is_torchs_without_momentum():
    weight = nn.ParameterDict({"w": nn.Parameter(torch.tensor([[1.0]]))})
    optimizer = build(Optimizer("rmsprop"), weight, rate=0.1)
    set_rate(optimizer, 0.5)
    weight["w"].grad = torch.tensor([[2.0]])
    optimizer.step()
    expected = 1 - 0.05 * 2 / ((0.01 * 4) ** 0.5 + 1e-8)
    torch.testing.assert_close(weight["w"].detach(), torch.tensor([[expected]]))


def test_sgd_has_momentum_and_biases_learn_at_their_own_rate_without_decay():
    network = nn.ModuleDict({"head": nn.Linear(1, 1)})
    optimizer = build(Optimizer("sgd", decay=0.5, momentum=0.9, bias=2.0), network, rate=0.1)
    weight, bias = network["head"].weight, network["head"].bias
    with torch.no_grad():
        weight.fill_(1.0), bias.fill_(1.0)
    for _ in range(2):
        weight.grad, bias.grad = torch.ones_like(weight), torch.ones_like(bias)
        optimizer.step()
    first = 1 - 0.1 * (1 + 0.5 * 1)
    assert weight.item() == pytest.approx(first - 0.1 * (0.9 * 1.5 + 1 + 0.5 * first))
    assert bias.item() == pytest.approx(1 - 0.2 - 0.2 * 1.9)


def test_milestones_may_lie_within_an_epoch():
    schedule = Schedule("steps", milestones=(4.5,))
    assert [at(schedule, s) for s in (44, 45)] == pytest.approx([1, 0.1])


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"rate": 0.0}, "above 0"), ({"bias": -1.0}, "no negative"), ({"momentum": 1.0}, "0 to below 1")],
)
def test_numbers_that_cannot_be_are_refused(wrong, said):
    with pytest.raises(InputError, match=said):
        Optimizer(**wrong)


def test_only_adam_with_decoupled_decay_shrinks_weights_without_gradient():
    network = nn.ModuleDict({"head": nn.Conv2d(1, 1, 1)})
    before = network["head"].weight.detach().clone()
    optimizer = build(Optimizer("adamw", rate=1.0, decay=0.5), network, rate=0.1)
    network["head"](torch.zeros(1, 1, 1, 1)).sum().backward()
    optimizer.step()
    torch.testing.assert_close(network["head"].weight.detach(), before * 0.95)
