"""One row of the table of speeds."""

from collections.abc import Callable
from dataclasses import dataclass

Work = Callable[[], object]


@dataclass(frozen=True)
class Row:
    """The same work done by us and by a reading of the published formulae.

    Attributes:
        name: What is done.
        ours: Does it with poise.
        theirs: Does it as published.
        public: Milliseconds of the public code, where known; it counts when `theirs` is slower by more than 20 %.
        wanted: How many times faster ours must be.
        repeats: How often each side is timed.
    """

    name: str
    ours: Work
    theirs: Work
    public: float | None = None
    wanted: float = 1.0
    repeats: int = 15
