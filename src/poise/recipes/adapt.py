"""Adaptations: a labelled source and an unlabelled target, for any top-down model (`poise adapt METHOD`)."""

from dataclasses import replace

from poise.adaptation.cc_ssl import CcSsl
from poise.adaptation.criteria import TargetCheck
from poise.adaptation.ends import SourceOnly, Supervised
from poise.adaptation.mean_teacher import MeanTeacher
from poise.adaptation.pplo import Growth, Pplo
from poise.adaptation.pseudo import Labelling
from poise.adaptation.published import averaged_codec
from poise.adaptation.readings import CHANGES
from poise.adaptation.task import Domains
from poise.data.frames import previous_images
from poise.errors import InputError
from poise.models.require import require_pose
from poise.recipes.adapting import AdaptOptions, CcSslOptions, MeanTeacherOptions, PploOptions
from poise.recipes.base import Recipe
from poise.training.task import MakeTask


def source_only(options: AdaptOptions) -> Recipe:
    """Train on the source alone, and look at the target: the lower end of the scale of adaptations.

    For example:

        poise adapt source-only --source drawn.json --target frames --out runs/source

    `poise train source_only` is the same command. What it leaves is a --start for the other methods.

    Args:
        options: Source, target and model.
    """

    def method(domains: Domains, check: TargetCheck) -> MakeTask:
        return lambda model: SourceOnly(model, domains, check=check)

    return options.recipe("source_only", method)


def mean_teacher(options: MeanTeacherOptions) -> Recipe:
    """Adapt with a mean teacher (arXiv 1703.01780): learn what the moving average of the weights reads of the target.

    For example:

        poise adapt mean-teacher --source drawn.json --target frames --start runs/source/model.safetensors

    `poise train mean_teacher` is the same command.

    Args:
        options: Source, target, model, and how the teacher is followed.
    """

    def method(domains: Domains, check: TargetCheck) -> MakeTask:
        return lambda model: MeanTeacher(model, domains, gamma=options.gamma, check=check, keep=options.keep, rise=options.rise)

    return options.recipe("mean_teacher", method)


def cc_ssl(options: CcSslOptions) -> Recipe:
    """Adapt by CC-SSL (arXiv 1912.08265): labels that views and frames agree on, a growing share of them.

    For example:

        poise adapt cc-ssl --source drawn.json --target frames --start runs/source/model.safetensors --out runs/adapted

    `poise train cc_ssl` is the same command. Few real labels make it CC-SSL-R: poise train finetune --annotations few.json
    --images photos --start runs/adapted/model.safetensors, with --model of the same network.

    No score is published for the drawn animals of poise. On horses of TigDog (PCK@0.05) the release's models have 0.608
    (synthetic images alone), 0.708 (CC-SSL from there, at the epoch that the test labels chose) and 0.790 (real labels); a
    practitioner found 0.416 without the synthetic start. The cost: five readings of the target every round, beside steps of
    twice as many views.

    Args:
        options: Source, target, model, and how labels are made.

    Raises:
        InputError: A flag that changes nothing, or --published with a model that has no square heatmaps.
    """
    if options.published and not options.by_keypoint:
        raise InputError("--no-by-keypoint changes nothing with --published, whose threshold is that of all keypoints")
    if options.published and options.learn_norms:
        raise InputError("--learn-norms changes nothing with --published, whose norms learn in any case")

    def method(domains: Domains, check: TargetCheck) -> MakeTask:
        if options.temporal and not options.published and set(previous_images(domains.target)) == {None}:
            raise InputError(
                f"--temporal follows the frames of a sequence, and no image of {options.target} follows on another; give a "
                "folder of frames, a frames.json or a COCO file whose images have `sequence` and `frame`, or leave it out"
            )
        return lambda model: CcSsl(
            model,
            replace(domains, length="shortest") if options.published else domains,
            labelling=options.labelling,
            gamma=options.factor,
            check=check,
            first=options.first_share,
            last=options.last_share,
            by_keypoint=options.by_keypoint,
        )

    recipe = options.recipe("cc_ssl", method)
    if not options.published:
        return recipe
    averaged_codec(require_pose(recipe.model), options.labelling.augmentation)
    return options.published_recipe(recipe)


def pplo(options: PploOptions) -> Recipe:
    """Adapt by PPLO (arXiv 1908.05806): labels of the surest animals, more from round to round, in turn with the source.

    For example:

        poise adapt pplo --source drawn.json --target frames --start runs/source/model.safetensors --out runs/pplo

    `poise train pplo` is the same command. Which labels are accepted, how their share grows and when the run ends is a rule of
    poise (docs/concepts/adaptation.md); the paper does not tell. No score is published that could be compared, and no
    practitioner's figures are known. The cost: five readings of the target every round; a step sees the source or the target.

    Args:
        options: Source, target, model, and how the share grows.
    """
    growth = Growth(options.first_share, options.share_step, options.last_share, options.keypoint_share, options.patience)
    labelling = Labelling(every=options.every, begin=options.begin, views=options.reads, augmentation=CHANGES)

    def method(domains: Domains, check: TargetCheck) -> MakeTask:
        return lambda model: Pplo(model, domains, labelling=labelling, gamma=options.gamma, check=check, growth=growth)

    return options.recipe("pplo", method)


def supervised(options: AdaptOptions) -> Recipe:
    """Train on source and target with the labels of both: the upper end of the scale of adaptations.

    For example:

        poise adapt supervised --source drawn.json --target labelled.json --start runs/source/model.safetensors

    `poise train supervised` is the same command.

    Args:
        options: Source, target and model.
    """

    def method(domains: Domains, check: TargetCheck) -> MakeTask:
        return lambda model: Supervised(model, domains, gamma=1.0, check=check)

    return options.recipe("supervised", method)
