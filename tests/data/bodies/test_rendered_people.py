"""Rendered people: labels are where the mesh is, mirrored scenes have mirrored labels, what is covered is hidden."""

import json

import numpy as np
import pytest

pytest.importorskip("anny", reason="needs poise[bodies]")

from poise.data.bodies import BodyDataset
from poise.data.bodies.camera import Camera, random_camera
from poise.data.bodies.joints import LIMITS, NAMES
from poise.data.bodies.model import body_model
from poise.data.bodies.people import person, random_person
from poise.data.bodies.postures import random_posture
from poise.data.bodies.scene import DEEP, Buffer, visibility
from poise.data.bodies.wear import random_look
from poise.data.figures import write_coco
from poise.errors import UnknownName
from poise.skeletons import COCO17

SHAPE = {"gender": 0.4, "age": 0.7, "muscle": 0.5, "weight": 0.5, "height": 0.5, "proportions": 0.5}
SIZE = (192, 160)


def somebody(seed=0, **angles):
    rng = np.random.default_rng(seed)
    pose = np.radians([angles.get(name, 0.0) for name in NAMES]).astype(np.float32)
    return person(SHAPE, pose if angles else random_posture(rng), random_look(rng, body_model()))


def view(towards, *, at=(0.0, 0.0, 0.9), far=4.0):
    """A level camera that looks along a direction."""
    forward = np.array(towards, np.float32)
    right = np.array((-forward[1], forward[0], 0), np.float32) * -1
    rotation = np.stack((right, (0, 0, -1), forward)).astype(np.float32)
    return Camera(rotation, np.array(at, np.float32) - far * forward, 300.0, (79.5, 95.5))


def named(rows):
    return dict(zip(body_model().keypoints, rows, strict=True))


def test_every_keypoint_is_inside_the_mesh_that_is_seen():
    for seed in range(6):
        who, camera = somebody(seed), random_camera(
            np.random.default_rng(seed), SIZE, target=np.array((0, 0, 0.8), np.float32), span=3.5
        )  # fmt: skip
        owner = Buffer.of([who], camera, SIZE).numbers()
        for x, y, _ in camera.project(who.joints):
            if 3 < x < SIZE[1] - 4 and 3 < y < SIZE[0] - 4:
                assert (owner[round(y) - 2 : round(y) + 3, round(x) - 2 : round(x) + 3] == 1).any()


def test_a_mirrored_scene_has_mirrored_labels():
    rng = np.random.default_rng(3)
    angles = dict(zip(NAMES, np.degrees(random_posture(rng)).tolist(), strict=True)) | {"root_turn": 40.0, "root_lean": 20.0}
    other = {name.replace("left_", "~").replace("right_", "left_").replace("~", "right_"): v for name, v in angles.items()}
    other |= {name: -other[name] for name in other if name.split("_")[0] in ("root", "spine", "neck") and "lean" not in name}
    camera = random_camera(rng, SIZE, target=np.array((0, 0, 0.8), np.float32), span=2.5)
    seen = named(camera.project(somebody(**angles).joints))
    mirrored = named(camera.mirrored(SIZE).project(somebody(**other).joints))
    for name, (x, y, _) in seen.items():
        swapped = name.replace("left_", "~").replace("right_", "left_").replace("~", "right_")
        assert mirrored[swapped][:2] == pytest.approx((SIZE[1] - 1 - x, y), abs=0.3)


def test_left_is_left_and_joints_bend_as_they_do():
    seen = named(somebody(left_raise=90.0, right_elbow=90.0, left_flex=60.0, left_knee=60.0).joints)
    assert seen["left_wrist"][0] > seen["left_elbow"][0] > seen["left_shoulder"][0] > seen["right_shoulder"][0]
    assert seen["right_wrist"][1] < seen["right_elbow"][1] - 0.15  # the forearm points forwards, to negative y
    assert seen["left_knee"][1] < seen["left_hip"][1] - 0.25
    assert seen["nose"][1] < seen["left_ear"][1]


def test_what_the_body_covers_is_hidden():
    who = somebody(left_elbow=5.0)
    for towards, shown, hidden in (
        ((0, 1, 0), "nose", None),
        ((0, -1, 0), "left_knee", "nose"),
        ((1, 0, 0), "right_knee", "left_knee"),
    ):
        camera = view(towards)
        buffer = Buffer.of([who], camera, SIZE)
        found = named(visibility(buffer, who, camera, buffer.numbers(), number=1))
        assert found[shown] == 2
        assert hidden is None or found[hidden] == 1


def test_who_stands_in_front_hides_who_stands_behind():
    near, far = somebody(left_elbow=5.0), somebody(left_elbow=5.0).moved(np.array((0, 0.8, 0), np.float32))
    camera = view((0, 1, 0))
    buffer = Buffer.of([far, near], camera, SIZE)
    back, front = (visibility(buffer, who, camera, buffer.numbers(), number=n) for who, n in ((far, 1), (near, 2)))
    assert (back[5:17] == 1).all()
    assert (front[5:13] == 2).all()


