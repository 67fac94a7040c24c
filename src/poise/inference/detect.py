"""Boxes of people in images, from a model of ours that finds boxes or one of torchvision's detectors."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from poise.errors import ImageError, InputError, PoiseError, unknown
from poise.geometry import xyxy_to_xywh
from poise.inference.prefetch import prefetch
from poise.inference.sources import SourceBoxes
from poise.inference.top_down import Request, Setting, Skipped, Watch, none_usable
from poise.inference.two_stage import detect_boxes
from poise.models.box_detector import BoxDetector
from poise.models.device import choose_device
from poise.models.keypoint_rcnn import KeypointRCNN
from poise.models.kinds import Boxing, Model
from poise.structures import Key
from poise.weights.model_file import load
from poise.zoo.rcnn.torchvision_detectors import CocoDetector, load_detector, names

THIN = 500
"""Images so many times longer than wide would have no pixel left in torchvision's detectors, which bring the long side to 640
and more; nobody is in them."""


@final
@dataclass(frozen=True, eq=False)
class Detected:
    """Where people are in one image.

    Attributes:
        key: Of the image.
        boxes: x0 y0 x1 y1 in its pixels, the surest first.
        scores: Of each box, 0 to 1.
    """

    key: Key
    boxes: Float[Tensor, "n 4"]
    scores: Float[Tensor, " n"]

    def surer(self, least: float) -> "Detected":
        """The boxes that have a size and a score of at least `least`."""
        good = (self.scores >= least) & (self.boxes[:, 2:] > self.boxes[:, :2]).all(dim=1) & self.boxes.isfinite().all(dim=1)
        return Detected(self.key, self.boxes[good], self.scores[good])


class Detector(ABC):
    """Finds people's boxes in images.

    Attributes:
        name: For people to read.
    """

    name: str

    @abstractmethod
    def find(self, requests: Iterable[Request], *, skipped: list[Skipped]) -> Iterator[Detected]:
        """The boxes in each image, in the order of the requests.

        Args:
            requests: Without boxes; read ahead by a few images.
            skipped: Takes the images that cannot be used.
        """


@final
class ModelDetector(Detector):
    """A model of ours that finds boxes; of a Keypoint R-CNN the keypoints are not asked.

    Args:
        model: As it is.
        setting: How it is run.
    """

    def __init__(self, model: Boxing, setting: Setting) -> None:
        self.name, self.model, self.setting = model.card.name, model, setting

    def find(self, requests: Iterable[Request], *, skipped: list[Skipped]) -> Iterator[Detected]:
        """The model's boxes, with their scores as boxes."""
        for key, boxes, scores in detect_boxes(self.model, requests, self.setting, skipped=skipped):
            yield Detected(key, boxes, scores)


@final
class TorchvisionDetector(Detector):
    """A detector of torchvision's, asked for people; one image at a time, so that no image changes the answer for another.

    Args:
        detector: With its weights.
        device: What computes, in float32.
        workers: Threads that read images.
    """

    def __init__(self, detector: CocoDetector, *, device: torch.device, workers: int = 2) -> None:
        self.name, self.person = f"torchvision's {detector.name}", detector.person
        self.network = detector.network.eval().to(device)
        self.device, self.workers = device, workers

    def find(self, requests: Iterable[Request], *, skipped: list[Skipped]) -> Iterator[Detected]:
        """The boxes of people."""
        for request, job in prefetch(_read, requests, self.workers):
            try:
                image = job()
            except PoiseError as error:
                skipped.append(Skipped(request.key, str(error)))
                continue
            yield Detected(request.key, *self._look(image))

    def _look(self, image: UInt8[Tensor, "3 H W"]) -> tuple[Float[Tensor, "n 4"], Float[Tensor, " n"]]:
        if max(image.shape[1:]) > THIN * min(image.shape[1:]):
            return torch.zeros(0, 4), torch.zeros(0)
        with torch.inference_mode():
            [answer] = self.network([image.to(self.device).float() / 255])
        people = answer["labels"] == self.person
        scores = answer["scores"][people].cpu()
        order = scores.argsort(descending=True, stable=True)
        return answer["boxes"][people].cpu()[order], scores[order]


