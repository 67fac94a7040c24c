"""Videos: frames a second of the whole pipeline against the network alone, and against MediaPipe's Python package, in one run.

    poise get blazepose_full
    python -m venv mp && mp/bin/pip install 'mediapipe==0.10.21' 'numpy<2' av
    python benchmarks/video.py walk.mp4 --python mp/bin/python
    python benchmarks/video.py --memory-frames 20000   # growth of memory over an endless drawn stream

The pipeline decodes, finds, follows, smooths and writes poses.jsonl (no annotated video); "alone" runs the network on the same
number of ready views. MediaPipe's `Pose` (model_complexity 1, with smoothing) reads the same frames through PyAV. All take
turns.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from pathlib import Path
from statistics import median

import numpy as np
import torch
import tyro

from poise.data.video.frames import Frame, FrameSource, Losses, open_source
from poise.inference.stream import eval_mode
from poise.inference.video import VideoPipeline, VideoSettings, predictor_for
from poise.inference.video_results import VideoResults
from poise.models.base import require_top_down
from poise.structures import Key
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


def pipeline_rate(file: Path, model: str, runtime: str) -> tuple[float, float, int]:
    """Frames a second of the whole, seconds of the network alone for as many views, and people a frame times frames."""
    predictor = predictor_for(located(model), runtime=runtime)
    with tempfile.TemporaryDirectory() as folder:
        source = open_source(str(file))
        made = VideoPipeline(predictor, source, VideoSettings())
        results = VideoResults(Path(folder), source, predictor.model, asked={}, video=False)
        assert made.follower is not None
        made.follower(next(source.frames()).image, Key("warm"))  # conversion for a runtime
        made = VideoPipeline(predictor, source, VideoSettings())
        begun = time.perf_counter()
        for chunk in made.chunks():
            results.add(chunk, made)
        spent = time.perf_counter() - begun
    return results.frames / spent, spent, results.people


def alone(model: str, people: int, runtime: str) -> float:
    """Seconds of the network for as many views, one person at a time as the pipeline sees them."""
    network = require_top_down(predictor_for(located(model), runtime=runtime).model)
    height, width = network.codec.size
    view = [torch.rand(3, height, width)]
    for number in range(people + 2):
        if number == 2:
            begun = time.perf_counter()
        with eval_mode(None, view, device=torch.device("cpu"), precision="fp32") as images:
            network(images)
    return time.perf_counter() - begun


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
    from poise import zoo

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
    runtime: str = "auto",
    threads: int = 2,
    python: str = "",
    turns: int = 3,
    memory_frames: int = 0,
) -> None:
    """Measure.

    Args:
        file: A video.
        model: Model of the pipeline.
        runtime: What runs the network.
        threads: Threads of PyTorch.
        python: Python that has mediapipe 0.10.21; without it MediaPipe is not measured.
        turns: How often each takes its turn.
        memory_frames: Instead, frames of an endless drawn stream, whose memory is watched.
    """
    torch.set_num_threads(threads)
    if memory_frames:
        memory(memory_frames)
        return
    assert file is not None, "name a video, or --memory-frames"
    rates: dict[str, list[float]] = {}
    for _ in range(turns):
        rate, spent, people = pipeline_rate(file, model, runtime)
        rates.setdefault("pipeline", []).append(rate)
        frames = rate * spent
        rates.setdefault("network alone", []).append(frames / alone(model, people, runtime))
        if python:
            said = subprocess.run([python, "-c", MEDIAPIPE, str(file)], capture_output=True, text=True, check=True).stdout
            rates.setdefault("MediaPipe", []).append(float(said.split()[-1]))
    middle = {name: round(median(values), 2) for name, values in rates.items()}
    print(
        json.dumps(
            {
                "video": file.name,
                "frames a second": middle,
                "share of the network alone": round(middle["pipeline"] / middle["network alone"], 3),
            }
        )
    )
    sys.stdout.flush()


if __name__ == "__main__":
    tyro.cli(main)
