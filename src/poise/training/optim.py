"""The optimizer of a run, and its learning rate at every step."""

import math
import re

import torch
from torch import nn

from poise.errors import InputError
from poise.training.recipe import Optimizer, Schedule

MAX_WARMUP = 0.1
"""Largest share of a run, in steps or in time, for the warm-up of the learning rate."""

BLOCK = re.compile(r"backbone\.(?:.+\.)?(?:layers|blocks)\.(\d+)\.")
"""Beginning of the names of a transformer's weights that belong to one of its blocks, with its number."""

PLACES = ("pos_embed", "token")
"""Ends of the names of learnt positions and tokens."""


def build(options: Optimizer, network: nn.Module, *, rate: float, extra: nn.Module | None = None) -> torch.optim.Optimizer:
    """The optimizer for a network, with the scaled learning rate.

    Each group carries `rate`, the full learning rate that `set_rate` multiplies. With `Optimizer.spare` norms, biases,
    positions and tokens have no weight decay. `extra` has the parts that a task trains beside the network (`Task.extra`), at
    the full rate.

    Raises:
        InputError: Rates fall from block to block, and the network's backbone has no blocks.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    beside = () if extra is None else extra.named_parameters(prefix="extra")
    depth = _depth(network) if options.layers != 1 else 0
    for name, parameter in (*network.named_parameters(), *beside):
        factor = (options.backbone if in_backbone(name) else 1.0) * (options.bias if name.endswith("bias") else 1.0)
        factor *= options.layers ** (depth + 1 - layer_of(name, depth))
        spared = options.spare and (parameter.ndim <= 1 or name.endswith(PLACES))
        decay = 0.0 if spared else options.decay
        groups.setdefault((factor, decay), []).append(parameter)
    plain = [
        {"params": parameters, "lr": rate * factor, "rate": rate * factor, "weight_decay": decay}
        for (factor, decay), parameters in groups.items()
    ]
    if options.kind == "rmsprop":
        return torch.optim.RMSprop(plain, lr=rate)
    fused = all(p.device.type in ("cpu", "cuda") for p in network.parameters())
    if options.kind == "sgd":
        return torch.optim.SGD(plain, lr=rate, momentum=options.momentum, fused=fused)
    kind = torch.optim.AdamW if options.kind == "adamw" else torch.optim.Adam
    return kind(plain, lr=rate, betas=options.betas, fused=fused)


def _depth(network: nn.Module) -> int:
    """Number of blocks of a transformer."""
    found = [int(block[1]) for name, _ in network.named_parameters() if (block := BLOCK.match(name))]
    if not found:
        raise InputError("learning rates fall from block to block in transformers, such as vitpose_b, and this is none")
    return max(found) + 1


def layer_of(name: str, depth: int) -> int:
    """Number of the layer of a weight: 0 before the first block of the backbone, `depth` + 1 behind the last one.

    >>> [layer_of(f"backbone.{n}", 12) for n in ("pos_embed", "patch_embed.projection.bias", "layers.0.ln1.bias", "ln1.bias")]
    [0, 0, 1, 13]
    """
    block = BLOCK.match(name)
    if block is not None:
        return int(block[1]) + 1
    before = in_backbone(name) and (name.endswith(PLACES) or ".patch_embed." in name)
    return 0 if before else depth + 1


def in_backbone(name: str) -> bool:
    """Whether a parameter of a network belongs to its backbone."""
    return name.startswith("backbone.")


def set_rate(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Give every group its full learning rate times `factor`."""
    for group in optimizer.param_groups:
        group["lr"] = group["rate"] * factor


def scaled_rate(options: Optimizer, *, batch: int, base_batch: int) -> float:
    """The learning rate for a batch: linear in it (arXiv 1706.02677, section 2.1)."""
    return options.rate * batch / base_batch


def risen(schedule: Schedule, *, step: int, steps: int, time_share: float = 0.0) -> float:
    """Share of the warm-up that is done, 0 to 1.

    Args:
        schedule: The schedule.
        step: Optimizer steps done.
        steps: Optimizer steps of the whole run.
        time_share: Share of the time budget that is used up; counts with `Schedule.over_time`.
    """
    rise = min(float(schedule.warmup_steps), MAX_WARMUP * steps)
    if not rise:
        return 1.0
    return min(max(step / rise, time_share / MAX_WARMUP if schedule.over_time else 0.0), 1.0)


def factor(schedule: Schedule, *, step: int, steps_per_epoch: int, epochs: int, time_share: float = 0.0) -> float:
    """Factor of the full learning rate at a step.

    A warm-up longer than a tenth of the run is shortened to that, so that a short run reaches its full rate too.

    Args:
        schedule: The schedule.
        step: Optimizer steps done.
        steps_per_epoch: Optimizer steps per epoch.
        epochs: Epochs of the whole run.
        time_share: Share of the time budget that is used up; counts with `Schedule.over_time`.
    """
    share_risen = risen(schedule, step=step, steps=steps_per_epoch * epochs, time_share=time_share)
    warm = schedule.warmup_start + (1 - schedule.warmup_start) * share_risen
    if schedule.kind == "constant":
        return warm
    epoch = step / steps_per_epoch
    if schedule.kind == "steps":
        return float(warm * schedule.factor ** sum(epoch >= m for m in schedule.milestones))
    share = epoch / epochs
    if schedule.over_time:
        share = max(share, time_share)
    share = min(max(share - schedule.hold, 0.0) / (1 - schedule.hold), 1.0)
    fallen = 1 - share if schedule.kind == "linear" else (1 + math.cos(math.pi * share)) / 2
    return warm * (schedule.floor + (1 - schedule.floor) * fallen)
