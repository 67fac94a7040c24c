"""Drawn animals: left is left, legs bend as legs do, feet stand on the ground, labels lie on the body."""

import numpy as np
import pytest

from poise.data.figures.animal import Animal
from poise.data.figures.canvas import Camera, Canvas, Light
from poise.data.figures.gait import Foot, Pose, random_stride
from poise.data.figures.legs import bend
from poise.data.figures.species import SPECIES
from poise.data.figures.view import View
from poise.errors import UnknownName
from poise.skeletons import ANIMAL18, QUADRUPED, union

LIGHT = Light((0.0, -0.6, 0.8), 0.5, 0.5)
LEGS = ("left_front", "right_front", "left_back", "right_back")
GAITS = ("stand", "walk", "trot", "gallop", "jump", "lie")
FACING = View(yaw=0.0)


def standing(name, view=FACING, skeleton=ANIMAL18, seed=3):
    return Animal.random(np.random.default_rng(seed), name).figure(Pose(feet=(Foot(),) * 4), view, skeleton=skeleton)


def place(figure, name, skeleton=ANIMAL18):
    return figure.points[skeleton.index(name)]


@pytest.mark.parametrize("name", sorted(SPECIES))
def test_animals_stand_on_four_legs_with_their_left_on_their_left(name):
    figure = standing(name)
    for side, sign in (("left", 1), ("right", -1)):
        for joint in ("eye", "shoulder", "front_elbow", "front_hoof", "back_knee", "back_hoof"):
            assert sign * place(figure, f"{side}_{joint}")[0] > 0
        assert place(figure, f"{side}_front_hoof")[2] > 0 > place(figure, f"{side}_back_hoof")[2]
        for end in ("front", "back"):
            heights = [place(figure, f"{side}_{end}_{joint}")[1] for joint in ("elbow", "knee", "hoof")]
            assert heights == sorted(heights)
            assert figure.foot == pytest.approx(heights[-1], abs=0.12 * figure.foot), "hooves stand on the ground"
    assert place(figure, "chin")[2] > place(figure, "left_shoulder")[2] > place(figure, "tail_base")[2]


@pytest.mark.parametrize("name", ["horse", "tiger", "dog", "cow", "camel", "giraffe", "elephant"])
def test_hocks_point_backward_and_front_knees_forward_in_every_gait(name):
    rng = np.random.default_rng(1)
    for gait in GAITS:
        animal = Animal.random(rng, name)
        stride = random_stride(rng, sits=False, gait=gait)
        for phase in (0.0, 0.3, 0.7):
            figure = animal.figure(stride.pose(phase), FACING, skeleton=ANIMAL18)
            for leg in LEGS:
                elbow, knee, hoof = (place(figure, f"{leg}_{joint}")[1:] for joint in ("elbow", "knee", "hoof"))
                along = hoof - elbow
                if gait == "lie" or np.linalg.norm(along) < 0.15:
                    continue
                ahead = along[0] * (knee - elbow)[1] - along[1] * (knee - elbow)[0]
                assert (ahead > -0.03) if "front" in leg else (ahead < 0.03), (gait, phase, leg)


def test_a_leg_reaches_its_target_and_keeps_the_length_of_its_bones():
    root, towards = np.zeros(3), np.array((0.0, 0.0, 1.0))
    for target in ((0.0, 0.5, 0.2), (0.1, 0.3, -0.3), (0.0, 5.0, 0.0), (0.0, 0.0, 0.0)):
        joint, end = bend(root, np.array(target), lengths=(0.4, 0.3), towards=towards)
        assert np.linalg.norm(joint) == pytest.approx(0.4, rel=1e-6)
        assert np.linalg.norm(end - joint) == pytest.approx(0.3, rel=1e-6)
    assert bend(root, np.array((0.0, 0.5, 0.2)), lengths=(0.4, 0.3), towards=towards)[1].tolist() == [0.0, 0.5, 0.2]


