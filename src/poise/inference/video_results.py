"""What is written of a video: a line of poses for each frame as it comes, parts of an annotated video, a state to go on from.

`poses.jsonl` is the one source of all other results, which are made of it at the end (`inference.tables`, `inference.labs`).
"""

import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, final

import cv2
import numpy as np

from poise.data.images import write_image
from poise.data.video.frames import FrameSource
from poise.data.video.writing import PartWriter, join
from poise.errors import InputError, ReadError, WriteError
from poise.inference.formats import image_rows
from poise.inference.video import VideoFrame, VideoPipeline
from poise.models.base import PoseModel
from poise.reading import read_json
from poise.structures import Poses
from poise.viz.draw import FAINT, HIDDEN, SURE, Pixels, draw_people, labelled
from poise.writing import check_targets, write_atomic

POSES = "poses.jsonl"
VIDEO = "video.mp4"
WORK = ".poise-video"
"""Folder of an unfinished video inside that of the results; nobody else uses this name, so it may be deleted."""

STATE = "state.json"
SHEET_MOST = 60
"""Pictures of the contact sheet at most; beyond, every second one goes."""

SHEET_WIDTH = 320


@final
class VideoResults:
    """The results of one video in a folder; a context manager, at whose end the annotated video is whole.

    Args:
        folder: It is there.
        source: The video.
        model: Whose skeleton is drawn.
        asked: What the run depends on, as plain values; a run goes on only with the same.
        video: Whether an annotated video is written.
        sheet: Whether small pictures are kept for a report: of every how manieth frame; 0 for none.
        resume: Whether to go on where an earlier run stopped.

    Raises:
        WriteError: Something that is no regular file stands in the place of a result.
        InputError: There is nothing to go on with, or it was run with other settings; or results are there and this is no
            resumed run.
    """

    def __init__(
        self,
        folder: Path,
        source: FrameSource,
        model: PoseModel,
        *,
        asked: dict[str, Any],
        video: bool = True,
        sheet: int = 0,
        resume: bool = False,
    ) -> None:
        self.folder, self.source, self.model = folder, source, model
        self.poses, self.video, self.work = folder / POSES, folder / VIDEO, folder / WORK
        check_targets((self.poses, self.video), flag="--out")
        self.asked, self._with_video, self._every = json.loads(json.dumps(asked)), video, sheet
        self.people = self.frames = 0
        self.ids: set[int] = set()
        self._parts: list[tuple[str, float]] = []
        self._thumbs: list[tuple[int, float]] = []
        self.pipeline_state: dict[str, Any] | None = None
        if resume:
            self._take_up()
        else:
            self._begin()

    def _begin(self) -> None:
        if (self.work / STATE).exists():
            raise InputError(f"{str(self.folder)!r} holds an unfinished video; go on with --resume, or give another --out")
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir(parents=True)
        self.poses.write_bytes(b"")

    def _take_up(self) -> None:
        file = self.work / STATE
        if self.work.is_dir() and not file.is_file():  # killed before its first chunk was whole
            self._begin()
            return
        if not file.is_file():
            what = "is finished" if self.poses.is_file() else "holds no video to go on with"
            raise InputError(f"{str(self.folder)!r} {what}; leave out --resume")
        state = read_json(file, what="state of a video", error=ReadError, missing=ReadError)
        other = [name for name in self.asked if state["asked"].get(name) != self.asked[name]]
        if other:
            raise InputError(
                f"{str(self.folder)!r} was begun with other settings ({', '.join(sorted(other))}); go on with the same, or "
                "give another --out"
            )
        if self.poses.stat().st_size < state["bytes"]:
            raise InputError(f"{str(self.poses)!r} has lost lines since the run stopped; begin anew with another --out")
        os.truncate(self.poses, state["bytes"])
        self.people, self.frames, self.ids = state["people"], state["frames"], set(state["ids"])
        self._parts = [(name, begin) for name, begin in state["parts"]]
        self._thumbs, self._every = [(i, t) for i, t in state["thumbs"]], state["every"]
        self.pipeline_state = state["pipeline"]

    def add(self, frames: Iterable[VideoFrame], pipeline: VideoPipeline) -> None:
        """Write the frames of a chunk, each as it comes, and the state to go on from.

        Raises:
            WriteError: A file cannot be written.
        """
        with _written(self.poses):
            file = self.poses.open("ab")
        with file:
            for frame, pixels in self._part(frames) if self._with_video else ((frame, None) for frame in frames):
                [row] = image_rows(frame.poses, [1] * len(frame.poses))
                with _written(self.poses):
                    file.write((json.dumps(row) + "\n").encode())
                    file.flush()
                self._thumb(frame, pixels)
                self.people += len(frame.poses)
                self.frames += 1
                self.ids |= {track for track in frame.ids if track > 0}
            with _written(self.poses):
                os.fsync(file.fileno())
                size = file.tell()
        self._keep(size, pipeline)

    def _part(self, frames: Iterable[VideoFrame]) -> Iterator[tuple[VideoFrame, Pixels]]:
        """The frames as they are drawn, each then written into a part of the annotated video."""
        name, writer, begun = f"{len(self._parts):06d}.mp4", None, 0.0
        try:
            for frame in frames:
                if writer is None:
                    writer, begun = PartWriter(self.work / name, self.source.size, rate=self.source.rate), frame.time
                pixels = self.drawn(frame)
                writer.add(pixels, frame.time - begun)
                yield frame, pixels
        except BaseException:
            if writer is not None:
                writer.drop()
            raise
        if writer is not None:
            writer.close()
            self._parts.append((name, begun))

    def drawn(self, frame: VideoFrame) -> Pixels:
        """The frame with its people: filled keypoints as rings, uncertain ones thin, each person with the id of the track."""
        poses, low = frame.poses, self.model.preprocess.min_keypoint_score
        state = np.where(poses.score.numpy() >= low, SURE, FAINT)
        state = np.where((poses.score.numpy() == 0) & (poses.xy.numpy() == 0).all(axis=-1), 0, state)
        if poses.filled is not None:
            state = np.where(poses.filled.numpy(), HIDDEN, state)
        out = draw_people(frame.pixels, poses.xy, state.astype(np.int64), self.model.skeleton)
        return labelled(out, [(_corner(poses, row), track) for row, track in enumerate(frame.ids) if track > 0])

    def _thumb(self, frame: VideoFrame, drawn: Pixels | None) -> None:
        """Keep a small picture of some frames, fewer of a long video."""
        if not self._every or self.frames % self._every:
            return
        pixels = self.drawn(frame) if drawn is None else drawn
        height = max(1, round(pixels.shape[0] * SHEET_WIDTH / pixels.shape[1]))
        small = cv2.resize(pixels, (SHEET_WIDTH, height), interpolation=cv2.INTER_AREA)
        write_image(self.work / f"thumb-{frame.index:09d}.jpg", small)
        self._thumbs.append((frame.index, frame.time))
        if len(self._thumbs) > SHEET_MOST:
            self._thumbs, self._every = self._thumbs[::2], 2 * self._every

    def _keep(self, size: int, pipeline: VideoPipeline) -> None:
        state = {
            "asked": self.asked,
            "bytes": size,
            "people": self.people,
            "frames": self.frames,
            "ids": sorted(self.ids),
            "parts": self._parts,
            "thumbs": self._thumbs,
            "every": self._every,
            "pipeline": pipeline.to_plain(),
        }
        if not self.source.live:
            write_atomic(self.work / STATE, json.dumps(state).encode())

    def sheet(self) -> list[tuple[str, Pixels]]:
        """Caption and picture of the frames that were kept for the report."""
        found = []
        for index, seconds in self._thumbs:
            bgr = cv2.imread(str(self.work / f"thumb-{index:09d}.jpg"))
            if bgr is not None:
                found.append((f"frame {index}, {seconds:.2f} s", cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)))
        return found

    def join_parts(self, *, start: float = 0.0) -> None:
        """Make the annotated video of its parts.

        Args:
            start: Second of the source at which the video begins.

        Raises:
            WriteError: It cannot be written.
        """
        if self._with_video and self._parts:
            begun = self._parts[0][1]
            parts = [(self.work / name, begin - begun) for name, begin in self._parts]
            join(parts, self.video, audio=self.source.audio, start=max(start, begun))

    def nothing(self) -> None:
        """Remove what was begun, where no frame was looked at."""
        self.poses.unlink(missing_ok=True)
        self.done()

    def done(self) -> None:
        """Remove what was needed to go on."""
        shutil.rmtree(self.work, ignore_errors=True)


