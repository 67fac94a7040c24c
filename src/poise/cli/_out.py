"""Files that commands write, refused before any work where they cannot be or would take the place of another."""

from collections.abc import Sequence
from pathlib import Path

from poise.errors import InputError, WriteError


def check_out(flag: str, out: Path, *, ends: Sequence[str], reads: Sequence[Path | str | None] = ()) -> None:
    """Refuse a file to write that is a folder, is called as other kinds of files are, or is one of those that are read.

    Args:
        flag: That names it.
        out: The file.
        ends: How its name may end, the usual one first; "" for names without an ending.
        reads: Files that the command reads; None stands for none.

    Raises:
        WriteError: It is a folder, or a file that is read.
        InputError: Its name ends otherwise.
    """
    if out.is_dir():
        raise WriteError(f"{str(out)!r} is a folder; {flag} names a file, such as {str(out / ('results' + ends[0]))!r}")
    if out.suffix.lower() not in ends:
        raise InputError(f"{flag} names a file that ends in {' or '.join(filter(None, ends))}; found {str(out)!r}")
    if any(path is not None and out.resolve() == Path(path).resolve() for path in reads):
        raise WriteError(f"{str(out)!r} is read by this command, and {flag} would overwrite it; give another name")
