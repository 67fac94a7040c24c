"""Imports official checkpoints: which release a checkpoint is of, and its weights under our names."""

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor

from poise.errors import CheckpointError
from poise.models.base import Model, PoseModel
from poise.models.network_part import NetworkPart
from poise.models.require import require_pose
from poise.skeletons import Skeleton
from poise.weights import mmpose_keys
from poise.weights.checkpoint import Difference, beside_weights, check_finite, compare, few, read_checkpoint, unwrap
from poise.zoo import mmpose
from poise.zoo.colours import Colour, check_colour, with_colours
from poise.zoo.family import Family, PretrainedBackbone
from poise.zoo.find import build, family_of, releases
from poise.zoo.guess import guess_release
from poise.zoo.rcnn.keys import HEADS
from poise.zoo.rcnn.renames import norm_note, to_maskrcnn_names


def official_state(model: Model, name: str) -> dict[str, Tensor]:
    """The weights of a model as the official checkpoint holds them: its names, its order.

    Raises:
        UnknownName: No family has such a name.
    """
    return family_of(name).official_weights(model.network.state_dict())


@final
@dataclass(frozen=True, eq=False)
class Imported:
    """A model with the weights of a checkpoint.

    Attributes:
        model: The model.
        description: What the checkpoint was recognised as, for messages.
    """

    model: Model
    description: str


def import_release(
    name: str,
    state: Mapping[str, Any] | str | os.PathLike[str],
    *,
    codec: str | None = None,
    skeleton: Skeleton | None = None,
    mean: Colour | None = None,
    std: Colour | None = None,
) -> Model:
    """The model of a name with the weights of an official checkpoint, or of MMPose's.

    Weights of layers that the release never calls are left out. From a checkpoint for another task that models of this name may
    start from, the backbone is loaded; the head keeps its initial weights.

    Args:
        name: Name such as `hrnet_w32_coco_256x192`.
        state: The state dict; also with `module.`, `model.` or `net.` before its names, or under "state_dict", "model" or
            "model_state_dict". Or its file, which may be a `.tflite`.
        codec: Another codec than that of the name, for weights that were trained with it (`UDPGaussian`).
        skeleton: Other keypoints than those of the name, for weights that were fine-tuned on them.
        mean: Another mean than the name's (red, green, blue, 0 to 1), for weights that were trained with it.
        std: Another deviation, likewise.

    Raises:
        UnknownName: No family has such a name, or there is no such codec.
        CheckpointError: Weights are missing, unexpected, of another shape or not finite. Only missing batch counters, and
            layers that are left out, are tolerated.
    """
    return import_checkpoint(name, state, codec=codec, skeleton=skeleton, mean=mean, std=std).model


def import_checkpoint(
    name: str,
    state: Mapping[str, Any] | str | os.PathLike[str],
    *,
    codec: str | None = None,
    skeleton: Skeleton | None = None,
    mean: Colour | None = None,
    std: Colour | None = None,
) -> Imported:
    """The model of `import_release`, and what the checkpoint was taken for.

    Checkpoints of MMPose, and of torchvision's and Detectron2's detectors, are recognised by the names of their weights.

    Args:
        name: Name such as `hrnet_w32_coco_256x192`.
        state: The state dict, or the file of it.
        codec: Another codec than that of the name.
        skeleton: Other keypoints than those of the name.
        mean: Another mean than the name's or the file's (red, green, blue, 0 to 1).
        std: Another deviation than the name's.
    """
    check_colour(mean, what="mean")
    check_colour(std, what="std")
    content = state if isinstance(state, Mapping) else read_checkpoint(Path(state))
    found = _imported(name, content, codec=codec, skeleton=skeleton)
    file_name = "" if isinstance(state, Mapping) else Path(state).name
    said = with_colours(found.model, family_of(name), file_name, mean=mean, std=std)
    return replace(found, description=found.description + said + _left_text(content))


def _left_text(content: Mapping[str, Any]) -> str:
    """What of a training state was left aside, for messages; "" for weights alone."""
    left = beside_weights(content)
    return f"; of the training state only the network is used, and left aside: {few(left, 8)}" if left else ""


