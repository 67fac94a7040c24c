"""`poise predict` on photographs: the model and its boxes, one pass over the images, and what is said at the end."""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, final

from poise.cli._predict import DETECTOR_MINIMUM, default_model, print_predictions, write_predictions
from poise.cli._print import say
from poise.cli.options import (
    CropOptions,
    DecodingOptions,
    DetectionOptions,
    KeypointScoreOptions,
    MinScoreOptions,
    PaddedRunOptions,
)
from poise.cli.options.engine import EngineOptions
from poise.cli.options.photos import PhotoOptions
from poise.inference.formats import check_format
from poise.inference.predictor import Predictor
from poise.inference.request import ImageRequest
from poise.inference.settings import Pixels
from poise.inference.sources import boxes_of, find_images, requests_of
from poise.inference.stages import speed_text
from poise.inference.unfinished import STATE, Unfinished, asked_of, read_unfinished
from poise.inference.usual_detector import usual_detector
from poise.inference.write import Writer, results_folder
from poise.models.base import PoseModel
from poise.models.require import require_pose
from poise.runtimes.choice import preferred
from poise.terminal import Console
from poise.weights import cache
from poise.weights.model_file import load
from poise.writing import locked

if TYPE_CHECKING:
    from poise.cli.predict import PhotoBoxOptions


@final
@dataclass(frozen=True, kw_only=True)
class PhotoFlags:
    """The flags of `poise predict` for photographs, as there."""

    model: Path | None
    boxes: "PhotoBoxOptions"
    minimum: MinScoreOptions
    keypoints: KeypointScoreOptions
    decoding: DecodingOptions
    detection: DetectionOptions
    crop: CropOptions
    running: PaddedRunOptions
    photos: PhotoOptions
    engine: EngineOptions
    resume: bool
    format: str
    out: Path
    yes: bool

    @property
    def confidence(self) -> float:
        """Lowest confidence of boxes."""
        return DETECTOR_MINIMUM if self.boxes.min_box_score is None else self.boxes.min_box_score

    @property
    def pixels(self) -> Pixels:
        """What becomes of images whose views are made."""
        return "kept" if not self.photos.no_pictures else "dropped" if self.photos.full_size else "reduced"

    @property
    def part_pixels(self) -> Pixels:
        """The same where results are written in parts, without pictures."""
        return "dropped" if self.photos.full_size else "reduced"

    def asked(self, model: PoseModel, requests: list[ImageRequest]) -> dict[str, str]:
        """What the rows depend on, in words."""
        return asked_of(requests, self.options(model) | {"format": self.format, "pixels": self.pixels})

    def options(self, model: PoseModel) -> dict[str, object]:
        """What the rows depend on beside the images and their form."""
        names = ("minimum", "keypoints", "decoding", "detection", "crop")
        options: dict[str, object] = {name: getattr(self, name) for name in names}
        running = replace(self.running, batch=None, workers=None)
        more = {"model": model.card, "detector": self.boxes.detector, "confidence": self.confidence}
        more |= {"min area": self.boxes.min_area} if self.boxes.min_area else {}
        return {**options, **more, "running": running}


def predict_photos(sources: tuple[str, ...], flags: PhotoFlags) -> int:
    """Find, write and draw the people of photographs; arguments as of `poise predict`."""
    check_format(flags.format)
    images, boxes = find_images(sources, without=flags.out), flags.boxes
    read = None if boxes.boxes is None else boxes_of(boxes.boxes, images, min_score=boxes.min_box_score or 0.0)
    console = Console()
    model, flags = model_of(console, flags)
    requests = requests_of(images, read)
    with results_folder(flags.out) as folder, locked(folder, what="another run of poise predict"):
        writer = Writer(
            folder,
            model,
            images,
            categories=None if read is None else {image: found.categories for image, found in read.items()},
            draw_boxes=read is not None or flags.boxes.detector is not None,
            min_score=flags.minimum.min_score,
            min_box_score=flags.confidence if model.finds_boxes else 0.0,
            min_area=flags.boxes.min_area,
            format=flags.format,
            pictures=not flags.photos.no_pictures,
        )
        unfinished = _unfinished(console, flags, writer, flags.asked(model, requests))
        if unfinished is None:
            return 0
        predictor = _predictor(model, flags)
        begun = time.perf_counter()
        skipped = write_predictions(predictor, requests, writer, unfinished)
        (folder / STATE).unlink(missing_ok=True)
    done = len(requests) - unfinished.images
    passed = time.perf_counter() - begun
    say(console, speed_text(done, passed, predictor.stages.seconds, starting=predictor.starting))
    print_predictions(console, model, images, requests, writer=writer, skipped=skipped)
    return 0


def model_of(console: Console, flags: PhotoFlags) -> tuple[PoseModel, PhotoFlags]:
    """The model, read as the flags say; and the flags with the detector that is usual for it, where none is given."""
    boxes, file = flags.boxes, flags.model
    file = default_model(Console(stderr=True), yes=flags.yes) if file is None else file
    model = require_pose(load(file))
    if not boxes.whole_image and boxes.boxes is None and boxes.detector is None:
        picked = usual_detector(model, cache.located(file), say=lambda text: say(console, text))
        boxes = replace(boxes, detector=picked)
    boxes.check_for(model, own_minimum=True)
    flags.decoding.adjust(model, flags.detection)
    flags.crop.adjust(model, boxes=boxes.boxes is not None or boxes.detector is not None)
    flags.keypoints.adjust(model)
    if note := boxes.whole_image_note(model):
        say(console, note)
    return model, replace(flags, boxes=boxes)


def _predictor(model: PoseModel, flags: PhotoFlags) -> Predictor:
    running = flags.running
    return Predictor(
        model,
        detector=flags.boxes.detector,
        device=running.device,
        precision=running.precision,
        batch=running.batch,
        workers=running.threads,
        pad_batches=running.pad_batches,
        min_box_score=flags.confidence,
        runtime=preferred(running.runtime),
        whole_image=True,  # what there is to say has been said
        pixels=flags.pixels,
    )


def _unfinished(console: Console, flags: PhotoFlags, writer: Writer, asked: dict[str, str]) -> Unfinished | None:
    """What is behind of the run: nothing, or what an earlier one left; None where that was finished."""
    state = flags.out / STATE
    if not flags.resume:
        if state.is_file():
            say(console, f"an unfinished run in {str(flags.out)!r} is begun anew; --resume goes on with one")
            state.unlink()
        return Unfinished(asked)
    found = read_unfinished(flags.out, writer.predictions, asked)
    if found is not None:
        writer.go_on(found)
        say(console, f"going on after {found.images} images")
        return found
    if writer.predictions.is_file():
        say(console, f"{writer.predictions} is finished; leave out --resume to make it anew")
        return None
    return Unfinished(asked)
