"""The page that `poise data walk` writes: a section per step, each with shape and range."""

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from poise.analysis.trace import Trace
from poise.transforms.render import denormalise
from poise.viz.draw import AnyPixels, Pixels, draw_people, draw_view_outline
from poise.viz.maps import max_over_keypoints, overlay
from poise.viz.report import Report

PHOTO, VIEW, MAP = 900, 420, 150
"""Longer sides of pictures, pixels."""

NAMES = ("not labelled", "hidden", "in sight")


def page(trace: Trace, *, model: str | None) -> Report:
    """All steps of a walk.

    Args:
        trace: The walk.
        model: Name of the model; None where a codec is walked alone.
    """
    report = Report(f"{type(trace.codec).__name__}: one person's way through {model or 'the codec, without a network'}")
    report.text(
        "Points are (x, y) and 0 is the centre of the first pixel; sizes are (height, width). Warm colours are the person's "
        "own left, cool ones the right. Keypoints without a label are left out of the pictures of maps."
    )
    report.section("All steps").table(("step", "shape", "min", "mean", "max"), steps(trace, model=model))
    report.pictures(_overview(trace, model=model), width=128)
    _photo(report, trace)
    _warp(report, trace)
    _view(report, trace)
    _maps(report, trace, model=model)
    _flip(report, trace)
    _decoded(report, trace)
    return report


def steps(trace: Trace, *, model: str | None) -> list[tuple[str, str, float, float, float]]:
    """Name, shape and range of every tensor on the way."""
    named: list[tuple[str, Tensor]] = [
        ("photo", trace.sample.image),
        ("labels on the photo", trace.labels[trace.visible > 0]),
        ("warp", trace.warp),
        ("view, as the network reads it", trace.view),
        ("labels in the view", trace.xy[trace.visible > 0]),
        ("target", trace.target),
        ("output of the network" if model else "the target itself, as its output", trace.output),
    ]
    if trace.mirrored is not None:
        named += [
            ("mirrored view", trace.mirrored.view),
            ("output for it", trace.mirrored.output),
            ("that, unflipped", trace.mirrored.unflipped),
            ("mean of both outputs", trace.mirrored.averaged),
        ]
    named += [("decoded, in the view", trace.found.xy), ("scores", trace.found.score), ("back on the photo", trace.image_xy)]
    return [(name, " x ".join(map(str, value.shape)), *_range(value)) for name, value in named]


def _range(value: Tensor) -> tuple[float, float, float]:
    numbers = value.double()
    return float(numbers.min()), float(numbers.mean()), float(numbers.max())


def _shape_and_range(value: Tensor) -> str:
    low, _, high = _range(value)
    return f"{' x '.join(map(str, value.shape))}, {low:.3f} to {high:.3f}"


def _photo(report: Report, trace: Trace) -> None:
    report.section("The photo and its labels")
    report.text(
        f"{trace.sample.key.file_name}, annotation {int(trace.sample.labels.ids[trace.person])}. A hollow dot is hidden."
    )
    picture = _people(_pixels(trace.sample.image), trace.labels, trace.visible, trace, PHOTO, box=trace.box)
    report.pictures([(f"photo {_shape_and_range(trace.sample.image)}; its box", picture)], width=480)
    rows = [
        (name, NAMES[state], *((float(x), float(y)) if state else ("", "")))
        for name, state, (x, y) in zip(trace.skeleton.keypoints, trace.visible.tolist(), trace.labels.tolist(), strict=True)
    ]
    report.table(("keypoint", "state", "x", "y"), rows)


