"""Videos: frames from a source, poses by the loop of all models or by following, ids by a tracker, steadier positions.

    frames --data.video--> Follower or Predictor.stream --tracking--> Tracker --> smoothers --> VideoFrame

Frames are worked on as they come, while a thread decodes the next ones. They belong to chunks, at whose ends nothing waits in
a batch: there a run can stop and go on to the same results.
"""

import itertools
import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, final

from jaxtyping import UInt8
from torch import Tensor

from poise.data.video.ahead import AHEAD, ahead
from poise.data.video.frames import Frame, FrameSource, open_source
from poise.errors import InputError
from poise.geometry import large
from poise.inference.detect import Detector, detector_of
from poise.inference.follow import Follower, FollowSettings
from poise.inference.predictor import MIN_BOX_SCORE, Predictor
from poise.inference.request import ImageRequest
from poise.models.base import Model
from poise.models.top_down import TopDown
from poise.models.values import Image
from poise.runtimes.choice import TORCH
from poise.structures import Key, Poses
from poise.tracking.appearance import body_colours
from poise.tracking.choose import smoothers
from poise.tracking.gaps import GAP
from poise.tracking.smoothing import Chain
from poise.tracking.tracker import Tracker, TrackSettings

CHUNK = 64
"""Frames of a chunk."""

SMOOTH = ("one-euro",)
"""Smoothers where nothing else is said."""

STAGES = ("reading", "detector", "network", "tracking", "writing")
"""They run side by side; writing is what whoever asks for the frames does with them."""


@final
@dataclass(frozen=True, eq=False)
class VideoFrame:
    """A frame with the people in it.

    Attributes:
        index: Its number in the video, from 0.
        time: Seconds from the start of the video.
        image: RGB, uint8 (3 H W).
        poses: The people, with tracks; smoothed if that was asked for.
    """

    index: int
    time: float
    image: UInt8[Tensor, "3 H W"]
    poses: Poses

    @property
    def ids(self) -> list[int]:
        """Track id of each person; -1 for those who belong to no track."""
        return [] if self.poses.track is None else [int(track) for track in self.poses.track.tolist()]

    @property
    def pixels(self) -> Any:
        """The image as an array (height, width, 3), RGB."""
        return self.image.permute(1, 2, 0).numpy()


@final
@dataclass(frozen=True)
class VideoSettings:
    """How a video is worked on.

    Attributes:
        every: Every how manieth frame is looked at.
        start: Second at which to begin.
        end: Second at which to stop; None for the end.
        follow: How people are followed between runs of the detector.
        track: How ids are kept.
        smooth: Names of smoothers (`tracking.choose`); () for none.
        gap: Longest gap that "fill" fills, frames; as many frames are kept in memory until they are done.
        causal: Whether smoothers may not wait for later frames, as with a camera.
        appearance: Whether colours of people help to tell them apart.
        whole_image: Whether each frame shows one person who fills it.
        min_score: People of a lower pose score are left out.
        min_area: People whose box has a smaller area, square pixels, are left out.

    Raises:
        InputError: A number is out of its range, or smoothers do not go together.
        UnknownName: There is no smoother of that name.
    """

    every: int = 1
    start: float = 0.0
    end: float | None = None
    follow: FollowSettings = field(default_factory=FollowSettings)
    track: TrackSettings = field(default_factory=TrackSettings)
    smooth: tuple[str, ...] = SMOOTH
    gap: int = GAP
    causal: bool = False
    appearance: bool = False
    whole_image: bool = False
    min_score: float | None = None
    min_area: float = 0.0

    def __post_init__(self) -> None:
        """Check the numbers and names."""
        if self.every < 1 or not self.start >= 0 or (self.end is not None and not self.end > self.start):
            raise InputError(
                f"a video is read every 1, 2, ... frames from a second on until a later one, found every {self.every}, start "
                f"{self.start:g} and end {self.end}"
            )
        smoothers(self.smooth, gap=self.gap)


