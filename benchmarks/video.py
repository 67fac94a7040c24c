"""Videos: frames a second of the whole pipeline against the network alone, and against MediaPipe's Python package, in one run.

    poise get blazepose_full
    python -m venv mp && mp/bin/pip install 'mediapipe==0.10.21' 'numpy<2' av
    python benchmarks/video.py walk.mp4 --python mp/bin/python
    python benchmarks/video.py walk.mp4 --model hrnet_w32_coco_256x192 --untrained   # a network of ordinary size, no download
    python benchmarks/video.py --memory-frames 20000   # growth of memory over an endless drawn stream

The pipeline decodes, finds, follows, smooths and writes poses.jsonl, with `--video` an annotated video too. "Network alone" is
the same network in the same runtime with as many threads, which sees ready views in the same batches: no detector, no decoder.
MediaPipe's `Pose` (model_complexity 1, with smoothing) reads the same frames through PyAV. All take turns. Processor time does
not depend on what else runs, but for the caches.

"In turn" is the processor time of what no second core can take over, of up to 60 frames that are in memory already: cut the
views, run the network, read its answers, say where to look next. The network's part of it is the share of the network's rate
that the pipeline can reach where everything else finds free cores.

An untrained network sees one view of each frame, as it would to follow one person, and its poses of any score are kept.
"""

import itertools
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
import tyro

from poise import zoo
from poise.data.video.frames import Frame, FrameSource, Losses, open_source
from poise.inference.follow import Follower, FollowSettings
from poise.inference.predictor import Predictor
from poise.inference.stream import eval_mode
from poise.inference.video import VideoPipeline, VideoSettings, predictor_for
from poise.inference.video_results import VideoResults
from poise.models.require import require_top_down
from poise.models.top_down import TopDown
from poise.structures import Key
from poise.tracking.tracker import TrackSettings
from poise.weights.cache import located

MEDIAPIPE = """
import sys, time, av
import mediapipe as mp
frames, seconds = 0, 0.0
with mp.solutions.pose.Pose(model_complexity=1, smooth_landmarks=True) as pose, av.open(sys.argv[1]) as film:
    begun = None
    for frame in film.decode(video=0):
        image = frame.to_ndarray(format="rgb24")
        pose.process(image)
        frames += 1
        if begun is None:
            begun = time.perf_counter()  # the first frame loads the graph
print((frames - 1) / (time.perf_counter() - begun))
"""

IN_TURN = 60
"""Frames of which the processor time of one after the other is measured."""

UNSURE = VideoSettings(follow=FollowSettings(min_score=0.0), track=TrackSettings(min_score=0.0, low_score=0.0))
"""Of an untrained network: poses of any score are kept."""


@dataclass
class Run:
    """A run of the pipeline.

    Attributes:
        frames: How many.
        seconds: That passed.
        core_ms: Milliseconds of processor time a frame, of all threads.
        batches: Sizes of the batches that the network saw.
        detections: Runs of the detector.
    """

    frames: int
    seconds: float
    core_ms: float
    batches: list[int]
    detections: int


def pipeline_run(file: Path, predictor: Predictor, settings: VideoSettings, *, video: bool) -> Run:
    """The whole, as `poise predict VIDEO` does it."""
    source, model = open_source(str(file)), predictor.model
    batches: list[int] = []
    detections: list[int] = []
    plain = model.answer

    def noted(images: torch.Tensor, views: Any, **how: Any) -> Any:
        batches.append(len(images))
        return plain(images, views, **how)

    with tempfile.TemporaryDirectory() as folder:
        made = VideoPipeline(predictor, source, settings)
        results = VideoResults(Path(folder), source, model, asked={}, video=video)
        assert made.follower is not None
        detected = made.follower._detected

        def counted(image: Any) -> Any:
            detections.append(1)
            return detected(image)

        made.follower._detected = counted  # type: ignore[method-assign]
        model.answer = noted  # type: ignore[method-assign]
        begun, used = time.perf_counter(), time.process_time()
        for chunk in made.chunks():
            results.add(chunk, made)
        results.join_parts()
        spent, cores = time.perf_counter() - begun, time.process_time() - used
        del model.answer
    return Run(results.frames, spent, 1e3 * cores / results.frames, batches, len(detections))


def alone(predictor: Predictor, batches: list[int]) -> tuple[float, float]:
    """Seconds, and processor seconds, of the same network, as the predictor runs it, for ready views in the same batches."""
    network, settings = require_top_down(predictor.model), predictor.settings
    height, width = network.codec.size
    views = [torch.rand(3, height, width) for _ in range(max(batches))]
    for number, count in enumerate([*batches[:3], *batches]):
        if number == 3:
            begun, used = time.perf_counter(), time.process_time()
        with eval_mode(None, views[:count], device=settings.device, precision=settings.precision) as images:
            network(images)
            if settings.flip:
                network(images.flip(-1))
    return time.perf_counter() - begun, time.process_time() - used


