"""Whether one run is significantly better than another: the paired bootstrap.

Both runs are scored on the same resamples of the images, so that the difficulty of images cancels out; the interval is that of
the difference (Koehn 2004, Statistical significance tests for machine translation evaluation; here for AP).
"""

from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Int64

from poise.analysis.bootstrap import NAMES, PerImageResults, percentile_interval, resample_counts
from poise.errors import InputError

CHUNK = 250
"""Resamples that are scored at a time; their precisions take 2 MB."""


@final
@dataclass(frozen=True)
class Difference:
    """A score of two runs on the same images.

    Attributes:
        name: Name of the score.
        first: Score of the first run.
        second: Score of the second run.
        low: Lower end of the 95 % interval of second - first.
        high: Upper end of that interval.
    """

    name: str
    first: float
    second: float
    low: float
    high: float

    @property
    def value(self) -> float:
        """The difference, second - first."""
        return self.second - self.first

    @property
    def significant(self) -> bool:
        """Whether the interval excludes 0."""
        return self.low > 0 or self.high < 0


def compare(first: PerImageResults, second: PerImageResults, *, resamples: int = 1000, seed: int = 0) -> list[Difference]:
    """The differences of all scores, each with its 95 % interval.

    Args:
        first: Results of a run.
        second: Results of another run on the same images.
        resamples: Number of resamples of the images.
        seed: Seed of the resamples.

    Raises:
        InputError: The runs are not on the same images, or numbers that give no interval.
    """
    _check_same_images(first, second)
    counts = resample_counts(len(first), resamples=resamples, seed=seed)
    one, other = resampled_scores(first, counts), resampled_scores(second, counts)
    a, b = first.full_scores, second.full_scores
    return [Difference(name, a[name], b[name], *percentile_interval(other[name] - one[name])) for name in NAMES]


def resampled_scores(tally: PerImageResults, counts: Int64[np.ndarray, "b i"]) -> dict[str, np.ndarray]:
    """The scores of many resamples, computed in chunks."""
    parts = [tally.scores(counts[i : i + CHUNK]) for i in range(0, len(counts), CHUNK)]
    return {name: np.concatenate([part[name] for part in parts]) for name in NAMES}


def _check_same_images(first: PerImageResults, second: PerImageResults) -> None:
    """Refuse runs on different images."""
    if len(first) != len(second) or not np.array_equal(first.labelled, second.labelled):
        raise InputError(
            f"the runs are on other images ({len(first)} and {len(second)}, or with other labels); compare them on one file"
        )
