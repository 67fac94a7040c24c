"""Ctrl-C and the signal of a scheduler, held back until the state of the run is saved."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, final


@final
class Interrupts:
    """Remembers that somebody asked the run to stop; who asks twice is obeyed at once.

    Use it as a context; the former handlers come back at its end.
    """

    def __init__(self) -> None:
        self.asked = False
        self._former: dict[int, Any] = {}

    def __enter__(self) -> "Interrupts":
        """Listen, in the main thread; signals do not reach any other."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._former[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop listening."""
        for number, handler in self._former.items():
            signal.signal(number, handler)
        self._former.clear()

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
