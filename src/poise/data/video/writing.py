"""Annotated videos: parts of some frames each, which are joined at the end, with the sound of the source.

A part is whole or not there, so that an interrupted run goes on with the next one.
"""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, final

import numpy as np
from jaxtyping import UInt8

from poise.data.video.frames import rate_fraction, require_av
from poise.dims import Size
from poise.errors import WriteError

CLOCK = 90_000
"""Ticks a second of the time stamps."""

CODECS = ("libx264", "libopenh264", "mpeg4")
"""Encoders in the order in which they are looked for."""


def encoder() -> str:
    """Name of the first encoder that is there.

    Raises:
        WriteError: There is none.
    """
    av = require_av()
    found = next((name for name in CODECS if name in av.codecs_available), None)
    if found is None:
        raise WriteError("this PyAV has no encoder for videos (H.264 or MPEG-4); --no-video writes the poses alone")
    return found


@final
class PartWriter:
    """Writes one part of an annotated video.

    Args:
        path: The part, .mp4; it is there when `close` returns.
        size: Height and width of the frames, pixels; odd ones lose a row or a column, as H.264 needs it.
        rate: Frames a second, on average; every frame has its own time stamp.

    Raises:
        WriteError: It cannot be written.
    """

    def __init__(self, path: Path, size: Size, *, rate: float) -> None:
        av = require_av()
        self.path, self._draft = path, path.with_name(f".{path.name}.part.mp4")
        self.size = (max(2, size[0] - size[0] % 2), max(2, size[1] - size[1] % 2))
        try:
            self._container = av.open(str(self._draft), "w")
            self._stream = self._container.add_stream(encoder(), rate=rate_fraction(rate))
        except (av.FFmpegError, OSError, ValueError) as error:
            raise WriteError(f"the video {str(path)!r} cannot be written: {error}") from error
        self._stream.height, self._stream.width = self.size
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.time_base = Fraction(1, CLOCK)
        # One thread: the same frames give the same bytes.
        self._stream.codec_context.thread_count = 1
        if self._stream.codec_context.name == "libx264":
            self._stream.options = {"crf": "20", "preset": "veryfast", "bf": "0"}

    def add(self, pixels: UInt8[np.ndarray, "H W 3"], time: float) -> None:
        """Write a frame.

        Args:
            pixels: RGB; of another size they are cut, or filled up with black.
            time: Seconds from the start of the part.
        """
        av = require_av()
        height, width = self.size
        if pixels.shape[:2] != self.size:
            fitted = np.zeros((height, width, 3), dtype=np.uint8)
            rows, columns = min(height, pixels.shape[0]), min(width, pixels.shape[1])
            fitted[:rows, :columns] = pixels[:rows, :columns]
            pixels = fitted
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
        frame.pts, frame.time_base = round(time * CLOCK), Fraction(1, CLOCK)
        self._write(self._stream.encode(frame))

    def close(self) -> None:
        """Finish the part.

        Raises:
            WriteError: It cannot be written.
        """
        av = require_av()
        try:
            self._write(self._stream.encode())
            self._container.close()
            self._draft.replace(self.path)
        except (av.FFmpegError, OSError) as error:
            raise WriteError(f"the video {str(self.path)!r} cannot be written: {error}") from error

    def drop(self) -> None:
        """Throw away what was written."""
        self._container.close()
        self._draft.unlink(missing_ok=True)

    def _write(self, packets: Sequence[Any]) -> None:
        av = require_av()
        try:
            for packet in packets:
                self._container.mux(packet)
        except (av.FFmpegError, OSError) as error:
            raise WriteError(f"the video {str(self.path)!r} cannot be written: {error}") from error


def join(parts: Sequence[tuple[Path, float]], out: Path, *, audio: Path | None, start: float = 0.0) -> None:
    """Join parts into one video; nothing is encoded again.

    Args:
        parts: Each part, and the time of its first frame in the video, seconds.
        out: The video; it is replaced once the new one is whole.
        audio: File whose sound is copied; None for none.
        start: Second of the sound at which the video begins.

    Raises:
        WriteError: It cannot be written.
    """
    av = require_av()
    draft = out.with_name(f".{out.name}.part.mp4")
    try:
        with av.open(str(draft), "w") as container:
            with av.open(str(parts[0][0])) as first:
                video = container.add_stream_from_template(first.streams.video[0])
            sound = None if audio is None else _sound(container, audio)
            for part, begin in parts:
                _copy(container, part, video, begin)
            if sound is not None and audio is not None:
                _copy_sound(container, audio, sound, start)
        draft.replace(out)
    except (av.FFmpegError, OSError, ValueError) as error:
        draft.unlink(missing_ok=True)
        raise WriteError(f"the video {str(out)!r} cannot be written: {error}") from error


def _copy(container: Any, part: Path, video: Any, begin: float) -> None:
    av = require_av()
    with av.open(str(part)) as source:
        stream = source.streams.video[0]
        shift = round(begin / stream.time_base)
        for packet in source.demux(stream):
            if packet.dts is None:
                continue
            packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
            packet.stream = video
            container.mux(packet)


def _sound(container: Any, audio: Path) -> Any:
    """A stream of sound like that of the source; None where .mp4 cannot hold it as it is."""
    av = require_av()
    with av.open(str(audio)) as source:
        try:
            return container.add_stream_from_template(source.streams.audio[0])
        except (av.FFmpegError, ValueError, IndexError):
            return None


def _copy_sound(container: Any, audio: Path, sound: Any, start: float) -> None:
    av = require_av()
    with av.open(str(audio)) as source:
        stream = source.streams.audio[0]
        shift = round(start / stream.time_base)
        try:
            for packet in source.demux(stream):
                if packet.dts is None or packet.dts < shift:
                    continue
                packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
                packet.stream = sound
                container.mux(packet)
        except av.FFmpegError:  # the sound of a damaged file ends where it is damaged
            return
