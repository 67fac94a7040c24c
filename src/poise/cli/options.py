"""The flags of the commands, in groups: each flag, its default and its help stand here once.

A command takes groups as keyword arguments, and their fields are its flags. What a group decides is a method of it: it checks
its values, refuses flags that a model has no use for, and turns them into settings.
"""

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import arg

from poise.cli._flags import check_confidence, check_number, check_out, given, refuse_given
from poise.cli._inputs import ANNOTATIONS, BOXES, DETECTOR, IMAGES, MODEL, SKELETON
from poise.errors import InputError
from poise.writing import check_targets

if TYPE_CHECKING:
    from poise.codecs.decoders import Codec
    from poise.data.boxes import PersonBoxes
    from poise.data.naming import Naming
    from poise.evaluation.eval_set import EvalSet
    from poise.inference.detect import Detector, ModelDetector
    from poise.inference.settings import InferenceSettings
    from poise.models.base import ImageModel, PoseModel
    from poise.models.values import Rescoring
    from poise.recipes.base import Recipe
    from poise.skeletons.alignment import BodyAxis

Name = Annotated[str | None, arg(metavar="NAME")]
Number = Annotated[int | None, arg(metavar="N")]
Score = Annotated[float | None, arg(metavar="T")]
ModelFile = Annotated[Path, arg(metavar="FILE|NAME"), MODEL]
OptionalModelFile = Annotated[Path | None, arg(metavar="FILE|NAME"), MODEL]
AnnotationFile = Annotated[Path, arg(metavar="FILE"), ANNOTATIONS]
Folder = Annotated[Path, arg(metavar="DIR")]
Assignments = Annotated[tuple[str, ...], arg(metavar="NAME=VALUE [NAME=VALUE ...]")]
Factors = Annotated[tuple[float, ...], arg(metavar="F [F ...]")]

WORKERS = 2
"""Threads that read images, where `--workers` is not given."""

MAX_SIDE = 8192
"""Pixels that the fitted side of a whole image may get; maps of larger images do not fit into memory."""

TRAINING_FIELDS = ("learning", "weights")
"""Fields of a detector's configuration that are read in training alone."""

KEYPOINT_FIELDS = ("keypoint_nms", "keypoint_score", "rating", "calibration")
"""Fields of a detector's configuration that are about keypoints, and change no box."""


@dataclass(frozen=True, kw_only=True)
class NameOptions:
    """Names of keypoints.

    Attributes:
        skeleton: Names of the keypoints where the file has none: of a public data set, such as wflw or coco_wholebody, or a
            JSON or text file with the names.
        fields: Fields of the annotations that hold the keypoints, one after the other, such as keypoints foot_kpts.
    """

    skeleton: Annotated[str | None, arg(metavar="NAME|FILE"), SKELETON] = None
    fields: Annotated[tuple[str, ...], arg(metavar="FIELD [FIELD ...]")] = ()

    @property
    def naming(self) -> "Naming | None":
        """The values of these flags; None where none is given.

        Raises:
            PoiseError: There is no such skeleton, or a pair is none.
        """
        from poise.data.naming import naming_of

        return naming_of(self.skeleton, self.fields)


@dataclass(frozen=True, kw_only=True)
class MirrorOptions(NameOptions):
    """Names and mirror pairs of keypoints.

    Attributes:
        mirror: Pairs of keypoints that a mirror exchanges, where names do not tell: left_paw:right_paw; nose:nose alone where
            it exchanges none.
    """

    mirror: Annotated[tuple[str, ...], arg(metavar="A:B [A:B ...]")] = ()

    @property
    def naming(self) -> "Naming | None":
        """The values of these flags; None where none is given."""
        from poise.data.naming import naming_of

        return naming_of(self.skeleton, self.fields, self.mirror)


@dataclass(frozen=True, kw_only=True)
class AnnotationOptions(NameOptions):
    """The labels.

    Attributes:
        annotations: COCO-style keypoint file.
    """

    annotations: AnnotationFile


