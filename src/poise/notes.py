"""Sentences that a user should read once, about input that is used otherwise than it stands.

They go to the logger "poise" as warnings; where no logging is set up Python prints those on stderr.
"""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

Counted = tuple[str, str, str]
"""What happened to a thing, the thing's name, and what to say of the first of its kind."""

_LOG = logging.getLogger("poise")
_SAID: set[str] = set()
_COUNTED: dict[str, set[str]] = {}
_silent = False
_collected: list[Counted] | None = None


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


def note_counted(what: str, name: str, first: str) -> None:
    """Say a sentence of the first of several things, and count them; `note_counts` says how many there were.

    Args:
        what: What happened to each, after "12 images": "were read as they are stored".
        name: Name of this one; each counts once.
        first: What to say of the first.
    """
    if _collected is not None:
        _collected.append((what, name, first))
        return
    if _silent:
        return
    names = _COUNTED.setdefault(what, set())
    if not names:
        note(first)
    names.add(name)


def collect_counted() -> None:
    """Keep what is counted in this process for `take_counted`, instead of saying it: for processes that load data."""
    global _collected
    _collected = []


def take_counted() -> tuple[Counted, ...]:
    """What was counted in this process since the last call; () where it is said here."""
    if not _collected:
        return ()
    taken = tuple(_collected)
    _collected.clear()
    return taken


def add_counted(taken: Iterable[Counted]) -> None:
    """Count what another process took."""
    for one in taken:
        note_counted(*one)


def note_counts() -> None:
    """Say how many things were counted, of each kind of which there was more than one."""
    for what, names in _COUNTED.items():
        if len(names) > 1:
            note(f"{len(names)} images {what}")


def forget_notes() -> None:
    """Let every sentence be said anew, as at the start of a command."""
    _SAID.clear()
    _COUNTED.clear()
