"""The upper bound of each codec on a set of annotations, before training: labels are encoded and decoded again.

`encode(xy)` is the perfect output. What is decoded from it is the best that training can reach: DARK (arXiv 1910.06278,
section 3) and UDP (arXiv 1911.07524, section 3) start from this error.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from poise.codecs.base import InstanceCodec
from poise.codecs.decoders import read_as
from poise.codecs.registry import codec_types
from poise.codecs.round_trip import there_and_back
from poise.dims import Size
from poise.errors import AnnotationError, InputError, UnknownName
from poise.evaluation.eval_set import EvalSet
from poise.evaluation.round_trip import LabelledViews, labelled_views
from poise.geometry import apply, invert
from poise.metrics import coco, coco_format
from poise.metrics.oks import rescore
from poise.skeletons import keypoint_indices
from poise.structures import CropRule, Points, Preprocess
from poise.zoo.assemble import named_codec, preprocess_for

STRIDE = 4
"""Pixels of a view per cell."""

FAR = 2.0
"""Error, cells, from which a keypoint counts as lost: it lies outside the view, or at a border where a map cannot hold it."""

FLIPPED = 5000
"""Number of keypoints whose mirrored views are tried: enough for a mean to within one percent."""


@final
@dataclass(frozen=True)
class CodecRow:
    """The error of one codec; distances in pixels of the view, over keypoints inside it.

    Attributes:
        codec: Name of the codec's class.
        reading: Decoder of its maps; "own" is that of the codec.
        crop: Crop rule of the views.
        mean: Mean distance of decoded keypoints from their labels.
        p95: 95th percentile of that distance.
        flip: Mean distance for mirrored views whose outputs are unflipped.
        flip_p95: 95th percentile of that distance.
        lost: Share of all labelled keypoints that are decoded more than `FAR` cells off.
        outside: Share of all labelled keypoints that lie outside their view, by the crop.
        ap: AP of the decoded keypoints: the upper bound, of a perfect output.
    """

    codec: str
    reading: str
    crop: CropRule
    mean: float
    p95: float
    flip: float
    flip_p95: float
    lost: float
    outside: float
    ap: float


def codec_report(
    eval_set: EvalSet,
    size: Size,
    *,
    codecs: Sequence[str] = (),
    readings: Sequence[str] = (),
    padding: float = 1.25,
    images: Sequence[int] | None = None,
) -> list[CodecRow]:
    """A row for each codec, at stride 4, in the order of their names.

    Args:
        eval_set: The annotations; its images are not read.
        size: Size of the views (h, w).
        codecs: Names of codec classes; by default all, also in their other `report_methods`.
        readings: Other ways to decode the maps of the codecs that have them.
        padding: Factor by which boxes grow.
        images: Indices of the images to use; by default all.

    Raises:
        AnnotationError: No person is labelled, or the annotations cannot be evaluated against.
        UnknownName: There is no such codec or reading.
    """
    names = list(codecs) or sorted(codec_types())
    cells = (size[0] // STRIDE, size[1] // STRIDE)
    makers = [
        named_codec(name, size, cells, keypoints=1) for name in names
    ]  # keypoints are encoded independently of each other
    _check_readings(makers, readings)
    coco_format.check_annotations(eval_set.truth, eval_set.skeletons)
    seen: dict[CropRule, LabelledViews] = {}
    rows: list[CodecRow] = []
    for own in makers:
        preprocess = preprocess_for(own, Preprocess(padding=padding))
        if preprocess.crop not in seen:
            seen[preprocess.crop] = labelled_views(eval_set, preprocess, size=size, skeleton=eval_set.skeleton, images=images)
        if not seen[preprocess.crop].labelled.any():
            raise AnnotationError(
                "the annotations have no person with a box and labelled keypoints, so no codec can be tried on them"
            )
        others = readings or (() if codecs else own.report_methods)
        rows += _rows(eval_set, _read(own, others), seen[preprocess.crop], preprocess=preprocess, images=images)
    return rows


def _read(codec: InstanceCodec, readings: Sequence[str]) -> dict[str, InstanceCodec]:
    """The codec as it is, and with each of the other readings that it has."""
    found = {"own": codec}
    for name in readings:
        with suppress(InputError, UnknownName):
            found[name] = read_as(codec, name)
    return found


def _check_readings(codecs: Sequence[InstanceCodec], readings: Sequence[str]) -> None:
    """Refuse a reading that none of the codecs has."""
    for name in readings:
        if not any(name in _read(codec, (name,)) for codec in codecs):
            for codec in codecs:
                read_as(codec, name)


def _rows(
    eval_set: EvalSet,
    readers: Mapping[str, InstanceCodec],
    views: LabelledViews,
    *,
    preprocess: Preprocess,
    images: Sequence[int] | None,
) -> Iterator[CodecRow]:
    """A row for each way of decoding one codec's outputs."""
    [codec, *_] = readers.values()
    xy, inside = views.xy[views.labelled][:, None], views.inside[views.labelled]
    some = inside.nonzero().flatten()[evenly_spaced(int(inside.sum()), FLIPPED)]
    back = there_and_back(list(readers.values()), xy)
    mirrored = there_and_back(list(readers.values()), xy[some], torch.zeros(1, dtype=torch.int64))
    far = FAR * max(codec.size[0] / codec.cells[0], codec.size[1] / codec.cells[1])
    for reading, found, flipped in zip(readers, back, mirrored, strict=True):
        distance = (found.xy - xy).norm(dim=-1).flatten()
        mean, p95 = _spread(distance[inside])
        flip, flip_p95 = _spread((flipped.xy - xy[some]).norm(dim=-1).flatten())
        yield CodecRow(
            codec=type(codec).__name__,
            reading=reading,
            crop=preprocess.crop,
            mean=mean,
            p95=p95,
            flip=flip,
            flip_p95=flip_p95,
            lost=float((distance > far).double().mean()),
            outside=1 - float(inside.double().mean()),
            ap=_upper_bound(eval_set, views, found, min_score=preprocess.min_keypoint_score, images=images),
        )


