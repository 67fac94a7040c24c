"""`poise predict` on a video: the loop, its progress, and what is said at the end."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from poise.cli._predict import DETECTOR_MINIMUM, default_model
from poise.cli._print import counted
from poise.cli._window import Window
from poise.cli.options import PaddedRunOptions
from poise.cli.options.video import VideoOptions
from poise.codecs.decoders import described
from poise.data.video.frames import FrameSource, open_source, require_av
from poise.errors import InputError
from poise.inference.labs import EXPORTS, check_exports
from poise.inference.stages import speed_text
from poise.inference.usual_detector import usual_detector
from poise.inference.video import VideoFrame, VideoPipeline, VideoSettings, predictor_for
from poise.inference.video_report import video_report
from poise.inference.video_results import POSES, VideoResults
from poise.inference.write import results_folder
from poise.models.base import PoseModel
from poise.models.require import require_pose
from poise.runtimes.choice import preferred
from poise.skeletons.nouns import nouns
from poise.terminal import Console, say
from poise.weights.cache import located
from poise.weights.model_file import load
from poise.writing import locked

TOLD = 5
"""Frames that could not be read, which are named."""


@contextmanager
def _a_core_for_decoding() -> Iterator[None]:
    """While it lasts, networks have one thread less: with one for each core they wait for the one that decodes beside them."""
    threads = torch.get_num_threads()
    torch.set_num_threads(max(1, threads - 1))
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@_a_core_for_decoding()
def predict_video(
    source: str,
    *,
    model: Path | None,
    boxes: Any,
    adjust: Callable[[PoseModel], object],
    read_as: str,
    min_score: float,
    running: PaddedRunOptions,
    video: VideoOptions,
    out: Path,
    yes: bool,
) -> int:
    """Find, follow and write the people of a video.

    Args:
        source: A video file, a camera, a pattern, or a folder of frames.
        model: Model file, or a name of `poise get`; None for the default.
        boxes: Flags of boxes.
        adjust: Sets how boxes are cropped and the model's outputs read.
        read_as: The flags that `adjust` sets, as text: a run that goes on must have the same.
        min_score: People of a lower score are left out.
        running: How the model is run.
        video: Flags of videos.
        out: Folder of the results.
        yes: Whether blazepose_full is got without asking where no model came with poise.
    """
    console = Console()
    settings = video.settings(whole_image=boxes.whole_image, min_score=min_score, min_area=boxes.min_area)
    check_exports(video.also)
    opened = open_source(source, rate=video.rate)
    if opened.live and (video.resume or video.report):
        raise InputError("a camera cannot be gone on with, and has no report: leave out --resume and --report")
    file = default_model(Console(stderr=True), yes=yes) if model is None else model
    network = require_pose(load(file))
    if not boxes.whole_image and boxes.detector is None:
        boxes = replace(boxes, detector=usual_detector(network, located(file), say=lambda text: say(console, text)))
    boxes.check_for(network, own_minimum=True)
    adjust(network)
    if not video.no_video:
        require_av()
    confidence = DETECTOR_MINIMUM if boxes.min_box_score is None else boxes.min_box_score
    predictor = predictor_for(
        network,
        detector=boxes.detector,
        device=running.device,
        precision=running.precision,
        batch=running.batch,
        min_box_score=confidence,
        runtime=preferred(running.runtime),
    )
    pipeline = VideoPipeline(predictor, opened, settings)
    _say_how(console, pipeline, opened)
    asked = {
        "source": opened.name,
        "model": network.card.name,
        "detector": "" if boxes.detector is None else str(boxes.detector),
        "settings": str(settings),
        "read as": read_as,
        "video": not video.no_video,
    }
    with results_folder(out) as folder, locked(folder, what="another run of poise predict"):
        results = VideoResults(
            folder,
            opened,
            network,
            asked=asked,
            video=not video.no_video,
            sheet=20 if video.report else 0,
            resume=video.resume,
        )
        if results.pipeline_state is not None:
            pipeline.restore(results.pipeline_state)
            say(console, f"going on after frame {pipeline.done - 1}")
        began, window = time.monotonic(), Window(results.drawn, Console(stderr=True))
        try:
            for chunk in _with_progress(pipeline, opened):
                results.add(window.shown(chunk) if video.live else chunk, pipeline)
                if window.closed and opened.live:
                    break
        except KeyboardInterrupt:
            if not opened.live:
                raise
        finally:
            window.close()
        seconds = time.monotonic() - began
        if not results.frames:
            results.nothing()
            raise InputError(_none_text(opened, settings))
        results.join_parts(start=settings.start)
        _write_also(console, video.also, results, network)
        if video.report:
            facts = _facts(network, pipeline, opened, seconds, results.frames)
            names = network.skeleton.keypoints
            page = video_report(results.poses, title=opened.name, names=names, sheet=results.sheet(), facts=facts)
            page.write(folder / "report.html")
        results.done()
    _say_losses(console, opened)
    say(console, _speed_text(pipeline, results.frames, seconds))
    _say_found(console, network, results, folder, video)
    return 0


def _none_text(source: FrameSource, settings: VideoSettings) -> str:
    """Why no frame was looked at."""
    end = "" if settings.end is None else f", --end {settings.end:g}"
    every = "" if settings.every == 1 else f", --every {settings.every}"
    about = f"; it has about {counted(source.count, 'frame')}, {source.count / source.rate:.1f} s" if source.count else ""
    return f"no frame of {source.name!r} is looked at with --start {settings.start:g}{end}{every}{about}"


def _write_also(console: Console, names: Sequence[str], results: VideoResults, model: PoseModel) -> None:
    """The further results; those that need somebody with a track are left out, with a word, where nobody has one."""
    for name in names:
        file, write = EXPORTS[name]
        try:
            write(results.poses, results.folder / file, model.skeleton)
        except InputError as error:
            say(console, f"{file} was not written: {error}")


def _say_how(console: Console, pipeline: VideoPipeline, source: FrameSource) -> None:
    model, follower = pipeline.predictor.model, pipeline.follower
    size, count = (
        f"{source.size[1]} x {source.size[0]} pixels",
        "" if source.count is None else f"about {counted(source.count, 'frame')}, ",
    )
    if not model.takes_boxes:
        how = f"{model.card.name} finds people in every frame"
    elif follower is None:
        how = "a detector runs in every frame" if pipeline.predictor.detector is not None else "each frame is one box"
    elif pipeline.predictor.detector is not None or model.finds_people:
        how = f"a detector runs every {counted(follower.how.detect_every, 'frame')}; in between people are followed"
    else:
        how = "no detector: the first frame is one person, who is then followed (--detector FILE|NAME finds everybody)"
    say(console, f"{source.name}: {count}{source.rate:.4g} frames a second, {size}; {how}")
    smooth = " ".join(pipeline.settings.smooth)
    say(console, f"positions smoothed by {smooth} (--smooth none gives them as found)" if smooth else "positions as found")


def _with_progress(pipeline: VideoPipeline, source: FrameSource) -> Iterator[Iterator[VideoFrame]]:
    """The chunks, with a bar that tells frames a second and the slowest stage."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield from pipeline.chunks()
        return
    how = TextColumn("{task.fields[how]}")
    columns = (TextColumn("frames"), BarColumn(), TextColumn("{task.completed}"), TimeRemainingColumn(), how)
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("frames", total=source.count, completed=pipeline.done, how="")
        begun, first = time.monotonic(), pipeline.done

        def told(chunk: Iterator[VideoFrame]) -> Iterator[VideoFrame]:
            for frame in chunk:
                yield frame
                rate = (pipeline.done - first) / max(time.monotonic() - begun, 1e-6)
                slowest = max(pipeline.seconds, key=lambda name: pipeline.seconds[name])
                bar.update(task, completed=pipeline.done, how=f"{rate:.1f} a second, slowest: {slowest}")

        yield from map(told, pipeline.chunks())


