"""The process of a command: its output, the signals that stop it, its environment, its end; and errors as one sentence."""

import io
import os
import signal
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

from poise.cli._packages import TRAIN_EXTRA, missing_package
from poise.errors import PoiseError, Stopped
from poise.machine import stop_signals


def prepare_output() -> None:
    """Make stdout and stderr take any text, and be there."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # it was closed
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115  # for as long as the process lives
        elif isinstance(getattr(sys, name), io.TextIOWrapper):
            getattr(sys, name).reconfigure(errors="backslashreplace")


@contextmanager
def stopping(stopped: list[int]) -> Iterator[None]:
    """While this lasts, the signals that ask a process to stop raise `Stopped`, and their numbers are noted.

    Args:
        stopped: Receives the numbers.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        stopped.append(number)
        raise Stopped(number)

    main_thread = threading.current_thread() is threading.main_thread()
    wanted = [number for number in stop_signals() if signal.getsignal(number) is not signal.SIG_IGN] if main_thread else []
    former = {number: signal.signal(number, stop) for number in wanted}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def exit_code(error: BaseException) -> tuple[int, str] | None:
    """Exit code and message of an error; None for one that is a fault of poise itself."""
    if isinstance(error, KeyboardInterrupt):
        return 128 + getattr(error, "number", signal.SIGINT), _sentence("interrupted", error)
    if isinstance(error, PoiseError):
        return 1, _sentence(str(error), error)
    if isinstance(error, RecursionError):
        return 1, "something in its files is nested too deep to be read"
    if isinstance(error, BrokenPipeError):  # somebody downstream, such as head, has read enough
        _give_up_output()
        return 141, ""
    if isinstance(error, ModuleNotFoundError):
        extra = (error.name or "").partition(".")[0]
        return (1, missing_package(extra)) if extra in TRAIN_EXTRA else None
    if isinstance(error, ImportError) and ("failed to map segment" in str(error) or "allocate memory" in str(error)):
        return 1, "the memory that this process may use (ulimit -v) does not suffice to load PyTorch; allow it 6 GB"
    if isinstance(error, MemoryError) or "allocate memory" in str(error) or "Insufficient memory" in str(error):
        return 1, _sentence("the memory does not suffice; give a smaller batch, fewer workers or smaller images", error)
    if isinstance(error, OSError):
        if error.filename is None:
            _give_up_output()
        where = "the output cannot be" if error.filename is None else f"{error.filename!r} cannot be read or"
        return 1, _sentence(f"{where} written: {error.strerror or error}", error)
    if isinstance(error, RuntimeError) and str(error).startswith("Symlink loop"):
        return 1, f"{error}: a link that leads to itself; name the file or folder"
    if isinstance(error, ValueError) and "null byte" in str(error):
        return 1, "a name holds the character NUL, which no file has in its name; mend the name"
    if isinstance(error, UnicodeEncodeError):
        return 1, f"the name {error.object[:80]!r} holds half a character, which no file has in its name; mend the name"
    return None


def _sentence(text: str, error: BaseException) -> str:
    """The message of an error as one line, with its notes."""
    return " ".join("; ".join([text, *getattr(error, "__notes__", ())]).split())


def _give_up_output() -> None:
    """Let nothing more be written to stdout, where what it still holds would fail once more as the process ends."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def environment(variables: Mapping[str, str], *, besides: Iterable[str] = ()) -> Iterator[None]:
    """Environment variables while a command runs; processes that it starts have them, too.

    Args:
        variables: Their values by name.
        besides: Others that the command may set, which are as before at its end, too.
    """
    before = {name: os.environ.get(name) for name in (*variables, *besides)}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def leave(code: int) -> NoReturn:
    """End the process at once, with its exit code: nothing is left to do, and taking Python and torch down takes seconds.

    Args:
        code: Exit code of `main`.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    if "multiprocessing" in sys.modules:
        for child in sys.modules["multiprocessing"].active_children():
            child.kill()
    os._exit(code)
