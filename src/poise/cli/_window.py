"""`poise predict --live`: frames in a window of OpenCV, or, where there is none, frames a second alone."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import final

import cv2

from poise.cli._print import counted
from poise.inference.video import VideoFrame
from poise.terminal import Console
from poise.viz.draw import Pixels

TITLE = "poise"

STOP = frozenset({ord("q"), ord("Q"), 27})
"""Keys that close the window: q and Esc."""

TOLD = 1.0
"""Seconds from one line to the next, where there is no window."""


@final
class Window:
    """Shows frames while they are worked on.

    Args:
        drawn: Draws a frame.
        console: Where frames a second are told instead.

    Attributes:
        closed: Whether the user has closed it, or pressed q or Esc.
    """

    def __init__(self, drawn: Callable[[VideoFrame], Pixels], console: Console) -> None:
        self.closed = False
        self._drawn, self._console = drawn, console
        self._there = has_display()
        self._frames, self._begun = 0, time.monotonic()

    def shown(self, frames: Iterator[VideoFrame]) -> Iterator[VideoFrame]:
        """The frames, each shown first; after the window was closed they go on unseen."""
        for frame in frames:
            if not self.closed:
                self._show(frame)
            yield frame

    def close(self) -> None:
        """Take the window away."""
        if self._there and not self.closed:
            cv2.destroyAllWindows()

    def _show(self, frame: VideoFrame) -> None:
        if self._there:
            try:
                self._show_picture(frame)
            except cv2.error:  # built without windows (opencv-python-headless)
                self._there = False
        if not self._there:
            self._tell(frame)

    def _show_picture(self, frame: VideoFrame) -> None:
        if self._frames and cv2.getWindowProperty(TITLE, cv2.WND_PROP_VISIBLE) < 1:
            self.closed = True
            return
        cv2.imshow(TITLE, self._drawn(frame)[..., ::-1])
        self._frames += 1
        if cv2.waitKey(1) & 0xFF in STOP:
            self.close()
            self.closed = True

    def _tell(self, frame: VideoFrame) -> None:
        self._frames += 1
        passed = time.monotonic() - self._begun
        if passed >= TOLD:
            said = f"frame {frame.index}, {frame.time:.2f} s: {counted(len(frame.poses), 'pose')}"
            self._console.print(f"{said}, {self._frames / passed:.1f} frames a second", markup=False)
            self._frames, self._begun = 0, time.monotonic()


def has_display() -> bool:
    """Whether there is a screen; on Linux OpenCV ends the process where it finds none."""
    return not sys.platform.startswith("linux") or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
