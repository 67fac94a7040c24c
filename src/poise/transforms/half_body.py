"""Half-body augmentation: sometimes a view shows only the upper or only the lower body."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from poise.structures import CropRule
from poise.transforms.crop import Frame, widened


def half_body(
    xy: Float[Tensor, "k 2"], visible: Int64[Tensor, " k"], upper: Tensor, *, prefer_upper: bool, ratio: float, rule: CropRule
) -> Frame | None:
    """The frame of one half of a body, or None where neither half has two labelled keypoints.

    As HRNet's release (golden t06): the preferred half if it has more than two keypoints; otherwise the lower one if it has
    more than two, otherwise the upper. The frame is centred on the mean of the half's keypoints and 1.5 times their extent,
    at width / height = `ratio`. DARK's extent is a pixel larger.

    Args:
        xy: Keypoints, pixels.
        visible: 0, 1 or 2 each.
        upper: True for keypoints of the upper body (bool, k).
        prefer_upper: The coin's answer.
        ratio: Width over height.
        rule: Whose extent.
    """
    labelled = visible > 0
    top, rest = xy[labelled & upper], xy[labelled & ~upper]
    chosen = top if (prefer_upper and len(top) > 2) or len(rest) <= 2 else rest
    if len(chosen) < 2:
        return None
    x, y = chosen.mean(dim=0).tolist()
    w, h = (torch.add(chosen.amax(dim=0) - chosen.amin(dim=0), 1 if rule == "dark" else 0)).tolist()
    return Frame((x, y), widened((w, h), ratio)).scaled(1.5)