@final
class VideoPipeline:
    """Finds, follows and smooths the people of a video; `to_plain` and `restore` let it go on after a stop.

    Args:
        predictor: The model, its settings, and perhaps a detector, which is then of one thread.
        source: Where the frames come from.
        settings: How they are worked on.

    Attributes:
        seconds: Time that each stage took, by the names of `STAGES`; reading is waiting for frames.
        done: Number of frames of the source that are behind, looked at or left out.
    """

    def __init__(self, predictor: Predictor, source: FrameSource, settings: VideoSettings) -> None:
        self.predictor, self.source, self.settings = predictor, source, settings
        self.tracker = Tracker(settings.track)
        self.chain: Chain = smoothers(settings.smooth, causal=settings.causal or source.live, gap=settings.gap)
        self.follower = self._follower()
        self.seconds = dict.fromkeys(STAGES, 0.0)
        self.done = 0
        self._waiting: deque[Frame] = deque()

    def _follower(self) -> Follower | None:
        model, follow = self.predictor.model, self.settings.follow
        alone = self.predictor.detector is None and not model.finds_people
        if not isinstance(model, TopDown) or follow.detect_every == 1:
            return None
        if alone and (self.settings.whole_image or model.card.learnt_whole_images):
            return None  # each frame is the box that the model learnt
        own = self.predictor
        return Follower(model, own.settings, own.detector, own.min_box_score, follow)

    def chunks(self) -> Iterator[Iterator[VideoFrame]]:
        """The frames, some at a time, each as soon as it is done; where a chunk is used up the state can be kept."""
        frames, count = self._frames(), 1 if self.source.live else CHUNK
        for first in frames:
            chunk = self._work(itertools.chain([first], itertools.islice(frames, count - 1)))
            yield chunk
            deque(chunk, maxlen=0)  # what nobody took is worked on all the same
        yield iter(self._ready(self.chain.finish()))

    def _frames(self) -> Iterator[Frame]:
        """The frames that are looked at, read ahead by a thread."""
        s, stream = self.settings, ahead(self.source.frames(self.done), 1 if self.source.live else AHEAD)
        try:
            while True:
                begun = time.perf_counter()
                frame = next(stream, None)
                self.seconds["reading"] += time.perf_counter() - begun
                if frame is None or (s.end is not None and frame.time > s.end):
                    return
                self.done = frame.index + 1
                if frame.time >= s.start and frame.index % s.every == 0:
                    yield frame
        finally:
            stream.close()

    def _work(self, chunk: Iterator[Frame]) -> Iterator[VideoFrame]:
        for frame, every in self._followed(chunk) if self.follower is not None else self._streamed(chunk):
            begun = time.perf_counter()
            done = self._tracked(frame, every)
            passed = time.perf_counter()
            self.seconds["tracking"] += passed - begun
            yield from done
            self.seconds["writing"] += time.perf_counter() - passed

    def _tracked(self, frame: Frame, every: Poses) -> list[VideoFrame]:
        """The frames that are ready once the people of one more are known."""
        lowest = self.settings.min_score
        poses = every if lowest is None else every[every.pose_score >= lowest]
        poses = poses[large(poses.boxes, self.settings.min_area)]
        looks = body_colours(frame.image, poses) if self.settings.appearance else None
        self._waiting.append(frame)
        return self._ready(self.chain.update(self.tracker.update(poses, appearance=looks)))

    def _ready(self, smoothed: Sequence[Poses]) -> list[VideoFrame]:
        out = []
        for poses in smoothed:
            frame = self._waiting.popleft()
            out.append(VideoFrame(frame.index, frame.time, frame.image, poses))
        return out

    def _followed(self, chunk: Iterator[Frame]) -> Iterator[tuple[Frame, Poses]]:
        """While the networks look at a frame, whoever asks for the frames has the one before to work on."""
        assert self.follower is not None
        before: tuple[Frame, Poses] | None = None
        for frame in chunk:
            look = self.follower.begin(frame.image, self._key(frame))
            if before is not None:
                yield before
            before = frame, self.follower.finish(look)
            self.seconds |= self.follower.seconds
        if before is not None:
            yield before

    def _streamed(self, chunk: Iterator[Frame]) -> Iterator[tuple[Frame, Poses]]:
        """People of several frames share batches; what a detector finds comes by the same loop."""
        asked: deque[Frame] = deque()

        def requests() -> Iterator[ImageRequest]:
            for frame in chunk:
                asked.append(frame)
                yield ImageRequest(self._key(frame), partial(_same, frame.image))

        stream = self.predictor.stream(requests())
        while True:
            begun, read = time.perf_counter(), self.seconds["reading"]
            found = next(stream, None)
            self.seconds["network"] += time.perf_counter() - begun - (self.seconds["reading"] - read)
            if found is None:
                return
            yield asked.popleft(), found.poses

    def _key(self, frame: Frame) -> Key:
        return Key(frame.name, frame.index + 1, frame=frame.index, time=frame.time)

    # state

    def to_plain(self) -> dict[str, Any]:
        """What it remembers between two chunks, as plain types; frames that smoothers wait for are read again."""
        return {
            "done": self.done,
            "waiting": [frame.index for frame in self._waiting],
            "tracker": self.tracker.to_plain(),
            "smoothers": self.chain.to_plain(),
            "follower": None if self.follower is None else self.follower.to_plain(),
        }

    def restore(self, values: dict[str, Any]) -> None:
        """Remember what `to_plain` wrote.

        Raises:
            InputError: The source has other frames than then.
        """
        skeleton = self.predictor.model.skeleton
        self.tracker.restore(values["tracker"])
        self.chain.restore(values["smoothers"], skeleton)
        if self.follower is not None:
            self.follower.restore(values["follower"])
        self.done = int(values["done"])
        wanted = set(values["waiting"])
        if wanted:
            stream = self.source.frames(min(wanted))
            kept = [frame for frame in itertools.takewhile(lambda f: f.index < self.done, stream) if frame.index in wanted]
            if len(kept) < len(wanted):
                raise InputError(f"{self.source.name!r} has no frame {min(wanted - {f.index for f in kept})} any more")
            self._waiting = deque(kept)


