"""What torch cannot do while it trains is said in a sentence."""

import pytest
import torch
from rich.console import Console
from torch import nn

from poise.errors import InputError
from poise.training.checks import explain_step_errors
from poise.training.fit import fit
from poise.training.run_plan import Budget, Hardware, run_plan

HERE = {"device": "cpu", "precision": "fp32", "workers": 0}


def test_a_batch_too_small_for_a_norm_says_which_flag_to_change(tiny, tmp_path):
    recipe = tiny.recipe(tiny.Tiny(average=None))
    recipe.model.network.backbone[0].stride = (64, 64)  # one cell of each view
    with pytest.raises(InputError, match=r"found one in a batch of 1: .*; give --batch 2 or more, or larger views$"):
        fit(recipe, out=tmp_path, batch=1, console=Console(quiet=True), **HERE)


def test_several_processes_need_a_batch_that_is_large_enough_for_each(tiny, tmp_path):
    hardware = Hardware(batch=2, accumulate=1, devices=2, nodes=1, strategy="ddp", save_minutes=1.0, **HERE)
    plan = run_plan(tiny.recipe(), Budget(tmp_path, False, 0, None, None, None), hardware)
    with (
        pytest.raises(InputError, match=r"in a batch of 1 on each of 2 processes: .*; give --batch 4 or more"),
        explain_step_errors(plan),
    ):
        nn.BatchNorm2d(3)(torch.zeros(1, 3, 1, 1))
    with pytest.raises(ValueError, match=r"^another$"), explain_step_errors(plan):
        raise ValueError("another")
