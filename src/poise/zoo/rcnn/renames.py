"""Detectors' checkpoints of torchvision and Detectron2: their weights under the names of maskrcnn-benchmark.

All three hold the same layers. Detectron2 counts no background among the classes whose boxes and masks it learns, and puts it
last among those it tells apart; maskrcnn-benchmark and torchvision put it first everywhere.
"""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from poise.errors import CheckpointError

COUNTER = "num_batches_tracked"

TORCHVISION = (
    (r"backbone\.body\.(conv1|bn1)\.", r"backbone.body.stem.\1."),
    (r"backbone\.fpn\.inner_blocks\.(\d)\.", lambda m: f"backbone.fpn.fpn_inner{int(m[1]) + 1}."),
    (r"backbone\.fpn\.layer_blocks\.(\d)\.", lambda m: f"backbone.fpn.fpn_layer{int(m[1]) + 1}."),
    (r"backbone\.fpn\.extra_blocks\.", r"backbone.fpn.top_blocks."),
    (r"rpn\.head\.conv\.0\.0\.", r"rpn.head.conv."),
    (r"roi_heads\.box_head\.", r"roi_heads.box.feature_extractor."),
    (r"roi_heads\.keypoint_head\.(\d+)\.", lambda m: f"roi_heads.keypoint.feature_extractor.conv_fcn{int(m[1]) // 2 + 1}."),
    (r"roi_heads\.mask_head\.(\d+)\.0\.", lambda m: f"roi_heads.mask.feature_extractor.mask_fcn{int(m[1]) + 1}."),
    (r"roi_heads\.mask_head\.mask_fcn", r"roi_heads.mask.feature_extractor.mask_fcn"),
    (r"roi_heads\.(box|keypoint|mask)_predictor\.", r"roi_heads.\1.predictor."),
)
"""Beginnings of torchvision's names, of today and of its first years, and maskrcnn-benchmark's."""

DETECTRON2 = (
    (r"backbone\.(?:bottom_up\.)?stem\.conv1\.norm\.", r"backbone.body.stem.bn1."),
    (r"backbone\.(?:bottom_up\.)?stem\.", r"backbone.body.stem."),
    (r"backbone\.(?:bottom_up\.)?res(\d)\.", lambda m: f"backbone.body.layer{int(m[1]) - 1}."),
    (r"backbone\.fpn_lateral(\d)\.norm\.", lambda m: f"backbone.fpn.fpn_inner{int(m[1]) - 1}.1."),
    (r"backbone\.fpn_output(\d)\.norm\.", lambda m: f"backbone.fpn.fpn_layer{int(m[1]) - 1}.1."),
    (r"backbone\.fpn_lateral(\d)\.", lambda m: f"backbone.fpn.fpn_inner{int(m[1]) - 1}."),
    (r"backbone\.fpn_output(\d)\.", lambda m: f"backbone.fpn.fpn_layer{int(m[1]) - 1}."),
    (r"backbone\.top_block\.", r"backbone.fpn.top_blocks."),
    (r"backbone\.(reduction_conv|fpn_conv)\.", r"backbone.neck.\1."),
    (r"backbone\.bottom_up\.", r"backbone.body."),
    (r"proposal_generator\.rpn_head\.conv\.", r"rpn.head.conv."),
    (r"proposal_generator\.rpn_head\.objectness_logits\.", r"rpn.head.cls_logits."),
    (r"proposal_generator\.rpn_head\.anchor_deltas\.", r"rpn.head.bbox_pred."),
    (r"roi_heads\.res5\.", r"roi_heads.box.feature_extractor.head.layer4."),
    (r"roi_heads\.box_head\.fc(\d)\.", lambda m: f"roi_heads.box.feature_extractor.fc{int(m[1]) + 5}."),
    (r"roi_heads\.box_predictor\.", r"roi_heads.box.predictor."),
    (r"roi_heads\.keypoint_head\.score_lowres\.", r"roi_heads.keypoint.predictor.kps_score_lowres."),
    (r"roi_heads\.keypoint_head\.", r"roi_heads.keypoint.feature_extractor."),
    (r"roi_heads\.mask_head\.deconv\.", r"roi_heads.mask.predictor.conv5_mask."),
    (r"roi_heads\.mask_head\.predictor\.", r"roi_heads.mask.predictor.mask_fcn_logits."),
    (r"roi_heads\.mask_head\.", r"roi_heads.mask.feature_extractor."),
)
"""Beginnings of Detectron2's names and maskrcnn-benchmark's.

HRNet is no part of Detectron2 itself. Its names are as we know them from forks, without a file at hand: the trunk under
`bottom_up` with the names of HRNet's release, HRFPN's layers beside it with those of HRNet-MaskRCNN-Benchmark.
"""

