"""Printing of plain text: nothing in it from a user or file acts as markup or as a command to the terminal."""

from collections.abc import Iterable
from typing import Any

from rich.console import Console as RichConsole
from rich.console import ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from poise.plain import plain


class Console(RichConsole):
    """Rich's console, which takes all text as it stands: no markup, no emoji codes, no highlighting, no control characters.

    Colours are given by styles. Where nobody reads the output any more, `BrokenPipeError` is raised.

    Args:
        stderr: Whether to print to stderr.
        quiet: Whether to print nothing.
        record: Whether to keep what is printed.
        width: Columns; by default those of the terminal.
        file: Where to print to; by default stdout.
    """

    def __init__(
        self, *, stderr: bool = False, quiet: bool = False, record: bool = False, width: int | None = None, file: Any = None
    ) -> None:
        super().__init__(
            stderr=stderr, quiet=quiet, record=record, width=width, file=file, markup=False, emoji=False, highlight=False
        )

    def render_str(self, text: str, **options: Any) -> Text:
        """Text of which nothing is a command to the terminal."""
        return super().render_str(plain(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The pieces of anything that can be printed, of which none but rich's own is a command to the terminal."""
        for piece in super().render(renderable, options):
            yield piece if piece.control else Segment(plain(piece.text), piece.style)

    def on_broken_pipe(self) -> None:
        """Let whoever runs the command decide, where rich would leave the process."""
        raise BrokenPipeError


def say(console: RichConsole, text: str) -> None:
    """Print text as it stands: no markup, no colour, no line breaks of ours, no commands to the terminal.

    Args:
        console: Any console of rich's.
        text: The text.
    """
    console.print(Text(plain(text)), soft_wrap=True)
