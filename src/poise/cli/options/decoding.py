"""Flags of how outputs are decoded, and how people are found in whole images."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import arg

from poise.cli._flags import given, refuse_given
from poise.cli.options.types import Assignments, Factors, Name, Number
from poise.errors import InputError

if TYPE_CHECKING:
    from poise.codecs.decoders import Codec
    from poise.inference.detect import ModelDetector
    from poise.models.base import ImageModel


MAX_SIDE = 8192
"""Pixels that the fitted side of a whole image may get; maps of larger images do not fit into memory."""

TRAINING_FIELDS = ("learning", "weights")
"""Fields of a detector's configuration that are read in training alone."""

KEYPOINT_FIELDS = ("keypoint_nms", "keypoint_score", "rating", "calibration")
"""Fields of a detector's configuration that are about keypoints, and change no box."""


@dataclass(frozen=True, kw_only=True)
class DetectionOptions:
    """Sizes of whole images, and detection of people in them.

    Attributes:
        detecting_set: Fields of the detector's configuration, such as suppression=soft or nms=0.6 (docs/concepts/detectors.md).
        side: Length in pixels of the fitted side of a whole image: the long side, or the short one where a detector's release
            does so; by default as in the model file.
        scales: Factors on that length; with several, outputs are averaged, and detectors merge the people found at each.
    """

    detecting_set: Assignments = ()
    side: Number = None
    scales: Factors = ()

    def adjust(self, model: "ImageModel", *, codec_set: tuple[str, ...] = ()) -> None:
        """Change how a model is used; its weights stay.

        Args:
            model: Model; its configuration, codec and canvas change.
            codec_set: Fields of the codec, which of a detector change together with its configuration.

        Raises:
            InputError: A flag that is for another kind of model, or a value that cannot be.
            UnknownName: There is no such field.
        """
        from poise.models.require import require_box_finder, require_pose
        from poise.recipes.fields import set_codec, set_words

        self._check_for(model)
        if model.finds_boxes:
            set_words(require_box_finder(model), codec=codec_set, config=self.detecting_set)
        else:
            set_codec(require_pose(model), codec_set)
        if self.side is not None or self.scales:
            self._resize(model)

    def adjust_detector(self, detector: "ModelDetector") -> None:
        """Change how a detector finds boxes.

        Raises:
            InputError: A field that is about keypoints; or as `adjust`.
            UnknownName: There is no such field.
        """
        from poise.recipes.fields import refuse_words

        refuse_words(self.detecting_set, KEYPOINT_FIELDS, why="boxes are found here and no keypoints")
        self.adjust(detector.model)

    def refuse_for_torchvision(self, detector: str) -> None:
        """Refuse these flags for a detector of torchvision's.

        Raises:
            InputError: One is given.
        """
        why = f"{detector} is torchvision's and used as it was published, unlike a file that `poise import` made"
        refuse_given(list(given(self)), why=why)

    def _check_for(self, model: "ImageModel") -> None:
        from poise.recipes.fields import refuse_words

        if not self.detecting_set:
            return
        if not model.finds_boxes:
            raise InputError(
                f"--detecting-set is for detectors, and {model.card.name} finds no boxes; leave it out, or find the boxes with "
                "`poise detect --detecting-set` and give them with --boxes"
            )
        refuse_words(self.detecting_set, TRAINING_FIELDS, why="that is how a detector learns")
        if not model.finds_keypoints:
            refuse_words(self.detecting_set, KEYPOINT_FIELDS, why=f"{model.card.name} finds no keypoints")

    def _resize(self, model: "ImageModel") -> None:
        from poise.scenes import Canvas

        if model.takes_boxes:
            raise InputError(
                f"--side and --scales are for models that look at whole images; {model.card.name} looks at one person at a time"
            )
        if not isinstance(model.preprocess, Canvas):
            raise InputError(f"{model.card.name} takes views of one size only; leave out --side and --scales")
        canvas = model.preprocess
        side = canvas.side if self.side is None else self.side
        largest = side * max(self.scales, default=max(canvas.scales))
        if largest > MAX_SIDE:
            raise InputError(
                f"--side and --scales make images of {largest:g} pixels, the maximum is {MAX_SIDE}; "
                "give a smaller side or factor"
            )
        limit = None if canvas.most is None else round(canvas.most * side / canvas.side)
        model.preprocess = replace(canvas, side=side, most=limit, scales=self.scales or canvas.scales)