@dataclass(frozen=True, kw_only=True)
class ImageFolderOptions:
    """The images.

    Attributes:
        images: Folder or zip file of the images of the annotation file.
    """

    images: Annotated[Path, arg(metavar="DIR"), IMAGES]


@dataclass(frozen=True, kw_only=True)
class OptionalImageFolderOptions:
    """The images.

    Attributes:
        images: Folder or zip file of the images of the annotation file, where images are read.
    """

    images: Annotated[Path | None, arg(metavar="DIR"), IMAGES] = None


@dataclass(frozen=True, kw_only=True)
class DatasetOptions(ImageFolderOptions, AnnotationOptions):
    """Labels and images."""


@dataclass(frozen=True, kw_only=True)
class EvalFilesOptions(OptionalImageFolderOptions, AnnotationOptions):
    """Labels, and images where a model is run."""


@dataclass(frozen=True, kw_only=True)
class SeedOptions:
    """Random choices.

    Attributes:
        seed: Seed: the same seed gives the same result.
    """

    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class ResamplingOptions(SeedOptions):
    """Bootstrap intervals.

    Attributes:
        resamples: Bootstrap resamples, for the 95 % intervals.
    """

    resamples: int = 1000


@dataclass(frozen=True, kw_only=True)
class MinScoreOptions:
    """Minimum scores.

    Attributes:
        min_score: Results, people or boxes, with a lower score are left out.
    """

    min_score: float = 0.0


@dataclass(frozen=True, kw_only=True)
class DeviceOptions:
    """How the model is run.

    Attributes:
        device: cpu, cuda, cuda:1, mps; by default a GPU where there is one.
        precision: fp32 or bf16; by default bf16 where it is faster.
    """

    device: Name = None
    precision: Name = None


