"""`python -m poise` and the command `poise`: the way in and out of a process.

Until the command has its own handlers, and where they cannot raise, a signal that asks the process to stop ends it at once.
"""

import os
import signal
import sys
from typing import Any, NoReturn


def run() -> NoReturn:
    """Run the command of the command line, and end the process."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)
    from poise.cli._process import leave
    from poise.cli.main import main

    sys.unraisablehook = _unraisable
    leave(main())


def _end(number: int, frame: Any) -> None:
    os._exit(128 + number)


def _unraisable(found: Any) -> None:
    """End the process where an interruption fell into code that cannot raise, such as the end of an object; else tell of it."""
    if issubclass(found.exc_type, KeyboardInterrupt):
        os._exit(128 + getattr(found.exc_value, "number", signal.SIGINT))
    sys.__unraisablehook__(found)


if __name__ == "__main__":
    run()
