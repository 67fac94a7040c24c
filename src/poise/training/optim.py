"""The optimizer of a run, and its learning rate at every step."""

import math

import torch
from torch import nn

from poise.training.recipe import Optimizer, Schedule

MAX_WARMUP = 0.1
"""Largest share of a run, in steps or in time, for the warm-up of the learning rate."""


def build(options: Optimizer, network: nn.Module, *, rate: float, extra: nn.Module | None = None) -> torch.optim.Optimizer:
    """The optimizer for a network, with the scaled learning rate.

    Each group carries `rate`, the full learning rate that `set_rate` multiplies. With `Optimizer.spare` norms and biases have
    no weight decay. `extra` has the parts that a task trains beside the network (`Task.extra`), at the full rate.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    beside = () if extra is None else extra.named_parameters(prefix="extra")
    for name, parameter in (*network.named_parameters(), *beside):
        factor = (options.backbone if in_backbone(name) else 1.0) * (options.bias if name.endswith("bias") else 1.0)
        decay = options.decay if parameter.ndim > 1 or not options.spare else 0.0
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
    rise = min(float(schedule.warmup_steps), MAX_WARMUP * steps_per_epoch * epochs)
    risen = max(step / rise, time_share / MAX_WARMUP if schedule.over_time else 0.0) if rise else 1.0
    warm = schedule.warmup_start + (1 - schedule.warmup_start) * min(risen, 1.0)
    if schedule.kind == "constant":
        return warm
    epoch = step / steps_per_epoch
    if schedule.kind == "steps":
        return float(warm * schedule.factor ** sum(epoch >= m for m in schedule.milestones))
    share = epoch / epochs
    if schedule.over_time:
        share = max(share, time_share)
    share = min(share, 1.0)
    fallen = 1 - share if schedule.kind == "linear" else (1 + math.cos(math.pi * share)) / 2
    return warm * (schedule.floor + (1 - schedule.floor) * fallen)