def in_turn(file: Path, predictor: Predictor, settings: VideoSettings) -> tuple[float, list[int]]:
    """Processor seconds of looking at frames one after the other, beside nothing, and the views of each frame."""
    how = replace(settings.follow, detect_every=10**9, search_every=10**9)
    model = predictor.model
    assert isinstance(model, TopDown)
    follower = Follower(model, predictor.settings, predictor.detector, predictor.min_box_score, how)
    frames = list(itertools.islice(open_source(str(file)).frames(), IN_TURN + 1))
    batches: list[int] = []
    for frame in frames:
        if frame.index == 1:  # the detector has run in the first frame
            begun = time.process_time()
        look = follower.begin(frame.image, Key(frame.name, frame.index + 1))
        batches.append(len(look.views.views))
        follower.finish(look)
    return time.process_time() - begun, batches[1:]


class Endless(FrameSource):
    """A drawn stream: a bright square that moves, with noise; never twice the same frame."""

    name, rate, count, live = "drawn", 30.0, None, False

    def __init__(self, frames: int) -> None:
        self.total, self.size, self.losses, self.audio = frames, (96, 128), Losses(), None

    def frames(self, first: int = 0) -> Generator[Frame, None, None]:
        """The frames from a number on."""
        for index in range(first, self.total):
            rng = np.random.default_rng(index)
            pixels = rng.integers(0, 60, (96, 128, 3), dtype=np.uint8)
            x = round(40 + 35 * np.sin(index / 20))
            pixels[20:80, x : x + 30] = 220
            yield Frame(index, index / 30, torch.from_numpy(pixels).permute(2, 0, 1), self.name)


def memory(frames: int) -> None:
    """Growth of the resident memory from frame 200 on, MB."""
    predictor = predictor_for(zoo.build("poise_t_coco_64x64"))
    source = Endless(frames)
    settings = VideoSettings(smooth=("median", "fill", "kalman"), whole_image=True)
    with tempfile.TemporaryDirectory() as folder:
        made = VideoPipeline(predictor, source, settings)
        results = VideoResults(Path(folder), source, predictor.model, asked={}, video=False, sheet=20)
        early = 0.0
        for chunk in made.chunks():
            results.add(chunk, made)
            if results.frames >= 200 and not early:
                early = resident()
            if results.frames % 2048 == 0:
                print(f"frame {results.frames}: {resident():.0f} MB", flush=True)
    print(f"from frame 200 to {results.frames}: {resident() - early:.1f} MB of growth (peak {peak():.0f} MB)")


def resident() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def main(
    file: Path | None = None,
    /,
    *,
    model: str = "blazepose_full",
    untrained: bool = False,
    detector: str = "",
    runtime: str = "auto",
    threads: int = 1,
    video: bool = False,
    python: str = "",
    turns: int = 3,
    memory_frames: int = 0,
) -> None:
    """Measure.

    Args:
        file: A video.
        model: Model of the pipeline.
        untrained: Take that model of `poise zoo` with random weights.
        detector: Finds boxes for a model that has no detector of its own.
        runtime: What runs the network.
        threads: Threads of the network; `poise predict` takes one less than there are cores.
        video: Write the annotated video, too.
        python: Python that has mediapipe 0.10.21; without it MediaPipe is not measured.
        turns: How often each takes its turn.
        memory_frames: Instead, frames of an endless drawn stream, whose memory is watched.
    """
    torch.set_num_threads(threads)
    if memory_frames:
        memory(memory_frames)
        return
    assert file is not None, "name a video, or --memory-frames"
    settings = UNSURE if untrained else VideoSettings()
    chosen = zoo.build(model) if untrained else located(model)
    predictor = predictor_for(chosen, detector=detector or None, runtime=runtime)
    warm = VideoPipeline(predictor, open_source(str(file)), replace(settings, end=0.5))
    for _ in itertools.chain.from_iterable(warm.chunks()):
        pass
    rates: dict[str, list[float]] = {}
    for _ in range(turns):
        run = pipeline_run(file, predictor, settings, video=video)
        seconds, used = alone(predictor, run.batches)
        serial, views = in_turn(file, predictor, settings)
        found = {
            "pipeline": run.frames / run.seconds,
            "network alone": run.frames / seconds,
            "core-ms of the pipeline a frame": run.core_ms,
            "core-ms of the network alone a frame": 1e3 * used / run.frames,
            "core-ms in turn a frame": 1e3 * serial / len(views),
            "the network's share of the time in turn": alone(predictor, [n for n in views if n])[1] / serial,
        }
        if python:
            said = subprocess.run([python, "-c", MEDIAPIPE, str(file)], capture_output=True, text=True, check=True).stdout
            found["MediaPipe"] = float(said.split()[-1])
        for name, value in found.items():
            rates.setdefault(name, []).append(value)
    middle = {name: round(median(values), 2) for name, values in rates.items()}
    seen = {"views a frame": sum(run.batches) / run.frames}
    if predictor.detector is not None or predictor.model.finds_people:
        seen["runs of the detector a frame"] = run.detections / run.frames
    share = middle["pipeline"] / middle["network alone"]
    shown = {"video": file.name, "frames": run.frames, "model": model, "precision": predictor.settings.precision}
    shown |= {**{name: round(value, 2) for name, value in seen.items()}, **middle}
    print(json.dumps({**shown, "share of the network alone": round(share, 3)}, indent=1))
    sys.stdout.flush()


if __name__ == "__main__":
    tyro.cli(main)