LEARNT_HRFPN = ("backbone.interp_conv.", "backbone.reduction_pooling_conv.")
"""Layers of DensePose's HRFPN, which resizes and pools by convolutions; the published HRFPN has none."""

BLOCK = (
    (r"(layer\d\.\d+)\.conv(\d)\.norm\.", r"\1.bn\2."),
    (r"(layer\d\.\d+)\.shortcut\.norm\.", r"\1.downsample.1."),
    (r"(layer\d\.\d+)\.shortcut\.", r"\1.downsample.0."),
)
"""Names within the blocks of Detectron2's ResNets."""

MASK_RCNN = r"(?i)^maskrcnn_(?=(?:r|resnet|x)_?[0-9])(?!.*rcnn)"
"""torchvision's word for Mask R-CNN before a trunk, where nothing else says what the detector is."""

INNER = "backbone.fpn.fpn_inner"
"""Beginning of the names of a pyramid's first convolutions."""

COMPUTED = r"pixel_(mean|std)|.*anchor_generator\.cell_anchors\..*"
"""Names in old files of Detectron2 that are no weights."""


def to_maskrcnn_names(name: str, weights: Mapping[str, Tensor]) -> tuple[str, dict[str, Tensor]]:
    """The name of the detector that a checkpoint is of, and its weights under maskrcnn-benchmark's names.

    A checkpoint of torchvision or Detectron2 makes a model of that variant out of any name of the same network: `r50_fpn` has
    other anchors in each. Batch norms of torchvision's that count their batches add 1e-5 to the variance; those of its COCO_V1
    weights count none, and add nothing.

    Args:
        name: Name of a detector of any variant.
        weights: Weights of any model; those that are not of a detector are returned unchanged.
    """
    if any(key.startswith(("proposal_generator.", "backbone.bottom_up.")) for key in weights):
        _refuse_learnt(weights)
        kept = {key: value for key, value in weights.items() if not re.fullmatch(COMPUTED, key) and not key.endswith(COUNTER)}
        given = {_within(_renamed(key, DETECTRON2)): value for key, value in kept.items()}
        return with_pyramid(_of("detectron2", name), given), _with_background(_sequences(given))
    if any(key.startswith(("roi_heads.box_head.", "backbone.fpn.inner_blocks.")) for key in weights):
        counted = any(key.endswith(COUNTER) for key in weights)
        own = _sequences(_from_p3({_renamed(k, TORCHVISION): value for k, value in weights.items() if not k.endswith(COUNTER)}))
        masked = any(key.startswith("roi_heads.mask_") for key in weights)
        name = with_pyramid(_of("torchvision", re.sub(MASK_RCNN, "mask_rcnn_", name) if masked else name), own)
        return name + ("_eps" if counted and not name.endswith("_eps") else ""), own
    return (with_pyramid(name, weights) if any(key.startswith(INNER) for key in weights) else name), dict(weights)


