"""Smoothers by name, in the order in which they make sense: jumps, gaps, then steadiness."""

from collections.abc import Callable, Mapping, Sequence

from poise.errors import InputError, unknown
from poise.tracking.gaps import GAP, GapFiller
from poise.tracking.kalman import KalmanSmoother
from poise.tracking.median import MedianSmoother
from poise.tracking.one_euro import OneEuroSmoother
from poise.tracking.smoothing import Chain, Smoother

NONE = "none"

SMOOTHERS: Mapping[str, Callable[[bool, int], Smoother]] = {
    MedianSmoother.name: lambda causal, gap: MedianSmoother(causal=causal),
    GapFiller.name: lambda causal, gap: GapFiller(gap, causal=causal),
    OneEuroSmoother.name: lambda causal, gap: OneEuroSmoother(),
    KalmanSmoother.name: lambda causal, gap: KalmanSmoother(0 if causal else 5),
}
"""The smoothers in their order; each gets whether no frame may be waited for, and the longest gap to fill, frames."""

STEADY = (OneEuroSmoother.name, KalmanSmoother.name)
"""Two of these smooth twice."""


def check_smoothers(names: Sequence[str]) -> None:
    """Refuse names that do not exist or do not go together.

    Raises:
        UnknownName: There is no smoother of that name.
        InputError: "none" stands beside others, or one is named twice, or both that make positions steady.
    """
    wrong = next((name for name in names if name not in (*SMOOTHERS, NONE)), None)
    if wrong is not None:
        raise unknown("smoother", wrong, (*SMOOTHERS, NONE))
    if (NONE in names and len(names) > 1) or len(set(names)) < len(names) or set(STEADY) <= set(names):
        raise InputError(
            f"--smooth takes {NONE}, or some of {', '.join(SMOOTHERS)} once each, of {' and '.join(STEADY)} one; found "
            f"{' '.join(names)}"
        )


def smoothers(names: Sequence[str], *, causal: bool = False, gap: int = GAP) -> Chain:
    """The chain of smoothers of these names; without names, or of "none", one that changes nothing.

    Args:
        names: Names of `SMOOTHERS`, in any order.
        causal: Whether no frame is waited for, as a camera needs it.
        gap: Longest gap that "fill" fills, frames.

    Raises:
        UnknownName: There is no smoother of that name.
        InputError: They do not go together, or the gap is below 1.
    """
    check_smoothers(names)
    return Chain([make(causal, gap) for name, make in SMOOTHERS.items() if name in names])
