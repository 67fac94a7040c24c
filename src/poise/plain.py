"""Text of which nothing is a command to the terminal, and errors printed as such; imports nothing heavy."""

import sys
import unicodedata
from contextlib import suppress

_TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that turn the direction of what stands around them."""


def plain(text: str) -> str:
    r"""Text whose control characters, lone surrogates and characters that turn its direction are escaped; lines and tabs stay.

    >>> print(plain("nose\x1b[31m"))
    nose\x1b[31m
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(c) if _is_command(c) else c for c in text)


def _is_command(character: str) -> bool:
    if character in "\n\t":
        return False
    return character in _TURNING or unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", errors="surrogatepass").decode()


def say_error(text: str) -> None:
    """Print a line of an error to stderr, as `Console` prints; where stderr cannot be written to, nothing is."""
    with suppress(OSError, ValueError):
        sys.stderr.write(f"{plain(text)}\n")
        sys.stderr.flush()
