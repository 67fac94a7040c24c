"""Weights of detectors in maskrcnn-benchmark and HRNet-MaskRCNN-Benchmark: names, order, and which of them have two names."""

import re
from collections.abc import Collection

HEADS = ("rpn.", "roi_heads.box.", "roi_heads.mask.", "roi_heads.keypoint.")
"""Beginnings of the names of heads, in the release's order; the backbone comes first."""

SHARED = "roi_heads.box.feature_extractor."
"""Beginning of the names of the box head's features, which other heads may read."""


def keys(backbone: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """Beginnings of weight names, official and ours, of whole detectors and of parts.

    Args:
        backbone: Those of the family's backbones.
    """
    box = (
        ("feature_extractor.fc", "body.fc"),
        ("feature_extractor.head.layer4.", "body.stage."),
        *_convolutions("conv_fcn", "body.conv"),
        ("predictor.cls_score.", "reader.cls_score."),
        ("predictor.bbox_pred.", "reader.bbox_pred."),
    )
    keypoint = (*_convolutions("conv_fcn", "body.conv"), ("predictor.kps_score_lowres.", "reader.final."))
    mask = (
        *_convolutions("mask_fcn", "body.0.conv"),
        ("predictor.conv5_mask.", "reader.deconv."),
        ("predictor.mask_fcn_logits.", "reader.logits."),
    )
    return (
        *((f"backbone.{a}", f"backbone.{b}") for a, b in backbone),
        *((f"rpn.{a}", f"rpn.{b}") for a, b in _RPN),
        *((f"roi_heads.box.{a}", f"box.head.{b}") for a, b in box),
        *((f"roi_heads.keypoint.{a}", f"keypoint.head.{b}") for a, b in keypoint),
        *((f"roi_heads.mask.{a}", f"mask.head.{b}") for a, b in mask),
        *(pair for pairs in (backbone, _RPN, box, keypoint, mask) for pair in pairs),
    )


def _convolutions(official: str, ours: str) -> tuple[tuple[str, str], ...]:
    return tuple((f"feature_extractor.{official}{number + 1}.", f"{ours}.{number}.") for number in range(16))


PYRAMID = (
    *(
        (f"fpn.fpn_{official}{level + 1}.", f"neck.{ours}.{level}.")
        for official, ours in (("inner", "lateral"), ("layer", "output"))
        for level in range(4)
    ),
    *((f"fpn.top_blocks.{p}.", f"neck.{p}.") for p in ("p6", "p7")),
)
"""Beginnings of names in an FPN, official and ours."""

_RPN = (("anchor_generator.cell_anchors.", "anchor_generator.cell"), ("head.conv.", "head.conv.0.0."))


def order(official: str) -> tuple[int, ...]:
    """Ranks official names as the official networks on ResNets hold them: the shortcut of a block comes first."""
    pyramid = re.search(r"fpn_(inner|layer)(\d)", official)
    if pyramid is not None:
        return (0, 2, int(pyramid[2]), int(pyramid[1] == "layer"))
    block = re.search(r"(?:body|head)\.layer(\d)\.(\d+)\.(downsample)?", official)
    if block is not None:
        return (_head(official), 1, int(block[1]), int(block[2]), int(block[3] is None))
    return heads_order(official)


def heads_order(official: str) -> tuple[int, ...]:
    """Ranks official names by their heads alone, for HRNet: its blocks have our order."""
    return (_head(official), 2 if re.search(r"(?:^|\.)predictor\.", official) else 0)


def _head(official: str) -> int:
    return next((rank for rank, beginning in enumerate(HEADS, 1) if official.startswith(beginning)), 0)


def duplicates(names: Collection[str]) -> dict[str, str]:
    """Official names under which the release holds a weight a second time, and their first names.

    A head that reads the box head's features has no body of its own here; there it is given the box head's, so that the state
    dict names that under both.

    Args:
        names: Official names of our weights, each once.
    """
    found: dict[str, str] = {}
    for head in HEADS[2:]:
        own = f"{head}feature_extractor."
        there = any(name.startswith(f"{head}predictor.") for name in names)
        if there and not any(name.startswith(own) for name in names):
            found |= {own + name.removeprefix(SHARED): name for name in names if name.startswith(SHARED)}
    return found
