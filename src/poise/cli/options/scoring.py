"""Flags of how poses are scored."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

from tyro.conf import arg

from poise.cli._flags import check_number, given
from poise.cli.options.boxes import refuse_for_whole_images
from poise.cli.options.types import Score
from poise.errors import InputError

if TYPE_CHECKING:
    from poise.models.base import ImageModel, PoseModel
    from poise.models.values import Rescoring
    from poise.skeletons.alignment import BodyAxis


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
