"""Which pseudo-labels are accepted: the threshold schedule of CC-SSL, and the growing share of PPLO."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from poise.errors import InputError


def accepted_share(progress: float, *, first: float = 0.2, last: float = 0.8, full_at: float = 0.5) -> float:
    """Share of keypoints that is accepted after a part of the run.

    It grows evenly from `first` to `last` and stays there: 20, 40, 60, 80, 80, 80 % in CC-SSL's six rounds.

    Args:
        progress: Part of the run that is over, 0 to 1.
        first: Share at its start.
        last: Share from `full_at` on.
        full_at: Part of the run after which the share grows no more.

    >>> [round(accepted_share(epoch / 60), 2) for epoch in range(0, 60, 10)]
    [0.2, 0.4, 0.6, 0.8, 0.8, 0.8]
    """
    return first + (last - first) * min(1.0, progress / full_at if full_at > 0 else 1.0)


def published_threshold(confidence: Float[Tensor, "*n"], *, rejected: float) -> float:
    """The threshold of CC-SSL's release (golden c02): a place in the sorted confidences, before which an extra 0 stands.

    Args:
        confidence: Confidences of all keypoints.
        rejected: Share that lies below, p = 1 - 0.02 (epoch + 10), at least 0.2.
    """
    ordered = torch.cat((confidence.new_zeros(1), confidence.flatten())).sort().values
    return float(ordered[min(int(rejected * len(ordered)), len(ordered) - 1)])


def accept_share(confidence: Float[Tensor, "n k"], share: float, *, by_keypoint: bool) -> Bool[Tensor, "n k"]:
    """True for the most confident share of the keypoints, the first of equal ones; those of confidence 0 never are.

    Args:
        confidence: Confidence of each keypoint of each person.
        share: 0 to 1.
        by_keypoint: Whether the share of every keypoint's own confidences is taken, or that of all confidences together, where
            a keypoint that the model is seldom sure of may get no labels at all.

    Raises:
        InputError: A share that is none.
    """
    if not 0 <= share <= 1:
        raise InputError(f"the share of accepted pseudo-labels is 0 to 1, not {share}")
    flat = confidence if by_keypoint else confidence.reshape(-1, 1)
    count = round(share * len(flat))
    kept = torch.zeros_like(flat, dtype=torch.bool)
    kept.scatter_(0, flat.argsort(dim=0, descending=True, stable=True)[:count], value=True)
    return kept.reshape(confidence.shape) & (confidence > 0)


def accept_people(confidence: Float[Tensor, "n k"], share: float, *, keypoints: float) -> Bool[Tensor, "n k"]:
    """True for the most confident keypoints of the most confident people (our rule for PPLO).

    Confidences are compared within each keypoint, as their share of the others below; that of a person is the mean of its
    keypoints. Of the people chosen, the least confident keypoints are left out.

    Args:
        confidence: Confidence of each keypoint of each person.
        share: Share of the people, 0 to 1; at least one person is chosen.
        keypoints: Share of the chosen people's labels that is kept.
    """
    rank = confidence.argsort(dim=0, stable=True).argsort(dim=0, stable=True).double() / max(1, len(confidence) - 1)
    people = rank.mean(dim=1).argsort(descending=True, stable=True)[: max(1, round(share * len(rank)))]
    chosen = torch.zeros(len(rank), dtype=torch.bool)
    chosen[people] = True
    kept = torch.zeros_like(chosen[:, None].expand(confidence.shape))
    kept[people] = accept_share(rank[people] + 1e-9, keypoints, by_keypoint=False) & (confidence[people] > 0)
    return kept
