"""A scene: figures on a background, with light, occluders and camera noise."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import final

import numpy as np
from numpy.typing import NDArray

from poise.data.figures.backdrop import occluder, shadow
from poise.data.figures.body_part import Figure
from poise.data.figures.canvas import Camera, Canvas, Light
from poise.data.figures.look import Look
from poise.data.figures.photograph import Shot
from poise.data.figures.sampling import weighted_choice
from poise.data.figures.surroundings import background, cast_shadow, strands
from poise.dims import Size

Body = Callable[[np.random.Generator], Figure]
Box = tuple[float, float, float, float]
Occluder = Callable[..., None]
"""Draws an object over an image: called with random numbers, the image and `box`."""
Drawn = tuple[NDArray[np.float64], NDArray[np.bool_], Box, NDArray[np.bool_]]
"""Keypoints of a figure (k 2), which of them its own body hides (k), its box and its silhouette (H W)."""


@final
@dataclass(frozen=True, eq=False)
class Scene:
    """An image and the labels of its figures.

    Attributes:
        image: RGB (H W 3), 0 to 255.
        xy: Keypoint positions (n k 2), pixels; (0, 0) where `visible` is 0.
        visible: Visibility of each keypoint (n k): 0 outside the image, 1 hidden, 2 visible.
        boxes: Boxes x0 y0 x1 y1 (n 4) around the silhouettes and the keypoints in the image, clipped to the image, pixels.
        area: Area of each silhouette (n), pixels.
        silhouettes: Silhouette of each figure (n H W), with its occluded pixels; of rendered people without.
        joints: Keypoints in the axes of the camera (n k 3: right, down, forward), metres; None for drawn figures.
    """

    image: NDArray[np.uint8]
    xy: NDArray[np.float32]
    visible: NDArray[np.int64]
    boxes: NDArray[np.float32]
    area: NDArray[np.float32]
    silhouettes: NDArray[np.bool_]
    joints: NDArray[np.float32] | None = None


def draw_scene(rng: np.random.Generator, size: Size, *, body: Body, count: int, look: Look | None = None) -> Scene:
    """Draw a random scene; nearer figures occlude farther ones.

    Args:
        rng: Random numbers.
        size: Size of the image (h, w), pixels.
        body: Draws a random figure from random numbers.
        count: Number of figures.
        look: How the image looks; `Look()` by default.
    """
    look = look or Look()
    canvas = Canvas(background(rng, size, look))
    light = random_light(rng, look)
    placed = [placed_figure(body(rng), camera_distance=rng.uniform(look.views.near, look.views.far)) for _ in range(count)]
    cameras = _arranged(rng, [p[1] for p in placed], [p[2] for p in placed], size)
    far_to_near = sorted(range(count), key=lambda i: cameras[i].scale)
    staged = [(placed[i][0], cameras[i]) for i in far_to_near]
    shaded = [rng.random() < look.shadows for _ in staged]
    boxes, found = draw_figures(canvas, staged, light, look=look, shaded=shaded)
    for box in boxes:
        for occluded in random_occluders(rng, look):
            cover(canvas, occluded, rng, box)
    return found(Shot.random(rng, look, size).taken(rng, canvas.image))


def draw_figures(
    canvas: Canvas, staged: Sequence[tuple[Figure, Camera]], light: Light, *, look: Look, shaded: Sequence[bool]
) -> tuple[list[Box], Callable[[NDArray[np.uint8]], Scene]]:
    """Draw figures; returns the boxes of their silhouettes, and what makes a scene of the finished image.

    Objects may be drawn over the figures before the scene is made; `canvas.owner` says where.

    Args:
        canvas: The background, drawn over.
        staged: The figures and their cameras, the farthest first.
        light: The light.
        look: Which shadows there are.
        shaded: Whether each figure has a shadow.
    """
    found = [
        _drawn(canvas, figure, camera, light, number=n + 1, look=look if shaded[n] else None)
        for n, (figure, camera) in enumerate(staged)
    ]
    return [f[2] for f in found], lambda image: _labelled(canvas, found, image)


def _labelled(canvas: Canvas, found: Sequence[Drawn], image: NDArray[np.uint8]) -> Scene:
    xy = np.stack([f[0] for f in found])
    visible = np.stack([_sight(canvas, f[0], f[1], number=n + 1) for n, f in enumerate(found)])
    silhouettes = np.stack([f[3] for f in found])
    around = [_box(s, p[v > 0]) for s, p, v in zip(silhouettes, xy, visible, strict=True)]
    boxes: NDArray[np.float32] = np.array(around, np.float32)
    labelled = np.where(visible[..., None] > 0, xy, 0).astype(np.float32)
    return Scene(image, labelled, visible, boxes, silhouettes.sum(axis=(1, 2)).astype(np.float32), silhouettes)


def random_light(rng: np.random.Generator, look: Look) -> Light:
    """A random light in front of the scene, mostly above it."""
    direction = np.array((rng.normal(0, 0.7), rng.normal(-0.5, 0.4), rng.uniform(0.35, 1)))
    x, y, z = (direction / np.linalg.norm(direction)).tolist()
    ambient = rng.uniform(*look.ambient)
    return Light((x, y, z), ambient, 1.15 - 0.8 * ambient)


def placed_figure(figure: Figure, *, camera_distance: float) -> tuple[Figure, Camera, Box]:
    """The figure, a camera of scale 1, and the box of the figure in that camera."""
    camera = Camera(1.0, 0.0, 0.0, camera_distance)
    ends = np.array([(p.start, p.end) for p in figure.parts]).reshape(-1, 3)
    reach = np.repeat([0.9 * max(p.radii) for p in figure.parts], 2)
    seen = camera.project(ends)
    reach = reach * seen[:, 3]
    low, high = (seen[:, :2] - reach[:, None]).min(axis=0), (seen[:, :2] + reach[:, None]).max(axis=0)
    return figure, camera, (low[0], low[1], high[0], high[1])


def _arranged(rng: np.random.Generator, cameras: list[Camera], boxes: list[Box], size: Size) -> list[Camera]:
    """Cameras that place all figures in the image. A figure that would hide most of another is placed again, up to 8 times."""
    if len(cameras) == 1:
        return [_put(rng, cameras[0], boxes[0], size, share=rng.uniform(0.5, 0.97), height=rng.random() ** 0.5)[0]]
    taken: list[Box] = []
    arranged: list[Camera] = []
    largest = max(0.45, 1.0 - 0.1 * len(cameras))
    for camera, box in zip(cameras, boxes, strict=True):
        for _ in range(8):
            near = rng.uniform(0.4, 1)
            height = min(max(0.9 * near + 0.1 + rng.normal(0, 0.12), 0.0), 1.0)
            put, covered = _put(rng, camera, box, size, share=largest * near, height=height)
            if all(_shared(covered, other) < 0.45 for other in taken):
                break
        taken.append(covered)
        arranged.append(put)
    return arranged


def _put(rng: np.random.Generator, camera: Camera, box: Box, size: Size, *, share: float, height: float) -> tuple[Camera, Box]:
    """A camera that scales a figure to a `share` of the image and places it (`height` 1: at the bottom), and its box.

    One figure in ten partly leaves the image.
    """
    h, w = size
    wide, high = box[2] - box[0], box[3] - box[1]
    scale = share * min(w / wide, h / high)
    left, top = rng.random() * (w - scale * wide), height * (h - scale * high)
    if rng.random() < 0.1:
        left += rng.uniform(-0.25, 0.25) * scale * wide
        top += rng.uniform(0, 0.25) * scale * high
    put = replace(camera, scale=scale, x=left - scale * box[0], y=top - scale * box[1])
    return put, (left, top, left + scale * wide, top + scale * high)


def _shared(a: Box, b: Box) -> float:
    """Share of the smaller box that the other box covers."""
    wide, high = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    smaller = min((x[2] - x[0]) * (x[3] - x[1]) for x in (a, b))
    return max(wide, 0.0) * max(high, 0.0) / smaller


def _drawn(canvas: Canvas, figure: Figure, camera: Camera, light: Light, *, number: int, look: Look | None) -> Drawn:
    """Draw one figure, with a shadow where there is a look."""
    seen = camera.project(figure.points)
    if look is not None:
        _shaded(canvas, figure, camera, light, look=look)
    canvas.draw(figure, camera, light, number=number)
    columns, rows, inside = _pixels(seen[:, :2], canvas.owner.shape)
    surface = canvas.depth[rows, columns]
    margin = figure.slack * seen[:, 3] + 1.0
    hidden = surface > seen[:, 2] + margin
    silhouette = canvas.inside.copy()
    return seen[:, :2], hidden & inside, _box(silhouette, seen[inside, :2]), silhouette


def _shaded(canvas: Canvas, figure: Figure, camera: Camera, light: Light, *, look: Look) -> None:
    """Draw the shadow of a figure."""
    if look.shadow == "cast":
        cast_shadow(canvas.image, figure, camera, light)
        return
    xs = camera.project(figure.points)[:, 0]
    feet = camera.project(figure.foot * np.array([figure.down]))[0]
    wide = 0.3 * float(np.ptp(xs)) + 0.2 * camera.scale
    shadow(canvas.image, centre=(float(xs.mean()), feet[1]), reach=(wide, 0.08 * camera.scale))


def _pixels(xy: NDArray[np.float64], shape: tuple[int, ...]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Column and row of the pixel nearest to each point, and whether the point is in the image."""
    h, w = shape[:2]
    inside = (xy[:, 0] >= 0) & (xy[:, 1] >= 0) & (xy[:, 0] <= w - 1) & (xy[:, 1] <= h - 1)
    near = np.rint(xy).astype(np.int64)
    return np.clip(near[:, 0], 0, w - 1), np.clip(near[:, 1], 0, h - 1), inside


