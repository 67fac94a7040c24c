"""Names of ViTPose's weights in the original repository and in Hugging Face's transformers, as MMPose 1.x names them.

Both add the position of a class token, which is not there, to every token; MMPose's files have the sum.
"""

import math
import re
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from poise.dims import Size
from poise.errors import CheckpointError
from poise.models.base import Model
from poise.nn.backbones.vit import ViT

_ORIGINAL = (
    (r"backbone\.patch_embed\.proj\.", "backbone.patch_embed.projection."),
    (r"backbone\.blocks\.(\d+)\.norm([12])\.", r"backbone.layers.\1.ln\2."),
    (r"backbone\.blocks\.(\d+)\.attn\.", r"backbone.layers.\1.attn."),
    (r"backbone\.blocks\.(\d+)\.mlp\.fc1\.", r"backbone.layers.\1.ffn.layers.0.0."),
    (r"backbone\.blocks\.(\d+)\.mlp\.fc2\.", r"backbone.layers.\1.ffn.layers.1."),
    (r"backbone\.blocks\.(\d+)\.mlp\.experts\.", r"backbone.layers.\1.ffn.experts."),
    (r"backbone\.last_norm\.", "backbone.ln1."),
)

_TRANSFORMERS = (
    (r"backbone\.embeddings\.position_embeddings$", "backbone.pos_embed"),
    (r"backbone\.embeddings\.patch_embeddings\.projection\.", "backbone.patch_embed.projection."),
    (r"backbone\.encoder\.layer\.(\d+)\.attention\.output\.dense\.", r"backbone.layers.\1.attn.proj."),
    (r"backbone\.encoder\.layer\.(\d+)\.layernorm_before\.", r"backbone.layers.\1.ln1."),
    (r"backbone\.encoder\.layer\.(\d+)\.layernorm_after\.", r"backbone.layers.\1.ln2."),
    (r"backbone\.encoder\.layer\.(\d+)\.mlp\.fc1\.", r"backbone.layers.\1.ffn.layers.0.0."),
    (r"backbone\.encoder\.layer\.(\d+)\.mlp\.fc2\.", r"backbone.layers.\1.ffn.layers.1."),
    (r"backbone\.encoder\.layer\.(\d+)\.mlp\.experts\.", r"backbone.layers.\1.ffn.experts."),
    (r"backbone\.layernorm\.", "backbone.ln1."),
    (r"head\.deconv1\.", "head.deconv_layers.0."),
    (r"head\.batchnorm1\.", "head.deconv_layers.1."),
    (r"head\.deconv2\.", "head.deconv_layers.3."),
    (r"head\.batchnorm2\.", "head.deconv_layers.4."),
    (r"head\.conv\.", "head.final_layer."),
)

_THIRD = re.compile(r"backbone\.encoder\.layer\.(\d+)\.attention\.attention\.(query|key|value)\.(weight|bias)")
"""Hugging Face's names of the parts of a layer whose outputs MMPose has one after another."""

POSITIONS = "backbone.pos_embed"
MAIN_HEAD, OTHER_HEADS = "keypoint_head.", "associate_keypoint_heads."


def to_mmpose(model: Model, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A checkpoint of ViTPose under MMPose's names, whichever of the three it has; unknown names are kept.

    Files of ViTPose++ have a head for each data set: that of the model's expert is taken, and the others are left out.

    Args:
        model: The model that it is for; its experts say which head is taken.
        weights: The weights.

    Raises:
        CheckpointError: One of query, key and value of a layer is missing.
    """
    pairs = _TRANSFORMERS if any(key.startswith("backbone.embeddings.") for key in weights) else _ORIGINAL
    given = {_renamed(key, pairs): value for key, value in _joined(_one_head(model, weights)).items()}
    positions = given.get(POSITIONS)
    own = model.network.state_dict()[POSITIONS]
    if positions is not None and positions.ndim == 3 and positions.shape[1] == own.shape[1] + 1:
        given[POSITIONS] = positions[:, 1:] + positions[:, :1]
    return given


def of_a_plain_vit(weights: Mapping[str, Tensor], cells: Size) -> dict[str, Tensor]:
    """The weights of a transformer of others (MAE, DeiT, timm) as our backbone has them, with positions for its cells.

    A class token and its position are left out; positions of a square are resized (bicubic) as the releases do.

    Args:
        weights: Weights by name, such as `blocks.0.norm1.weight`.
        cells: Patches of a view (h, w).
    """
    named = {_renamed(f"backbone.{key}", _ORIGINAL).removeprefix("backbone."): value for key, value in weights.items()}
    named |= {
        key.replace("norm.", "ln1."): value for key, value in weights.items() if re.fullmatch(r"norm\.(weight|bias)", key)
    }
    positions = named.get("pos_embed")
    if positions is not None and positions.ndim == 3:
        named["pos_embed"] = _resized(positions, cells)
    return named


def _resized(positions: Tensor, cells: Size) -> Tensor:
    """Positions of a square of patches, perhaps behind that of a class token, for another number of patches."""
    count = positions.shape[1]
    side = math.isqrt(count)
    if count == cells[0] * cells[1] or side**2 not in (count, count - 1):
        return positions
    grid = positions[:, count - side**2 :].float().mT.reshape(1, -1, side, side)
    return F.interpolate(grid, size=cells, mode="bicubic", align_corners=False).flatten(2).mT.contiguous()


def _one_head(model: Model, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights with the head of the model's expert called `head`; the first expert's is the main one."""
    backbone: ViT = model.network.backbone
    expert = backbone.experts[0] if len(backbone.experts) == 1 else 0
    taken = MAIN_HEAD if expert == 0 else f"{OTHER_HEADS}{expert - 1}."
    if not any(key.startswith(taken) for key in weights):
        taken = MAIN_HEAD
    heads = (MAIN_HEAD, OTHER_HEADS)
    return {
        key.replace(taken, "head.", 1): value
        for key, value in weights.items()
        if key.startswith(taken) or not key.startswith(heads)
    }


def _joined(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights with query, key and value of each layer as one."""
    parts: dict[str, dict[str, Tensor]] = {}
    rest = {}
    for key, value in weights.items():
        found = _THIRD.fullmatch(key)
        if found is None:
            rest[key] = value
        else:
            parts.setdefault(f"backbone.layers.{found[1]}.attn.qkv.{found[3]}", {})[found[2]] = value
    torn = [name for name, thirds in parts.items() if len(thirds) != 3]
    if torn:
        raise CheckpointError(f"the checkpoint lacks query, key or value of {torn[0]} (MMPose's name); fetch it again")
    return rest | {name: torch.cat([thirds[part] for part in ("query", "key", "value")]) for name, thirds in parts.items()}


def _renamed(key: str, pairs: tuple[tuple[str, str], ...]) -> str:
    for pattern, name in pairs:
        new, count = re.subn(f"^{pattern}", name, key)
        if count:
            return new
    return key
