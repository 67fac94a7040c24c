"""A thread that reads the frames of a video some frames ahead."""

import threading
from collections.abc import Generator, Iterator
from queue import Empty, Full, Queue
from typing import Any

from poise.data.video.frames import Frame

AHEAD = 8
"""Frames that the decoding thread is ahead."""


def ahead(frames: Iterator[Frame], count: int = AHEAD) -> Generator[Frame, None, None]:
    """The frames, read by a thread that is some frames ahead; its errors are raised here.

    Args:
        frames: An iterator that is used by nobody else.
        count: Frames that are held at most.
    """
    queue: Queue[Any] = Queue(count)
    stop, end = threading.Event(), object()

    def put(item: Any) -> bool:
        while not stop.is_set():
            try:
                queue.put(item, timeout=0.1)
                return True
            except Full:
                continue
        return False

    def work() -> None:
        try:
            for frame in frames:
                if not put(frame):
                    return
            put(end)
        except BaseException as error:  # raised where the frames are used
            put(error)

    thread = threading.Thread(target=work, name="poise-decode", daemon=True)
    thread.start()
    try:
        while True:
            try:
                item = queue.get(timeout=0.5)
            except Empty:
                if not thread.is_alive() and queue.empty():
                    return
                continue
            if item is end:
                return
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        thread.join()
