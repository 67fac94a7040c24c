"""Flags of boxes of people."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from tyro.conf import arg

from poise.cli._flags import check_confidence, given, refuse_given
from poise.cli._inputs import BOXES, DETECTOR
from poise.cli.options.types import Score
from poise.errors import InputError

if TYPE_CHECKING:
    from poise.data.boxes import PersonBoxes
    from poise.evaluation.eval_set import EvalSet
    from poise.models.base import ImageModel


@dataclass(frozen=True, kw_only=True)
class MinScoreOptions:
    """Minimum scores.

    Attributes:
        min_score: Results, people or boxes, with a lower score are left out.
    """

    min_score: float = 0.0


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
            rtmdet_m or blazepose_detector, or that of one of torchvision's, such as fasterrcnn_resnet50_fpn_v2
            (`poise detect --help` names more). `poise evaluate` measures its boxes too.
        min_box_score: Boxes with a lower confidence are left out; by default none, but below 0.3 where `poise predict` runs a
            detector or a model that finds boxes by itself.
        min_area: People of a smaller area (square pixels of the image) do not count. `poise evaluate`: labelled ones, by their
            annotated area, are as crowds, and found ones, by their box, are left out; `poise predict`: they are not written.
    """

    detector: Annotated[str | None, arg(metavar="FILE|NAME"), DETECTOR] = None
    min_box_score: Score = None
    min_area: Annotated[float, arg(metavar="PX2")] = 0.0

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
        free = ("--min-area", "--min-box-score") if kept else ("--min-area",)
        refuse_for_whole_images(model, [flag for flag in given(self) if flag not in free])
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