def _warp(report: Report, trace: Trace) -> None:
    rule, (cx, cy), (w, h) = trace.preprocess, trace.frame.centre, trace.frame.extent
    x0, y0, x1, y1 = trace.box.tolist()
    report.section("The warp")
    report.text(
        f"The box, {x0:.1f} {y0:.1f} to {x1:.1f} {y1:.1f}, is grown to the aspect of the view and by {rule.padding:g}, by the "
        f"rule {rule.crop!r}: centre {cx:.2f}, {cy:.2f}, {w:.2f} wide and {h:.2f} high. The matrix takes (x, y, 1) of the "
        f"photo to the view of {trace.codec.size[1]} x {trace.codec.size[0]} pixels; predictions go home through its inverse."
    )
    if rule.two_warps:
        report.text("This rule moves pixels half a pixel of the photo further than keypoints; the frame shows the pixels' way.")
    names = ("x in the view", "y in the view", "1")
    report.table(
        ("", "x", "y", "1"), [(n, *(f"{v:.5f}" for v in row)) for n, row in zip(names, trace.warp.tolist(), strict=True)]
    )
    image, factor = _resized(_pixels(trace.sample.image), PHOTO)
    picture = draw_view_outline(image, (trace.corners + 0.5) * factor - 0.5)
    report.pictures([("what the view will show; its upper edge is thick", picture)], width=480)


def _view(report: Report, trace: Trace) -> None:
    report.section("The view")
    rule = trace.preprocess
    report.text(
        f"Resampled once, then (value / 255 - mean) / deviation in the order {rule.channels}, mean {_numbers(rule.mean)}, "
        f"deviation {_numbers(rule.std)}. The labels went through the same matrix."
    )
    labelled = _people(_shown(trace.view, trace), trace.xy, trace.visible, trace, VIEW)
    report.pictures(
        [(f"view {_shape_and_range(trace.view)}", _large(_shown(trace.view, trace))), ("its labels", labelled)], width=200
    )


def _maps(report: Report, trace: Trace, *, model: str | None) -> None:
    grid = trace.codec.grid
    report.section("The target")
    report.text(
        f"{type(trace.codec).__name__}: cells of {_numbers(grid.scale)} pixels (x, y), cell 0 at {_numbers(grid.shift)}. "
        f"Target {_shape_and_range(trace.target)}."
    )
    _gallery(report, trace, trace.target, trace.view)
    if model:
        report.section("The output of the network").text(f"{model}: {_shape_and_range(trace.output)}.")
        _gallery(report, trace, trace.output, trace.view)


def _flip(report: Report, trace: Trace) -> None:
    mirrored = trace.mirrored
    report.section("The mirrored view")
    if mirrored is None:
        report.text("The skeleton does not say which keypoints a mirror exchanges, so there is no flip test.")
        return
    report.text(f"The output for the same view from right to left: {_shape_and_range(mirrored.output)}. Its left is our right.")
    _gallery(report, trace, mirrored.output, mirrored.view, swapped=True)
    difference = (mirrored.unflipped - trace.output).abs()
    report.section("Unflipped, and the mean")
    report.text(
        f"Mirrored again and left exchanged with right, {_shape_and_range(mirrored.unflipped)}, it is an output for the view; "
        f"its largest difference from the output for the view is {float(difference.max()):.3f}, "
        f"{float(difference.mean()):.4f} on average."
    )
    _gallery(report, trace, mirrored.unflipped, trace.view)
    report.text(f"The mean of both, {_shape_and_range(mirrored.averaged)}, is what is read.")
    _gallery(report, trace, mirrored.averaged, trace.view)


def _decoded(report: Report, trace: Trace) -> None:
    report.section("Read, and back on the photo")
    alone, both = trace.distances(trace.without_flip), trace.distances(trace.found)
    report.text(
        f"Labelled keypoints are read {float(alone.nanmean()):.3f} pixels of the view from their labels without the mirrored "
        + "view"
        + (f" and {float(both.nanmean()):.3f} with it" if trace.mirrored is not None else "")
        + f". OKS with the label: {trace.similarity:.4f}."
    )
    confidence = trace.found.score[0]
    view = _people(_shown(trace.view, trace), trace.found.xy[0], confidence, trace, VIEW)
    photo = _people(_pixels(trace.sample.image), trace.image_xy, confidence, trace, PHOTO)
    report.pictures([("decoded; keypoints of low score left out", view)], width=200)
    report.pictures([("on the photo, through the inverse of the warp", photo)], width=480)
    rows = [
        (name, *xy, float(score), *home, float(one), float(two))
        for name, xy, score, home, one, two in zip(
            trace.skeleton.keypoints,
            trace.found.xy[0].tolist(),
            confidence,
            trace.image_xy.tolist(),
            alone,
            both,
            strict=True,
        )
    ]
    heads = ("keypoint", "x in the view", "y in the view", "score", "x", "y", "off without flip", "off")
    report.table(heads, rows)