def with_pyramid(name: str, weights: Mapping[str, Tensor]) -> str:
    """The name with the options of its pyramid that weights tell: P6 and P7 and what they are read from, and norms.

    What a name says already stays; a ReLU is told by no weight that has a norm, and must be said.

    Args:
        name: Name of a detector or backbone.
        weights: Weights under maskrcnn-benchmark's names.
    """
    found = re.search(r"(?i)(?<=[\d_d])fpn(?=_|$)", name)
    if found is None or re.search(r"_(c5p6p7|p5p6p7|gn|bn|relu)(?=_|$)", name[found.end() :]):
        return name
    p6, p7 = (next((v for k, v in weights.items() if k.endswith(f"fpn.top_blocks.{p}.weight")), None) for p in ("p6", "p7"))
    ending = "" if p6 is None or p7 is None else "_p5p6p7" if p6.shape == p7.shape else "_c5p6p7"
    normed = any(re.match(rf"{INNER}\d\.1\.", key) for key in weights)
    batch = any(re.match(rf"{INNER}\d\.1\.running_mean", key) for key in weights)
    return name[: found.end()] + ending + ("_bn" if batch else "_gn" if normed else "") + name[found.end() :]


def _from_p3(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Torchvision counts the maps of a pyramid from its finest one; one with P6 and P7 begins at P3."""
    if "backbone.fpn.top_blocks.p6.weight" not in weights:
        return dict(weights)
    return {
        re.sub(r"(?<=^backbone\.fpn\.fpn_)(inner|layer)(\d)", lambda m: f"{m[1]}{int(m[2]) + 1}", key): value
        for key, value in weights.items()
    }


def _sequences(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Convolutions of a pyramid as they stand before a norm, in a sequence with it, or alone."""
    normed = any(re.match(rf"{INNER}\d\.1\.", key) for key in weights)
    alone = r"(backbone\.fpn\.fpn_(?:inner|layer)\d)(?:\.0)?\.(weight|bias)"
    return {re.sub(f"^{alone}$", r"\1.0.\2" if normed else r"\1.\2", key): value for key, value in weights.items()}


def _refuse_learnt(weights: Mapping[str, Tensor]) -> None:
    """Refuse an HRFPN with learnt resizing.

    Raises:
        CheckpointError: There are such layers.
    """
    found = [key for key in weights if key.startswith(LEARNT_HRFPN)]
    if found:
        raise CheckpointError(
            f"this is DensePose's HRFPN, which resizes and pools by {len(found)} weights such as {found[0]}; only the "
            "published HRFPN, which interpolates and pools by averages or maxima, is built here"
        )


def norm_note(name: str) -> str:
    """A sentence about the norms of a torchvision detector, whose checkpoint does not say what they add; else nothing.

    Args:
        name: As `to_maskrcnn_names` gave it.
    """
    if not name.startswith("torchvision_") or "eps" in name.split("_"):
        return ""
    return (
        "; its frozen norms add nothing to the variance, as those of torchvision's published detectors: if it was trained from "
        f"a backbone's weights they add 1e-5, and its name is {name}_eps"
    )


def _of(variant: str, name: str) -> str:
    """The name of the same network in another variant."""
    bare = re.sub(r"^(maskrcnn_hr|hrnet_maskrcnn|maskrcnn|torchvision|detectron2|poise)_", "", name)
    return f"{variant}_{bare}"


def _renamed(key: str, table: tuple[tuple[str, object], ...]) -> str:
    for pattern, new in table:
        found = re.match(pattern, key)
        if found is not None:
            return (new(found) if callable(new) else found.expand(str(new))) + key[found.end() :]
    return key


def _within(key: str) -> str:
    for pattern, new in BLOCK:
        key = re.sub(pattern, new, key)
    return key


def _with_background(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The background as first class: moved there for class logits, added as zeros for boxes and masks."""

    def changed(key: str, value: Tensor) -> Tensor:
        if "predictor.cls_score." in key:
            return value.roll(1, dims=0)
        if "predictor.bbox_pred." in key:
            return torch.cat((torch.zeros_like(value[:4]), value))
        if "predictor.mask_fcn_logits." in key:
            return torch.cat((torch.zeros_like(value[:1]), value))
        return value

    return {key: changed(key, value) for key, value in weights.items()}
