"""Source and target of an adaptation, as the flags of `poise adapt` name them."""

import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

from poise.adaptation.target import Target
from poise.data.base import Dataset
from poise.data.coco import CocoDataset
from poise.data.combined import CombinedDataset
from poise.data.frame_files import open_frames
from poise.data.subset import hold_out, with_people
from poise.dims import Size
from poise.errors import InputError, ReadError, missing
from poise.models.base import PoseModel
from poise.models.require import require_top_down, require_trainable
from poise.reading import read_json
from poise.recipes.start import start_from_people, start_model
from poise.skeletons import Skeleton
from poise.skeletons.mapping import KeypointMap
from poise.weights.model_file import load
from poise.weights.other_keypoints import with_keypoints


@final
@dataclass(frozen=True, eq=False)
class Source:
    """Labelled data.

    Attributes:
        train: What is learnt from.
        val: What is held out to validate on.
        size: Height and width of the views of the recipe whose data they are; None for a file, or a recipe without such views.
    """

    train: Dataset
    val: Dataset
    size: Size | None = None

    def with_skeleton(self, skeleton: Skeleton) -> "Source":
        """The data in the keypoints of a model, matched by name.

        Raises:
            SkeletonMismatch: No keypoint is the same.
        """
        return replace(self, train=_converted(self.train, skeleton), val=_converted(self.val, skeleton))


def _converted(dataset: Dataset, skeleton: Skeleton) -> Dataset:
    if dataset.skeleton.keypoints == skeleton.keypoints:
        return dataset
    return CombinedDataset([dataset], skeleton=skeleton)


def open_source(source: Path, images: Path | None, *, settings: Sequence[str], val_share: float, split_seed: int) -> Source:
    """Labelled data: a COCO keypoint file, or those of a recipe of poise.

    Args:
        source: The file, which has an ending, or the name of the recipe.
        images: Folder or zip file of the images of a file; by default `images` beside it, else its folder.
        settings: Arguments of the recipe, such as `people=600`.
        val_share: Share of a file's images that is held out.
        split_seed: Seed of that split.

    Raises:
        ReadError: There is no such file.
        UnknownName: There is no such recipe.
        InputError: Arguments that the recipe does not have, or arguments of no meaning.
    """
    if not source.suffix:
        if images is not None:
            raise InputError(f"--source-images is the folder of a file's images, and {source.name} is a recipe; leave it out")
        return _recipe_source(source.name, settings)
    if settings:
        raise InputError(f"--source-set sets arguments of a recipe, and {source} is a file; leave it out")
    if not source.is_file():
        raise ReadError(missing("source", source, hint="--source is a COCO keypoint file or the name of a recipe"))
    train, val = hold_out(with_people(CocoDataset(source, images or beside(source))), share=val_share, seed=split_seed)
    return Source(train, val)


def _recipe_source(name: str, settings: Sequence[str]) -> Source:
    from poise.recipes.find import find
    from poise.recipes.options import ModelOptions

    if ":" in name:
        raise InputError(
            f"--source {name} is code of your own; export its data as a COCO file, or make the adaptation in Python "
            "(docs/concepts/adaptation.md)"
        )
    maker = find(name)
    hints = {n: hint for n, hint in typing.get_type_hints(maker).items() if n != "return"}
    if any(isinstance(hint, type) and issubclass(hint, ModelOptions) for hint in hints.values()):
        raise InputError(f"recipe {name!r} reads files; give the COCO file itself as --source")
    values = arguments_of(settings, hints, name)
    needed = [n for n, p in inspect.signature(maker).parameters.items() if p.default is p.empty and n not in values]
    if needed:
        raise InputError(f"recipe {name!r} needs {needed[0]}; give it as --source-set {needed[0]}=VALUE")
    made = maker(**values)
    if made.val is None:
        raise InputError(f"recipe {name!r} validates on nothing, and an adaptation needs labelled data for that")
    return Source(made.train, made.val, made.model.codec.size if isinstance(made.model, PoseModel) else None)


