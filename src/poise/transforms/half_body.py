"""Half-body augmentation: sometimes a view shows only the upper or only the lower body."""

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
    """The frame of one half of a body, or None where neither half has enough labelled keypoints.

    As HRNet's release (golden t06): the preferred half if it has more than two keypoints; otherwise the lower one if it has
    more than two, otherwise the upper, of which there must be two. The frame is centred on the mean of the half's keypoints
    and 1.5 times their extent, at width / height = `ratio`. DARK's extent is a pixel larger. MSPN asks for more than three
    keypoints in the same places, for three at last, and its frame is the keypoints' box, grown by random shares.

    Args:
        xy: Keypoints, pixels.
        visible: 0, 1 or 2 each.
        upper: True for keypoints of the upper body (bool, k).
        prefer_upper: The coin's answer.
        ratio: Width over height.
        rule: Whose extent.
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
