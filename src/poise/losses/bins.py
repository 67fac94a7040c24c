"""The loss of vectors of bins (SimCC, arXiv 2107.03332, section 3.3; RTMPose, arXiv 2303.07399, section 3.2)."""

import torch
from jaxtyping import Float
from torch import Tensor


def bin_divergence(
    output: Float[Tensor, "*b n"],
    label: Float[Tensor, "*b n"],
    *,
    beta: float | None = None,
    label_beta: float | None = None,
    per_bin: bool = False,
) -> Float[Tensor, "*b"]:
    """Kullback-Leibler divergence of each output from its label.

    Args:
        output: Logits of the bins.
        label: Height of the label in each bin, 0 or more.
        beta: Factor on the output before its softmax, and on the label before a softmax of its own; None takes the label
            itself as the distribution, and the output as it is.
        label_beta: Another factor on the label; None for `beta`.
        per_bin: Whether to divide by the number of bins.
    """
    if beta is None:
        lost = torch.xlogy(label, label) - label * output.log_softmax(dim=-1)
    else:
        target = (label * (label_beta or beta)).log_softmax(dim=-1)
        lost = target.exp() * (target - (output * beta).log_softmax(dim=-1))
    return lost.mean(dim=-1) if per_bin else lost.sum(dim=-1)
