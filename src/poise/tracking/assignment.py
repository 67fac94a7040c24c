"""The best one-to-one assignment (Hungarian algorithm, by scipy)."""

import numpy as np
from jaxtyping import Float

from poise.errors import MissingExtra


def assign(similarity: Float[np.ndarray, "m n"], minimum: Float[np.ndarray, "m n"] | float) -> list[tuple[int, int]]:
    """Pairs of rows and columns with the greatest sum of similarities, of which those below a minimum are left out.

    Args:
        similarity: Similarity of each row with each column, at least 0; those below the minimum count as 0 in the sum.
        minimum: The lowest similarity of a pair, for all or for each.

    Raises:
        MissingExtra: scipy is not installed.
    """
    if not similarity.size:
        return []
    good = similarity >= minimum
    if 1 in similarity.shape:  # one person: no need of scipy, whose import takes most of a second
        best = int(np.where(good, similarity, 0.0).argmax())
        i, j = divmod(best, similarity.shape[1])
        return [(i, j)] if good[i, j] else []
    try:
        from scipy.optimize import linear_sum_assignment
    except ImportError as error:
        raise MissingExtra("tracking assigns poses with scipy, which is not installed: pip install 'poise[video]'") from error
    rows, columns = linear_sum_assignment(np.where(good, similarity, 0.0), maximize=True)
    return [(int(i), int(j)) for i, j in zip(rows, columns, strict=True) if good[i, j]]
