"""The contract of a model: its views, outputs, poses, evaluation, training and model file.

Commands, inference, evaluation and training use this contract and know no type of model. A new type is one class in one file,
of this folder or of a package of the user's own.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, ClassVar, final

from jaxtyping import Float
from torch import Tensor, nn

from poise.codecs.decoders import described
from poise.codecs.registry import codec_from_plain, to_plain
from poise.data.base import Dataset
from poise.dims import Size
from poise.errors import InputError
from poise.metrics.accuracy import Accuracy
from poise.models.card import Card
from poise.models.losses import total_loss
from poise.models.pictures import Picture
from poise.models.values import Batch, Decoder, Detections, Image, ImageViews, LabelledImage, Part, Rescoring, RoundTrip
from poise.models.views.base import TrainData, ViewDataset
from poise.skeletons import Skeleton
from poise.structures import CropRule, Key, Normalization, Poses


class OtherNetworkError(InputError):
    """A codec does not fit the network of a model."""


class Model(nn.Module, ABC):
    """Anything with a network, weights and a name.

    Attributes:
        kind: Name of this type of model in model files; for a class of the user's own package its `module:Class`.
        network: Holds the weights.
        card: Name, architecture, licence, scores.
        preprocess: How images are cropped or resized, and normalised, for models that are run on images.
        preprocess_type: Type of `preprocess`.
        finds_keypoints: Whether it is a `PoseModel`, which `require_pose` gives.
        runtime_parts: What of the network another runtime than PyTorch may run (`inference.runtime`); by default all of it.
    """

    kind: ClassVar[str]
    runtime_parts: ClassVar[tuple[Part, ...]] = (Part(),)
    finds_keypoints: ClassVar[bool] = False
    preprocess_type: ClassVar[type[Normalization]]
    network: Any
    preprocess: Any
    card: Card

    @property
    def no_keypoints(self) -> str:
        """Message of the error where keypoints are needed and the model finds none."""
        return f"{self.card.name!r} finds no keypoints, which are needed here"

    def to_plain(self) -> dict[str, Any]:
        """Values that a model file stores beside network, preprocessing and card, as plain JSON types.

        Raises:
            InputError: Models of this type cannot be saved.
        """
        raise InputError(f"{self.card.name!r} cannot be kept in a model file")

    @classmethod
    def from_plain(cls, network: Any, preprocess: Any, card: Card, *, values: Mapping[str, Any]) -> "Model":
        """The model that `to_plain` wrote.

        Args:
            network: Network with its weights.
            preprocess: Preprocessing, of `preprocess_type`.
            card: Name, architecture, licence, scores.
            values: Values that `to_plain` gave.

        Raises:
            InputError: Models of this type cannot be loaded.
        """
        raise InputError(f"models of the kind {cls.__name__} cannot be read from a file")


class ImageModel(Model):
    """A model that is run on images: of keypoints (`PoseModel`), or of boxes alone.

    Attributes:
        takes_boxes: Whether it looks at one person at a time, in given boxes (top-down); else at whole images.
        finds_boxes: Whether it finds boxes with scores of their own, which are evaluated too.
        config: Thresholds, NMS and scores of models that find boxes; others have none.
        default_batch: Default number of views in a batch: of one person each, or of whole images.
        exact: Whether its network always computes in float32, whatever precision is asked for.
        fastest_runtime: Runtime that is its fastest on a CPU; "" where it is the one that is the fastest of most models.
    """

    takes_boxes: ClassVar[bool] = False
    finds_boxes: ClassVar[bool] = False
    config: Any
    default_batch: ClassVar[int] = 4
    exact: ClassVar[bool] = False
    fastest_runtime: ClassVar[str] = ""

    @property
    def no_keypoints(self) -> str:
        """Message for a caller that needs keypoints; a model of images without them finds boxes."""
        return (
            f"{self.card.name!r} finds boxes of people and no keypoints, which are needed here; take a model with keypoints, "
            "and this one as its --detector (`poise detect` and `poise evaluate` take it by itself)"
        )

    @property
    def finds_people(self) -> bool:
        """Whether it finds people in an image without boxes; else one that takes boxes takes the whole image as one."""
        return not self.takes_boxes

    @property
    def flip(self) -> bool:
        """Whether the release averages with the mirrored view (flip test)."""
        return bool(self.preprocess.flip_test)

    def reduced_by(self, size: Size, boxes: Float[Tensor, "n 4"] | None) -> int:
        """By what the sides of an image may be divided while it is read: 1, or one of `geometry.FACTORS`.

        A model for which that may be more than 1 has `reduced_views` (`TopDown`).

        Args:
            size: Size of the whole image (h, w), pixels.
            boxes: x0 y0 x1 y1, pixels of the whole image; None for the whole image as one box.
        """
        return 1

    @abstractmethod
    def check_flip(self) -> None:
        """Refuse the flip test where the keypoints that a mirror image exchanges are not known.

        Raises:
            SkeletonMismatch: The skeleton has no mirror pairs.
        """

    @property
    @abstractmethod
    def input_text(self) -> str:
        """Input of the network as text for reports, such as its size."""

    @property
    @abstractmethod
    def output_text(self) -> str:
        """What the model finds, as text: "17 keypoints"."""

    def settings_text(self) -> dict[str, str]:
        """Settings that results depend on beside the network, as text by name, for reports; none by default."""
        return {}

    def codec_text(self) -> dict[str, str]:
        """How keypoints are decoded, by name, in words, for reports; nothing without keypoints."""
        return {}


class TrainableModel(ImageModel):
    """A model that `training` trains: one that finds keypoints (`PoseModel`), or a detector of boxes and masks.

    Attributes:
        codec: The contract between keypoints and the network's output; None without keypoints.
        skeleton: The keypoints; None without.
        unit: Unit of the batch size, singular and plural: ("person", "people") or ("image", "images").
        val_boxes: Boxes of a validation, as text for reports.
        augmentation_type: Type of the augmentations of its training views; None for a type of model without.
    """

    codec: Any = None
    skeleton: Any = None
    deep: tuple[Any, ...] = ()
    unit: ClassVar[tuple[str, str]] = ("image", "images")
    val_boxes: ClassVar[str] = "whole images"
    augmentation_type: ClassVar[type | None] = None

    @property
    def read_by(self) -> str:
        """How keypoints are read, for notes beside scores: ", read by ..."; empty without keypoints."""
        return "" if self.codec is None else f", read by {described(self.codec)}"

    @property
    def val_scores(self) -> tuple[str, ...]:
        """Names of the scores of a validation beside "loss"; higher is better."""
        return ("AP", "AP50", "AR")

    @final
    def loss(self, batch: Batch) -> Float[Tensor, ""]:
        """The loss of a batch: the sum of `losses`."""
        return total_loss(self.losses(batch))

    @property
    def loss_parts(self) -> tuple[str, ...]:
        """Names of the parts of the loss that are logged beside their sum."""
        return ()

    @abstractmethod
    def losses(self, batch: Batch) -> dict[str, Float[Tensor, ""]]:
        """The parts of the loss of a batch by name, weighted; they are added up."""

    def batch_accuracy(self, answer: Any, batch: Batch) -> Accuracy | None:
        """PCK on the maps of a training batch, as the releases print it while they train; None where there are no such maps.

        Args:
            answer: What the network answered to the batch's images.
            batch: The batch.
        """
        return None

    @abstractmethod
    def train_size(self, data: TrainData) -> Size:
        """Size of the training views (h, w), pixels."""

    @abstractmethod
    def train_views(self, data: TrainData, *, seed: int) -> ViewDataset[Any, Any]:
        """The training views of the data.

        Raises:
            InputError: The data has no person to train on, or the augmentation is for another type of model.
        """

    @abstractmethod
    def val_views(self, dataset: Dataset, *, seed: int) -> ViewDataset[Any, Any]:
        """The validation views of the data.

        Raises:
            InputError: The data has no person to validate on.
        """

    @abstractmethod
    def validate(self, batch: Batch) -> tuple[dict[str, Float[Tensor, ""]], list[Any]]:
        """The parts of the loss of a batch by name, and the predictions for each of its views, in pixels of the image.

        Both can be pickled.
        """

    @abstractmethod
    def raw(self, images: Float[Tensor, "b 3 h w"]) -> Sequence[Tensor]:
        """Every output of the network for views, whether it is read or not."""

    @abstractmethod
    def labelled(self, batch: Batch) -> Float[Tensor, "_ 2"]:
        """All labelled keypoints of a batch, pixels of the views."""

    @abstractmethod
    def truth(self, dataset: Dataset) -> Any:
        """The labels behind `val_views`."""

    @abstractmethod
    def score(self, truth: Any, found: Mapping[int, Any]) -> dict[str, float]:
        """The `val_scores` of what `validate` found, by the index of the view among `val_views`."""

    def keypoint_scores(self, truth: Any, found: Mapping[int, Any]) -> dict[str, float]:
        """A score of each keypoint for loggers, by name such as "pck@0.1/nose"; none by default. Arguments as of `score`."""
        return {}

    @abstractmethod
    def picture(self, batch: Batch) -> Picture:
        """The first views of a batch: labels, targets, outputs, predictions. The model is in evaluation mode."""


class PoseModel(TrainableModel):
    """A model that finds keypoints.

    Inference calls `views` -> batches of views -> `answer` -> `poses` and nothing else. `answer` and `poses` decode with the
    decoders they are given, one or several for one output.

    Laws (`tests/models/test_kind_laws.py`, with `--plugin` for those of a package):

    1. A batch of 2 views gives the same output as 2 batches of 1.
    2. A model that was saved and loaded gives the same output.
    3. `round_trip` of labelled people inside the image returns them to within the codec's tolerance.
    4. A few training steps on one batch lower its loss.

    Attributes:
        codec: The contract between keypoints and the network's output.
        skeleton: Keypoints, as many as the codec has.
        deep: Codecs of the network's intermediate outputs, which are used for losses only (deep supervision).
        partial_poses: Whether a pose may lack keypoints, which then have score 0.
        codec_type: Type of its codecs.
        rows_by_keypoint: Whether `keypoint_axis` gives the axis of weights that are separate for each keypoint.
    """

    finds_keypoints = True
    codec: Any
    skeleton: Skeleton
    deep: tuple[Any, ...] = ()
    partial_poses: ClassVar[bool] = False
    rows_by_keypoint: ClassVar[bool] = False
    codec_type: ClassVar[type]

    def check_keypoints(self, skeleton: Skeleton, *codecs: Any) -> None:
        """Refuse codecs of another number of keypoints than the skeleton's.

        Raises:
            InputError: They differ.
        """
        for codec in codecs:
            if codec.keypoints != len(skeleton):
                raise InputError(
                    f"the codec has {codec.keypoints} keypoints and skeleton {skeleton.name!r} has {len(skeleton)}; "
                    "they must agree"
                )

    # inference

    @abstractmethod
    def views(
        self, image: Image, boxes: Float[Tensor, "n 4"] | None = None, box_score: Float[Tensor, " n"] | None = None
    ) -> ImageViews:
        """The views of an image, inputs of the network.

        Args:
            image: RGB pixels.
            boxes: x0 y0 x1 y1, pixels of the image; None for the whole image as one box. Only where `takes_boxes`.
            box_score: Confidence of each box; 1 by default.
        """

    @abstractmethod
    def answer(
        self,
        images: Float[Tensor, "b 3 h w"],
        views: Sequence[tuple[ImageViews, int]],
        *,
        flip: bool,
        decoders: Sequence[Decoder],
    ) -> Sequence[Any]:
        """The decoded outputs of a batch, one for each view, for `poses`.

        Args:
            images: The views as one batch; smaller ones are padded at the right and below.
            views: For each view of the batch, the views of its image and the index among them.
            flip: Whether to average with the outputs of the mirrored views.
            decoders: Decoders of the outputs: `codec`, or codecs of its class with other fields.
        """

    @abstractmethod
    def poses(self, views: ImageViews, answers: Sequence[Any], key: Key, *, decoders: Sequence[Decoder]) -> list[Poses]:
        """The people of an image, in its pixels, for each decoder, from the answers to all of its views.

        Args:
            views: Views of the image, as `views` gave them.
            answers: What `answer` returned for each view.
            key: Key of the image.
            decoders: As given to `answer`.
        """

    @property
    def flip(self) -> bool:
        """Whether the release averages with the mirrored view (flip test); without mirror pairs nothing is mirrored."""
        return super().flip and self.skeleton.mirrors

    def check_flip(self) -> None:
        """Refuse the flip test where the skeleton has no mirror pairs.

        Raises:
            SkeletonMismatch: It has none.
        """
        self.skeleton.check_flip()

    # evaluation

    @property
    def rescoring(self) -> Rescoring:
        """How the release scores poses and removes duplicates; by default poses stay as the model gave them."""
        return Rescoring()

    @property
    def crop_rule(self) -> CropRule:
        """The release whose rule cleans annotated boxes before they are used; "unbiased" leaves them unchanged."""
        return "unbiased"

    @abstractmethod
    def similarity(self, poses: Poses, sigmas: Sequence[float]) -> Float[Tensor, "n n"]:
        """OKS of every pose of an image with every other, for the removal of duplicates.

        Args:
            poses: Poses of one image.
            sigmas: OKS sigmas of their keypoints.
        """

    @abstractmethod
    def round_trip(self, images: Sequence[LabelledImage]) -> list[RoundTrip]:
        """Labels after crop or resize, encoding, decoding and the inverse warp; the network is not used."""

    # codec and weights

    @property
    def output_text(self) -> str:
        """What the model finds, as text."""
        return f"{len(self.skeleton)} keypoints"

    def codec_text(self) -> dict[str, str]:
        """Decoder, codec and skeleton, by name, in words, for reports."""
        skeleton = f"{self.skeleton.name}, {self.output_text}"
        return {"decoder": described(self.codec), "codec": str(self.codec), "skeleton": skeleton}

    def change_codecs(self, change: Callable[[Any], Any]) -> None:
        """Change fields of the codec, and of the codecs of intermediate outputs of the same class.

        Args:
            change: Returns a codec with changed fields; also called for codecs of intermediate outputs of the same class.

        Raises:
            OtherNetworkError: The codec would need another network.
        """
        codec = change(self.codec)
        if _outputs(codec) != _outputs(self.codec):
            raise OtherNetworkError("the codec would then need another network")
        self.deep = tuple(change(part) if type(part) is type(codec) else part for part in self.deep)
        self.codec = codec

    @property
    def row_keypoints(self) -> int:
        """How many keypoints have parts in the weights of `keypoint_axis`: those of the skeleton, or also some after them."""
        return len(self.skeleton)

    def keypoint_axis(self, name: str, weight: Tensor) -> int | None:
        """The axis along which a weight of the network has a part for each keypoint; None for weights shared by all keypoints.

        Fine-tuning on other keypoints copies these parts by keypoint name. By default none has.

        Args:
            name: Name of the weight in the network's state dict.
            weight: The weight.
        """
        return None

    # files

    def to_plain(self) -> dict[str, Any]:
        """Skeleton and codecs as plain values."""
        return {
            "skeleton": asdict(self.skeleton),
            "codec": to_plain(self.codec),
            "deep": [to_plain(codec) for codec in self.deep],
        }

    @classmethod
    def from_plain(cls, network: Any, preprocess: Any, card: Card, *, values: Mapping[str, Any]) -> "PoseModel":
        """The model that `to_plain` wrote; its class takes network, codec, preprocess, skeleton and card in this order."""
        skeleton = Skeleton(**values["skeleton"])
        codec = codec_from_plain(values["codec"], cls.codec_type)
        made = cls(network, codec, preprocess, skeleton, card)
        made.deep = tuple(codec_from_plain(part, cls.codec_type) for part in values.get("deep", ()))
        return made


class BoxFinder(ABC):
    """A model that finds boxes with scores in whole images."""

    @abstractmethod
    def views(self, image: Image) -> ImageViews:
        """The views of an image, inputs of the network."""

    @abstractmethod
    def boxes(
        self, images: Float[Tensor, "b 3 h w"], views: Sequence[tuple[ImageViews, int]], *, flip: bool, masks: bool = False
    ) -> Sequence[Any]:
        """The boxes in each view of a batch, without keypoints, which take longer.

        Args:
            images: The views as one batch; smaller ones are padded at the right and below.
            views: For each view of the batch, the views of its image and the index among them.
            flip: Whether to average with the outputs of the mirrored views.
            masks: Whether masks are predicted too, where there is a head for them.
        """

    @abstractmethod
    def joined_boxes(self, views: ImageViews, answers: Sequence[Any]) -> Detections:
        """The boxes of an image, in its pixels, with their confidences, the highest first, from the boxes in its views."""


def _outputs(codec: Any) -> tuple[Any, ...]:
    """Properties of the network's output that a codec requires, to compare."""
    return tuple(getattr(codec, name, None) for name in ("channels", "vectors", "parts"))
