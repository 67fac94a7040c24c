"""Weights of HigherHRNet and DEKR as MMPose keeps them, under the names of the releases.

MMPose's HigherHRNet differs by the prefixes `backbone.` and `keypoint_head.`. Its DEKR has one grouped convolution in place of
one for each keypoint; the affine windows of its adaptive convolutions lack the identity. Since 1.x its offsets lead from the
cell to the keypoint, and the heatmap of centres is the last; before, it was the first.
"""

import re
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from poise.models.base import Model, PoseModel
from poise.models.require import require_pose
from poise.nn.rescore import RescoreNet
from poise.skeletons import COCO17
from poise.weights.mmpose_keys import BODY, HEADS

MATRIX, SHIFT = (0, 1, 3, 4), (2, 5)
"""Channels of MMPose's windows that are the matrix (row by row) and the shift (y, x)."""

HEAT = {
    "0.conv.": "transition_heatmap.0.",
    "0.bn.": "transition_heatmap.1.",
    "1.": "head_heatmap.0.0.",
    "2.": "head_heatmap.1.",
}
OFFSET = {"0.conv.": "transition_offset.0.", "0.bn.": "transition_offset.1."}
"""Parts of MMPose's branches and of the release."""


def from_mmpose(model: Model, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights under the names of the releases; those that have them already stay.

    Args:
        model: The model of the family.
        weights: Weights of the release or of MMPose.
    """
    head = next((prefix for prefix in HEADS if any(key.startswith(prefix) for key in weights)), None)
    if head is None or not any(key.startswith(BODY) for key in weights):
        return dict(weights)
    old = any(key.startswith(f"{head}offset_conv_layers.") for key in weights)
    rescoring = f"{head}rescore_net." if any(key.startswith(f"{head}rescore_net.") for key in weights) else "rescore_net."
    if any(key.startswith(rescoring) for key in weights):
        _with_rescoring(require_pose(model))
    found: dict[str, Tensor] = {}
    for key, value in weights.items():
        if key.startswith(rescoring):
            found[f"rescore_net.{key.removeprefix(rescoring)}"] = value
        elif key.startswith(head):
            found |= _of_head(key.removeprefix(head), value, keypoints=len(require_pose(model).skeleton), old=old)
        else:
            found[key.removeprefix(BODY)] = value
    return found


def _with_rescoring(model: PoseModel) -> None:
    """Give a DEKR of COCO's keypoints the network that rescores poses, and MMPose's reading, whose scores it was made for."""
    links = len(model.skeleton.bones)
    if model.skeleton.keypoints != COCO17.keypoints:
        return
    architecture = model.card.architecture
    model.card = replace(model.card, architecture=replace(architecture, arguments={**architecture.arguments, "links": links}))
    model.network.rescore = RescoreNet(links, len(model.skeleton))
    model.codec = replace(model.codec, centres=replace(model.codec.centres, rule="mmpose"))


def _of_head(key: str, value: Tensor, *, keypoints: int, old: bool) -> dict[str, Tensor]:
    """One weight of a head; several for what MMPose keeps in one."""
    branch, _, part = key.replace("offset_conv_layers", "displacement_conv_layers").partition(".")
    if branch == "heatmap_conv_layers":
        moved = torch.cat((value[1:], value[:1])) if old and part.startswith("2.") else value
        return {_renamed(part, HEAT): moved}
    if branch != "displacement_conv_layers":
        return {key: value}
    if part.startswith("0."):
        return {_renamed(part, OFFSET): value}
    layer, _, name = part.partition(".")
    if layer == "3":
        own = value if old else -value
        return {f"offset_final_layer.{i}.{name}": one for i, one in enumerate(own.chunk(keypoints))}
    return _of_block(int(layer) - 1, name, value, keypoints=keypoints)


def _renamed(part: str, names: Mapping[str, str]) -> str:
    return next((new + part.removeprefix(old) for old, new in names.items() if part.startswith(old)), part)


def _of_block(block: int, name: str, value: Tensor, *, keypoints: int) -> dict[str, Tensor]:
    """A weight of an adaptive convolution, for each keypoint."""
    at = [f"offset_feature_layers.{i}.{block}." for i in range(keypoints)]
    if value.ndim == 0 or name == "regular_matrix":
        return {f"{place}{_of_norm(name)}": value for place in at}
    each = value.chunk(keypoints)
    if not name.startswith("transform_matrix_conv."):
        return {f"{place}{_of_norm(name)}": one for place, one in zip(at, each, strict=True)}
    kind = name.rpartition(".")[2]
    identity = value.new_tensor((1, 0, 0, 1)) if kind == "bias" else 0
    found = {f"{place}transform_matrix_conv.{kind}": one[list(MATRIX)] + identity for place, one in zip(at, each, strict=True)}
    return found | {f"{place}translation_conv.{kind}": one[list(SHIFT)] for place, one in zip(at, each, strict=True)}


def _of_norm(name: str) -> str:
    return re.sub(r"^(norm|bn)\.", "bn.", name)
