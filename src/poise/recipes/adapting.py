"""Options of adaptations (`recipes.adapt`): source, target, model, and what each method has of its own."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import ClassVar, Literal, TypeVar

from poise.adaptation.criteria import ORACLE, TargetCheck
from poise.adaptation.pseudo import Labelling
from poise.adaptation.readings import CHANGES, VIEWS
from poise.adaptation.task import Domains
from poise.errors import InputError
from poise.recipes.base import ModelOptions, Optimizer, Recipe, Schedule
from poise.recipes.domains import open_model, open_source, open_target
from poise.recipes.ranges import check_count
from poise.skeletons import Skeleton
from poise.skeletons.mapping import KeypointMap
from poise.training.task import MakeTask
from poise.transforms.jitter import Augmentation
from poise.transforms.paint import Paint

Method = Callable[[Domains, TargetCheck], MakeTask]
"""Gives the task of a method, but for the model."""

_V = TypeVar("_V")

PAINT = Paint(probability=0.3, noise=0.05, blur=(0.5, 1.5), contrast=(0.7, 1.4))
"""Noise, blur and contrast of the target's training views."""


@dataclass(frozen=True, kw_only=True)
class AdaptOptions(ModelOptions):
    """Options of every adaptation.

    Attributes:
        source: Labelled data: a COCO keypoint file, or the name of a recipe whose data are used, such as `demo`.
        source_images: Folder or zip file of the images of a source file; by default `images` beside it, else its folder.
        source_set: Arguments of a source recipe, such as `people=600 checked=100`.
        target: Unlabelled data: a folder of frames of your own animal (each one box), a `frames.json` with sequences and boxes,
            or a COCO file. Keypoint labels in it are used for reports alone.
        target_images: Folder or zip file of the images of a target file; by default `images` beside it, else its folder.
        target_boxes: Boxes in a folder of frames, as `poise detect` writes them.
        categories: Categories or supercategories of a COCO target whose boxes are used, such as `horse` or `animal`.
        val_share: Share of a source file's images that is held out to validate on.
        split_seed: Seed of that split.
        model: Name of a new model, where there is no --start.
        from_scratch: Begin a new `poise_t` with random weights, and not with the backbone of `poise_people`, which comes with
            poise and learnt from photographs.
        start: Model file that learnt from the source, such as that of `poise train drawn_animals` or `poise adapt source-only`;
            its network, codec and keypoints are used. Without it a new --model begins.
        learn_norms: Batch norms of the model of --start learn the statistics of source and target; otherwise they keep its own,
            which was better where it was measured (docs/results.md).
        map: Keypoints of the model of --start that stand for those of the source, where names do not tell:
            left_wrist:left_front_paw and so on, and `analogies` for those of a person that are like an animal's. The model then
            has the source's keypoints.
        size: Height and width of the views of a new model; by default those of the recipe that is the source, else 192 160.
        codec: Another codec of a new model, by the name of its class.
        epochs: Epochs.
        epoch_views: Views of source and of target in an epoch; by default those of the larger of both.
        rate: Learning rate for batches of 16 of each.
        average: Decay of the moving average of the weights.
        best: Score that chooses the best model, without labels of the target: the `confidence` of predictions, their
            `agreement` under changes of the view, their `consensus` (both at once), or `pck@0.1` on held-out source data.
        oracle: Choose the best model by the target's labels instead, as releases did: its score is no honest one.
        check_people: Most target images that are looked at after each epoch.
        scale: Augmentation: relative change of the frame's size.
        rotation: Augmentation: degrees, one standard deviation.
        colour: Augmentation: relative change.
    """

    kind: ClassVar[str] = "adaptations"

    source: Path
    source_images: Path | None = None
    source_set: list[str] | None = None
    target: Path
    target_images: Path | None = None
    target_boxes: Path | None = None
    categories: list[str] | None = None
    val_share: float = 0.1
    split_seed: int = 0
    model: str = "poise_t"
    from_scratch: bool = False
    start: Path | None = None
    learn_norms: bool = False
    map: list[str] | None = None
    size: tuple[int, int] | None = None
    codec: str | None = None
    epochs: int = 30
    epoch_views: int | None = None
    rate: float = 1e-3
    average: float = 0.99
    best: Literal["agreement", "confidence", "consensus", "pck@0.1"] = "confidence"
    oracle: bool = False
    check_people: int = 200
    scale: float = 0.3
    rotation: float = 30.0
    colour: float = 0.2

    @classmethod
    def types(cls) -> tuple[type["ModelOptions"], ...]:
        """These options alone: every top-down model has the same."""
        return (cls,)

    @classmethod
    def for_model(cls, name: str | None = None) -> type["ModelOptions"]:
        """These options."""
        return cls

    @classmethod
    def by_name(cls, name: str | None = None) -> type["ModelOptions"] | None:
        """These options."""
        return cls

    @property
    def views(self) -> Augmentation:
        """Augmentation of the source's views."""
        return Augmentation(scale=self.scale, rotation=self.rotation, colour=self.colour)

    @property
    def target_views(self) -> Augmentation:
        """Augmentation of the target's views: also strong changes of appearance."""
        return replace(self.views, colour=max(self.colour, 0.4), gain=0.2, paint=PAINT)

    @property
    def keeps_norms(self) -> bool:
        """Whether batch norms keep the statistics of the model of --start."""
        return self.start is not None and not self.learn_norms

    def start_map(self, skeleton: Skeleton) -> KeypointMap | None:
        """Which keypoint of the model to start from stands for which of the source; None without --map.

        Args:
            skeleton: Keypoints of the source.

        Raises:
            InputError: A word is no pair, or there is no model to start from.
        """
        if self.map is None:
            return None
        mapping = KeypointMap.of(self.map)
        if self.start is None:
            mapping.check_used()
        return mapping

    def recipe(self, name: str, method: Method) -> Recipe:
        """The run.

        Args:
            name: Name of the recipe.
            method: The method.

        Raises:
            PoiseError: Data or model cannot be used; one sentence says which flag and why.
        """
        check_count("--epoch-views", 1 if self.epoch_views is None else self.epoch_views)
        source = open_source(
            self.source,
            self.source_images,
            settings=self.source_set or (),
            val_share=self.val_share,
            split_seed=self.split_seed,
        )
        mapping = self.start_map(source.train.skeleton)
        model = open_model(
            self.start,
            self.model,
            size=self.size,
            codec=self.codec,
            source=source,
            mapping=mapping,
            from_scratch=self.from_scratch,
        )
        learnt = source.with_skeleton(model.skeleton)
        target = open_target(
            self.target,
            self.target_images,
            skeleton=model.skeleton,
            boxes=self.target_boxes,
            categories=self.categories or (),
        )
        if self.oracle and not target.labelled:
            raise InputError(
                f"--oracle chooses by the target's labels, and {self.target} has none of the model's keypoints; leave it out"
            )
        if self.learn_norms and self.start is None:
            raise InputError("--learn-norms is for the model of --start; a new one learns its norms in any case; leave it out")
        domains = Domains(target, self.target_views, length=self.epoch_views or "longest", keep_norms=self.keeps_norms)
        return Recipe(
            name=name,
            model=model,
            train=learnt.train,
            val=learnt.val,
            epochs=self.epochs,
            batch=16,
            augmentation=self.views,
            optimizer=Optimizer("adamw", rate=self.rate, decay=0.01),
            schedule=Schedule("cosine", warmup_steps=100, over_time=True),
            average=self.average,
            clip=1.0,
            best=ORACLE if self.oracle else self.best,
            task=method(domains, TargetCheck(people=self.check_people)),
            mapping=mapping,
            notes=f"source {self.source}, target {self.target}",
        )


