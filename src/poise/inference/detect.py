"""Person detection: boxes from a model of poise that finds boxes, or from a detector of torchvision."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, final

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from poise.data.masks import run_lengths
from poise.dims import Size
from poise.errors import ImageError, InputError, PoiseError, unknown
from poise.geometry import large, xyxy_to_xywh
from poise.inference.request import ImageRequest, Skipped, Watch, none_usable
from poise.inference.runtime import attach
from poise.inference.settings import InferenceSettings
from poise.inference.stages import DETECTOR, READING, Stages
from poise.inference.stream import prefetch, prepare, stream_boxes
from poise.models.base import ImageModel, Model, PoseModel
from poise.models.device import choose_device
from poise.models.rcnn_masks import INSIDE, pasted
from poise.models.require import require_box_finder
from poise.runtimes.choice import TORCH
from poise.skeletons.nouns import PERSON, Nouns, nouns
from poise.structures import Key
from poise.weights.cache import PEOPLE_DETECTOR, located
from poise.weights.exported_network import ENDINGS
from poise.weights.model_file import load
from poise.zoo.find import releases
from poise.zoo.rcnn.torchvision_detectors import CocoDetector, load_detector, names

MAX_ASPECT = 500
"""Images with a higher ratio of the sides give no boxes: torchvision's detectors would resize their short side to nothing."""


@final
@dataclass(frozen=True, eq=False)
class Detected:
    """Boxes of people in one image.

    Attributes:
        key: Key of the image.
        boxes: x0 y0 x1 y1, pixels of the image, highest confidence first.
        scores: Confidence of each box, 0 to 1.
        masks: Run lengths of the mask of each box, in the pixels of the image; None where masks are not predicted.
    """

    key: Key
    boxes: Float[Tensor, "n 4"]
    scores: Float[Tensor, " n"]
    masks: tuple[dict[str, Any], ...] | None = None

    def confident(self, min_score: float) -> "Detected":
        """The finite boxes of some size whose confidence is at least `min_score`."""
        good = (
            (self.scores >= min_score) & (self.boxes[:, 2:] > self.boxes[:, :2]).all(dim=1) & self.boxes.isfinite().all(dim=1)
        )
        return self._only(good)

    def large(self, min_area: float) -> "Detected":
        """The boxes with an area of at least `min_area` square pixels."""
        return self._only(large(self.boxes, min_area))

    def _only(self, good: Bool[Tensor, " n"]) -> "Detected":
        masks = None if self.masks is None else tuple(self.masks[i] for i in good.nonzero().flatten().tolist())
        return Detected(self.key, self.boxes[good], self.scores[good], masks)


class Detector(ABC):
    """Finds boxes of people in images.

    Attributes:
        name: Name in tables and messages.
        nouns: Singular and plural of what it finds.
        masks: Whether masks are predicted too, where it has a head for them.
        stages: Told where the time goes.
    """

    name: str
    nouns: Nouns = PERSON
    masks: bool = False
    stages: Stages | None = None

    @abstractmethod
    def find(self, requests: Iterable[ImageRequest], *, skipped: list[Skipped]) -> Iterator[Detected]:
        """The boxes in each image, in the order of the requests.

        Args:
            requests: Images without boxes; prefetched by a few images.
            skipped: Receives the images that cannot be read.
        """


@final
class ModelDetector(Detector):
    """A model of poise that finds boxes; the keypoint head of a Keypoint R-CNN does not run.

    Args:
        model: The model; it is moved to the device and put into evaluation mode, and stays so.
        settings: Device, precision, flip test, batches.
        masks: Whether masks are predicted too, where the model has a head for them.
    """

    def __init__(self, model: ImageModel, settings: InferenceSettings, *, masks: bool = False) -> None:
        self.name, self.model, self.settings, self.masks = model.card.name, require_box_finder(model), settings, masks
        self.nouns = nouns(model.skeleton) if isinstance(model, PoseModel) else getattr(model, "nouns", PERSON)
        prepare(model, settings.device)
        attach(model, settings.runtime)

    def find(self, requests: Iterable[ImageRequest], *, skipped: list[Skipped]) -> Iterator[Detected]:
        """The model's boxes with their confidences, perhaps with masks."""
        asked: dict[str, Any] = {"skipped": skipped, "masks": self.masks, "prepared": True, "stages": self.stages}
        for own, found in stream_boxes(self.model, requests, self.settings, **asked):
            masks = None
            if found.masks is not None:
                masks = tuple(run_lengths(mask) for mask in pasted(found.masks, found.boxes, own.size))
            yield Detected(own.request.key, found.boxes, found.score, masks)