def arguments_of(settings: Sequence[str], hints: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Values of a recipe's arguments from words such as `people=600`.

    Args:
        settings: The words.
        hints: Types of the arguments.
        name: Name of the recipe, for messages.

    Raises:
        InputError: A word of another form, an argument that there is not, or a value of another type.
    """
    found: dict[str, Any] = {}
    for word in settings:
        argument, equals, text = word.partition("=")
        if not equals or argument not in hints:
            raise InputError(f"--source-set {word} sets nothing; recipe {name!r} has {', '.join(f'{n}=' for n in hints)}")
        found[argument] = _value(text, hints[argument], word)
    return found


_READERS: Mapping[Any, Callable[[str], Any]] = {
    int: int,
    float: float,
    str: str,
    Path: Path,
    bool: lambda text: {"true": True, "false": False}[text.lower()],
}


def _value(text: str, hint: Any, word: str) -> Any:
    literal = typing.get_args(hint) if typing.get_origin(hint) is typing.Literal else ()
    chosen = [one for one in literal if str(one) == text]
    if chosen:
        return chosen[0]
    try:
        return _READERS[hint](text)
    except (KeyError, ValueError, TypeError):
        expected = " or ".join(map(str, literal)) or getattr(hint, "__name__", str(hint))
        raise InputError(f"--source-set {word}: expected {expected} after the =") from None


def open_target(
    target: Path, images: Path | None, *, skeleton: Skeleton, boxes: Path | None, categories: Sequence[str]
) -> Target:
    """Unlabelled data: a folder of frames, a list of frames, or a COCO file, whose labels, if there are any, only score.

    Args:
        target: The folder, zip file or JSON file.
        images: Folder or zip file of the images of a JSON file; by default `images` beside it, else its folder.
        skeleton: Keypoints of the model.
        boxes: A detector's file of boxes for a folder; without it every image is one box.
        categories: Names of categories whose boxes are used; all by default.

    Raises:
        ReadError: There is no such file.
        AnnotationError: A file has another form.
        InputError: No image has a box, or an argument has no meaning for this target.
    """
    if not target.exists():
        raise ReadError(missing("target", target, hint="--target is a folder of frames, a frames.json or a COCO file"))
    if target.suffix.lower() == ".json" and boxes is None and not categories and _has_keypoints(target):
        return Target(CocoDataset(target, images or beside(target)), skeleton=skeleton)
    return Target(open_frames(target, images, skeleton=skeleton, boxes=boxes, categories=categories), skeleton=skeleton)


def _has_keypoints(file: Path) -> bool:
    document = read_json(file)
    rows = document.get("annotations") if isinstance(document, dict) else None
    return isinstance(rows, list) and any(isinstance(row, dict) and row.get("keypoints") for row in rows)


def beside(file: Path) -> Path:
    """The folder of the images of an annotation file: `images` beside it, else its own."""
    folder = file.parent / "images"
    return folder if folder.is_dir() else file.parent


def open_model(
    start: Path | None,
    model: str,
    *,
    size: tuple[int, int] | None,
    codec: str | None,
    source: Source,
    mapping: KeypointMap | None = None,
    from_scratch: bool = False,
) -> PoseModel:
    """The model that adapts: that of a file, or a new one for the source's keypoints.

    Args:
        start: Model file, whose network, codec and keypoints are used.
        model: Name of a new model.
        size: Size of its views (h, w); by default those of the source's recipe.
        codec: Another codec of a new model, by the name of its class.
        source: Labelled data.
        mapping: Which keypoint of the model file stands for which of the source, whose keypoints the model then has; without it
            it keeps its own.
        from_scratch: A new `poise_t` starts from random weights, and not with the backbone of `poise_people`.

    Raises:
        InputError: It is no top-down model, or a size or codec is given for a model file.
        CheckpointError: The file is no model file.
        SkeletonMismatch: The map names a keypoint that there is not.
    """
    if start is None:
        made = require_top_down(start_model(model, size=size or source.size, skeleton=source.train.skeleton, codec=codec))
        if not from_scratch:
            start_from_people(made, model)
        return made
    given = [flag for flag, value in (("--size", size), ("--codec", codec)) if value is not None]
    if given:
        raise InputError(f"the model of --start has its own views and codec; leave {' and '.join(given)} out")
    if from_scratch:
        raise InputError("--from-scratch begins with random weights, and --start with those of a model; leave one of them out")
    found = require_top_down(require_trainable(load(start)))
    return found if mapping is None else with_keypoints(found, source.train.skeleton, mapping=mapping)[0]