def predictor_for(
    model: Model | str | os.PathLike[str],
    *,
    detector: Detector | Model | str | None = None,
    device: str | None = None,
    precision: str | None = None,
    flip: bool | None = None,
    batch: int | None = None,
    min_box_score: float = MIN_BOX_SCORE,
    runtime: str | None = None,
) -> Predictor:
    """A predictor for a video: its detector works in the calling thread, since frames are read by one of their own.

    Args:
        model: A model, or a model file.
        detector: Finds boxes for a top-down model, as for `Predictor`.
        device: "cpu", "cuda", ...
        precision: "fp32" or "bf16".
        flip: Whether to average with the mirrored view; by default not, as a video has many frames.
        batch: People, or frames, per batch.
        min_box_score: Lowest confidence of the detector's boxes.
        runtime: What runs the networks, as for `Predictor`.
    """
    wanted = runtime or (TORCH if isinstance(model, Model) else None)
    chosen = (
        detector
        if isinstance(detector, Detector | None)
        else detector_of(detector, device=device, precision=precision, workers=0, runtime=wanted)
    )
    return Predictor(
        model,
        detector=chosen,
        device=device,
        precision=precision,
        flip=False if flip is None else flip,
        batch=batch,
        workers=0,
        min_box_score=min_box_score,
        whole_image=True,
        runtime=wanted,
    )


def video(
    source: str | os.PathLike[str],
    model: Model | str | os.PathLike[str],
    *,
    detector: Detector | Model | str | None = None,
    settings: VideoSettings | None = None,
    every: int = 1,
    start: float = 0.0,
    end: float | None = None,
    smooth: Sequence[str] = SMOOTH,
    detect_every: int | None = None,
    device: str | None = None,
    precision: str | None = None,
    flip: bool | None = None,
    batch: int | None = None,
    min_box_score: float = MIN_BOX_SCORE,
    rate: float | None = None,
    runtime: str | None = None,
) -> Iterator[VideoFrame]:
    """The people of a video, frame by frame, with ids that stay.

    Example:
        >>> for frame in poise.video("walk.mp4", model):  # doctest: +SKIP
        ...     print(frame.time, frame.ids, frame.poses.xy.shape)

    Args:
        source: A video file, `camera:0`, a folder of images in order, or a pattern such as `frame_%06d.png`.
        model: A model that finds keypoints, or a model file.
        detector: Finds boxes for a top-down model, as for `Predictor`. Without one the first frame is one person, who is then
            followed.
        settings: Every number; `every`, `start`, `end`, `smooth` and `detect_every` are then left at their defaults.
        every: Every how manieth frame is looked at.
        start: Second at which to begin.
        end: Second at which to stop.
        smooth: Names of smoothers: "median", "fill", "one-euro" or "kalman"; () for none. Those that wait for later frames give
            frames later.
        detect_every: Frames from one run of the detector to the next; 1 runs it in every frame.
        device: "cpu", "cuda", ...; by default a GPU where there is one.
        precision: "fp32" or "bf16"; by default bf16 where it is faster.
        flip: Whether to average with the mirrored view; by default not.
        batch: People, or frames, per batch; by default the model's.
        min_box_score: Lowest confidence of the detector's boxes.
        rate: Frames a second of a folder or a pattern, or of a file whose own rate is wrong.
        runtime: What runs the networks, as for `Predictor`: by default the fastest that is installed for a model file, PyTorch
            for a model.

    Raises:
        ReadError: There is no such file, or it holds no video.
        InputError: The model finds no keypoints, or a number is out of its range.
        MissingExtra: PyAV or scipy is not installed: pip install 'poise[video]'.
    """
    if settings is None:
        settings = VideoSettings(every=every, start=start, end=end, smooth=tuple(smooth))
        if detect_every is not None:
            settings = replace(settings, follow=FollowSettings(detect_every=detect_every))
    opened = open_source(os.fspath(source), rate=rate)
    predictor = predictor_for(
        model,
        detector=detector,
        device=device,
        precision=precision,
        flip=flip,
        batch=batch,
        min_box_score=min_box_score,
        runtime=runtime,
    )
    pipeline = VideoPipeline(predictor, opened, settings)
    return (frame for chunk in pipeline.chunks() for frame in chunk)


def _same(image: Image) -> Image:
    return image