def _facts(model: PoseModel, pipeline: VideoPipeline, source: FrameSource, seconds: float, frames: int) -> dict[str, str]:
    losses = source.losses
    return {
        "video": f"{source.name}, {source.rate:.4g} frames a second",
        "model": model.card.name,
        "read by": described(model.codec),
        "smoothing": " ".join(pipeline.settings.smooth) or "none",
        "speed": _speed_text(pipeline, frames, seconds),
        "not read": f"{counted(len(losses.frames), 'frame')}{'; ends ' + losses.cut if losses.cut else ''}",
    }


def _speed_text(pipeline: VideoPipeline, frames: int, seconds: float) -> str:
    """Frames a second, and what the time went into."""
    return speed_text(frames, seconds, pipeline.seconds, starting=pipeline.predictor.starting, what="frame")


def _say_losses(console: Console, source: FrameSource) -> None:
    losses = source.losses
    for frame, reason in list(zip(losses.frames, losses.reasons, strict=True))[:TOLD]:
        say(console, f"frame {frame} could not be read: {reason}")
    if len(losses.frames) > TOLD:
        say(console, f"{len(losses.frames)} frames could not be read; the others were")
    if losses.cut:
        say(console, f"the video ends early, {losses.cut}")


def _say_found(console: Console, model: PoseModel, results: VideoResults, folder: Path, video: VideoOptions) -> None:
    one, many = nouns(model.skeleton)
    if not results.people:
        say(console, f"nobody was found; a smaller --min-box-score, or another --detector, looks for more ({folder / POSES})")
        return
    said = f"{counted(len(results.ids), f'track of one {one}', f'tracks of {many}')} in {counted(results.frames, 'frame')}"
    files = [POSES, *([] if video.no_video else [results.video.name]), *(EXPORTS[name][0] for name in video.also)]
    files += ["report.html"] if video.report else []
    say(console, f"{said}: {', '.join(files)} in {folder}")