def _imported(name: str, content: Mapping[str, Any], *, codec: str | None, skeleton: Skeleton | None) -> Imported:
    """The model of a name with the weights of a checkpoint, with mean and deviation of the name."""
    family = family_of(name)
    if not family.keys:
        raise CheckpointError(f"{name!r} is a model of this project and has no official checkpoints; use poise.load")
    weights = unwrap(content)
    check_finite(weights)
    name, weights = to_maskrcnn_names(name, weights)
    if mmpose_keys.is_mmpose(weights) and not family.of_mmpose and family.rename is None:
        given = mmpose_keys.originals(weights)
        found = mmpose.build_for(name, given, codec=codec, skeleton=skeleton)
        _fill(found.model, name, given, words="MMPose checkpoint")
        release = releases().get(name)
        of_mmpose = release is not None and release.page == mmpose.PAGE and skeleton is None and codec is None
        found.model.card = replace(
            found.model.card,
            licence=mmpose.LICENCE,
            scores=dict(release.scores) if of_mmpose and release is not None else {},
            notes=f"imported from {found.description}",
        )
        return Imported(found.model, found.description)
    model = build(name, codec=codec, skeleton=skeleton)
    if skeleton is not None and (not isinstance(model, PoseModel) or hasattr(model.codec, "limbs")):
        raise CheckpointError(
            f"other keypoints are not for {name!r}: its keypoints are found along limbs that a checkpoint does not list, or "
            "there are none: leave --keypoints (skeleton=) out"
        )
    if family.start is not None and _is_start(weights, family):
        return _started(model, name, weights, family.start)
    if family.rename is not None:
        weights = dict(family.rename(model, weights))
    needed = official_state(model, name)
    weights, others = part_of(weights, needed) if isinstance(model, NetworkPart) else (weights, "")
    read = {key: value for key, value in weights.items() if family.is_used(key) or key in needed}
    _fill(model, name, read, words="checkpoint")
    spare = tuple(key for key in weights if key not in read)
    left_out = f"; {len(spare)} weights of layers that its release never asks were left out: {few(spare)}" if spare else ""
    if skeleton is not None:
        model.card = replace(model.card, licence="that of the checkpoint", scores={}, notes=_own_note(model, name))
        return Imported(model, f"a checkpoint of {name!r} fine-tuned on other keypoints{left_out}{norm_note(name)}")
    return Imported(_with_card(model, name, read), f"an official checkpoint of {name!r}{left_out}{others}{norm_note(name)}")


def part_of(weights: Mapping[str, Tensor], needed: Collection[str]) -> tuple[dict[str, Tensor], str]:
    """The weights of a part of a detector out of those of a whole one, and what was left aside, in words.

    Args:
        weights: Weights under official names, of the part alone or of a whole detector.
        needed: Official names of the part's weights.
    """
    for beginning in ("backbone.", *HEADS):
        inside = {key.removeprefix(beginning): value for key, value in weights.items() if key.startswith(beginning)}
        if any(key in inside for key in needed) and not any(key in weights for key in needed):
            spare = tuple(key for key in weights if not key.startswith(beginning))
            return inside, f"; the {len(spare)} weights of its other parts were left aside: {few(spare)}" if spare else ""
    return dict(weights), ""


def _own_note(model: Model, name: str) -> str:
    names = ", ".join(require_pose(model).skeleton.keypoints)
    return f"imported from a checkpoint of {name} that somebody fine-tuned on {names}"


def _is_start(weights: Mapping[str, Tensor], family: Family) -> bool:
    """Whether weights have the names of a checkpoint that a family's models may start from, and none of their own."""
    start = family.start
    own = tuple(old for old, _ in family.keys)
    return (
        start is not None and any(k.startswith(start.layers) for k in weights) and not any(k.startswith(own) for k in weights)
    )


