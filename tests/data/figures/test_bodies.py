"""Bodies: left is left, joints hold together, what is covered is hidden."""

import dataclasses

import numpy as np
import pytest

from poise.data.figures import pose, texture
from poise.data.figures.body_part import BodyPart, vector
from poise.data.figures.canvas import Camera, Canvas, Light
from poise.data.figures.person import Build, Outfit, person
from poise.data.figures.pose import Pose
from poise.data.figures.scene import draw_scene
from poise.skeletons import COCO17

UPRIGHT = Pose(
    yaw=0.0,
    tilt=0.0,
    roll=0.0,
    spine=(0.0, 0.0, 0.0),
    head=(0.0, 0.0, 0.0),
    arms=((0.0, 15.0, 0.0, 5.0), (0.0, 15.0, 0.0, 5.0)),
    legs=((0.0, 5.0, 0.0, 3.0), (0.0, 5.0, 0.0, 3.0)),
)
LIGHT = Light((0.0, 0.0, 1.0), 0.5, 0.5)
PAIRS = [n.removeprefix("left_") for n in COCO17.keypoints if n.startswith("left_")]


def somebody(**changes):
    rng = np.random.default_rng(0)
    outfit = dataclasses.replace(Outfit.random(rng), skirt=False, tail=0)
    return person(Build.random(rng), outfit, dataclasses.replace(UPRIGHT, **changes))


def place(figure, name):
    return figure.points[COCO17.index(name)]


def test_who_faces_us_has_their_left_at_the_right_of_the_image():
    figure = somebody()
    for name in PAIRS:
        assert place(figure, f"left_{name}")[0] > 0 > place(figure, f"right_{name}")[0]


def test_who_turns_away_has_their_left_at_the_left():
    figure = somebody(yaw=180.0)
    for name in PAIRS:
        assert place(figure, f"left_{name}")[0] < 0 < place(figure, f"right_{name}")[0]


def test_who_turns_to_their_left_shows_us_their_right_side():
    figure = somebody(yaw=90.0)
    assert place(figure, "nose")[0] > place(figure, "left_ear")[0]
    assert place(figure, "right_shoulder")[2] > place(figure, "left_shoulder")[2]


def test_a_body_is_in_order_from_head_to_foot():
    heights = [place(somebody(), n)[1] for n in ("left_eye", "nose", "left_shoulder", "left_hip", "left_knee", "left_ankle")]
    assert heights == sorted(heights)


def test_elbows_bend_forward_and_knees_bend_back():
    bent = somebody(arms=((0.0, 0.0, 0.0, 90.0),) * 2, legs=((0.0, 0.0, 0.0, 60.0),) * 2)
    assert place(bent, "left_wrist")[2] > place(bent, "left_elbow")[2] + 0.1
    assert place(bent, "left_ankle")[2] < place(bent, "left_knee")[2] - 0.1


def test_a_pose_does_not_change_the_length_of_bones():
    rng = np.random.default_rng(1)
    build, outfit = Build.random(rng), Outfit.random(rng)
    for _ in range(20):
        figure = person(build, outfit, pose.random_pose(rng))
        for side in ("left", "right"):
            bone = place(figure, f"{side}_elbow") - place(figure, f"{side}_wrist")
            assert np.linalg.norm(bone) == pytest.approx(build.forearm)
            bone = place(figure, f"{side}_knee") - place(figure, f"{side}_ankle")
            assert np.linalg.norm(bone) == pytest.approx(build.shin)


def test_poses_stay_within_the_limits_of_joints():
    rng = np.random.default_rng(2)
    for _ in range(200):
        found = pose.random_pose(rng)
        pairs = [
            *((a, pose.ARM_LIMITS) for a in found.arms),
            *((a, pose.LEG_LIMITS) for a in found.legs),
            (found.head, pose.HEAD_LIMITS),
            (found.spine, pose.SPINE_LIMITS),
        ]
        for angles, limits in pairs:
            assert all(low <= angle <= high for angle, (low, high) in zip(angles, limits, strict=True))