def _read(request: Request) -> UInt8[Tensor, "3 H W"]:
    return request.read()


def detector_of(
    text: str,
    *,
    device: str | None = None,
    precision: str | None = None,
    batch: int | None = None,
    workers: int = 2,
    pad_batches: bool = False,
) -> Detector:
    """A detector: a model file of poise, or the name of one of torchvision's.

    Args:
        text: The file or the name.
        device: As for `Setting.of`.
        precision: The same; torchvision's detectors compute in float32.
        batch: The same; torchvision's detectors see one image at a time.
        workers: Threads that read images.
        pad_batches: As for `Setting.of`; refused for torchvision's detectors, which have no batches.

    Raises:
        UnknownName: It is neither; the message gives the nearest names.
        CheckpointError: The file is no model file, or torchvision's is damaged.
        InputError: The model finds no boxes, or batches of torchvision's are to be padded.
        ReadError: The weights cannot be downloaded; the message says which file belongs where.
    """
    path = Path(text)
    if path.suffix == ".safetensors" or path.is_file():
        model = boxing(load(path))
        setting = Setting.of(model, device=device, precision=precision, batch=batch, workers=workers, pad_batches=pad_batches)
        return ModelDetector(model, setting)
    if text not in names():
        raise unknown("detector", text, names())
    if pad_batches:
        raise InputError(
            f"torchvision's {text} sees one image at a time: nothing to pad; leave out --pad-batches (pad_batches)"
        )
    chosen = choose_device(device)
    return TorchvisionDetector(load_detector(text), device=chosen, workers=workers)


def boxing(model: Model) -> Boxing:
    """The model, which must be one that finds boxes.

    Raises:
        InputError: It finds none.
    """
    if isinstance(model, KeypointRCNN | BoxDetector):
        return model
    raise InputError(
        f"{model.card.name!r} finds no boxes, so it is no detector; take a Keypoint R-CNN, a Faster R-CNN, or one of "
        "torchvision's such as fasterrcnn_resnet50_fpn"
    )


def detect(
    detector: Detector, requests: list[Request], *, min_score: float, skipped: list[Skipped], watch: Watch | None = None
) -> list[Detected]:
    """Where people are in images; those that cannot be used are left out.

    Args:
        detector: Looks.
        requests: Without boxes.
        min_score: Boxes below it are left out.
        skipped: Takes the images that cannot be used.
        watch: Sees every image as it is done.

    Raises:
        ImageError: No image can be used.
    """
    before = len(skipped)
    stream: Iterable[Any] = detector.find(requests, skipped=skipped)
    found = [one.surer(min_score) for one in (watch(stream, len(requests)) if watch else stream)]
    if requests and not found:
        raise ImageError(none_usable(skipped[before:]))
    return found


def source_boxes(found: Iterable[Detected]) -> dict[int, SourceBoxes]:
    """What was found by image id, as boxes to look into; also of images without anybody."""
    return {one.key.image_id: SourceBoxes(one.boxes, one.scores, [1] * len(one.boxes)) for one in found}


def rows(found: Iterable[Detected], *, category: int = 1, named: bool = False) -> list[dict[str, Any]]:
    """Boxes as the usual detection file has them: image_id, category_id, bbox (x, y, width, height), score.

    Args:
        found: In each image.
        category: Of people.
        named: Whether each row also has its image's `file_name`.
    """
    return [
        {"image_id": one.key.image_id, "category_id": category, "bbox": box, "score": score}
        | ({"file_name": one.key.file_name} if named else {})
        for one in found
        for box, score in zip(_plain(xyxy_to_xywh(one.boxes), 2), _plain(one.scores, 5), strict=True)
        if min(box[2:]) > 0  # a hundredth of a pixel is nobody
    ]


def _plain(values: Tensor, digits: int) -> list[Any]:
    """Numbers for a file."""
    return [[round(v, digits) for v in row] if isinstance(row, list) else round(row, digits) for row in values.tolist()]
