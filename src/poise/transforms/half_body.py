"""Half-body augmentation: some views show only the upper or only the lower body."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from poise.structures import CropRule
from poise.transforms.crop import Frame, grow_to_aspect


def half_body(
    xy: Float[Tensor, "k 2"],
    visible: Int64[Tensor, " k"],
    upper: Tensor,
    *,
    prefer_upper: bool,
    ratio: float,
    rule: CropRule,
    grow: tuple[float, float] = (0.0, 0.0),
) -> Frame | None:
    """The frame of the upper or lower body; None where neither has enough labelled keypoints.

    As HRNet's release (golden t06): the preferred half if it has more than two labelled keypoints; otherwise the lower one if
    it has more than two; otherwise the upper one, which must have two. The frame is centred on the mean of the half's
    keypoints, and is 1.5 times their extent, grown to `ratio`. DARK's extent is a pixel larger. MSPN asks for more than three
    keypoints (three in the last case), and its frame is the keypoints' box, grown by random shares.

    Args:
        xy: Keypoints, pixels of the image.
        visible: 0 where a keypoint is not labelled.
        upper: True for keypoints of the upper body (bool, k).
        prefer_upper: Whether the upper body is preferred.
        ratio: Width over height of the frame.
        rule: Crop rule: whose release to follow.
        grow: Shares by which MSPN's box grows, width and height.
    """
    several, least = (3, 3) if rule == "mspn" else (2, 2)
    labelled = visible > 0
    top, rest = xy[labelled & upper], xy[labelled & ~upper]
    chosen = top if (prefer_upper and len(top) > several) or len(rest) <= several else rest
    if len(chosen) < least:
        return None
    low, high = chosen.amin(dim=0), chosen.amax(dim=0)
    if rule == "mspn":
        x, y = ((low + high) / 2).tolist()
        w, h = (high - low).tolist()
        return Frame((x, y), grow_to_aspect((w * (1 + grow[0]), h * (1 + grow[1])), ratio))
    x, y = chosen.mean(dim=0).tolist()
    w, h = (torch.add(high - low, 1 if rule == "dark" else 0)).tolist()
    return Frame((x, y), grow_to_aspect((w, h), ratio)).scaled(1.5)
