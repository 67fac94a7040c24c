"""`Predictor`: a model on a device, with a detector if wanted, for single images and streams of images."""

import os
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from threading import Lock
from typing import final, overload

from torch import Tensor

from poise.data.boxes import check_boxes
from poise.errors import ImageError, InputError
from poise.inference.detect import Detector, ModelDetector, detector_of
from poise.inference.inputs import BoxesLike, ImageLike, as_boxes, as_image, is_image
from poise.inference.request import ImagePoses, ImageRequest, Skipped
from poise.inference.runtime import attach
from poise.inference.settings import InferenceSettings, Pixels
from poise.inference.stages import Stages
from poise.inference.stream import find_poses, prepare
from poise.inference.whole_image import whole_image_note
from poise.models.base import Model, PoseModel
from poise.models.require import require_pose
from poise.models.values import Image
from poise.runtimes.choice import TORCH
from poise.structures import Key, Poses
from poise.weights.model_file import load

MIN_BOX_SCORE = 0.3
"""Lowest confidence of a detector's boxes that are given to the pose model."""


@final
class Predictor:
    """Finds keypoints with one model, held ready on its device; several threads may call it.

    Example:
        >>> predictor = poise.Predictor("model.safetensors", detector="fasterrcnn_resnet50_fpn_v2")  # doctest: +SKIP
        >>> poses = predictor("photo.jpg")  # doctest: +SKIP
        >>> for poses in predictor(paths):  # a stream: batches across images, each decoded once  # doctest: +SKIP
        ...     print(poses.key.file_name, len(poses))

    Args:
        model: A model (`poise.load`, `poise.zoo.build`), or a model file. It is put into evaluation mode and moved to
            `device`, and stays there.
        detector: Finds the boxes for a top-down model: a detector, a model that finds boxes, a model file, or the name of a
            detector of torchvision. Without it each image is one person, or boxes are given with the image.
        device: "cpu", "cuda", ...; by default a GPU where there is one, else the CPU.
        precision: "fp32" or "bf16"; by default bf16 where it is faster.
        flip: Whether to average with the mirrored view (flip test); by default as the model's release does.
        batch: People, or whole images, per batch of a stream; by default the model's.
        workers: Threads that read images of a stream.
        pad_batches: Whether views of whole images are padded to the largest of their batch, so that images of mixed shapes
            share it: faster on a GPU; results then vary slightly with the other images of the batch.
        min_box_score: Lowest confidence of the detector's boxes that are used.
        whole_image: Whether images without boxes show one person (or animal) who fills them, so that there is nothing to warn
            of.
        runtime: What runs the networks: "torch", "compile", "onnxruntime", "openvino", or "auto" for the fastest that is
            installed; by default that for a file or a name, and PyTorch for a model, which its holder may go on training.
        pixels: What becomes of the images of a stream: "kept" with their poses, "dropped" (less memory), or "reduced": dropped,
            and JPEG files of more pixels than crops need are read at a half, a quarter or an eighth of their size.

    Attributes:
        stages: Where the time of streams went so far.

    Warns:
        UserWarning: Once, where a whole image is taken as a box, and the model learnt tight ones.

    Raises:
        InputError: The model finds no keypoints, or a detector is given to a model that finds people by itself.
        CheckpointError: A model file cannot be read.
        UnknownName: No such device, precision or detector.
        SkeletonMismatch: The flip test is wanted and the skeleton has no mirror pairs.
    """

    def __init__(
        self,
        model: Model | str | os.PathLike[str],
        *,
        detector: Detector | Model | str | None = None,
        device: str | None = None,
        precision: str | None = None,
        flip: bool | None = None,
        batch: int | None = None,
        workers: int = 2,
        pad_batches: bool = False,
        min_box_score: float = MIN_BOX_SCORE,
        whole_image: bool = False,
        runtime: str | None = None,
        pixels: Pixels = "kept",
    ) -> None:
        wanted = runtime or (TORCH if isinstance(model, Model) else None)
        self.model: PoseModel = require_pose(model if isinstance(model, Model) else load(model))
        if detector is not None and not self.model.takes_boxes:
            raise InputError(
                f"{self.model.card.name} looks at whole images and finds people by itself, so a detector is of no use to it; "
                "leave it out"
            )
        self.settings = InferenceSettings.of(
            self.model,
            device=device,
            precision=precision,
            flip=flip,
            batch=batch,
            workers=workers,
            pad_batches=pad_batches and detector is None,  # with a detector it is the detector that sees whole images
            runtime=wanted,
            pixels=pixels,
        )
        self.stages = Stages()
        self.min_box_score = min_box_score
        self._warned = whole_image or self.model.card.box_share is None
        prepare(self.model, self.settings.device)
        attach(self.model, self.settings.runtime)
        self.detector = (
            detector
            if isinstance(detector, Detector | None)
            else detector_of(
                detector, device=device, precision=precision, workers=workers, pad_batches=pad_batches, runtime=wanted
            )
        )
        if self.detector is not None:
            self.detector.stages = self.stages
        self._lock = Lock()

    @property
    def starting(self) -> float:
        """Seconds that it took so far to start runtimes, of the model and of a detector that is a model."""
        own = self.settings.runtime.seconds
        return own + (self.detector.settings.runtime.seconds if isinstance(self.detector, ModelDetector) else 0.0)

    @overload
    def __call__(self, images: ImageLike, *, boxes: BoxesLike | None = None) -> Poses: ...  # type: ignore[overload-overlap]

    @overload
    def __call__(self, images: Iterable[ImageLike]) -> Iterator[Poses]: ...

    def __call__(self, images: ImageLike | Iterable[ImageLike], *, boxes: BoxesLike | None = None) -> Poses | Iterator[Poses]:
        """The poses of an image; or, for several images, an iterator over the poses of each, in their order.

        Args:
            images: A file, its content (bytes), RGB pixels (height, width, 3), uint8, or an image of Pillow; or any iterable of
                those, also an endless one. An array of OpenCV's is BGR: give `image[..., ::-1]`.
            boxes: Boxes of the people in a single image, x0 y0 x1 y1 in pixels, one per row; they may extend beyond the image.
                Without boxes the detector finds them; without a detector the whole image is one person; an empty list means
                no people. A model that finds people by itself takes none.

        Returns:
            For each image one pose per box, in the order of the boxes, pixels of the image, not clipped to it. From a model
            that finds people by itself one pose per person, highest pose score first, with a box; keypoints that were not found
            have score 0 and position 0, 0.

        Raises:
            ImageError: A file is missing or cannot be decoded.
            InputError: Pixels of another type or shape, or boxes for a model that takes none.
            BoxError: A box is not finite, has no size, or lies outside the image; or boxes are not rows of four numbers.
        """
        if is_image(images):
            return self._single(images, boxes)  # type: ignore[arg-type]  # `is_image` has checked
        if boxes is not None:
            raise InputError("boxes belong to a single image; of several images give a generator of requests to `stream`")
        return (found.poses for found in self.stream(map(_request, images)))  # type: ignore[arg-type]  # `is_image` has checked

    def stream(self, requests: Iterable[ImageRequest], *, skipped: list[Skipped] | None = None) -> Iterator[ImagePoses]:
        """The people of many images, in their order; each image is read once, batches run across images.

        Args:
            requests: Prefetched by a few images; may be endless. With a detector, boxes of requests are replaced by its own.
            skipped: Receives the images that cannot be read; without it the first such image raises its error.
        """
        if self.detector is not None:
            requests = self._detected(self.detector, requests, skipped)
        noted = map(self._noted, requests)
        yield from find_poses(self.model, noted, self.settings, skipped=skipped, prepared=True, stages=self.stages)

    def _noted(self, request: ImageRequest) -> ImageRequest:
        """The request; a warning where it is the first without boxes, and the model learnt tight ones."""
        if request.boxes is None and not self._warned:
            self._warned = True
            if note := whole_image_note(self.model):
                warnings.warn(note, stacklevel=4)
        return request

    def _single(self, image: ImageLike, boxes: BoxesLike | None) -> Poses:
        pixels = as_image(image)
        given = None if boxes is None else as_boxes(boxes)
        if given is not None:
            check_boxes(given, (pixels.shape[1], pixels.shape[2]))
        name = os.fspath(image) if isinstance(image, str | os.PathLike) else ""
        request = ImageRequest(Key(name), partial(_same, pixels), given)
        alone = replace(self.settings, workers=0)
        with self._lock:
            requests: Iterable[ImageRequest] = [request]
            if self.detector is not None and given is None:
                requests = self._detected(self.detector, requests, None)
            [found] = find_poses(self.model, map(self._noted, requests), alone, prepared=True)
        return found.poses

    def _detected(
        self, detector: Detector, requests: Iterable[ImageRequest], skipped: list[Skipped] | None
    ) -> Iterator[ImageRequest]:
        """The requests with the detector's boxes; the pixels of each image are kept until the pose model has read them."""
        kept: dict[int, Tensor] = {}
        asked: dict[int, ImageRequest] = {}
        lost: list[Skipped] = []

        def indexed() -> Iterator[ImageRequest]:
            for index, request in enumerate(requests):
                asked[index] = request
                yield replace(request, key=Key("", index), read=partial(_keep, kept, index, request), boxes=None)

        for found in detector.find(indexed(), skipped=lost):
            for one in lost:
                kept.pop(one.key.image_id, None)
                _skip(asked.pop(one.key.image_id), one, skipped)
            lost.clear()
            confident, index = found.confident(self.min_box_score), found.key.image_id
            request = asked.pop(index)
            pixels = partial(kept.pop, index)
            yield replace(request, read=pixels, read_reduced=None, boxes=confident.boxes, box_score=confident.scores)
        for one in lost:
            _skip(asked.pop(one.key.image_id), one, skipped)


