"""Sentences that a user should read once, about input that is used otherwise than it stands.

They go to the logger "poise" as warnings; where no logging is set up Python prints those on stderr.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

_LOG = logging.getLogger("poise")
_SAID: set[str] = set()
_silent = False


def note(text: str) -> None:
    """Say a sentence, unless it was said already since the last `forget_notes`.

    Args:
        text: What was found and how it is used, plain and on one line.
    """
    if text not in _SAID and not _silent:
        _SAID.add(text)
        _LOG.warning(text)


@contextmanager
def without_notes() -> Iterator[None]:
    """While this lasts, nothing is said, and what would have been is not remembered as said."""
    global _silent
    before, _silent = _silent, True
    try:
        yield
    finally:
        _silent = before


def forget_notes() -> None:
    """Let every sentence be said anew, as at the start of a command."""
    _SAID.clear()