@final
class TorchvisionDetector(Detector):
    """A detector of torchvision, of which people are kept; one image at a time, so results do not depend on other images.

    Args:
        detector: The network with its weights.
        device: Device; computes in float32.
        workers: Threads that read images.
    """

    def __init__(self, detector: CocoDetector, *, device: torch.device, workers: int = 2) -> None:
        self.name, self.person = f"torchvision's {detector.name}", detector.person
        self.network = detector.network.eval().to(device)
        self.device, self.workers = device, workers

    def find(self, requests: Iterable[ImageRequest], *, skipped: list[Skipped]) -> Iterator[Detected]:
        """The boxes of people with their confidences."""
        stages = self.stages or Stages()
        for request, job in prefetch(partial(_read, stages), requests, self.workers):
            try:
                image = job()
            except PoiseError as error:
                skipped.append(Skipped(request.key, str(error)))
                continue
            with stages.timed(DETECTOR):
                found = self._boxes(request.key, image)
            yield found

    def _boxes(self, key: Key, image: UInt8[Tensor, "3 H W"]) -> Detected:
        if max(image.shape[1:]) > MAX_ASPECT * min(image.shape[1:]):
            return Detected(key, torch.zeros(0, 4), torch.zeros(0))
        with torch.inference_mode():
            [output] = self.network([image.to(self.device).float() / 255])
        people = output["labels"] == self.person
        scores = output["scores"][people].cpu()
        order = scores.argsort(descending=True, stable=True)
        masks = None
        if self.masks and "masks" in output:  # probabilities of all pixels
            masks = tuple(run_lengths((mask[0] > INSIDE).numpy()) for mask in output["masks"][people].cpu()[order])
        return Detected(key, output["boxes"][people].cpu()[order], scores[order], masks)


def _read(stages: Stages, request: ImageRequest) -> UInt8[Tensor, "3 H W"]:
    with stages.timed(READING):
        return request.read()


def detector_of(
    detector: Model | str,
    *,
    device: str | None = None,
    precision: str | None = None,
    batch: int | None = None,
    workers: int = 2,
    pad_batches: bool = False,
    runtime: str | None = TORCH,
) -> Detector:
    """A detector: a model of poise, its file, its name in `poise get`, or the name of one of torchvision's.

    Args:
        detector: The model, the file or the name.
        device: "cpu", "cuda", ...; by default a GPU where there is one.
        precision: "fp32" or "bf16"; torchvision's detectors compute in float32.
        batch: Images per batch; torchvision's detectors see one image at a time.
        workers: Threads that read images.
        pad_batches: Whether images of mixed shapes share batches; refused for torchvision's detectors, which have no batches.
        runtime: What runs a model of poise (`InferenceSettings.of`); torchvision's detectors are PyTorch's.

    Raises:
        UnknownName: Neither a model file nor a known name; the message gives the nearest names.
        CheckpointError: The file is no model file, or torchvision's file is damaged.
        InputError: The model finds no boxes, or batches of torchvision's are to be padded.
        ReadError: The weights cannot be downloaded; the message says which file belongs where.
    """
    if isinstance(detector, Model) or Path(detector).suffix in (".safetensors", *ENDINGS) or located(detector).is_file():
        model = require_box_finder(detector if isinstance(detector, Model) else load(detector))
        settings = InferenceSettings.of(
            model, device=device, precision=precision, batch=batch, workers=workers, pad_batches=pad_batches, runtime=runtime
        )
        return ModelDetector(model, settings)
    if detector not in names():
        if detector in releases():
            raise InputError(f"the detector {detector!r} is not here yet; bring it with: poise get {detector}")
        raise unknown("detector", detector, (*names(), PEOPLE_DETECTOR, "blazepose_detector", "rtmdet_m", "rtmdet_nano"))
    if pad_batches:
        raise InputError(
            f"torchvision's {detector} sees one image at a time: nothing to pad; leave out --pad-batches (pad_batches)"
        )
    return TorchvisionDetector(load_detector(detector), device=choose_device(device), workers=workers)


def detect(
    detector: Detector, requests: list[ImageRequest], *, min_score: float, skipped: list[Skipped], watch: Watch | None = None
) -> list[Detected]:
    """Boxes of people in images; images that cannot be read are left out.

    Args:
        detector: Finds the boxes.
        requests: Images without boxes.
        min_score: Lowest confidence that is kept.
        skipped: Receives the images that cannot be read.
        watch: Wraps the stream of images, for a progress bar.

    Raises:
        ImageError: No image can be read.
    """
    before = len(skipped)
    stream: Iterable[Any] = detector.find(requests, skipped=skipped)
    found = [one.confident(min_score) for one in (watch(stream, len(requests)) if watch else stream)]
    if requests and not found:
        raise ImageError(none_usable(skipped[before:]))
    return found


def rows(
    found: Iterable[Detected], *, category: int = 1, named: bool = False, sizes: Mapping[int, Size] | None = None
) -> list[dict[str, Any]]:
    """Boxes in COCO's result format: image_id, category_id, bbox (x, y, width, height), score; `segmentation` of masks.

    Args:
        found: Boxes of each image.
        category: Category id of people.
        named: Whether each row also has its image's `file_name`.
        sizes: Size (h, w) of images by id, which their rows have as `width` and `height`: they tell whoever reads the rows
            whether the image was turned by its EXIF orientation.
    """
    return [
        {"image_id": one.key.image_id, "category_id": category, "bbox": box, "score": score}
        | ({"file_name": one.key.file_name} if named else {})
        | ({"width": size[1], "height": size[0]} if (size := (sizes or {}).get(one.key.image_id)) else {})
        | ({} if one.masks is None else {"segmentation": one.masks[index]})
        for one in found
        for index, (box, score) in enumerate(zip(_plain(xyxy_to_xywh(one.boxes), 2), _plain(one.scores, 5), strict=True))
        if min(box[2:]) > 0  # rounded to a size of 0
    ]


def _plain(values: Tensor, digits: int) -> list[Any]:
    """Rounded numbers for a JSON file."""
    return [[round(v, digits) for v in row] if isinstance(row, list) else round(row, digits) for row in values.tolist()]
