"""Sequences: the same animals move over the frames of a video while the camera follows them.

What moves are the animals (their gait goes on, they turn a little), the camera (it follows, shakes and zooms) and with it the
background and what stands in front. Coats, light, exposure, blur and the noise's strength stay.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import exp, pi, sin
from typing import final

import cv2
import numpy as np
from numpy.typing import NDArray

from poise.data.figures.animal import Animal
from poise.data.figures.body_part import Figure
from poise.data.figures.canvas import Camera, Canvas, Light
from poise.data.figures.gait import GaitName, Pose, Stride, random_stride
from poise.data.figures.look import Look
from poise.data.figures.photograph import Shot
from poise.data.figures.sampling import weighted_choice
from poise.data.figures.scene import Box, Occluder, Scene, cover, draw_figures, placed_figure, random_light, random_occluders
from poise.data.figures.surroundings import background
from poise.data.figures.view import View
from poise.dims import Size
from poise.skeletons import QUADRUPED, Skeleton

_GAITS: tuple[tuple[GaitName, float], ...] = (("walk", 0.55), ("trot", 0.2), ("gallop", 0.15), ("stand", 0.1))
_ON_GROUND = {"walk": 0.63, "trot": 0.44, "gallop": 0.3, "stand": 1.0}


@final
@dataclass(frozen=True, eq=False)
class Course:
    """How one animal moves.

    Attributes:
        animal: The animal.
        stride: Its gait.
        start: Phase of the first frame.
        step: Phase between two frames.
        view: View of the first frame.
        turn: Change of the yaw between two frames, degrees.
        camera: Camera of the first frame.
        ground: y of the ground below the animal, pixels.
        drift: Share of its own speed by which the animal moves in the image; the camera follows the rest.
        slow: Amplitude (degrees) and period (frames) of slow motions of neck and head.
    """

    animal: Animal
    stride: Stride
    start: float
    step: float
    view: View
    turn: float
    camera: Camera
    ground: float
    drift: float
    slow: tuple[float, float]

    def figure(self, frame: int, skeleton: Skeleton) -> Figure:
        """The animal in a frame."""
        pose = self._looking(self.stride.pose(self.start + self.step * frame), frame)
        return self.animal.figure(pose, replace(self.view, yaw=self.view.yaw + self.turn * frame), skeleton=skeleton)

    def _looking(self, pose: Pose, frame: int) -> Pose:
        size, period = self.slow
        up, aside = size * sin(2 * pi * frame / period), size * sin(2 * pi * frame / (1.7 * period) + 1)
        return replace(pose, neck=(pose.neck[0] + up, pose.neck[1] + 0.5 * aside), head=(pose.head[0] + aside, *pose.head[1:]))

    @property
    def speed(self) -> float:
        """Distance to the right that the animal walks between two frames, pixels."""
        walked = self.stride.reach * self.animal.species.axis * self.step / _ON_GROUND[self.stride.name]
        return float(walked * self.camera.scale * self.view.rotation[0, 2])


@final
@dataclass(frozen=True, eq=False)
class Motion:
    """A sequence of frames.

    Attributes:
        look: How the frames look.
        size: Size of each frame (h, w), pixels.
        skeleton: Keypoints of the animals.
        courses: The animals, the farthest first.
        backdrop: The background (H W 3), somewhat larger than a frame.
        light: The light.
        shaded: Whether each animal has a shadow.
        objects: What stands in front, with the seed of its random numbers and its place in the first frame.
        shot: Exposure and faults of the camera.
        pan: How far the background moves to the right between two frames, pixels.
        shake: Amplitude (pixels) and period (frames) of the camera's shaking.
        zoom: Logarithm of the magnification between two frames.
    """

    look: Look
    size: Size
    skeleton: Skeleton
    courses: Sequence[Course]
    backdrop: NDArray[np.uint8]
    light: Light
    shaded: Sequence[bool]
    objects: Sequence[tuple[Occluder, int, Box]]
    shot: Shot
    pan: float
    shake: tuple[float, float]
    zoom: float

    @classmethod
    def random(
        cls, rng: np.random.Generator, size: Size, *, kind: str, count: int, frames: int, look: Look, skeleton: Skeleton
    ) -> "Motion":
        """A random sequence.

        Args:
            rng: Random numbers.
            size: Size of each frame (h, w), pixels.
            kind: Name of the species; "animals" for random ones.
            count: Number of animals.
            frames: Number of frames; animals that drift leave the image only after them.
            look: How the frames look.
            skeleton: Keypoints of the animals.
        """
        backdrop = background(rng, (size[0] + size[0] // 4, size[1] + size[1] // 4), look)
        courses = [_course(rng, size, kind=kind, frames=frames, look=look, crowd=count > 1) for _ in range(count)]
        courses.sort(key=lambda course: course.camera.scale)
        boxes = [_box_of(course.figure(0, skeleton), course.camera) for course in courses]
        objects = [(draw, int(rng.integers(2**31)), box) for box in boxes for draw in random_occluders(rng, look)]
        nearest = courses[-1]
        return cls(
            look=look,
            size=size,
            skeleton=skeleton,
            courses=courses,
            backdrop=backdrop,
            light=random_light(rng, look),
            shaded=[bool(rng.random() < look.shadows) for _ in courses],
            objects=objects,
            shot=Shot.random(rng, look, size),
            pan=-nearest.speed * (1 - nearest.drift),
            shake=(float(rng.uniform(0, 0.006)) * max(size), float(rng.uniform(5, 14))),
            zoom=float(rng.normal(0, 0.12)) / max(frames, 12),
        )

    def scene(self, frame: int, rng: np.random.Generator) -> Scene:
        """A frame with its labels.

        Args:
            frame: Index of the frame, from 0.
            rng: Random numbers of its noise.
        """
        shift = self._shift(frame)
        canvas = Canvas(self._moved(frame, shift))
        staged = [self._staged(course, frame, shift) for course in self.courses]
        _, found = draw_figures(canvas, staged, self.light, look=self.look, shaded=self.shaded)
        for draw, seed, box in self.objects:
            cover(canvas, draw, np.random.default_rng(seed), self._carried(box, frame, shift))
        return found(self.shot.taken(rng, canvas.image))

    def _shift(self, frame: int) -> tuple[float, float]:
        """How far the camera's shaking moves everything, pixels."""
        size, period = self.shake
        return size * sin(2 * pi * frame / period), 0.7 * size * sin(2 * pi * frame / (1.3 * period) + 0.7)

    def _moved(self, frame: int, shift: tuple[float, float]) -> NDArray[np.uint8]:
        """The background; beyond its edge it is mirrored."""
        (h, w), near = self.size, exp(self.zoom * frame)
        left, top = 0.5 * (self.backdrop.shape[1] - w), 0.5 * (self.backdrop.shape[0] - h)
        x = near * (self.pan * frame - left - 0.5 * w) + 0.5 * w + shift[0]
        y = near * (-top - 0.5 * h) + 0.5 * h + shift[1]
        move = np.array(((near, 0.0, x), (0.0, near, y)))
        moved = cv2.warpAffine(self.backdrop, move, (w, h), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        return moved.astype(np.uint8, copy=False)

    def _carried(self, box: Box, frame: int, shift: tuple[float, float]) -> Box:
        """Where something that stands on the ground of the first frame is in a later one."""
        (h, w), near = self.size, exp(self.zoom * frame)
        x0, x1 = (near * (x + self.pan * frame - 0.5 * w) + 0.5 * w + shift[0] for x in (box[0], box[2]))
        y0, y1 = (near * (y - 0.5 * h) + 0.5 * h + shift[1] for y in (box[1], box[3]))
        return x0, y0, x1, y1

    def _staged(self, course: Course, frame: int, shift: tuple[float, float]) -> tuple[Figure, Camera]:
        """An animal and its camera: its ground stays at one height of the image, whatever its trunk does."""
        (h, w), near = self.size, exp(self.zoom * frame)
        figure, camera = course.figure(frame, self.skeleton), course.camera
        x = camera.x + course.drift * course.speed * frame
        flat = replace(camera, scale=near * camera.scale, x=near * (x - 0.5 * w) + 0.5 * w + shift[0], y=0.0)
        below = float(flat.project(figure.foot * np.array([figure.down]))[0, 1])
        ground = near * (course.ground - 0.5 * h) + 0.5 * h + shift[1]
        return figure, replace(flat, y=ground - below)


def _course(rng: np.random.Generator, size: Size, *, kind: str, frames: int, look: Look, crowd: bool) -> Course:
    animal = Animal.random(rng, kind, coats=look.coats, riders=look.riders)
    stride = random_stride(rng, sits=False, gait=weighted_choice(rng, _GAITS))
    start, step, view = float(rng.random()), float(rng.uniform(0.03, 0.06)), look.views.draw(rng)
    course = Course(
        animal=animal,
        stride=stride,
        start=start,
        step=step,
        view=view,
        turn=float(rng.normal(0, 20)) / max(frames, 20),
        camera=Camera(1.0, 0.0, 0.0, float(rng.uniform(look.views.near, look.views.far))),
        ground=0.0,
        drift=0.0,
        slow=(float(rng.uniform(0, 9)), float(rng.uniform(30, 90))),
    )
    return _seen(rng, course, size, frames=frames, share=float(rng.uniform(0.3, 0.5) if crowd else rng.uniform(0.5, 0.8)))


def _seen(rng: np.random.Generator, course: Course, size: Size, *, frames: int, share: float) -> Course:
    """The course with a camera that shows the animal in all frames."""
    (h, w), figure = size, course.figure(0, QUADRUPED)
    x0, y0, x1, y1 = _box_of(figure, course.camera)
    scale = share * min(w / (x1 - x0), h / (y1 - y0))
    room = w - scale * (x1 - x0)
    x = rng.uniform(0.25, 0.75) * room - scale * x0
    y = rng.uniform(0.4, 0.9) * (h - scale * (y1 - y0)) - scale * y0
    camera = replace(course.camera, scale=scale, x=float(x), y=float(y))
    ground = float(camera.project(figure.foot * np.array([figure.down]))[0, 1])
    put = replace(course, camera=camera, ground=ground)
    ahead = abs(put.speed) * max(frames - 1, 1)
    return replace(put, drift=float(rng.uniform(0, 1)) * min(1.0, 0.3 * room / ahead if ahead > 1e-6 else 1.0))


def _box_of(figure: Figure, camera: Camera) -> Box:
    """The box around the figure in a camera."""
    _, one, (x0, y0, x1, y1) = placed_figure(figure, camera_distance=camera.distance)
    s = camera.scale / one.scale
    return s * x0 + camera.x, s * y0 + camera.y, s * x1 + camera.x, s * y1 + camera.y