@overload
def predict(  # type: ignore[overload-overlap]
    model: Model,
    image: ImageLike,
    *,
    boxes: BoxesLike | None = None,
    detector: Detector | Model | str | None = None,
    flip: bool | None = None,
    batch: int | None = None,
    device: str | None = None,
    precision: str | None = None,
    whole_image: bool = False,
) -> Poses: ...


@overload
def predict(
    model: Model,
    image: Iterable[ImageLike],
    *,
    boxes: None = None,
    detector: Detector | Model | str | None = None,
    flip: bool | None = None,
    batch: int | None = None,
    device: str | None = None,
    precision: str | None = None,
    whole_image: bool = False,
) -> list[Poses]: ...


def predict(
    model: Model,
    image: ImageLike | Iterable[ImageLike],
    *,
    boxes: BoxesLike | None = None,
    detector: Detector | Model | str | None = None,
    flip: bool | None = None,
    batch: int | None = None,
    device: str | None = None,
    precision: str | None = None,
    whole_image: bool = False,
) -> Poses | list[Poses]:
    """Find the keypoints of the people in an image, or in each of a list; for many images make a `Predictor` once.

    Example:
        >>> poses = poise.predict(model, "photo.jpg", boxes=[[10, 20, 110, 220]])  # doctest: +SKIP
        >>> poses.xy.shape  # people, keypoints, (x, y)  # doctest: +SKIP
        torch.Size([1, 17, 2])

    Args:
        model: A model (`poise.load`, `poise.zoo.build`). It is moved to `device`, and stays there.
        image: A file, its content (bytes), RGB pixels (height, width, 3), uint8, or an image of Pillow; or a list of those. An
            array of OpenCV's is BGR: give `image[..., ::-1]`.
        boxes: Boxes of the people in a single image, x0 y0 x1 y1 in pixels, one per row; they may extend beyond the image.
            Without boxes and without a detector the whole image is one person; an empty list means no people. A model that
            finds people by itself takes none.
        detector: Finds the boxes, as for `Predictor`.
        flip: Whether to average with the mirrored view; by default as the model's release does.
        batch: People per batch; by default the model's.
        device: "cpu", "cuda", ...; by default a GPU where there is one, else the CPU.
        precision: "fp32" or "bf16"; by default bf16 where it is faster.
        whole_image: Whether an image without boxes shows one person (or animal) who fills it; else a model that learnt tight
            boxes warns.

    Returns:
        One pose per box or person, as from `Predictor`; of a list of images a list of those.

    Raises:
        ImageError: The file is missing or cannot be decoded.
        InputError: The pixels have another type or shape, or boxes are given to a model that finds people by itself.
        BoxError: A box is not finite, has no size, or lies outside the image; or boxes are not rows of four numbers.
        UnknownName: No such device, precision or detector.
    """
    training = model.training
    try:
        predictor = Predictor(
            model,
            detector=detector,
            device=device,
            precision=precision,
            flip=flip,
            batch=batch,
            workers=0,
            whole_image=whole_image,
        )
        found: Poses | Iterator[Poses] = predictor(image, boxes=boxes)  # type: ignore[arg-type]  # one image or several
        return found if isinstance(found, Poses) else list(found)
    finally:
        model.train(training)


def _request(image: ImageLike) -> ImageRequest:
    name = os.fspath(image) if isinstance(image, str | os.PathLike) else ""
    return ImageRequest(Key(name), partial(as_image, image))


def _same(image: Image) -> Image:
    return image


def _keep(kept: dict[int, Tensor], index: int, request: ImageRequest) -> Image:
    image = request.read()
    kept[index] = image
    return image


def _skip(request: ImageRequest, lost: Skipped, skipped: list[Skipped] | None) -> None:
    """Record that an image cannot be read.

    Raises:
        ImageError: There is no list of skipped images.
    """
    if skipped is None:
        raise ImageError(lost.reason)
    skipped.append(Skipped(request.key, lost.reason))