@dataclass(frozen=True, kw_only=True)
class CodecOptions:
    """Decoding of the network's outputs.

    Attributes:
        preset: Thresholds with which people are read out of whole images: practitioner or release.
        codec_set: Fields of the codec, such as reading.threshold=0.06 reading.top_k=32; after `--preset`.
    """

    preset: Annotated[str | None, arg(metavar="practitioner|release")] = None
    codec_set: Assignments = ()

    def adjust(self, model: "ImageModel", detection: DetectionOptions) -> None:
        """Change how a model is read and used; its weights stay.

        Args:
            model: Model; its codec, configuration and canvas change.
            detection: Sizes of whole images, and detection of people in them.

        Raises:
            InputError: A flag that is for another kind of model, or a value that cannot be.
            UnknownName: There is no such reading, preset or field.
        """
        from poise.models.require import require_pose

        if given(self):
            if not model.finds_keypoints:
                raise InputError(f"{model.card.name} finds no keypoints; leave out --reading, --preset and --codec-set")
            pose_model = require_pose(model)
            pose_model.codec = self.changed(pose_model.codec)
        detection.adjust(model, codec_set=self.codec_set)

    def changed(self, codec: "Codec") -> "Codec":
        """The codec with another preset or reading.

        Raises:
            PoiseError: It has no such preset or reading.
        """
        from poise.codecs.decoders import preset

        return codec if self.preset is None else preset(codec, self.preset)


@dataclass(frozen=True, kw_only=True)
class DecodingOptions(CodecOptions):
    """Decoding of the network's outputs.

    Attributes:
        reading: Decoder of positions from the maps: cell, quarter, dark, udp, fit3, fit5, soft, centre; votes where there
            are offsets; for whole images fast, upsampled, bilinear, cell, quarter, dark, fit1, fit2, fit1-sigma, fit2-sigma;
            for detectors with OneHot peak, blurred; by default as the model's own codec does.
    """

    reading: Name = None

    def changed(self, codec: "Codec") -> "Codec":
        """The codec with another preset or reading."""
        from poise.codecs.decoders import read_by

        made = super().changed(codec)
        return made if self.reading is None else read_by(made, self.reading)


@dataclass(frozen=True, kw_only=True)
class CropOptions:
    """How the box of a person becomes the view of a model that looks at one person at a time.

    Attributes:
        padding: Factor by which a box grows before the view is cut from it; by default as the model was trained (1.25 in most
            releases).
        box_sides: Factors by which width and height of a box grow before that, as in the releases of MSPN and CPN.
        passes: Of models that turn their views (--align, BlazePose): 2 reads the pose in a second view, which the first one
            tells, 1 in the first; by default as the model says.
    """

    padding: Annotated[float | None, arg(metavar="F")] = None
    box_sides: Annotated[tuple[float, float] | None, arg(metavar="W H")] = None
    passes: Annotated[int | None, arg(metavar="1|2")] = None

    def adjust(self, model: "ImageModel", *, boxes: bool = True, video: bool = False) -> None:
        """Change how boxes are cropped; the weights stay.

        Args:
            model: Model; its preprocessing changes.
            boxes: Whether it is given boxes.
            video: Whether frames of a video are looked at, each where the one before tells.

        Raises:
            InputError: The model looks at whole images, a factor cannot be, or a flag would change nothing.
        """
        from poise.structures import Preprocess

        flags = list(given(self))
        if not flags:
            return
        if not model.takes_boxes or not isinstance(model.preprocess, Preprocess):
            refuse_given(flags, why=f"{model.card.name} crops no boxes of people")
            return
        changes: dict[str, Any] = {} if self.padding is None else {"padding": self.padding}
        changes |= {} if self.box_sides is None else {"sides": self.box_sides}
        if self.passes is not None:
            refuse_given([] if hasattr(model.preprocess, "passes") else ["--passes"], why=f"{model.card.name} turns no views")
            changes["passes"] = self.passes
        if model.finds_people:
            idle = ({"--passes"} if video else set()) | (set() if boxes else {"--passes", "--box-sides"})
            refuse_given([f for f in flags if f in idle], why=f"{model.card.name} looks once at people that it finds by itself")
        model.preprocess = replace(model.preprocess, **changes)
