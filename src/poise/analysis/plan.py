"""What many images cost: this machine is measured for a while, stage by stage, and a fleet is calculated from it."""

import itertools
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import final

import cv2
import numpy as np
import torch

from poise.data.figures import FigureDataset
from poise.data.images import image_size, read_bytes
from poise.errors import InputError
from poise.inference.detect import Detector
from poise.inference.formats import result_format
from poise.inference.request import ImageRequest
from poise.inference.runtime import attach
from poise.inference.settings import InferenceSettings
from poise.inference.sources import Source, find_images, requests_of
from poise.inference.stages import CROPS, DECODING, DETECTOR, NETWORK, READING, WRITING, Stages
from poise.inference.stream import find_poses
from poise.models.base import PoseModel

DRAWN = 24
"""Drawn images, where no sample is given."""

SIZE = (960, 1280)
"""Their size (h, w), pixels."""

MOST_SAMPLE = 200
"""Images of a sample that are looked at."""


@final
@dataclass(frozen=True)
class Costs:
    """What one image takes on this machine, in one thread.

    Attributes:
        seconds: Of a core (of the GPU for the network, where there is one), by the name of the stage.
        read: Bytes of an image file.
        written: Bytes of its rows (JSON lines).
        people: People per image.
        batch: People, or images, in a batch.
        alone: Seconds of the network for a batch of one.
        each: Seconds that each further one of a batch adds.
        images: Images that were measured.
        what: What was measured, in words.
        gpu: Whether the network ran on a GPU.
    """

    seconds: Mapping[str, float]
    read: float
    written: float
    people: float
    batch: int
    alone: float
    each: float
    images: int
    what: str
    gpu: bool = False

    @property
    def on_gpu(self) -> float:
        """Seconds of a GPU."""
        return sum(self.seconds[name] for name in (DETECTOR, NETWORK)) if self.gpu else 0.0

    @property
    def on_cores(self) -> float:
        """Seconds of a core."""
        return sum(self.seconds.values()) - self.on_gpu

    @property
    def readers(self) -> int:
        """Cores that read for one GPU, so many that it never waits where images are alike; 0 without a GPU."""
        return ceil(self.on_cores / self.on_gpu) if self.on_gpu else 0

    def with_network(self, milliseconds: float, *, gpu: bool) -> "Costs":
        """With another time of the network, measured elsewhere: milliseconds for a person, or for a whole image."""
        units = self.people if self.people else 1.0
        seconds = {**self.seconds, NETWORK: milliseconds / 1000 * units}
        return replace(self, seconds=seconds, each=milliseconds / 1000, alone=milliseconds / 1000, gpu=gpu)


def measure(
    model: PoseModel,
    settings: InferenceSettings,
    *,
    seconds: float,
    people: float = 1.0,
    sample: Sequence[str] = (),
    detector: Detector | None = None,
) -> Costs:
    """Run the stages one after the other in this thread, on a sample of images, and time them.

    Args:
        model: Finds the keypoints.
        settings: How it is run; threads that read are left out.
        seconds: How long to measure, after the first batch.
        people: Boxes of people per image, for a model that takes boxes.
        sample: Files, folders or patterns of images; drawn images by default.
        detector: Finds boxes, which are not used, but cost time.

    Raises:
        ReadError: The sample has no image.
    """
    settings = replace(settings, workers=0, pixels="dropped")
    with tempfile.TemporaryDirectory() as folder, _one_thread():
        sources = find_images(list(sample) if sample else [_drawn(Path(folder))])[:MOST_SAMPLE]
        requests = _requests(model, sources, people)
        stages = _timed(model, requests, replace(settings), seconds=seconds * 0.8, detector=detector)
        single = _timed(model, requests, replace(settings, batch=1), seconds=seconds * 0.2, detector=None)
        sizes = [source.path.stat().st_size for source in sources]
    units = people if model.takes_boxes else 1.0
    alone = single.seconds[NETWORK] / (single.images * units)
    batch = stages.seconds[NETWORK] / (stages.images * units)
    each = max((batch * settings.batch - alone) / max(settings.batch - 1, 1), 0.0)
    what = f"{len(sources)} images of the sample" if sample else f"{DRAWN} drawn images of {SIZE[1]} x {SIZE[0]} pixels"
    return Costs(
        {name: value / stages.images for name, value in stages.seconds.items()},
        read=sum(sizes) / len(sizes),
        written=stages.written / stages.images,
        people=units if model.takes_boxes else 0.0,
        batch=settings.batch,
        alone=alone,
        each=each,
        images=stages.images,
        what=what,
        gpu=settings.device.type == "cuda",
    )


@final
@dataclass(frozen=True)
class _Timed:
    seconds: Mapping[str, float]
    images: int
    written: int


def _timed(
    model: PoseModel, requests: list[ImageRequest], settings: InferenceSettings, *, seconds: float, detector: Detector | None
) -> _Timed:
    """The stages of so many seconds, after a first batch, for which a runtime converts the network."""
    attach(model, settings.runtime)
    for _ in find_poses(model, _at_least(requests, settings.batch), settings):
        pass
    stages, form = Stages(), result_format("jsonl", model.skeleton)
    images = written = 0
    with tempfile.TemporaryFile() as file:
        for found in find_poses(model, _until(requests, seconds), settings, stages=stages):
            with stages.timed(WRITING):
                rows = form.rows(found.poses, [1] * len(found.poses))
                text = "".join(form.line(row, images) for row in rows).encode()
                file.write(text)
            images, written = images + 1, written + len(text)
    if detector is None:
        return _Timed(stages.seconds, images, written)
    found_by, looked = Stages(), 0
    detector.stages = found_by
    for _ in detector.find(_until([replace(r, boxes=None) for r in requests], seconds), skipped=[]):
        looked += 1
    share = images / max(looked, 1)
    return _Timed({**stages.seconds, DETECTOR: (found_by.seconds[DETECTOR] + found_by.seconds[CROPS]) * share}, images, written)