def _spread(errors: Float[Tensor, " e"]) -> tuple[float, float]:
    """Mean and 95th percentile."""
    values = errors.double().numpy()
    return (float(values.mean()), float(np.quantile(values, 0.95))) if len(values) else (float("nan"), float("nan"))


def _upper_bound(
    eval_set: EvalSet, views: LabelledViews, back: Points, *, min_score: float, images: Sequence[int] | None
) -> float:
    """AP of the decoded keypoints, by COCO's protocol."""
    xy, scores = torch.zeros_like(views.xy), torch.zeros(views.xy.shape[:2])
    xy[views.labelled], scores[views.labelled] = back.xy.squeeze(1), back.score.squeeze(1)
    xy = apply(invert(views.warps.double()), xy.double()).float()
    ids = torch.tensor(eval_set.ids)[views.index].tolist()
    of = torch.tensor([c for i in views.images for c in eval_set.categories(i)])
    results: list[dict[str, Any]] = []
    for category, skeleton in eval_set.skeletons.items():
        own, columns = of == category, list(keypoint_indices(eval_set.skeleton, skeleton))
        score = scores[own][:, columns]
        rated = rescore(torch.ones(len(score)), score, min_score)
        rows = coco_format.to_coco_results(xy[own][:, columns], score, rated, image=0, categories=of[own])
        results += [row | {"image_id": i} for row, i in zip(rows, np.array(ids)[own.numpy()].tolist(), strict=True)]
    counted = None if images is None else [eval_set.ids[i] for i in images]
    return coco.evaluate(eval_set.truth, results, eval_set.skeletons, images=counted).numbers["AP"]


def evenly_spaced(total: int, max_count: int) -> list[int]:
    """At most `max_count` indices of a list of `total`, evenly spaced.

    >>> evenly_spaced(10, 4)
    [0, 2, 5, 7]
    """
    return list(range(total)) if total <= max_count else [i * total // max_count for i in range(max_count)]
