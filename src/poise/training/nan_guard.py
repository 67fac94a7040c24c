"""NaN guard: stops a run whose loss or gradient is not finite, and names the first layer at fault."""

import math
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor, nn

from poise.errors import TrainingError
from poise.models.device import Precision, autocast
from poise.training.recipe import Recipe
from poise.training.task import Task


@final
@dataclass(frozen=True)
class Step:
    """Figures of a training step before the weights are updated.

    Attributes:
        number: Optimizer steps done before.
        rate: Learning rate.
        loss: Loss of the batch.
        norm: Norm of the gradient before clipping.
    """

    number: int
    rate: float
    loss: float
    norm: float


def slower(recipe: Recipe, *, precision: Precision = "fp32") -> str:
    """The flags that help a run that diverges, with values: a lower learning rate, a clipped gradient, full precision.

    Args:
        recipe: Recipe of the run.
        precision: Precision of the run.
    """
    flags = [f"take a lower learning rate, such as --rate {recipe.optimizer.rate / 10:.2g}"]
    flags += ["clip the gradient, --clip 1"] if recipe.clip is None else []
    flags += ["train in full precision, --precision fp32"] if precision != "fp32" else []
    return ", or ".join(flags)


def check_finite(step: Step, task: Task, batch: Any, *, recipe: Recipe, precision: Precision) -> None:
    """Stop when the loss or the gradient of a step is not finite.

    Args:
        step: Figures of the step.
        task: Task of the model, which has the gradients of the step.
        batch: Batch of the step: of the task's type, with images and keys.
        recipe: Recipe of the run, for the flags that help.
        precision: "fp32" or "bf16".

    Raises:
        TrainingError: With the step, the learning rate, the size and images of the batch, the first layer at fault and the
            flags that help.
    """
    if math.isfinite(step.loss) and math.isfinite(step.norm):
        return
    names = ", ".join(key.file_name for key in batch.keys[:8]) + (", ..." if len(batch.keys) > 8 else "")
    with autocast(batch.images.device, precision):
        where = first_fault(task, batch)
    raise TrainingError(
        f"step {step.number}: the loss is {step.loss:.4g} and the norm of its gradient {step.norm:.4g}; both must be finite. "
        f"First at fault: {where}. Learning rate {step.rate:.3g}; batch of {len(batch.keys)}: {names}. "
        "The last good state is in the folder of the run; begin anew with another --out, and "
        f"{slower(recipe, precision=precision)}"
    )


def first_fault(task: Task, batch: Any) -> str:
    """Where a value that is not finite appears first: labels, images, a weight, a layer's output, a loss, or a gradient."""
    for name, values in (("the labels", task.labelled(batch)), ("the images", batch.images)):
        if not _finite(values):
            return f"{name} of the batch"
    network = task.model.network
    # The gradients are those of the step at fault; running forward again would not change them.
    bad_gradients = [name for name, p in network.named_parameters() if p.grad is not None and not _finite(p.grad)]
    weights = [name for name, p in network.named_parameters() if not _finite(p)]
    if weights:
        return f"the weight {weights[0]}"
    layer = _first_layer(task, batch)
    if layer:
        return f"the answer of layer {layer}"
    loss = _first_loss(task, batch)
    if loss:
        return loss
    # In the backward pass the last layer comes first.
    return f"the gradient of {bad_gradients[-1]}" if bad_gradients else "the sum of the gradient"


def _first_loss(task: Task, batch: Any) -> str:
    """The first part of the loss that is not finite."""
    with torch.no_grad():
        parts = task.losses(batch)
    return next((f"the loss of {name}" for name, part in parts.items() if not _finite(part)), "")


def _first_layer(task: Task, batch: Any) -> str:
    found: list[str] = []
    handles = []
    for name, layer in task.model.network.named_modules():
        if next(layer.children(), None) is None:

            def check(_: nn.Module, __: object, output: Tensor | list[Tensor], name: str = name) -> None:
                parts = [output] if isinstance(output, Tensor) else output
                if not found and not all(_finite(part) for part in parts):
                    found.append(name)

            handles.append(layer.register_forward_hook(check))
    with torch.no_grad():
        task.losses(batch)
    for handle in handles:
        handle.remove()
    return found[0] if found else ""


def _finite(values: Tensor) -> bool:
    return bool(torch.isfinite(values).all())