def seen(figure, *, number=1, size=200):
    """The scene's own judgement of a figure that fills the image."""

    def again(rng):
        return figure

    scene = draw_scene(np.random.default_rng(number), (size, size), body=again, count=1)
    return dict(zip(COCO17.keypoints, scene.visible[0].tolist(), strict=True))


def mostly(figure, name):
    """What is said of a keypoint in most of nine scenes: a few have something in front of it."""
    return int(np.median([seen(figure, number=n)[name] for n in range(9)]))


def test_faces_are_in_sight_from_the_front_and_hidden_from_behind():
    front, back = somebody(), somebody(yaw=180.0)
    for name in ("nose", "left_eye", "right_eye"):
        assert mostly(front, name) == 2
        assert mostly(back, name) == 1


def test_from_the_side_the_far_arm_is_behind_the_trunk():
    hanging = ((0.0, 2.0, 0.0, 5.0),) * 2
    side = somebody(yaw=90.0, arms=hanging)
    assert mostly(side, "right_elbow") == 2
    assert mostly(side, "left_elbow") == 1
    assert mostly(side, "right_ear") == 2
    assert mostly(side, "left_ear") == 1


def test_what_stands_in_front_hides_a_keypoint():
    """A keypoint of a figure in sight falls on its own number; a covered one on another, and is labelled 1."""
    hidden = 0
    for number in range(60):
        rng = np.random.default_rng(number)
        scene = draw_scene(rng, (128, 128), body=lambda rng: somebody(), count=1)
        for name in ("left_shoulder", "right_shoulder", "left_knee", "right_knee", "left_hip", "right_hip"):
            hidden += scene.visible[0, COCO17.index(name)] == 1
    assert 5 < hidden < 120


def ball(x, z, number):
    tint = texture.Texture(np.full((texture.SIDE, texture.SIDE, 3), number, np.uint8))
    return BodyPart(vector(x, 0.0, z), vector(x, 0.0, z), (1.0, 1.0, 1.0), tint)


def test_nearer_parts_are_painted_over_farther_ones_whatever_their_order():
    for parts in ((ball(0.0, 2.0, 200), ball(1.0, -2.0, 90)), (ball(1.0, -2.0, 90), ball(0.0, 2.0, 200))):
        canvas = Canvas(np.zeros((60, 60, 3), np.uint8))
        figure = dataclasses.replace(somebody(), parts=parts)
        canvas.draw(figure, Camera(10.0, 30.0, 30.0, 1e6), Light((0.0, 0.0, 1.0), 1.0, 0.0), number=4)
        assert canvas.image[30, 32, 0] > 140
        assert 50 < canvas.image[30, 47, 0] < 100
        assert canvas.owner[30, 32] == 4
        assert canvas.owner[5, 5] == 0
        assert canvas.inside.sum() == pytest.approx(np.pi * 100 * 1.61, rel=0.05)


def test_a_ball_is_round_and_where_its_keypoint_would_be():
    canvas = Canvas(np.zeros((60, 60, 3), np.uint8))
    figure = dataclasses.replace(somebody(), parts=(ball(0.0, 0.0, 250),))
    canvas.draw(figure, Camera(12.0, 28.3, 31.6, 1e6), LIGHT, number=1)
    weight = canvas.image[..., 0]
    rows, columns = np.mgrid[:60, :60]
    assert (weight * columns).sum() / weight.sum() == pytest.approx(28.3, abs=0.02)
    assert (weight * rows).sum() / weight.sum() == pytest.approx(31.6, abs=0.02)


def test_tiles_repeat_without_end_and_have_the_colours_asked_for():
    rng = np.random.default_rng(5)
    for pattern in ("plain", "stripes", "spots", "patches"):
        tile = texture.fur(rng, pattern, ((250.0, 250.0, 250.0), (10.0, 10.0, 10.0))).tile
        assert tile.shape == (texture.SIDE, texture.SIDE, 3)
        assert tile.max() > 200
        assert (tile.min() < 60) == (pattern != "plain")