def first_hit(people, camera, through):
    """Of the ray through a place in the image: depth of the first surface that it meets, and whose it is, from 1."""
    direction = camera.rotation.T @ np.array(
        ((through[0] - camera.centre[0]) / camera.focal, (through[1] - camera.centre[1]) / camera.focal, 1.0)
    )
    found = (np.inf, 0)
    for number, who in enumerate(people, start=1):
        corner, *others = (who.vertices[who.faces[:, k]].astype(float) for k in range(3))
        one, other = (vertices - corner for vertices in others)
        across = np.cross(direction, other)
        volume = (one * across).sum(axis=1)
        volume[np.abs(volume) < 1e-12] = np.nan
        away = camera.position - corner
        u, turned = (away * across).sum(axis=1) / volume, np.cross(away, one)
        v, depth = turned @ direction / volume, (turned * other).sum(axis=1) / volume
        met = depth[(u >= 0) & (v >= 0) & (u + v <= 1) & (depth > 0)]
        found = min(found, (met.min(initial=np.inf), number))
    return found


def test_what_is_visible_is_what_a_ray_from_the_camera_meets_first():
    wrong = seen = 0
    for seed in range(6):
        rng = np.random.default_rng(seed)
        people = [somebody(seed), somebody(seed + 100).moved(np.array((0.3, 0.6, 0), np.float32))]
        camera = random_camera(rng, SIZE, target=np.array((0, 0, 0.8), np.float32), span=3.0)
        buffer = Buffer.of(people, camera, SIZE)
        for number, who in enumerate(people, start=1):
            flags = visibility(buffer, who, camera, buffer.numbers(), number=number)
            for name, flag, point in zip(body_model().keypoints, flags, camera.project(who.joints), strict=True):
                if flag and name in COCO17.keypoints:
                    depth, whose = first_hit(people, camera, point)
                    seen += 1
                    # A joint lies in the body: the ray meets its own surface, the limb's thickness before it, more or less.
                    gap = (point[2] - depth) / DEEP[name.rsplit("_", 1)[-1]] if whose == number else np.inf
                    wrong += gap > 1.3 if flag == 2 else gap < 0.8
    assert seen > 120
    assert wrong / seen < 0.04  # the z-buffer looks one pixel further at edges


def test_random_poses_keep_within_the_limits():
    low, high = np.radians(list(LIMITS.values())).T
    for seed in range(50):
        pose = random_posture(np.random.default_rng(seed))
        assert ((pose >= low - 1e-5) & (pose <= high + 1e-5)).all()


def test_equal_seeds_give_equal_images_and_labels():
    first, again = (BodyDataset(3, size=SIZE, per_image=(1, 3), seed=5) for _ in range(2))
    for i in (2, 0):
        a, b = first[i], again[i]
        assert a.image.equal(b.image)
        assert a.labels.xy.equal(b.labels.xy)
    assert not first[0].image.equal(BodyDataset(3, size=SIZE, per_image=(1, 3), seed=6)[0].image)


def test_a_data_set_is_like_every_other():
    dataset = BodyDataset(4, size=SIZE, per_image=(2, 2))
    assert dataset.skeleton is COCO17
    labels = dataset[1].labels
    assert labels.xy.shape == (2, 17, 2)
    assert len(dataset.people()) == 8
    for mask, box, area in zip(dataset.masks(1), labels.boxes, labels.area, strict=True):
        rows, columns = np.nonzero(mask.numpy())
        assert area == len(rows)
        assert box.tolist() == pytest.approx(
            [max(columns.min() - 0.5, 0), max(rows.min() - 0.5, 0), min(columns.max() + 0.5, 159), min(rows.max() + 0.5, 191)]
        )


def test_what_is_worn_covers_the_body_and_moves_with_it():
    model = body_model()
    for seed in range(40):
        who = random_person(np.random.default_rng(seed))
        assert len(who.material) == len(who.faces)
        assert who.faces.max() == len(who.vertices) - 1
        assert np.isfinite(who.vertices).all()
        for extra in who.extras:
            assert np.allclose(extra.weights.sum(axis=1), 1, atol=1e-3)
        if len(who.extras) > 1:
            near = np.linalg.norm(who.vertices[len(model.template) :, None] - who.joints[None], axis=2).min(axis=1)
            assert near.max() < 0.8
            return
    pytest.fail("nobody wears anything")


def test_somebody_is_always_seen_and_their_box_is_theirs():
    dataset = BodyDataset(30, size=(96, 96), per_image=(1, 3), seed=9)
    for i in range(30):
        labels = dataset[i].labels
        assert (labels.area >= 15).all()
        assert ((labels.boxes[:, 2:] - labels.boxes[:, :2]) > 2).all()


def test_feet_head_and_three_dimensions(tmp_path):
    dataset = BodyDataset(3, size=SIZE, keypoints="halpe26", seed=1)
    write_coco(dataset, tmp_path)
    rows = json.loads((tmp_path / "annotations.json").read_text())["annotations"]
    for row, scene in zip(rows, map(dataset.scene, range(3)), strict=True):
        seen, deep = np.array(row["keypoints"]).reshape(26, 3), np.array(row["keypoints_3d"]).reshape(26, 3)
        assert np.allclose(deep, scene.joints[0], atol=1e-3)
        inside = seen[:, 2] > 0
        across = (deep[:, :2] / deep[:, 2:])[inside]
        if inside.sum() > 3:  # one focal length and one centre explain all places
            slope = np.polyfit(across[:, 0], seen[inside, 0], 1)
            assert np.allclose(np.polyval(slope, across[:, 0]), seen[inside, 0], atol=0.5)
    with pytest.raises(UnknownName, match="halpe26"):
        BodyDataset(3, keypoints="animal18")
