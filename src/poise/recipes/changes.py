"""Changes to a finished recipe, by the flags that every recipe has, and what then differs from it."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

from poise.data.base import Dataset
from poise.data.coco import CocoDataset
from poise.data.combined import CombinedDataset
from poise.data.large import LargePeople, large_text
from poise.errors import InputError, PoiseError
from poise.models.base import TrainableModel
from poise.notes import note
from poise.recipes.coco import keypoints2017
from poise.recipes.fields import changed_fields, check_codec, set_codec
from poise.recipes.options import RecipeChanges
from poise.skeletons import COCO17
from poise.structures import Preprocess
from poise.training.recipe import Optimizer, Recipe, Schedule

_PART = re.compile(r"person_keypoints_.+\.json")

CHANGED = "not the recipe as it stands: "

LOSSES = ("loss", "penalty", "cost.heat")
"""Fields of codecs that say which loss is meant, of which a codec has one or none."""


def changed(recipe: Recipe, changes: RecipeChanges) -> Recipe:
    """A recipe with changes; all of its stages have them. Scores to expect go, for they are those of the recipe unchanged.

    Args:
        recipe: The recipe; its model is changed in place.
        changes: What is to differ.

    Raises:
        InputError: A value cannot be, or has no effect with this recipe.
        UnknownName: The codec or the augmentation has no such field.
    """
    if changes == RecipeChanges():
        return recipe
    before = described(recipe)
    models = tuple({id(stage.model): stage.model for stage in (recipe, *recipe.then)}.values())
    _change_codecs(models, changes)
    for model in models:
        _change_crop(model, changes)
    recipe = _without_small(_with_parts(recipe, changes.parts), changes.min_area)
    made = replace(_stage(recipe, changes), then=tuple(_stage(stage, changes) for stage in recipe.then))
    texts = differences(before, described(made))
    return replace(made, expected={}, differs=texts) if texts else made


def not_pretrained(recipe: Recipe) -> Recipe:
    """A recipe that says that its network began with random weights, where the release's begins with ImageNet's."""
    said = recipe.differs.removeprefix(CHANGED)
    return replace(recipe, expected={}, differs=CHANGED + ", ".join(filter(None, (said, "random weights (ImageNet's)"))))


def differences(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """What differs, in words.

    >>> differences({"epochs": "210", "clip": "None"}, {"epochs": "4", "clip": "None"})
    'not the recipe as it stands: epochs 4 (210)'
    """
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    texts = [f"{name} {after.get(name, 'none')} ({before.get(name, 'none')})" for name in names]
    return CHANGED + ", ".join(texts) if texts else ""


def described(recipe: Recipe) -> dict[str, str]:
    """What flags can change of a recipe, as text by name; of stages with a model of their own, what the model is."""
    others = {id(stage.model): (n, stage) for n, stage in enumerate(recipe.then, 2) if stage.model is not recipe.model}
    own = {f"stage {n} {name}": text for n, stage in others.values() for name, text in _described_model(stage.model).items()}
    return _described(recipe) | own


def _described(recipe: Recipe) -> dict[str, str]:
    found: dict[str, Any] = {"epochs": recipe.epochs, "clip": recipe.clip, "average": recipe.average}
    found["data"] = " + ".join(path.stem for path in recipe.train.files_read)
    found["min area"] = recipe.train.min_area if isinstance(recipe.train, LargePeople) else 0
    parts = {"optimizer": recipe.optimizer, "schedule": recipe.schedule, "augmentation": recipe.augmentation}
    flat = {f"{part}.{name}": value for part, owner in parts.items() for name, value in _flat(owner)}
    return {name: str(value) for name, value in (found | flat).items()} | _described_model(recipe.model)


def _described_model(model: TrainableModel) -> dict[str, str]:
    crop = model.preprocess
    found: dict[str, Any] = {f"codec.{name}": value for name, value in _flat(model.codec)}
    if isinstance(crop, Preprocess):
        found |= {"padding": crop.padding, "box sides": crop.sides}
    return {name: str(value) for name, value in found.items()}


def _flat(owner: Any) -> Iterator[tuple[str, Any]]:
    """Names of fields, of nested dataclasses with a dot, and their values."""
    for field in fields(owner) if is_dataclass(owner) else ():
        value = getattr(owner, field.name)
        if is_dataclass(value) and not isinstance(value, type):
            yield from ((f"{field.name}.{name}", one) for name, one in _flat(value))
        else:
            yield field.name, value


def _with_parts(recipe: Recipe, parts: Sequence[str] | None) -> Recipe:
    """A recipe that learns from several parts of COCO 2017; what it is then validated on is said."""
    if parts is None:
        return recipe
    data, first = recipe.train, recipe.train.files_read
    if not (isinstance(data, CocoDataset) and _PART.fullmatch(first[0].name) and recipe.train.skeleton is COCO17):
        raise InputError(
            f"--parts are those of COCO 2017 (person_keypoints_PART.json), and {recipe.name} learns from other data; "
            "several files of your own are --annotations of finetune"
        )
    folder = first[0].parent.parent
    whole: Dataset = CombinedDataset([keypoints2017(folder, part) for part in dict.fromkeys(parts)], skeleton=data.skeleton)
    checked = {} if recipe.val is None else set(recipe.val.files_read) & set(whole.files_read)
    if checked:
        names = ", ".join(sorted(path.name for path in checked))
        note(f"the images of the validation are learnt from too ({names}): its scores tell nothing about other images")
    stages = tuple(replace(stage, train=whole) if stage.train is data else stage for stage in recipe.then)
    return replace(recipe, train=whole, then=stages)


def _without_small(recipe: Recipe, min_area: float | None) -> Recipe:
    """A recipe whose data sets show small people as crowds; how many there are is said."""
    if not min_area:
        return recipe
    stages = (recipe, *recipe.then)
    train = {id(stage.train): LargePeople(stage.train, min_area) for stage in stages}
    val = {id(stage.val): LargePeople(stage.val, min_area) for stage in stages if stage.val is not None}
    for own, done in ((train, "trained on"), (val, "validated on")):
        for dataset in own.values():
            note(large_text(dataset, done=done))
    made = [replace(stage, train=train[id(stage.train)], val=val.get(id(stage.val)), then=()) for stage in stages]
    return replace(made[0], then=tuple(made[1:]))


def _stage(recipe: Recipe, changes: RecipeChanges) -> Recipe:
    schedule = _schedule(recipe, changes)
    epochs = recipe.epochs if changes.epochs is None else changes.epochs
    never = [milestone for milestone in schedule.milestones if milestone >= epochs]
    if never and changes.milestones is not None:
        raise InputError(
            f"--milestones {' '.join(f'{m:g}' for m in never)} are after the last of {epochs} epochs; give earlier ones, or "
            f"--schedule constant"
        )
    return replace(
        recipe,
        epochs=epochs,
        optimizer=_optimizer(recipe, changes),
        schedule=schedule,
        clip=recipe.clip if changes.clip is None else changes.clip,
        average=recipe.average if changes.average is None else changes.average,
        augmentation=_changed_views(recipe, recipe.augmentation, changes),
        last=recipe.last and replace(recipe.last, augmentation=_changed_views(recipe, recipe.last.augmentation, changes)),
    )


def _optimizer(recipe: Recipe, changes: RecipeChanges) -> Optimizer:
    given = {"kind": changes.optimizer, "rate": changes.rate, "decay": changes.decay}
    return replace(recipe.optimizer, **{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]


def _schedule(recipe: Recipe, changes: RecipeChanges) -> Schedule:
    schedule = recipe.schedule
    kind = changes.schedule or schedule.kind
    if changes.milestones is not None and kind != "steps":
        raise InputError(f"--milestones are those of --schedule steps, and this schedule is {kind}; leave one of them out")
    if kind == "steps" and schedule.kind != "steps" and changes.milestones is None:
        raise InputError("--schedule steps needs --milestones, the epochs after which the learning rate falls")
    milestones = () if kind != "steps" else schedule.milestones if changes.milestones is None else tuple(changes.milestones)
    warmup = schedule.warmup_steps if changes.warmup is None else changes.warmup
    return replace(schedule, kind=kind, milestones=milestones, warmup_steps=warmup)


def _changed_views(recipe: Recipe, owner: Any, changes: RecipeChanges) -> Any:
    """An augmentation of the recipe, with what is set."""
    words = changes.augmentation or []
    if not words:
        return owner
    if words == ["none"]:
        return None
    if owner is None:
        if recipe.model.augmentation_type is None:
            raise InputError(f"{recipe.model.card.name} has views without augmentation; leave --augmentation out")
        owner = recipe.model.augmentation_type()
    return changed_fields(owner, words, what="the augmentation", such="rotation=30")


def _change_codecs(models: Sequence[TrainableModel], changes: RecipeChanges) -> None:
    """Change the codecs of all stages; where they differ, those that have what is changed, of which there must be one."""
    refused: list[PoiseError] = []
    for model in models:
        try:
            _change_codec(model, changes)
        except PoiseError as error:
            refused.append(error)
    if len(refused) == len(models):
        raise refused[0]


def _change_codec(model: TrainableModel, changes: RecipeChanges) -> None:
    words = list(_codec_words(model, changes))
    try:
        set_codec(model, words)
    except InputError as error:
        if changes.loss is None:
            raise
        raise InputError(f"--loss {changes.loss}: {error}") from error  # it sets a field of another name


def _codec_words(model: TrainableModel, changes: RecipeChanges) -> Iterator[str]:
    for name in ("sigma", "weight"):
        value = getattr(changes, name)
        if value is not None:
            yield f"{_field(model, name, (name, f'maps.{name}'))}={value:g}"
    if changes.loss is not None:
        yield f"{_field(model, 'loss', LOSSES)}={changes.loss}"
    yield from changes.codec_set or ()


def _field(model: TrainableModel, flag: str, names: tuple[str, ...]) -> str:
    """The one of these fields that the codec has."""
    check_codec(model, f"--{flag}")
    known = {name for name, _ in _flat(model.codec)}
    for name in names:
        if name in known:
            return name
    own = ", ".join(field.name for field in fields(model.codec))
    raise InputError(f"the codec {type(model.codec).__name__} has no {flag} of its own; leave --{flag} out. It has {own}")


def _change_crop(model: TrainableModel, changes: RecipeChanges) -> None:
    given = {"padding": changes.padding, "sides": changes.box_sides}
    given = {name: value for name, value in given.items() if value is not None}
    if not given:
        return
    if not isinstance(model.preprocess, Preprocess):
        raise InputError(f"{model.card.name} looks at whole images, which have no padding; leave --padding and --box-sides out")
    if changes.padding is not None and not 0 < changes.padding < math.inf:
        raise InputError(f"--padding is a factor above 0; found {changes.padding:g}")
    model.preprocess = replace(model.preprocess, **given)  # type: ignore[arg-type]  # each of its field's type
