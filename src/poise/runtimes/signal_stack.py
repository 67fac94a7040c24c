"""The stack on which a thread handles signals, which OpenVINO replaces by one of its own as it compiles a model.

A signal that comes once that is gone would end the process: SIGCHLD, say, as the processes of a data loader end. That is likely
why processes that had run models and then data loaders died by SIGSEGV in poll().
"""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager


class _Stack(ctypes.Structure):
    """Linux's `stack_t`."""

    _fields_ = (("place", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


def signal_stack() -> tuple[int, int, int]:
    """Place, flags and size of this thread's stack for signals, on Linux."""
    found = _Stack()
    ctypes.CDLL(None).sigaltstack(None, ctypes.byref(found))
    return found.place or 0, found.flags, found.size


@contextmanager
def same_signal_stack() -> Iterator[None]:
    """What replaces this thread's stack for signals in the block is undone at its end, on Linux."""
    if sys.platform != "linux":
        yield
        return
    before = signal_stack()
    try:
        yield
    finally:
        if signal_stack() != before:
            ctypes.CDLL(None).sigaltstack(ctypes.byref(_Stack(*before)), None)
