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


def page(found: Trace, *, network: str | None) -> Report:
    """All steps of a walk.

    Args:
        found: The walk.
        network: Name of the model; None where a codec is walked alone.
    """
    report = Report(f"{type(found.codec).__name__}: one person's way through {network or 'the codec, without a network'}")
    report.text(
        "Points are (x, y) and 0 is the centre of the first pixel; sizes are (height, width). Warm colours are the person's "
        "own left, cool ones the right. Keypoints without a label are left out of the pictures of maps."
    )
    report.section("All steps").table(("step", "shape", "least", "mean", "most"), steps(found, network=network))
    report.pictures(_overview(found, network=network), width=128)
    _photo(report, found)
    _warp(report, found)
    _view(report, found)
    _maps(report, found, network=network)
    _flip(report, found)
    _decoded(report, found)
    return report


def steps(found: Trace, *, network: str | None) -> list[tuple[str, str, float, float, float]]:
    """Name, shape and range of every tensor on the way."""
    named: list[tuple[str, Tensor]] = [
        ("photo", found.sample.image),
        ("labels on the photo", found.labels[found.visible > 0]),
        ("warp", found.warp),
        ("view, as the network reads it", found.view),
        ("labels in the view", found.xy[found.visible > 0]),
        ("target", found.target),
        ("the network's answer" if network else "answer without fault", found.output),
    ]
    if found.mirrored is not None:
        named += [
            ("mirrored view", found.mirrored.view),
            ("answer for it", found.mirrored.output),
            ("that, unflipped", found.mirrored.unflipped),
            ("mean of both answers", found.mirrored.averaged),
        ]
    named += [("decoded, in the view", found.found.xy), ("scores", found.found.score), ("back on the photo", found.image_xy)]
    return [(name, " x ".join(map(str, value.shape)), *_range(value)) for name, value in named]


def _range(value: Tensor) -> tuple[float, float, float]:
    numbers = value.double()
    return float(numbers.min()), float(numbers.mean()), float(numbers.max())


def _said(value: Tensor) -> str:
    low, _, high = _range(value)
    return f"{' x '.join(map(str, value.shape))}, {low:.3f} to {high:.3f}"


def _photo(report: Report, found: Trace) -> None:
    report.section("The photo and its labels")
    report.text(
        f"{found.sample.key.file_name}, annotation {int(found.sample.labels.ids[found.person])}. A hollow dot is hidden."
    )
    picture = _people(_pixels(found.sample.image), found.labels, found.visible, found, PHOTO, box=found.box)
    report.pictures([(f"photo {_said(found.sample.image)}; its box", picture)], width=480)
    rows = [
        (name, NAMES[state], *((float(x), float(y)) if state else ("", "")))
        for name, state, (x, y) in zip(found.skeleton.keypoints, found.visible.tolist(), found.labels.tolist(), strict=True)
    ]
    report.table(("keypoint", "state", "x", "y"), rows)


def _warp(report: Report, found: Trace) -> None:
    rule, (cx, cy), (w, h) = found.preprocess, found.frame.centre, found.frame.extent
    x0, y0, x1, y1 = found.box.tolist()
    report.section("The warp")
    report.text(
        f"The box, {x0:.1f} {y0:.1f} to {x1:.1f} {y1:.1f}, is grown to the aspect of the view and by {rule.padding:g}, by the "
        f"rule {rule.crop!r}: centre {cx:.2f}, {cy:.2f}, {w:.2f} wide and {h:.2f} high. The matrix takes (x, y, 1) of the "
        f"photo to the view of {found.codec.size[1]} x {found.codec.size[0]} pixels; predictions go home through its inverse."
    )
    if rule.two_warps:
        report.text("This rule moves pixels half a pixel of the photo further than keypoints; the frame shows the pixels' way.")
    names = ("x in the view", "y in the view", "1")
    report.table(
        ("", "x", "y", "1"), [(n, *(f"{v:.5f}" for v in row)) for n, row in zip(names, found.warp.tolist(), strict=True)]
    )
    image, factor = _resized(_pixels(found.sample.image), PHOTO)
    picture = draw_view_outline(image, (found.corners + 0.5) * factor - 0.5)
    report.pictures([("what the view will show; its upper edge is thick", picture)], width=480)


def _view(report: Report, found: Trace) -> None:
    report.section("The view")
    rule = found.preprocess
    report.text(
        f"Resampled once, then (value / 255 - mean) / deviation in the order {rule.channels}, mean {_numbers(rule.mean)}, "
        f"deviation {_numbers(rule.std)}. The labels went through the same matrix."
    )
    labelled = _people(_shown(found.view, found), found.xy, found.visible, found, VIEW)
    report.pictures([(f"view {_said(found.view)}", _large(_shown(found.view, found))), ("its labels", labelled)], width=200)


def _maps(report: Report, found: Trace, *, network: str | None) -> None:
    grid = found.codec.grid
    report.section("What is asked for")
    report.text(
        f"{type(found.codec).__name__}: cells of {_numbers(grid.scale)} pixels (x, y), cell 0 at {_numbers(grid.shift)}. "
        f"Target {_said(found.target)}."
    )
    _gallery(report, found, found.target, found.view)
    if network:
        report.section("What the network answers").text(f"{network}: {_said(found.output)}.")
        _gallery(report, found, found.output, found.view)


