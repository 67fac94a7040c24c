"""Frames of a video one after another, with their times: of a file (PyAV), of a camera (OpenCV), of a folder of images.

Memory does not grow with the length. A frame that cannot be decoded is left out, counted and told with its number; the rest
goes on. A file that ends early gives what it has.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar, final

import cv2
import numpy as np
import torch
from jaxtyping import UInt8

from poise.data.images import SUFFIXES, max_pixels, read_image
from poise.dims import Size
from poise.errors import ImageError, InputError, MissingExtra, ReadError, missing
from poise.reading import check_file

RATE = 30.0
"""Frames a second of a folder, where nothing else is said, and of a video that does not say its own."""

HIGHEST_RATE = 1000.0
"""A higher rate of a file is taken for a mistake of its writer."""

WHOLE = 0.9
"""Share of the duration of a file that is there where it is whole: containers round, and last frames may be late."""

CAMERA = "camera"
PATTERN = re.compile(r"%0?\d*d")
"""The number in a pattern of images, such as frame_%06d.png."""


@final
@dataclass(frozen=True, eq=False)
class Frame:
    """A frame of a video.

    Attributes:
        index: Its number in the video, from 0.
        time: Seconds from the start of the video.
        image: RGB, uint8 (3 H W), upright as the video's rotation says.
        name: Of its file in a folder; else that of the video.
    """

    index: int
    time: float
    image: UInt8[torch.Tensor, "3 H W"]
    name: str


@dataclass
class Losses:
    """What could not be read of a video so far.

    Attributes:
        frames: Numbers of the frames that are missing.
        reasons: The error of each.
        cut: Why the video ended early; empty where it did not.
    """

    frames: list[int] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    cut: str = ""

    def add(self, frame: int, reason: str) -> None:
        """Note a frame that is missing."""
        self.frames.append(frame)
        self.reasons.append(reason)


class FrameSource(ABC):
    """Something that frames come from.

    Attributes:
        name: For results: the file's name, "camera:0", the folder's name.
        size: Height and width of the frames as they are shown, pixels; of a folder those of its first image.
        rate: Frames a second, on average.
        count: Number of frames, as far as it is known; None for a camera.
        live: Whether frames come by themselves and cannot be read again.
        losses: What could not be read so far.
        audio: File whose sound belongs to the frames; None for none.
    """

    name: str
    size: Size
    rate: float
    losses: Losses
    live: ClassVar[bool] = False
    count: int | None = None
    audio: Path | None = None

    @abstractmethod
    def frames(self, first: int = 0) -> Generator[Frame, None, None]:
        """The frames from a number on."""


def open_source(text: str, *, rate: float | None = None) -> FrameSource:
    """A source of frames: a video file, `camera:0`, a folder of images in order, or a pattern such as `frame_%06d.png`.

    Args:
        text: What the user gave.
        rate: Frames a second of a folder or a pattern; of a video whose own rate is wrong.

    Raises:
        ReadError: There is no such file, or it holds no video.
        InputError: A rate that is not above 0, or a camera that is not there.
        MissingExtra: PyAV is not installed.
    """
    if rate is not None and not 0 < rate <= HIGHEST_RATE:
        raise InputError(f"a video has above 0 and at most {HIGHEST_RATE:g} frames a second, found --rate {rate:g}")
    if text == CAMERA or text.startswith(f"{CAMERA}:"):
        return CameraSource(text)
    if Path(text).is_dir():
        return FolderSource(_in_order(Path(text)), Path(text).name, rate=rate or RATE)
    if PATTERN.search(Path(text).name):
        return FolderSource(_of_pattern(Path(text)), Path(text).name, rate=rate or RATE)
    return FileSource(Path(text), rate=rate)


def _in_order(folder: Path) -> list[Path]:
    """The images of a folder, numbers in their names by value: frame2 before frame10."""
    found = [path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")]
    if not found:
        raise ReadError(f"the folder {str(folder)!r} holds no images to take for frames")
    return sorted(found, key=lambda path: [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", path.name)])


def _of_pattern(pattern: Path) -> list[Path]:
    """The images of a pattern from the first number that is there, until one is missing."""
    before, after = PATTERN.split(pattern.name, maxsplit=1)
    shape = re.compile(re.escape(before) + r"(\d+)" + re.escape(after))
    numbered = {int(m[1]): path for path in sorted(pattern.parent.glob("*")) if (m := shape.fullmatch(path.name))}
    if not numbered:
        raise ReadError(missing("image of the pattern", pattern))
    return [numbered[number] for number in sorted(numbered)]


@final
class FolderSource(FrameSource):
    """Images as frames.

    Args:
        paths: The images in order.
        name: Name in results.
        rate: Frames a second.
    """

    def __init__(self, paths: Sequence[Path], name: str, *, rate: float) -> None:
        self.paths, self.name, self.rate, self.count = list(paths), name, rate, len(paths)
        self.losses = Losses()
        self.size = self._first_size()

    def frames(self, first: int = 0) -> Generator[Frame, None, None]:
        """The images from a number on; those that cannot be read are left out."""
        for index in range(first, len(self.paths)):
            try:
                image = read_image(self.paths[index])
            except ImageError as error:
                self.losses.add(index, str(error))
                continue
            yield Frame(index, index / self.rate, image, self.paths[index].name)

    def _first_size(self) -> Size:
        error: ImageError | None = None
        for path in self.paths[:10]:
            try:
                image = read_image(path)
                return image.shape[1], image.shape[2]
            except ImageError as found:
                error = found
        raise ReadError(f"none of the first images of {self.name!r} can be read: {error}")


@final
class FileSource(FrameSource):
    """A video file, decoded by PyAV (FFmpeg).

    Args:
        path: The file.
        rate: Frames a second; by default as the file says.

    Raises:
        ReadError: It is missing, or no video, or its frames are too large.
        MissingExtra: PyAV is not installed.
    """

    def __init__(self, path: Path, *, rate: float | None = None) -> None:
        check_file(path, what="video", most=2**63)
        self.path, self.name, self.losses = path, path.name, Losses()
        self._own_rate = rate
        with _opened(path) as container:
            stream = _video_stream(container, path)
            said = float(stream.average_rate or 0)
            self.rate = rate or (said if 0 < said <= HIGHEST_RATE else RATE)
            self.audio = path if container.streams.audio else None
            self.count = stream.frames or _counted(container, stream, self.rate)
            self._seconds = _duration(container, stream)
        first = next(iter(self.frames()), None)
        if first is None:
            why = self.losses.cut or (self.losses.reasons[0] if self.losses.reasons else "it has no frame")
            raise ReadError(f"{str(path)!r} holds no frame that can be decoded ({why}); is the file whole?")
        self.size = (first.image.shape[1], first.image.shape[2])
        self.losses = Losses()

    def frames(self, first: int = 0) -> Generator[Frame, None, None]:
        """The frames from a number on; earlier ones are decoded and dropped, so that numbers and times stay the same."""
        with _opened(self.path) as container:
            stream = _video_stream(container, self.path)
            stream.thread_type = "AUTO"
            start, last = None, -1.0
            for index, decoded in enumerate(self._decoded(container, stream)):
                seconds = None if decoded.pts is None or self._own_rate else float(decoded.pts * decoded.time_base)
                if start is None:
                    start = seconds or 0.0
                time = index / self.rate if seconds is None else seconds - start
                if time <= last:  # a time that goes back, or none
                    time = last + 1 / self.rate
                last = time
                if index >= first:
                    yield Frame(index, round(time, 6), self._pixels(decoded), self.name)
            if (
                start is not None
                and not self.losses.cut
                and not self._own_rate
                and last + 2 / self.rate < WHOLE * self._seconds
            ):
                self.losses.cut = f"after {last:.1f} of {self._seconds:.1f} seconds; was the file cut short?"

    def _decoded(self, container: Any, stream: Any) -> Iterator[Any]:
        """What FFmpeg makes of the file; what it cannot decode is noted in `losses`."""
        import av

        packets, count = container.demux(stream), 0
        while True:
            try:
                packet = next(packets, None)
            except av.FFmpegError as error:
                self.losses.cut = f"after frame {count - 1}: {_words(error)}"
                return
            if packet is None:
                return
            try:
                frames = packet.decode()
            except av.FFmpegError as error:
                self.losses.add(count, _words(error))
                continue
            for frame in frames:
                if getattr(frame, "is_corrupt", False):
                    self.losses.add(count, "the frame is damaged")
                yield frame
                count += 1

    def _pixels(self, decoded: Any) -> UInt8[torch.Tensor, "3 H W"]:
        if decoded.width * decoded.height > max_pixels():
            raise ReadError(f"frames of {self.name!r} have {decoded.width} x {decoded.height} pixels; --max-pixels allows more")
        pixels = decoded.to_ndarray(format="rgb24")
        turns = round((getattr(decoded, "rotation", 0) or 0) / 90) % 4
        upright = np.ascontiguousarray(np.rot90(pixels, turns)) if turns else pixels  # as it is: rows may be padded
        return torch.from_numpy(upright).permute(2, 0, 1)


@final
class CameraSource(FrameSource):
    """A camera of this machine.

    Args:
        text: `camera` or `camera:NUMBER`.

    Raises:
        InputError: There is no such camera, or no number.
    """

    live = True

    def __init__(self, text: str) -> None:
        number = text.partition(":")[2] or "0"
        if not number.isdigit():
            raise InputError(f"{text!r} names no camera; the first is camera:0")
        self.name, self.losses, self._number = text, Losses(), int(number)
        log = cv2.utils.logging
        before = log.setLogLevel(log.LOG_LEVEL_SILENT)  # what it would tell is said below, in one sentence
        self._capture = cv2.VideoCapture(self._number)
        log.setLogLevel(before)
        if not self._capture.isOpened():
            raise InputError(f"there is no camera {number} on this machine, or another program uses it")
        width, height = (int(self._capture.get(what)) for what in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
        said = float(self._capture.get(cv2.CAP_PROP_FPS))
        self.size, self.rate = (height, width), said if 0 < said <= HIGHEST_RATE else RATE

    def frames(self, first: int = 0) -> Generator[Frame, None, None]:
        """Pictures as they come, with the times at which they came; `first` of them are dropped."""
        import time

        begun, index = time.monotonic(), 0
        try:
            while True:
                there, bgr = self._capture.read()
                if not there:
                    self.losses.cut = f"the camera gave nothing after picture {index - 1}"
                    return
                if index >= first:
                    image = torch.from_numpy(np.ascontiguousarray(bgr[..., ::-1])).permute(2, 0, 1)
                    yield Frame(index, round(time.monotonic() - begun, 6), image, self.name)
                index += 1
        finally:
            self._capture.release()


def _opened(path: Path) -> Any:
    av = require_av()
    av.logging.set_level(None)
    try:
        return av.open(str(path))
    except (av.FFmpegError, OSError, ValueError) as error:
        raise ReadError(f"{str(path)!r} is no video that can be read ({_words(error)})") from error


def require_av() -> Any:
    """The package av (PyAV).

    Raises:
        MissingExtra: It is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise MissingExtra("videos are read with PyAV, which is not installed: pip install 'poise[video]'") from error
    return av