@contextmanager
def _written(path: Path) -> Iterator[None]:
    """The block writes a file: what the system says against it is a sentence."""
    try:
        yield
    except OSError as error:
        raise WriteError(f"{str(path)!r} cannot be written: {error.strerror or error}") from error


def _corner(poses: Poses, row: int) -> tuple[float, float]:
    """Where the id of a person is written: above the highest keypoint that was found, else the box."""
    known = poses.xy[row][poses.score[row] > 0]
    x, y = (known.mean(dim=0)[0], known[:, 1].amin()) if len(known) else (poses.boxes[row, 0], poses.boxes[row, 1])
    return float(x), float(y)


def read_frames(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a `poses.jsonl`, one at a time.

    Raises:
        ReadError: It is missing, or a line is no row of poses.
    """
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                try:
                    row = json.loads(line)
                    people, name = row["people"], row["image_id"]
                except (ValueError, KeyError, TypeError) as error:
                    raise ReadError(f"{str(path)!r}, line {number}: expected the poses of a frame ({error!r})") from error
                if not isinstance(people, list) or not isinstance(name, int):
                    raise ReadError(f"{str(path)!r}, line {number}: expected image_id, a whole number, and people, a list")
                yield row
    except OSError as error:
        if isinstance(error, ReadError):
            raise
        raise ReadError(f"{str(path)!r} cannot be read: {error.strerror or error}") from error