def _sight(canvas: Canvas, xy: NDArray[np.float64], hidden: NDArray[np.bool_], *, number: int) -> NDArray[np.int64]:
    columns, rows, inside = _pixels(xy, canvas.owner.shape)
    owner = canvas.owner[rows, columns]
    covered = hidden | ((owner != number) & (owner != 0))
    return np.where(inside, np.where(covered, 1, 2), 0)


def _box(silhouette: NDArray[np.bool_], points: NDArray[np.float64]) -> Box:
    """The box around the pixels of a silhouette and around points, clipped to the image."""
    h, w = silhouette.shape
    columns, rows = np.flatnonzero(silhouette.any(axis=0)), np.flatnonzero(silhouette.any(axis=1))
    low = np.array((columns[0] - 0.5, rows[0] - 0.5) if len(columns) else (w, h))
    high = np.array((columns[-1] + 0.5, rows[-1] + 0.5) if len(columns) else (0, 0))
    if len(points):
        low, high = np.minimum(low, points.min(axis=0)), np.maximum(high, points.max(axis=0))
    return max(low[0], 0.0), max(low[1], 0.0), min(high[0], w - 1.0), min(high[1], h - 1.0)


def random_occluders(rng: np.random.Generator, look: Look) -> Iterator[Occluder]:
    """What stands in front of one figure, drawn as it is asked for."""
    for _ in range(weighted_choice(rng, tuple(enumerate(look.occluders)))):
        yield occluder
    if look.strands and rng.random() < look.strands:
        yield strands


def cover(canvas: Canvas, draw: Occluder, rng: np.random.Generator, box: Box) -> None:
    """Draw an object over the figure in a box.

    Args:
        canvas: The image and whose each pixel is, changed in place.
        draw: Draws the object.
        rng: Random numbers of the object.
        box: The box x0 y0 x1 y1, pixels.
    """
    before = canvas.image.astype(np.uint8)
    after = before.copy()
    draw(rng, after, box=box)
    changed = (after != before).any(axis=2)
    np.copyto(canvas.image, after, where=changed[..., None])
    canvas.owner[changed] = Canvas.OCCLUDER