def _overview(trace: Trace, *, model: str | None) -> list[tuple[str, Pixels]]:
    """The view and every output on it, all keypoints on one."""
    mirrored = trace.mirrored
    shown = [("view", _large(_shown(trace.view, trace))), ("target", _glow(trace, trace.target, trace.view))]
    shown += [("output", _glow(trace, trace.output, trace.view))] if model else []
    if mirrored is not None:
        shown.append(("output for the mirrored view", _glow(trace, mirrored.output, mirrored.view, swapped=True)))
        shown.append(("that, unflipped", _glow(trace, mirrored.unflipped, trace.view)))
        shown.append(("mean of both", _glow(trace, mirrored.averaged, trace.view)))
    read = _people(_shown(trace.view, trace), trace.found.xy[0], trace.found.score[0], trace, VIEW)
    return [*shown, ("decoded", read)]


def _glow(trace: Trace, output: Tensor, view: Float[Tensor, "3 h w"], *, swapped: bool = False) -> Pixels:
    maps = trace.codec.picture(output)[0][_labelled(trace, swapped=swapped)]
    return overlay(_dark(_large(_shown(view, trace))), max_over_keypoints(maps), strength=0.9)


def _gallery(report: Report, trace: Trace, output: Tensor, view: Float[Tensor, "3 h w"], *, swapped: bool = False) -> None:
    maps, ground = trace.codec.picture(output)[0], _dark(_large(_shown(view, trace), MAP))
    rows = _labelled(trace, swapped=swapped).tolist()
    named = [(trace.skeleton.keypoints[i].replace("_", " "), overlay(ground, maps[i], strength=0.9)) for i in rows]
    report.pictures(named, width=96)


def _labelled(trace: Trace, *, swapped: bool) -> Tensor:
    """The labelled keypoints' places; what a mirror makes of them if `swapped`."""
    rows = torch.arange(len(trace.visible))[trace.visible > 0]
    return trace.skeleton.flip[rows].sort().values if swapped else rows


def _dark(image: Pixels) -> Pixels:
    """Grey and half as bright, so that maps stand out."""
    grey = image.mean(axis=-1, keepdims=True).repeat(3, axis=-1)
    dark: Pixels = (0.45 * grey).astype(np.uint8)
    return dark


def _people(
    image: AnyPixels, xy: Float[Tensor, "k 2"], state: Tensor, trace: Trace, side: int, *, box: Float[Tensor, "4"] | None = None
) -> AnyPixels:
    large, factor = _resized(image, side)
    boxes = None if box is None else (box[None] + 0.5) * factor - 0.5
    return draw_people(large, (xy[None] + 0.5) * factor - 0.5, state[None], trace.skeleton, boxes=boxes)


def _pixels(image: Tensor) -> Pixels:
    return np.ascontiguousarray(image.permute(1, 2, 0).numpy())


def _shown(view: Float[Tensor, "3 h w"], trace: Trace) -> Pixels:
    return _pixels(denormalise(view, trace.preprocess))


def _large(image: AnyPixels, side: int = VIEW) -> AnyPixels:
    return _resized(image, side)[0]


def _resized(image: AnyPixels, side: int) -> tuple[AnyPixels, float]:
    """The image with its longer side `side` pixels, and the factor; points move to (p + 0.5) * factor - 0.5."""
    factor = side / max(image.shape[:2])
    size = (round(image.shape[1] * factor), round(image.shape[0] * factor))
    return cv2.resize(image, size, interpolation=cv2.INTER_LINEAR if factor > 1 else cv2.INTER_AREA), factor


def _numbers(values: Sequence[float]) -> str:
    return ", ".join(f"{v:.3f}".rstrip("0").rstrip(".") for v in values)
