"""Losses of RTMO (arXiv 2312.07526): varifocal loss of persons, likelihood of coordinates over bins, OKS, IoU."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

ALPHA, GAMMA = 0.75, 2.0
"""Weight of cells without a person in the varifocal loss (arXiv 2008.13367): ALPHA * score^GAMMA."""

LEAST = 1e-4
"""Targets up to this are cells without a person; also added to a likelihood before its logarithm."""

CLIP = 10.0
"""Logits are clamped to this in the varifocal loss."""


def varifocal(logits: Float[Tensor, "*n"], target: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """The varifocal loss of scores whose targets are qualities, 0 where nobody is.

    Args:
        logits: Logits of the scores.
        target: Quality of the person of a cell, 0 to 1.
    """
    weight = torch.where(target > LEAST, target, ALPHA * logits.sigmoid().pow(GAMMA))
    error: Tensor = F.binary_cross_entropy_with_logits(logits.clamp(-CLIP, CLIP), target, reduction="none")
    return error * weight


def oks_pairs(
    xy: Float[Tensor, "... k 2"],
    target: Float[Tensor, "... k 2"],
    labelled: Bool[Tensor, "... k"],
    area: Float[Tensor, "..."],
    sigmas: Float[Tensor, " k"],
) -> Float[Tensor, "..."]:
    """OKS of poses with the person of each, as it can be learnt; shapes are broadcast.

    Args:
        xy: Keypoints of the poses, pixels.
        target: Labelled keypoints.
        labelled: Which of them are labelled.
        area: Area of each person, square pixels.
        sigmas: OKS sigma of each keypoint.
    """
    squares = (xy - target).square().sum(dim=-1)
    similar = (-squares / (8 * sigmas.square() * area.clamp(min=1)[..., None])).exp()
    count = labelled.sum(dim=-1).clamp(min=1)
    return (similar * labelled).sum(dim=-1) / count


def likelihood_error(
    heats: list[Float[Tensor, "n k _"]],
    places: tuple[Float[Tensor, "n _"], Float[Tensor, "n _"]],
    target: Float[Tensor, "n k 2"],
    *,
    sigmas: Float[Tensor, "n k"],
    area: Float[Tensor, " n"],
) -> Float[Tensor, "n k"]:
    """Minus the logarithm of the likelihood of labelled keypoints under probabilities of bins with Laplacian errors.

    Args:
        heats: Probability of each bin along x and along y.
        places: Positions of the bins, pixels.
        target: Labelled keypoints, pixels.
        sigmas: Expected deviation of each keypoint, in roots of the area.
        area: Area of each person, square pixels.
    """
    unit = sigmas.clamp(min=1e-3)[..., None]
    root = area.sqrt().clamp(min=1)[:, None, None]
    likelihood = torch.ones_like(sigmas)
    for axis, (heat, at) in enumerate(zip(heats, places, strict=True)):
        away = (target[..., axis, None] - at[:, None]).abs() / root / unit
        likelihood = likelihood * (heat * (-away / 2).exp() / unit).sum(dim=-1)
    return -(likelihood + LEAST).log()