def _flip(report: Report, found: Trace) -> None:
    turned = found.mirrored
    report.section("The mirrored view")
    if turned is None:
        report.text("The skeleton does not say which keypoints a mirror exchanges, so there is no flip test.")
        return
    report.text(f"The same view from right to left, answered like any other: {_said(turned.output)}. Its left is our right.")
    _gallery(report, found, turned.output, turned.view, swapped=True)
    difference = (turned.unflipped - found.output).abs()
    report.section("Turned back, and the mean")
    report.text(
        f"Mirrored again and left exchanged with right, {_said(turned.unflipped)}, it is an answer for the view; its largest "
        f"difference from the answer for the view is {float(difference.max()):.3f}, {float(difference.mean()):.4f} on average."
    )
    _gallery(report, found, turned.unflipped, found.view)
    report.text(f"The mean of both, {_said(turned.averaged)}, is what is read.")
    _gallery(report, found, turned.averaged, found.view)


def _decoded(report: Report, found: Trace) -> None:
    report.section("Read, and back on the photo")
    alone, both = found.distances(found.without_flip), found.distances(found.found)
    report.text(
        f"Labelled keypoints are read {float(alone.nanmean()):.3f} pixels of the view from their labels without the mirrored "
        + "view"
        + (f" and {float(both.nanmean()):.3f} with it" if found.mirrored is not None else "")
        + f". OKS with the label: {found.similarity:.4f}."
    )
    sure = found.found.score[0]
    view = _people(_shown(found.view, found), found.found.xy[0], sure, found, VIEW)
    photo = _people(_pixels(found.sample.image), found.image_xy, sure, found, PHOTO)
    report.pictures([("decoded; keypoints of low score left out", view)], width=200)
    report.pictures([("on the photo, through the inverse of the warp", photo)], width=480)
    rows = [
        (name, *xy, float(score), *home, float(one), float(two))
        for name, xy, score, home, one, two in zip(
            found.skeleton.keypoints,
            found.found.xy[0].tolist(),
            sure,
            found.image_xy.tolist(),
            alone,
            both,
            strict=True,
        )
    ]
    heads = ("keypoint", "x in the view", "y in the view", "score", "x", "y", "off without flip", "off")
    report.table(heads, rows)


def _overview(found: Trace, *, network: str | None) -> list[tuple[str, Pixels]]:
    """The view and every output on it, all keypoints on one."""
    turned = found.mirrored
    shown = [("view", _large(_shown(found.view, found))), ("target", _glow(found, found.target, found.view))]
    shown += [("answer", _glow(found, found.output, found.view))] if network else []
    if turned is not None:
        shown.append(("answer for the mirrored view", _glow(found, turned.output, turned.view, swapped=True)))
        shown.append(("that, unflipped", _glow(found, turned.unflipped, found.view)))
        shown.append(("mean of both", _glow(found, turned.averaged, found.view)))
    read = _people(_shown(found.view, found), found.found.xy[0], found.found.score[0], found, VIEW)
    return [*shown, ("decoded", read)]


def _glow(found: Trace, output: Tensor, view: Float[Tensor, "3 h w"], *, swapped: bool = False) -> Pixels:
    maps = found.codec.picture(output)[0][_labelled(found, swapped=swapped)]
    return overlay(_dark(_large(_shown(view, found))), max_over_keypoints(maps), strength=0.9)


def _gallery(report: Report, found: Trace, output: Tensor, view: Float[Tensor, "3 h w"], *, swapped: bool = False) -> None:
    maps, ground = found.codec.picture(output)[0], _dark(_large(_shown(view, found), MAP))
    rows = _labelled(found, swapped=swapped).tolist()
    named = [(found.skeleton.keypoints[i].replace("_", " "), overlay(ground, maps[i], strength=0.9)) for i in rows]
    report.pictures(named, width=96)


def _labelled(found: Trace, *, swapped: bool) -> Tensor:
    """The labelled keypoints' places; what a mirror makes of them if `swapped`."""
    rows = torch.arange(len(found.visible))[found.visible > 0]
    return found.skeleton.flip[rows].sort().values if swapped else rows


def _dark(image: Pixels) -> Pixels:
    """Grey and half as bright, so that maps stand out."""
    grey = image.mean(axis=-1, keepdims=True).repeat(3, axis=-1)
    dark: Pixels = (0.45 * grey).astype(np.uint8)
    return dark


def _people(
    image: AnyPixels, xy: Float[Tensor, "k 2"], state: Tensor, found: Trace, side: int, *, box: Float[Tensor, "4"] | None = None
) -> AnyPixels:
    large, factor = _resized(image, side)
    boxes = None if box is None else (box[None] + 0.5) * factor - 0.5
    return draw_people(large, (xy[None] + 0.5) * factor - 0.5, state[None], found.skeleton, boxes=boxes)


def _pixels(image: Tensor) -> Pixels:
    return np.ascontiguousarray(image.permute(1, 2, 0).numpy())


def _shown(view: Float[Tensor, "3 h w"], found: Trace) -> Pixels:
    return _pixels(denormalise(view, found.preprocess))


def _large(image: AnyPixels, side: int = VIEW) -> AnyPixels:
    return _resized(image, side)[0]


def _resized(image: AnyPixels, side: int) -> tuple[AnyPixels, float]:
    """The image with its longer side `side` pixels, and the factor; points move to (p + 0.5) * factor - 0.5."""
    factor = side / max(image.shape[:2])
    size = (round(image.shape[1] * factor), round(image.shape[0] * factor))
    return cv2.resize(image, size, interpolation=cv2.INTER_LINEAR if factor > 1 else cv2.INTER_AREA), factor


def _numbers(values: Sequence[float]) -> str:
    return ", ".join(f"{v:.3f}".rstrip("0").rstrip(".") for v in values)
