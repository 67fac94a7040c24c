"""A scene of rendered people: camera, light, what stands in front, and labels from the z-buffer."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final, final

import cv2
import numpy as np
from numpy.typing import NDArray

from poise.data.bodies.body_poses import BodyPoses
from poise.data.bodies.camera import Camera, random_camera
from poise.data.bodies.kernels import Floats, rasterise, shade
from poise.data.bodies.model import body_model
from poise.data.bodies.people import Person, random_person
from poise.data.bodies.regions import keypoint_parts
from poise.data.bodies.setting import PIECES, cast, piece_in_front
from poise.data.figures.canvas import Canvas
from poise.data.figures.look import Look
from poise.data.figures.photograph import Shot
from poise.data.figures.sampling import weighted_choice
from poise.data.figures.scene import Occluder, Scene, cover, random_occluders
from poise.data.figures.surroundings import background
from poise.dims import Size
from poise.machine import compiled

Random = np.random.Generator

FINE: Final = 2
"""Pixels of the z-buffer to one of the image, each way, so that edges are smooth."""
NEAR: Final = 0.08
"""Surfaces nearer to the camera are not drawn, metres."""
DEEP: Final = {
    "nose": 0.05, "eye": 0.045, "ear": 0.05, "shoulder": 0.15, "elbow": 0.09, "wrist": 0.07, "hip": 0.2, "knee": 0.12,
    "ankle": 0.09, "toe": 0.06, "heel": 0.07, "head": 0.05, "neck": 0.12,
}  # fmt: skip
"""How far below the surface a keypoint lies at most where it is seen, metres, of a body of 1.7 m."""
LEAST: Final = 60
"""Fewest pixels of a person that are seen; a scene that shows less of somebody is made again, some times."""


@final
@dataclass(frozen=True, eq=False)
class Buffer:
    """What a camera sees: a z-buffer with `FINE` pixels to one of the image.

    Attributes:
        depth: Depth of each pixel (H W), metres; infinite where there is nothing.
        owner: Triangle of each pixel (H W), counted through all people; -1 for none.
        shares: Share of the first and the second vertex (H W 2).
        starts: Number of the first triangle of each person, and of none after the last (n + 1).
    """

    depth: Floats
    owner: NDArray[np.int32]
    shares: Floats
    starts: tuple[int, ...]

    @classmethod
    def of(cls, people: Sequence[Person], camera: Camera, size: Size) -> "Buffer":
        """Render people.

        Args:
            people: The people.
            camera: The camera.
            size: Size of the image (h, w), pixels.
        """
        shape = (FINE * size[0], FINE * size[1])
        starts = tuple(np.cumsum([0, *(len(who.faces) for who in people)]).tolist())
        depth, owner = np.full(shape, np.inf, np.float32), np.full(shape, -1, np.int32)
        shares = np.zeros((*shape, 2), np.float32)
        fine, solid = camera.enlarged(FINE), len(body_model().faces)
        for start, who in zip(starts, people, strict=False):
            seen = fine.project(who.vertices).astype(np.float32)
            compiled(rasterise)(seen, who.faces, start, solid, NEAR, depth, owner, shares)
        return cls(depth, owner, shares, starts)

    def of_person(self, number: int) -> NDArray[np.int32]:
        """The triangle of one person in each pixel (H W), counted from 0; -1 elsewhere.

        Args:
            number: Number of the person, from 1.
        """
        start, end = self.starts[number - 1 : number + 1]
        return np.where((self.owner >= start) & (self.owner < end), self.owner - start, -1).astype(np.int32)

    def numbers(self) -> NDArray[np.uint8]:
        """Who is seen in each pixel of the image (H W), counted from 1; 0 for nobody."""
        return np.searchsorted(self.starts, self.owner[::FINE, ::FINE], side="right").astype(np.uint8)


def draw_bodies(
    rng: Random, size: Size, *, count: int, look: Look, kept: Sequence[int], poses: BodyPoses | None = None
) -> Scene:
    """Draw a random scene.

    Args:
        rng: Random numbers.
        size: Size of the image (h, w), pixels.
        count: Number of people.
        look: Backgrounds, what stands in front, and the faults of the camera.
        kept: Keypoints of the labels, as indices into those of the body model.
        poses: Fitted poses, which most people take theirs from.
    """
    for _ in range(6):
        people, camera = _staged(rng, size, count, poses)
        buffer = Buffer.of(people, camera, size)
        numbers = buffer.numbers()
        if all(np.count_nonzero(numbers == i + 1) >= LEAST for i in range(count)):
            break
    canvas = Canvas(background(rng, size, look))
    light = random_light(rng)
    if rng.random() < look.shadows:
        cast(canvas.image, people, camera, light[0, :3])
    canvas.image[:] = rendered(canvas.image, people, buffer, camera, light)
    canvas.owner[:] = numbers
    for i in range(count):
        _covered(rng, canvas, look, number=i + 1)
    image = Shot.random(rng, look, size).taken(rng, canvas.image)
    return labelled(image, people, camera, buffer, canvas.owner, kept=kept)


def _covered(rng: Random, canvas: Canvas, look: Look, *, number: int) -> None:
    """Put things in front of a person; none that leaves less than a third of them to be seen."""
    makers: list[Occluder] = list(random_occluders(rng, look))
    pieces = len(look.occluders) > 1 and rng.random() < PIECES
    box = _around(canvas.owner == number)
    for maker in [*makers, None] if pieces else makers:
        image, owner = canvas.image.copy(), canvas.owner.copy()
        if maker is None:
            piece_in_front(rng, canvas, look, box)
        else:
            cover(canvas, maker, rng, box)
        for other in np.unique(owner[(owner > 0) & (owner != Canvas.OCCLUDER)]):
            if np.count_nonzero(canvas.owner == other) < max(LEAST, np.count_nonzero(owner == other) / 3):
                canvas.image[:], canvas.owner[:] = image, owner
                break


def _staged(rng: Random, size: Size, count: int, poses: BodyPoses | None) -> tuple[list[Person], Camera]:
    """Random people and a camera that looks at the first of them."""
    people = [random_person(rng, poses=poses) for _ in range(count)]
    target, span = _framing(rng, people[0])
    camera = random_camera(rng, size, target=target, span=span * (1 + 0.35 * (count - 1)))
    right, forward = camera.rotation[0] * (1, 1, 0), camera.rotation[2] * (1, 1, 0)
    placed = [people[0]]
    for other in people[1:]:
        aside = rng.choice((-1.0, 1.0)) * rng.uniform(0.25, 0.5 + 0.4 * count) + rng.normal(0, 0.1)
        placed.append(other.moved((aside * right + rng.normal(0.3, 0.7) * forward).astype(np.float32)))
    return placed, camera


def _framing(rng: Random, who: Person) -> tuple[Floats, float]:
    """What the camera looks at (3), and how much the shorter side of the image shows there, metres."""
    low, high = who.vertices.min(axis=0), who.vertices.max(axis=0)
    tall = float(np.linalg.norm(high - low)) * 0.9
    joint = dict(zip(body_model().keypoints, who.joints, strict=True))
    hips, shoulders = (0.5 * (joint[f"left_{name}"] + joint[f"right_{name}"]) for name in ("hip", "shoulder"))
    kind = weighted_choice(rng, (("whole", 0.5), ("upper", 0.26), ("head", 0.08), ("lower", 0.05), ("part", 0.11)))
    if kind == "whole":
        return 0.5 * (low + high) + rng.normal(0, 0.04 * tall, 3).astype(np.float32), tall * rng.uniform(0.8, 1.5)
    if kind == "upper":
        at = shoulders + rng.uniform(-0.1, 0.7) * (hips - shoulders)
        return at + rng.normal(0, 0.03 * tall, 3).astype(np.float32), tall * rng.uniform(0.4, 0.75)
    if kind == "head":
        return 0.5 * (joint["nose"] + shoulders) + rng.normal(0, 0.03 * tall, 3).astype(np.float32), tall * rng.uniform(
            0.2, 0.4
        )
    if kind == "lower":
        knees = 0.5 * (joint["left_knee"] + joint["right_knee"])
        return knees + rng.normal(0, 0.05 * tall, 3).astype(np.float32), tall * rng.uniform(0.4, 0.7)
    chosen: Floats = who.joints[rng.integers(len(who.joints))]
    return chosen + rng.normal(0, 0.05 * tall, 3).astype(np.float32), tall * rng.uniform(0.35, 1.0)


@cache
def _noise() -> Floats:
    """Smooth noise in a cube that repeats (32 32 32), -1 to 1."""
    rough = np.random.default_rng(7).normal(size=(32, 32, 32))
    for axis in range(3):
        rough = 0.5 * rough + 0.25 * (np.roll(rough, 1, axis) + np.roll(rough, -1, axis))
    even: Floats = (rough / np.abs(rough).max()).astype(np.float32)
    return even


def rendered(behind: Floats, people: Sequence[Person], buffer: Buffer, camera: Camera, light: Floats) -> Floats:
    """People before a background (H W 3), 0 to 255.

    Args:
        behind: The background (H W 3).
        people: The people.
        buffer: What the camera sees.
        camera: The camera.
        light: The light (`random_light`).
    """
    drawn = np.zeros((*buffer.owner.shape, 3), np.float32)
    for i, who in enumerate(people):
        worn = who.look
        compiled(shade)(
            buffer.of_person(i + 1), buffer.shares, who.faces, who.material, who.rest, who.directions, worn.tiles, worn.density,
            worn.rough, _noise(), camera.rotation[2], light, drawn,
        )  # fmt: skip
    opaque = (buffer.owner >= 0).astype(np.float32)
    wide, high = behind.shape[1], behind.shape[0]
    alpha = cv2.resize(opaque, (wide, high), interpolation=cv2.INTER_AREA)[..., None]
    colour = cv2.resize(drawn, (wide, high), interpolation=cv2.INTER_AREA)
    result: Floats = np.clip(colour + (1 - alpha) * behind, 0, 255).astype(np.float32)
    return result


def random_light(rng: Random) -> Floats:
    """A random sun or lamp, and a sky, as `kernels.shade` takes them."""
    towards = np.array((rng.normal(), rng.normal(), abs(rng.normal(0.6, 0.7))))
    towards /= np.linalg.norm(towards)
    ambient, sun, sky = rng.uniform(0.35, 0.7), rng.uniform(0.15, 0.8), rng.uniform(0.1, 0.4)
    light: Floats = np.array(((*towards, sun), (0, 0, 1, sky), (0, 0, 0, ambient)), np.float32)
    return light


def labelled(
    image: NDArray[np.uint8],
    people: Sequence[Person],
    camera: Camera,
    buffer: Buffer,
    owner: NDArray[np.uint8],
    *,
    kept: Sequence[int],
) -> Scene:
    """The labels of a rendered scene: keypoints, boxes and areas of what is seen of each person.

    Args:
        image: RGB (H W 3), 0 to 255.
        people: The people.
        camera: The camera.
        buffer: What it sees.
        owner: Who is seen in each pixel (H W), counted from 1; 0 for nobody, `Canvas.OCCLUDER` for an object.
        kept: Keypoints of the labels.
    """
    size = (image.shape[0], image.shape[1])
    seen = [camera.project(who.joints) for who in people]
    silhouettes = np.stack([owner == i + 1 for i in range(len(people))])
    visible = np.stack([visibility(buffer, who, camera, owner, number=i + 1) for i, who in enumerate(people)])[:, kept]
    xy = np.stack([place[kept, :2] for place in seen])
    boxes = np.array([_around(mask) for mask in silhouettes], np.float32).reshape(-1, 4)
    boxes[:, 2:] = np.minimum(boxes[:, 2:], (size[1] - 1, size[0] - 1))
    labelled_xy = np.where(visible[..., None] > 0, xy, 0).astype(np.float32)
    area = silhouettes.sum(axis=(1, 2)).astype(np.float32)
    depths = np.stack([(who.joints[kept] - camera.position) @ camera.rotation.T for who in people]).astype(np.float32)
    return Scene(image, labelled_xy, visible, boxes, area, silhouettes, depths)


def visibility(buffer: Buffer, who: Person, camera: Camera, owner: NDArray[np.uint8], *, number: int) -> NDArray[np.int64]:
    """Visibility (k) of all keypoints of the body model: 0 outside the image, 1 hidden, 2 visible.

    A keypoint is visible where the z-buffer, in a pixel at most one beside it, shows a surface of the same part of the same
    person that lies before it by no more than the body is thick there.

    Args:
        buffer: What the camera sees.
        who: The person.
        camera: The camera.
        owner: Who is seen in each pixel of the image (H W), counted from 1.
        number: Number of the person.
    """
    model, fine = body_model(), camera.enlarged(FINE)
    places, coarse = fine.project(who.joints), camera.project(who.joints)
    tall = float(np.ptp(who.rest[: len(model.template), 2])) / 1.7
    found = np.zeros(len(places), np.int64)
    height, width = owner.shape
    faces = buffer.of_person(number)
    for k, (name, shown) in enumerate(zip(model.keypoints, _parts(), strict=True)):
        x, y, depth = coarse[k]
        if not (0 <= x <= width - 1 and 0 <= y <= height - 1 and depth > NEAR):
            continue
        found[k] = 1
        if owner[round(float(y)), round(float(x))] not in (number, 0):
            continue
        fx, fy = round(float(places[k, 0])), round(float(places[k, 1]))
        window = (slice(max(fy - 1, 0), fy + 2), slice(max(fx - 1, 0), fx + 2))
        kind = name.rsplit("_", 1)[-1]
        before = depth - buffer.depth[window] <= tall * DEEP[kind]
        if ((faces[window] >= 0) & before & who.showing(kind, shown)[faces[window]]).any():
            found[k] = 2
    return found


@cache
def _parts() -> list[NDArray[np.bool_]]:
    return keypoint_parts(body_model())


def _around(mask: NDArray[np.bool_]) -> tuple[float, float, float, float]:
    """The box x0 y0 x1 y1 around a mask, pixels."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return 0.0, 0.0, 1.0, 1.0
    return max(columns[0] - 0.5, 0.0), max(rows[0] - 0.5, 0.0), columns[-1] + 0.5, rows[-1] + 0.5