def _video_stream(container: Any, path: Path) -> Any:
    if not container.streams.video:
        what = (
            "has sound and no picture: a video is needed" if container.streams.audio else "holds no picture; is the file whole?"
        )
        raise ReadError(f"{str(path)!r} {what}")
    stream = container.streams.video[0]
    width, height = stream.codec_context.width, stream.codec_context.height
    if width * height > max_pixels():
        raise ReadError(f"frames of {str(path)!r} have {width} x {height} pixels; --max-pixels allows more")
    return stream


def _counted(container: Any, stream: Any, rate: float) -> int | None:
    """Number of frames by the duration, where the file does not say it."""
    seconds = float(stream.duration * stream.time_base) if stream.duration else (container.duration or 0) / 1e6
    return round(seconds * rate) or None


def _duration(container: Any, stream: Any) -> float:
    """Seconds of the pictures, as the file says; 0 where it does not."""
    if stream.duration:
        return float(stream.duration * stream.time_base)
    alone = len(container.streams) == 1  # else it may be the sound that lasts so long
    return float((container.duration or 0) / 1e6) if alone else 0.0


def _words(error: Exception) -> str:
    """What FFmpeg says, without its number and the file's name."""
    text = getattr(error, "strerror", None) or str(error)
    return text.strip() or type(error).__name__


def rate_fraction(rate: float) -> Fraction:
    """Frames a second as a fraction, such as 30000/1001."""
    return Fraction(rate).limit_denominator(1001)