@dataclass(frozen=True, kw_only=True)
class InferenceOptions(DeviceOptions):
    """How the model is run."""

    def settings_for(self, model: "ImageModel", *, flip: bool | None = None) -> "InferenceSettings":
        """How a model is run with these flags; what they leave open the model and the machine choose.

        Args:
            model: The model.
            flip: Whether to average with the mirrored view, where no flag says so.

        Raises:
            PoiseError: As `InferenceSettings.of`.
        """
        from poise.inference.settings import InferenceSettings

        return InferenceSettings.of(model, **({"flip": flip} | self._settings()))

    def _settings(self) -> dict[str, Any]:
        """The flags, as keyword arguments of `InferenceSettings.of`."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True, kw_only=True)
class FlipOptions(InferenceOptions):
    """How the model is run.

    Attributes:
        flip: Average with the mirrored view (flip test), where the model does that; twice the time of the network.
    """

    flip: bool = True

    def _settings(self) -> dict[str, Any]:
        return super()._settings() | {"flip": None if self.flip else False}


@dataclass(frozen=True, kw_only=True)
class RunOptions(InferenceOptions):
    """How the model is run.

    Attributes:
        batch: People in a batch (32), or whole images (4; 2 for detectors); torchvision's detectors see one image at a time.
        workers: Threads that read images (2).
    """

    batch: Number = None
    workers: Number = None

    @property
    def threads(self) -> int:
        """Threads that read images."""
        return WORKERS if self.workers is None else self.workers

    def _settings(self) -> dict[str, Any]:
        return super()._settings() | {"workers": self.threads}


@dataclass(frozen=True, kw_only=True)
class PaddedRunOptions(RunOptions):
    """How the model is run.

    Attributes:
        pad_batches: Pad views of whole images to the largest of their batch, so that images of mixed shapes share it: faster on
            a GPU; results then vary slightly with the other images of the batch.
    """

    pad_batches: bool = False

    def detector(self, name: str, *, batch: int | None = None) -> "Detector":
        """The detector of a model file, or one of torchvision's by name, run with these flags.

        Args:
            name: The file or the name.
            batch: Images in a batch; by default the model's.

        Raises:
            PoiseError: As `detector_of`.
        """
        from poise.inference.detect import detector_of

        return detector_of(
            name,
            device=self.device,
            precision=self.precision,
            batch=batch,
            workers=self.threads,
            pad_batches=self.pad_batches,
        )


@dataclass(frozen=True, kw_only=True)
class FlipRunOptions(RunOptions, FlipOptions):
    """How the model is run."""


@dataclass(frozen=True, kw_only=True)
class EvalRunOptions(PaddedRunOptions, FlipRunOptions):
    """How the model is run."""


@dataclass(frozen=True, kw_only=True)
class BoxFileOptions:
    """Boxes of people.

    Attributes:
        boxes: Boxes of people: "gt" for the labelled boxes (the default), or a detector's JSON list of image_id, category_id,
            bbox, score. Models that look at whole images take none.
    """

    boxes: Annotated[str | None, arg(metavar="gt|FILE"), BOXES] = None

    def check_for(self, model: "ImageModel") -> None:
        """Refuse boxes for a model that looks at whole images.

        Raises:
            InputError: They are given.
        """
        refuse_for_whole_images(model, list(given(self)))

    def read(self, eval_set: "EvalSet", *, min_score: float = 0.0) -> "dict[int, PersonBoxes] | None":
        """The boxes of the file by category; None for the labelled ones.

        Args:
            eval_set: The data set.
            min_score: Boxes of a lower confidence are left out.

        Raises:
            PoiseError: As `detections`.
        """
        from poise.evaluation.boxes import detections

        return None if self.boxes in (None, "gt") else detections(str(self.boxes), eval_set, min_score=min_score)


@dataclass(frozen=True, kw_only=True)
class BoxOptions(BoxFileOptions):
    """Boxes of people.

    Attributes:
        detector: Finds the boxes: a model file, such as a Keypoint or Faster R-CNN, the name of a model of `poise get`, such as
            blazepose_detector, or that of one of torchvision's detectors, such as fasterrcnn_resnet50_fpn_v2
            (`poise detect --help` names more). `poise evaluate` measures its boxes too.
        min_box_score: Boxes with a lower confidence are left out; by default none, but below 0.3 where `poise predict` runs a
            detector or a model that finds boxes by itself.
    """

    detector: Annotated[str | None, arg(metavar="FILE|NAME"), DETECTOR] = None
    min_box_score: Score = None

    def check(self) -> None:
        """Refuse boxes from two places, and a minimum that no box could have.

        Raises:
            InputError: A detector and other boxes are given, or the minimum is not from 0 to 1.
        """
        if self.boxes is not None and self.detector is not None:
            raise InputError("--boxes and --detector both say where to look; leave one of them out")
        check_confidence("--min-box-score", self.min_box_score)

    def check_for(self, model: "ImageModel", *, own_minimum: bool = False) -> None:
        """Refuse boxes for a model that looks at whole images, and a minimum where boxes have no confidence.

        Args:
            model: The model.
            own_minimum: Whether the minimum also applies to the boxes of a model that finds some by itself.

        Raises:
            InputError: One of the flags would change nothing.
        """
        kept = own_minimum and model.finds_boxes
        refuse_for_whole_images(model, [flag for flag in given(self) if not (kept and flag == "--min-box-score")])
        if self.min_box_score is not None and self.boxes in (None, "gt") and self.detector is None and not kept:
            raise InputError(
                "--min-box-score is for boxes of --detector, or of a file of --boxes; leave it out, or give one of them"
            )


def refuse_for_whole_images(model: "ImageModel", flags: list[str]) -> None:
    """Refuse flags that are for models that look at one person at a time (top-down).

    Args:
        model: Model of any type.
        flags: Flags that were given.

    Raises:
        InputError: A flag was given, and the model looks at whole images.
    """
    if not model.takes_boxes:
        refuse_given(flags, why=f"{model.card.name} looks at whole images and finds and rates people by itself")


@dataclass(frozen=True, kw_only=True)
class KeypointScoreOptions:
    """Minimum scores of keypoints.

    Attributes:
        min_keypoint_score: Least keypoint score that counts for the score of a pose; lower ones are drawn thin; by default as
            the model's release does.
    """

    min_keypoint_score: Score = None

    def check(self) -> None:
        """Refuse a minimum that is no number.

        Raises:
            InputError: It is nan.
        """
        check_number("--min-keypoint-score", self.min_keypoint_score)

    def adjust(self, model: "PoseModel") -> None:
        """Change which keypoints of a model count."""
        if self.min_keypoint_score is not None:
            model.preprocess = replace(model.preprocess, min_keypoint_score=self.min_keypoint_score)


@dataclass(frozen=True, kw_only=True)
class RescoringOptions(KeypointScoreOptions):
    """How poses are scored.

    Attributes:
        oks_nms: OKS above which the lower scored of two poses is removed as a duplicate, "off", or soft OKS-NMS: "soft" as in
            HRNet's release, where it only orders poses and 20 of an image stay, "soft-lowered" where it also lowers their
            scores, "soft-linear" and "soft-linear-lowered" by 1 - OKS; "soft:0.9" says the parameter; by default as the model's
            release does.
        alignment: Also print AP with and without the people who lack hips and shoulders, which aligned crops need; aligned
            models print it without being asked.
    """

    oks_nms: Annotated[str | None, arg(metavar="T|off|soft[:T]")] = None
    alignment: bool = False

    def check_for(self, model: "ImageModel") -> None:
        """Refuse a minimum for a model that scores poses by itself.

        Raises:
            InputError: It is given.
        """
        refuse_for_whole_images(model, [flag for flag in given(self) if flag != "--oks-nms"])

    def axis_of(self, model: "PoseModel") -> "BodyAxis | None":
        """The keypoints that tell the alignment, where scores with and without people who lack them are wanted.

        Raises:
            InputError: They are asked for, and the model is not top-down or has no such keypoints.
        """
        from poise.skeletons.alignment import BodyAxis

        axis: BodyAxis | None = getattr(model.preprocess, "axis", None)
        if axis is None and self.alignment:
            if not model.takes_boxes:
                raise InputError(
                    f"--alignment is for top-down models, and {model.card.name} looks at whole images; leave it out"
                )
            axis = BodyAxis()
            axis.indices(model.skeleton)
        return axis

    def of(self, model: "PoseModel") -> "Rescoring":
        """How poses of a model are scored: as its release does, but for what flags say.

        Raises:
            InputError: `--oks-nms` is no treatment of duplicates (`Rescoring.with_nms`).
        """
        scoring = model.rescoring
        if self.min_keypoint_score is not None:
            scoring = replace(scoring, min_keypoint_score=self.min_keypoint_score)
        return scoring if self.oks_nms is None else scoring.with_nms(self.oks_nms)


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
        from poise.models.base import require_box_finder, require_pose
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
        from poise.models.base import require_pose

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
class EvalOutputOptions:
    """Files to write.

    Attributes:
        out: Write the poses in COCO's result format, and beside it the scores and what they depend on, in a file that ends in
            .scores.json, and the boxes of a model or detector that found them, in one that ends in .boxes.json; for MPII, a
            name in .mat is written as results are submitted.
        report: Write one page: tables, precision and recall, errors by kind and what each costs, best and worst pictures.
    """

    out: Annotated[Path | None, arg(metavar="FILE.json|FILE.mat")] = None
    report: Annotated[Path | None, arg(metavar="FILE.html")] = None

    def check(self) -> None:
        """Refuse files that cannot be written.

        Raises:
            WriteError: One is a folder, no regular file, or a file that is read; or two are one.
            InputError: A name ends otherwise.
        """
        if self.out is not None:
            check_out("--out", self.out, ends=(".json", ".mat", ""))
        if self.report is not None:
            check_out("--report", self.report, ends=(".html", ".htm", ""))
        check_targets([file for file in (self.report, self.out, *self.beside.values()) if file is not None], flag="--out")

    @property
    def beside(self) -> dict[str, Path]:
        """Files that are written beside the poses."""
        return {} if self.out is None else {name: self.out.with_suffix(f".{name}.json") for name in ("scores", "boxes")}

    @property
    def submission(self) -> bool:
        """Whether results are written as they are submitted for MPII."""
        return self.out is not None and self.out.suffix.lower() == ".mat"

    @property
    def folders(self) -> list[Path]:
        """The paths that are written."""
        return [file.parent for file in (self.out, self.report) if file is not None]


@dataclass(frozen=True, kw_only=True)
class ModelOutputOptions:
    """Files to write.

    Attributes:
        out: Model file to write, ending in .safetensors.
    """

    out: Annotated[Path, arg(metavar="FILE.safetensors")]

    def check(self) -> None:
        """Refuse a file that cannot be written.

        Raises:
            WriteError: It is a folder, no regular file, or a file that is read.
            InputError: Its name ends otherwise.
        """
        check_out("--out", self.out, ends=(".safetensors",))


@dataclass(frozen=True, kw_only=True)
class FolderOutputOptions:
    """Files to write.

    Attributes:
        out: Folder for the results.
    """

    out: Folder


@dataclass(frozen=True, kw_only=True)
class TrainingOptions(DeviceOptions, SeedOptions):
    """How a recipe is run.

    Attributes:
        out: Folder of the run; by default `runs/` and the name of the recipe.
        batch: People per step, over all devices; the learning rate follows it linearly.
        accumulate: Steps whose gradients are added up.
        workers: Processes that read images and crop views.
        resume: Folder of a run to continue.
        settings: The settings.json of a run to train again, but for the flags that are typed; in place of the recipe's name.
        start: Model file to fine-tune, also of another skeleton.
        stages: Number of times the whole recipe is trained, each time from the best weights before, with a new schedule.
        devices: GPUs, or CPU processes, on each machine.
        nodes: Machines.
        strategy: Lightning's name of the distributed strategy.
        minutes: Largest training time; stages share it by their epochs.
        steps: Largest number of steps; stages share them too.
        save_minutes: Minutes between two checkpoints.
        logger: Loggers of losses and scores: tensorboard (the default), csv, wandb, mlflow, comet; several may be given;
            "none"; or module:function of your own, which is called with the folder of the run and gives a logger of Lightning.
    """

    out: Path | None = None
    batch: int | None = None
    accumulate: int = 1
    workers: int | None = None
    resume: Path | None = None
    settings: Path | None = None
    start: Path | None = None
    stages: int = 1
    devices: int = 1
    nodes: int = 1
    strategy: str = "auto"
    minutes: float | None = None
    steps: int | None = None
    save_minutes: float = 5.0
    logger: list[str] | None = None

    @property
    def loggers(self) -> list[str]:
        """Names of the loggers."""
        return ["tensorboard"] if self.logger is None else [name for name in self.logger if name != "none"]

    def train(self, recipe: "Recipe") -> None:
        """Train.

        Args:
            recipe: Recipe, made from its own flags.

        Raises:
            PoiseError: As `fit`.
        """
        from poise.training.fit import fit

        fit(
            recipe.staged(self.stages),
            out=self.out or Path("runs") / recipe.name,
            seed=self.seed,
            device=self.device,
            precision=self.precision,
            batch=self.batch,
            accumulate=self.accumulate,
            workers=self.workers,
            resume=self.resume,
            start=self.start,
            devices=self.devices,
            nodes=self.nodes,
            strategy=self.strategy,
            minutes=self.minutes,
            steps=self.steps,
            save_minutes=self.save_minutes,
            loggers=self.loggers,
        )
