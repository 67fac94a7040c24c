"""How far the keypoints and boxes of an exported file are from those of its model, on real views."""

from collections.abc import Sequence
from typing import NamedTuple, final

import torch
from jaxtyping import Float
from torch import Tensor

from poise.errors import InputError
from poise.exporting.base import Graph
from poise.exporting.detector_graphs import DetectorGraph, PeopleInBoxesGraph
from poise.exporting.graphs import BlazeGraph, PartsGraph, PersonGraph
from poise.runtimes.engine import Session
from poise.runtimes.parts import difference

MOST_PIXELS = 0.1
"""Largest difference of a keypoint to the model's, pixels of the view, with which a float32 file is written."""

SURE = 0.05
"""Keypoints count whose score is above this share of the highest one: on an even map nothing decides between its cells."""

NOISE = 1e-4
"""Keypoints count that move by less than a tenth of `MOST_PIXELS` when the outputs change by this share of their largest value,
about ten times what runtimes round differently: where a network is unsure, two cells are equally high, or the top is so flat
that its middle is anywhere. Of a trained network and photographs, 98 of 100 keypoints count."""

IMAGE_NOISE = 1e-5
"""Boxes count that are still there, less than a tenth of `MOST_PIXELS` away, when the image changes by this share of its
largest value, about ten times what runtimes round differently: a confidence may be at the threshold, or two boxes equally good.
"""

MOST_SCORE = 0.01
"""Largest difference of the confidence of such a box."""


NEAR = 0.05
"""Share of the longer side of a view that a keypoint may move and still be in its place."""


@final
class Difference(NamedTuple):
    """How far keypoints, and the corners of a detector's boxes, are from the model's; None where there are none.

    Attributes:
        pixels: The largest distance, pixels of the view.
        moved: The mean distance, pixels of the view.
        kept: Share of those within `NEAR` of the view's longer side of the model's.
    """

    pixels: float | None = None
    moved: float | None = None
    kept: float | None = None


def compare(graph: Graph, session: Session, given: Float[Tensor, "b 3 h w"], *, exact: bool) -> Difference:
    """How far the keypoints that a file gives are from the model's, of those of which the model is sure.

    Args:
        graph: The graph of the model.
        session: The file in its runtime.
        given: Views as the graph takes them.
        exact: Whether the file is refused where it differs.

    Raises:
        InputError: It differs by more than `MOST_PIXELS`, or its other outputs by more than rounding.
    """
    if isinstance(graph, DetectorGraph):
        away = torch.cat([_people_distances(graph, session, view[None], exact=exact) for view in given])
    else:
        away = _view_distances(graph, session, given, exact=exact)
    if not len(away):
        return Difference()
    most, kept = float(away.max()), float((away <= NEAR * max(given.shape[-2:])).float().mean())
    if exact and not most <= MOST_PIXELS:
        what = "corner or keypoint" if isinstance(graph, DetectorGraph) else "keypoint"
        raise InputError(
            f"the file is not written: a {what} is {most:.2g} pixels from the model's, more than {MOST_PIXELS}"
            + ("; --no-decode leaves its decoding out of the file" if graph.decode and graph.decoded else "")
        )
    return Difference(most, float(away.mean()), kept)


def _view_distances(graph: Graph, session: Session, given: Float[Tensor, "b 3 h w"], *, exact: bool) -> Float[Tensor, " n"]:
    """Distances between keypoints of views, of which the model is sure; none where the outputs have no keypoints."""
    with torch.inference_mode():
        right = list(graph(given))
    found = session([given])
    wrong = difference(found[: len(graph.raw)], right[: len(graph.raw)], bf16=False) if exact else ""
    if wrong:
        raise InputError(f"the file is not written: {wrong}")
    if not isinstance(graph, PersonGraph | PartsGraph | BlazeGraph):
        return given.new_zeros(0)
    with torch.inference_mode():
        xy, score = _read(graph, right)
        shaken, _ = _read(graph, [_shaken(one) for one in right[: len(graph.raw)]])
        theirs = [_read(graph, found)[0], *found[len(graph.raw) : len(graph.raw) + 1]]
    sure = _sure(xy, score, shaken)
    return torch.cat([(one - xy).norm(dim=-1)[sure] for one in theirs])


def _sure(xy: Float[Tensor, "n k 2"], score: Float[Tensor, "n k"], shaken: Float[Tensor, "n k 2"]) -> Tensor:
    sure: Tensor = (score > SURE * score.amax()) & ((shaken - xy).norm(dim=-1) < MOST_PIXELS / 10)
    return sure


def _shaken(output: Tensor, noise: float = NOISE) -> Tensor:
    chance = torch.Generator().manual_seed(0)
    return output + noise * output.abs().amax() * torch.randn(output.shape, generator=chance)


def _read(graph: Graph, outputs: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    if isinstance(graph, BlazeGraph):
        numbers, presence, _, heatmaps, _ = outputs[:5]
        found = graph.read(graph.model.joined(numbers, presence, heatmaps)[:, : graph.model.codec.keypoints])
    else:
        found = graph.read(outputs[0])
    return found[0], found[1]


def _people_distances(
    graph: DetectorGraph, session: Session, view: Float[Tensor, "1 3 h w"], *, exact: bool
) -> Float[Tensor, " n"]:
    """Distances between corners of boxes, and keypoints in them, of people of whom the model is sure, in one image.

    Raises:
        InputError: The file does not find one of them, or people whom the model does not find.
    """
    with torch.inference_mode():
        right, shaken = list(graph(view)), list(graph(_shaken(view, IMAGE_NOISE)))
    found = session([view])
    if not len(right[0]) or not len(shaken[0]):
        return view.new_zeros(0)
    again, away = _nearest(right[0], shaken[0])
    sure = torch.where(away < MOST_PIXELS / 10)[0]
    if exact and abs(len(found[0]) - len(right[0])) > len(right[0]) - len(sure):
        raise InputError(
            f"the file is not written: it finds {len(found[0])} people where the model finds {len(right[0])}, and is sure of "
            f"{len(sure)}"
        )
    if not len(found[0]) or not len(sure):
        return view.new_zeros(0)
    theirs, distances = _nearest(right[0], found[0])
    if exact and (off := float((found[1][theirs] - right[1])[sure].abs().max())) > MOST_SCORE:
        raise InputError(f"the file is not written: the confidence of a box differs by {off:.2g}, more than {MOST_SCORE}")
    if not isinstance(graph, PeopleInBoxesGraph) or bool((distances[sure] > MOST_PIXELS).any()):
        return distances[sure]
    with torch.inference_mode():
        xy, score = graph.read(right[:3])
        near = graph.read(shaken[:3])[0][again[sure]]
        read = [graph.read(found[:3])[0], *found[3:4]]
    known = _sure(xy[sure], score[sure], near)
    return torch.cat((distances[sure], *[(one[theirs[sure]] - xy[sure]).norm(dim=-1)[known] for one in read]))


def _nearest(boxes: Float[Tensor, "n 4"], others: Float[Tensor, "m 4"]) -> tuple[Tensor, Float[Tensor, " n"]]:
    """Of each box the index of the nearest of others, and the largest distance of its coordinates, pixels."""
    away, index = (boxes[:, None] - others).abs().amax(dim=2).min(dim=1)
    return index, away