@pytest.mark.parametrize("name", ["horse", "tiger", "dog", "cow", "camel"])
def test_a_foot_on_the_ground_stays_where_it_is_while_the_body_passes(name):
    rng = np.random.default_rng(4)
    animal, stride = Animal.random(rng, name), random_stride(rng, sits=False, gait="walk")
    hooves = np.array([
        [place(animal.figure(stride.pose(t), FACING, skeleton=ANIMAL18), f"{leg}_hoof")[1:] for leg in LEGS]
        for t in np.linspace(0, 1, 40, endpoint=False)
    ])  # fmt: skip
    low = hooves[..., 0] > hooves[..., 0].max(axis=0) - 0.03
    assert ((low.mean(axis=0) > 0.5) & (low.mean(axis=0) < 0.85)).all(), (
        "each foot is down most of the time and lifted for a part"
    )
    steps = np.diff(hooves[..., 1], axis=0)[low[1:] & low[:-1]]
    assert (steps < 0.006).mean() > 0.9, "on the ground a foot moves back under the body"
    assert low.sum(axis=1).min() >= 2, "who walks has two feet or more on the ground"


@pytest.mark.parametrize("name", ["horse", "tiger", "dog", "cow", "camel", "giraffe", "elephant"])
def test_every_keypoint_lies_on_the_body_from_every_side(name):
    rng, layout = np.random.default_rng(5), union([ANIMAL18, QUADRUPED])
    for yaw, gait in ((90.0, "walk"), (-60.0, "gallop"), (0.0, "stand"), (170.0, "trot"), (100.0, "lie"), (-90.0, "jump")):
        animal, stride = Animal.random(rng, name), random_stride(rng, sits=False, gait=gait)
        figure = animal.figure(stride.pose(float(rng.random())), View(yaw=yaw, tilt=8.0), skeleton=layout)
        canvas, camera = Canvas(np.zeros((240, 240, 3), np.uint8)), Camera(55.0, 120.0, 120.0, 7.0)
        canvas.draw(figure, camera, LIGHT, number=1)
        rows, columns = np.nonzero(canvas.inside)
        for keypoint, (x, y) in zip(layout.keypoints, camera.project(figure.points)[:, :2], strict=True):
            gap = np.hypot(rows - y, columns - x).min()
            assert gap < 2.5, (keypoint, yaw, gait)


def test_a_mirrored_camera_swaps_left_and_right():
    """The same animal from the other side: x and the names of the sides are mirrored."""
    for skeleton in (ANIMAL18, QUADRUPED):
        left, right = (standing("horse", View(yaw=yaw), skeleton) for yaw in (60.0, -60.0))
        mirrored = right.points[skeleton.flip.tolist()] * (-1, 1, 1)
        np.testing.assert_allclose(left.points, mirrored, atol=1e-9)


def test_who_turns_keeps_the_ground_below_the_feet():
    for view in (View(yaw=35.0), View(yaw=-120.0, tilt=40.0), View(yaw=90.0, tilt=-10.0, roll=15.0)):
        figure = standing("cow", view)
        depth = figure.points @ np.array(figure.down)
        assert depth.max() < figure.foot < depth.max() + 0.1
        assert np.linalg.norm(figure.down) == pytest.approx(1)


def test_species_differ_as_animals_do():
    tall = {name: SPECIES[name].height for name in SPECIES}
    assert tall["giraffe"] > tall["camel"] > tall["horse"] > tall["cow"] > tall["tiger"]
    assert all(h > 0 for h in SPECIES["camel"].humps)
    assert {name for name in SPECIES if SPECIES[name].hooves} >= {"horse", "cow", "camel", "sheep", "goat", "deer"}
    assert not any(SPECIES[name].hooves for name in ("dog", "cat", "tiger", "bear"))
    with pytest.raises(UnknownName, match="horse"):
        Animal.random(np.random.default_rng(0), "hrose")