def _started(model: Model, name: str, weights: Mapping[str, Tensor], start: PretrainedBackbone) -> Imported:
    """The model with that backbone and its initial head."""
    given = {start.backbone + key: value for key, value in weights.items() if key.startswith(start.layers)}
    needed = {key: value for key, value in model.network.state_dict().items() if key.startswith(start.backbone)}
    difference = compare(needed, given)
    if difference:
        raise CheckpointError(f"the checkpoint is {start.description}, which {name!r} cannot start from; weights: {difference}")
    model.network.load_state_dict(given, strict=False)
    model.eval()
    spare = tuple(key for key in weights if not key.startswith(start.layers))
    heads = ", ".join(dict.fromkeys(key.partition(".")[0] for key in spare))
    left_out = f"{len(spare)} weights beside it were left out ({heads}), and " if spare else ""
    words = f"{start.description}, a start for training: its {len(given)} weights are the backbone of {name!r}; {left_out}"
    words += f"the head of {name!r} has its initial weights"
    model.card = replace(
        model.card, licence="that of the checkpoint", notes=f"backbone imported from {start.description}; not trained"
    )
    return Imported(model, words)


def _fill(model: Model, name: str, given: Mapping[str, Tensor], *, words: str) -> None:
    """Load weights of official names; anything that does not fit exactly is refused."""
    family = family_of(name)
    copies = family.duplicate_keys(model.network.state_dict())
    single = _once(name, given, copies)
    needed = {key: value for key, value in official_state(model, name).items() if key not in copies}
    difference = compare(needed, single)
    if difference:
        other = guess_release(given, near=name)
        hint = f"by the names and shapes of its weights it is one of {other!r}; weights: " if other else "weights: "
        hint = _keypoints_hint(model, needed, single, difference) or hint
        raise CheckpointError(f"the {words} is not one of {name!r}; {hint}{difference}")
    weights = {family.ours(key): value for key, value in single.items()}
    model.network.load_state_dict(weights, strict=False)  # `compare` was strict; only counters may lack
    model.eval()


def _keypoints_hint(
    model: Model, needed: Mapping[str, Tensor], given: Mapping[str, Tensor], difference: Difference
) -> str | None:
    """Message where the weights are those of the network for another number of keypoints; else None."""
    if not isinstance(model, PoseModel) or difference.missing or difference.unexpected:
        return None
    known = len(model.skeleton)
    pairs = [(needed[key].shape, given[key].shape) for key in needed if key in given and given[key].shape != needed[key].shape]
    counts = {_keypoints_of(own, other, known) for own, other in pairs}
    if len(counts) != 1 or None in counts:
        return None
    [found] = counts
    return (
        f"it is that network for {found} keypoints, and {known} were expected; name the {found} in their order: --keypoints "
        "NAME NAME ... (skeleton=); weights: "
    )


def _keypoints_of(own: torch.Size, other: torch.Size, known: int) -> int | None:
    """For how many keypoints a weight is that differs in one side from one for a known number; None if that is not so."""
    sides = [(a, b) for a, b in zip(own, other, strict=False) if a != b]
    if len(own) != len(other) or len(sides) != 1 or sides[0][1] * known % sides[0][0]:
        return None
    return sides[0][1] * known // sides[0][0]


def _once(name: str, given: Mapping[str, Tensor], copies: Mapping[str, str]) -> dict[str, Tensor]:
    """The weights without those that a checkpoint holds a second time; some releases' checkpoints hold each once.

    Raises:
        CheckpointError: The two differ.
    """
    torn = tuple(
        copy for copy, first in copies.items() if copy in given and first in given and _differ(given[copy], given[first])
    )
    if torn:
        other = ": take a name without 'shared'" if "shared" in name else ""
        raise CheckpointError(
            f"two heads of {name!r} share layers, but {len(torn)} of their weights differ between the two in the "
            f"checkpoint ({few(torn)}); its heads had separate layers{other}"
        )
    return {key: value for key, value in given.items() if key not in copies}


def _differ(one: Tensor, other: Tensor) -> bool:
    return one.shape != other.shape or not torch.equal(one.double(), other.double())


def _with_card(model: Model, name: str, given: Mapping[str, Tensor]) -> Model:
    """Record in the card where the weights are from; scores are those of the authors."""
    release = releases().get(name)
    notes = f"imported from an official checkpoint of {len(given)} weights; the scores are the authors' (flip test)"
    model.card = replace(
        model.card,
        licence=release.licence if release else "that of the checkpoint",
        scores=dict(release.scores) if release else {},
        notes=notes,
    )
    return model