def _at_least(requests: Sequence[ImageRequest], count: int) -> Iterator[ImageRequest]:
    return itertools.islice(itertools.cycle(requests), count)


def _until(requests: Sequence[ImageRequest], seconds: float) -> Iterator[ImageRequest]:
    """The requests over and over, until the time is over, each at least once."""
    begun = time.perf_counter()
    for number, request in enumerate(itertools.cycle(requests)):
        if number >= len(requests) and time.perf_counter() - begun > seconds:
            return
        yield request


def _requests(model: PoseModel, sources: Sequence[Source], people: float) -> list[ImageRequest]:
    """Requests with so many boxes per image on average, of people a third to nine tenths as high as the image."""
    requests = requests_of(sources, None)
    if not model.takes_boxes:
        return requests
    rng, found = np.random.default_rng(0), []
    for number, (request, source) in enumerate(zip(requests, sources, strict=True)):
        count = int((number + 1) * people) - int(number * people)
        high, wide = image_size(read_bytes(source.path), name=source.name)
        heights = rng.uniform(0.33, 0.9, count) * high
        x, y = rng.uniform(0.2, 0.8, count) * wide, rng.uniform(0.45, 0.55, count) * high
        boxes = np.stack((x - heights / 5, y - heights / 2, x + heights / 5, y + heights / 2), axis=1)
        found.append(replace(request, boxes=torch.from_numpy(boxes).float().reshape(-1, 4)))
    return found


def _drawn(folder: Path) -> str:
    """A folder of drawn images."""
    drawn = FigureDataset(DRAWN, size=(SIZE[0] // 2, SIZE[1] // 2))
    for number in range(DRAWN):
        pixels = cv2.resize(drawn.image(number).permute(1, 2, 0).numpy()[..., ::-1], SIZE[::-1])
        cv2.imwrite(str(folder / f"{number}.jpg"), pixels)
    return str(folder)


class _one_thread:  # a context manager
    """While it lasts, PyTorch and OpenCV compute in one thread."""

    def __enter__(self) -> None:
        self._before = (torch.get_num_threads(), cv2.getNumThreads())
        torch.set_num_threads(1)
        cv2.setNumThreads(1)

    def __exit__(self, *_: object) -> None:
        torch.set_num_threads(self._before[0])
        cv2.setNumThreads(self._before[1])


STAGE_NAMES = (READING, CROPS, DETECTOR, NETWORK, DECODING, WRITING)


def fleet_lines(costs: Costs, images: float, *, cores: float | None, gpus: float | None) -> list[str]:
    """What so many images need, with the arithmetic.

    Args:
        costs: What one image takes.
        images: How many images.
        cores: Cores of the fleet; None to say how many a day and a week take.
        gpus: GPUs of the fleet.

    Raises:
        InputError: GPUs are planned, and no time of the network on one is known.
    """
    if gpus is not None and not costs.gpu:
        raise InputError(
            "this machine has no GPU on which the network could be measured; run poise plan on one that has, or give "
            "--network-ms, the milliseconds for a person (or a whole image) there"
        )
    core, gpu = costs.on_cores, costs.on_gpu
    hours = images * core / 3600
    lines = [f"{images:,.0f} images x {core * 1000:.2f} ms of a core / 3600 s = {hours:,.1f} core hours"]
    if gpu:
        lines.append(f"{images:,.0f} images x {gpu * 1000:.2f} ms of a GPU / 3600 s = {images * gpu / 3600:,.1f} GPU hours")
        lines.append(f"cores that keep one GPU busy: {core * 1000:.2f} ms / {gpu * 1000:.2f} ms = {core / gpu:.1f}")
    took = _hours(lines, images, core, gpu, cores=cores, gpus=gpus)
    read, written = images * costs.read, images * costs.written
    rate = "" if took is None else f", {_bytes((read + written) / (took * 3600))} a second together"
    lines.append(
        f"read: {images:,.0f} x {_bytes(costs.read)} = {_bytes(read)}; written: {images:,.0f} x {_bytes(costs.written)} = "
        f"{_bytes(written)}{rate}"
    )
    return lines


def _hours(
    lines: list[str], images: float, core: float, gpu: float, *, cores: float | None, gpus: float | None
) -> float | None:
    """The hours of the fleet, told in `lines`; None where no fleet was named."""
    if gpus is not None:
        took = images * gpu / 3600 / gpus
        fleet = f"{gpus:g} GPUs with {gpus * core / gpu:,.1f} cores"
        lines.append(f"{fleet}: {images * gpu / 3600:,.1f} / {gpus:g} = {took:,.2f} hours")
        return took
    hours = images * core / 3600
    if cores is not None:
        lines.append(f"{cores:g} cores, one process each: {hours:,.1f} / {cores:g} = {hours / cores:,.2f} hours")
        return hours / cores
    lines.append(f"in a day: {hours:,.1f} / 24 = {hours / 24:,.1f} cores; in a week: {hours / 168:,.1f} cores")
    return None


def _bytes(count: float) -> str:
    """Bytes in a unit that suits.

    >>> _bytes(1500.0), _bytes(2.5e13)
    ('1.5 kB', '25.0 TB')
    """
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if count < 1000:
            return f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:,.1f} PB"