@dataclass(frozen=True, kw_only=True)
class MeanTeacherOptions(AdaptOptions):
    """Options of the mean teacher.

    Attributes:
        gamma: Factor of the loss of the target.
        keep: Share of the teacher's keypoints that is learnt, the surest of each batch.
        rise: Steps over which gamma rises from 0.
    """

    gamma: float = 1.0
    keep: float = 0.5
    rise: int = 200


@dataclass(frozen=True, kw_only=True)
class PseudoOptions(AdaptOptions):
    """Options of methods that label the target in rounds.

    Attributes:
        gamma: Factor of the loss of the target.
        every: Epochs of a round, before which labels are made anew.
        source_epochs: First epochs that learn from the source alone; by default none with --start, else a third of all, which
            is worse than a training of its own before (docs/results.md).
        reads: Views of each animal that must agree on a label.
    """

    gamma: float = 1.0
    every: int = 5
    source_epochs: int | None = None
    reads: int = 5

    @property
    def begin(self) -> int:
        """Epoch of the first round."""
        if self.source_epochs is None:
            return 0 if self.start is not None else min(max(1, self.epochs // 3), self.epochs - 1)
        if self.source_epochs >= self.epochs:
            raise InputError(f"--source-epochs {self.source_epochs} leaves none of {self.epochs} epochs for the target")
        return self.source_epochs


@dataclass(frozen=True, kw_only=True)
class CcSslOptions(PseudoOptions):
    """Options of CC-SSL.

    Attributes:
        first_share: Share of the keypoints that the first round accepts.
        last_share: Share that is accepted from the middle of the rounds on.
        by_keypoint: Take these shares of each keypoint's own confidences; otherwise of all together, and a keypoint of
            which the model is never sure gets no labels.
        equivariance: Labels that several scaled, rotated, shifted and mirrored views agree on; otherwise of one view alone.
        invariance: Strong changes of colour, noise and blur of the target's training views.
        temporal: Optical flow between neighbouring frames of a sequence.
        published: As the release: RMSprop, batches of 6, rounds of 10 epochs, gamma 10, epochs of the shorter data set, labels
            of averaged heatmaps, its thresholds and quirks, no moving average. For models with one square map per keypoint.
            Another --rate, --average, --gamma, --every or --source-epochs than their defaults is taken in place of these.
    """

    first_share: float = 0.2
    last_share: float = 0.8
    by_keypoint: bool = True
    equivariance: bool = True
    invariance: bool = True
    temporal: bool = False
    published: bool = False

    @property
    def target_views(self) -> Augmentation:
        """Augmentation of the target's views."""
        if self.published:
            return Augmentation(scale=0.25, rotation=30.0, gain=0.2 if self.invariance else 0.0)
        return super().target_views if self.invariance else replace(self.views, colour=0.0)

    @property
    def keeps_norms(self) -> bool:
        """Whether batch norms keep the statistics of the model of --start; the release's learn."""
        return super().keeps_norms and not self.published

    @property
    def labelling(self) -> Labelling:
        """How labels are made."""
        return Labelling(
            every=self._of_release("every", 10),
            begin=0 if self.published and self.source_epochs is None else self.begin,
            views=self.reads if self.equivariance else 1,
            augmentation=VIEWS if self.published else CHANGES,
            flow=self.temporal,
            published=self.published,
        )

    def published_recipe(self, recipe: Recipe) -> Recipe:
        """The recipe with the release's optimizer, batch and schedule."""
        return replace(
            recipe,
            batch=6,
            base_batch=6,
            optimizer=Optimizer("rmsprop", rate=self._of_release("rate", 2.5e-4)),
            schedule=Schedule("constant"),
            average=self._of_release("average", None),
            clip=None,
        )

    @property
    def factor(self) -> float:
        """Factor of the loss of the target."""
        return self._of_release("gamma", 10.0)

    def _of_release(self, name: str, value: _V) -> _V:
        """A setting of the release, unless another than the default was given; without `published` the option as it is."""
        own: _V = getattr(self, name)
        default = next(field.default for field in fields(self) if field.name == name)
        return value if self.published and own == default else own


@dataclass(frozen=True, kw_only=True)
class PploOptions(PseudoOptions):
    """Options of PPLO.

    Attributes:
        every: Epochs of a round.
        first_share: Share of the animals that the first round accepts.
        share_step: How much the share grows from round to round.
        last_share: Largest share.
        keypoint_share: Share of the keypoints of an accepted animal that are learnt, the surest.
        patience: Rounds at the largest share without better agreement, after which the run ends.
    """

    every: int = 3
    first_share: float = 0.2
    share_step: float = 0.1
    last_share: float = 0.8
    keypoint_share: float = 0.8
    patience: int = 2
