"""Codecs for the keypoint head of a detector: by name, or any codec for views of one person inside the boxes."""

import math
from dataclasses import fields, replace
from typing import Any

from poise.codecs.base import InstanceCodec
from poise.codecs.gaussian import Gaussian
from poise.codecs.one_hot import OneHot, Score
from poise.codecs.registry import codec_types, roi_codec_types
from poise.codecs.roi import RoICodec
from poise.codecs.roi_adapter import RoIAdapter
from poise.dims import Size
from poise.errors import InputError, unknown


def roi_codec(
    name: str | None,
    cells: Size,
    keypoints: int,
    *,
    score: Score | None = None,
    weight: float | None = None,
    height: float | None = None,
    sigma: float | None = None,
) -> RoICodec:
    """The codec of a keypoint head.

    Args:
        name: Class of the codec (`OneHot`, or any one for views of one person); None for `OneHot`, one cell by cross-entropy.
        cells: Size of its maps (h, w), cells.
        keypoints: Number of keypoints.
        score: Score of a keypoint of `OneHot`, which is then read at the highest pixel, as the releases do. None reads it at
            the highest blurred probability and scores it by the probability around there.
        weight: Factor of its loss; of the mean squared error for maps of Gaussians. By default the codec's own
            (`InstanceCodec.roi_weight`).
        height: Height of the Gaussians; 1 by default.
        sigma: Sigma of the Gaussians, cells; for other codecs their field of this name. By default that of the codec.

    Raises:
        UnknownName: There is no such codec.
        InputError: A number that makes no loss, or one that the codec does not take.
    """
    if name in (None, OneHot.__name__):
        _refuse("one cell by cross-entropy", weight=weight, height=height, sigma=sigma)
        return OneHot(cells, keypoints, score=score or "mass", reading="peak" if score else "blurred")
    types = codec_types()
    if name not in types:
        own = [known for known in roi_codec_types() if known != RoIAdapter.__name__]
        raise unknown("codec for boxes", str(name), [*types, *own])
    inside = types[str(name)](size=cells, cells=cells, keypoints=keypoints)
    return adapted(inside, weight=weight, height=height, sigma=sigma)


def gaussian_roi_codec(
    cells: Size, keypoints: int, *, weight: float | None = None, height: float | None = None, sigma: float | None = None
) -> RoIAdapter:
    """The codec of Gaussians in the box, trained by a weighted mean squared error.

    Args:
        cells: Size of the maps (h, w), cells.
        keypoints: Number of keypoints.
        weight: Factor of the mean squared error; by default 2000, less for higher Gaussians, whose squares are larger.
        height: Height of the Gaussians; 1 by default.
        sigma: Sigma of the Gaussians, cells; 2 by default.

    Raises:
        InputError: A weight, height or sigma that makes no loss.
    """
    return adapted(Gaussian(cells, cells, keypoints, shift_flipped=False), weight=weight, height=height, sigma=sigma)


def adapted(
    inside: InstanceCodec, *, weight: float | None = None, height: float | None = None, sigma: float | None = None
) -> RoIAdapter:
    """A codec for views of one person inside boxes, with its own weight and height unless others are given.

    Args:
        inside: The codec.
        weight: Factor of its loss; by default the codec's own, less for higher Gaussians.
        height: Height of the Gaussians; 1 by default.
        sigma: Sigma of the Gaussians, cells; for other codecs their field of this name. By default that of the codec.

    Raises:
        InputError: A number that makes no loss, or one that the codec does not take.
    """
    for field, value in (("weight", weight), ("height", height), ("sigma", sigma)):
        if value is not None and not 0 < value < math.inf:
            raise InputError(f"a keypoint head needs a {field} above 0, not {value:g}")
    if inside.mse_share is None:
        _refuse(f"{type(inside).__name__}, which has no Gaussians of height 1,", height=height)
    if sigma is not None:
        inside = _with_sigma(inside, sigma)
    tall = 1.0 if height is None else height
    factor = inside.roi_weight / tall**2 if weight is None else weight / (inside.mse_share or 1.0)
    return RoIAdapter.of(inside, weight=factor, height=tall)


def _with_sigma(inside: InstanceCodec, sigma: float) -> InstanceCodec:
    changes: dict[str, Any] = {"sigma": sigma}
    if "sigma" not in {field.name for field in fields(inside)}:
        _refuse(type(inside).__name__, **changes)
    return replace(inside, **changes)


def _refuse(what: str, *, weight: float | None = None, height: float | None = None, sigma: float | None = None) -> None:
    """Refuse numbers that a head does not take.

    Raises:
        InputError: One was given.
    """
    given = [name for name, value in (("weight", weight), ("height", height), ("sigma", sigma)) if value is not None]
    if given:
        raise InputError(f"a head that learns {what} takes no {' and no '.join(given)}; leave that out")
