"""Looks: two looks of one species are two domains that differ measurably, with labels of the same kind."""

import dataclasses

import cv2
import numpy as np
import pytest
import torch

from poise.data.figures import LOOKS, FigureDataset, Look, Views, named_look
from poise.errors import InputError, ReadError, UnknownName
from poise.skeletons import ANIMAL18, COCO17, QUADRUPED

SIZE = (128, 128)


def drawn(look, count=10, **more):
    return FigureDataset(count, size=SIZE, kind="horse", seed=2, look=look, keypoints="animal18", **more)


@pytest.mark.parametrize("name", sorted(LOOKS))
def test_every_look_draws_labelled_animals_and_is_the_same_for_the_same_seed(name):
    a, b = drawn(name, 4), drawn(named_look(name), 7)
    for i in (3, 0):
        assert torch.equal(a[i].image, b[i].image)
        assert torch.equal(a[i].labels.xy, b[i].labels.xy)
        assert a[i].labels.xy.shape == (1, 18, 2)
    assert a.skeleton is ANIMAL18


def sharpness(look):
    """Mean strength of edges."""
    dataset = drawn(look)
    grey = [cv2.cvtColor(dataset.scene(i).image, cv2.COLOR_RGB2GRAY) for i in range(len(dataset))]
    return np.mean([cv2.Laplacian(image, cv2.CV_32F).std() for image in grey])


def test_looks_differ_measurably():
    plain = named_look("plain")
    sharp = sharpness(plain)
    assert sharpness(dataclasses.replace(plain, blur=(1.0, 2.0, 2.5))) < 0.6 * sharp
    assert sharpness(dataclasses.replace(plain, motion=(1.0, 0.1))) < 0.8 * sharp
    assert sharpness(dataclasses.replace(plain, noise=(1.0, 60.0))) > 1.5 * sharp
    assert sharpness(dataclasses.replace(plain, backgrounds=(("noise", 1.0),))) > 1.2 * sharp


def hidden(look):
    dataset = drawn(look, 24)
    return np.mean([(dataset.labels(i).visible == 1).float().mean().item() for i in range(24)])


def test_occluders_hide_keypoints_and_labels_say_so():
    plain = named_look("plain")
    assert hidden(dataclasses.replace(plain, occluders=(0.0, 0.0, 1.0), strands=1.0)) > hidden(plain) + 0.05


def test_cameras_stand_where_the_look_says():
    rng = np.random.default_rng(0)
    level = [Views(around=0.0, spread=1.0, tilt=60.0, tilt_spread=1.0).draw(rng) for _ in range(50)]
    assert all(abs(abs(view.yaw) - 90) < 5 and abs(view.tilt - 60) < 5 for view in level)
    around = [Views(around=1.0).draw(rng).yaw for _ in range(200)]
    assert min(around) < -150 < 150 < max(around)


def test_images_of_a_folder_are_backgrounds(tmp_path):
    (tmp_path / "deep").mkdir()
    cv2.imwrite(str(tmp_path / "deep" / "red.png"), np.full((40, 900, 3), (0, 0, 250), np.uint8))
    look = dataclasses.replace(named_look("plain").with_folder(tmp_path, share=1.0), exposure=0.0, tint=0.0, shadows=0.0)
    scene = drawn(look, 1).scene(0)
    behind = scene.image[~cv2.dilate(scene.silhouettes[0].astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)]
    assert np.median(behind[:, 0]) > 200
    assert np.median(behind[:, 1:]) < 60


def test_a_folder_without_images_is_told(tmp_path):
    for folder in (tmp_path, tmp_path / "gone"):
        with pytest.raises(ReadError, match=folder.name):
            drawn(Look().with_folder(folder), 1).scene(0)


def test_kinds_and_keypoints_go_by_name():
    assert FigureDataset(1, kind="tiger").skeleton is QUADRUPED
    assert FigureDataset(1, keypoints="coco17").skeleton is COCO17
    for wrong in ({"kind": "hrose"}, {"kind": "horse", "keypoints": "animals18"}, {"look": "wlid"}):
        with pytest.raises(UnknownName, match="did you mean"):
            FigureDataset(1, **wrong)
    with pytest.raises(InputError, match="people"):
        FigureDataset(1, keypoints="animal18")


@pytest.mark.parametrize(
    "wrong",
    [
        {"backgrounds": ()},
        {"backgrounds": (("folder", 1.0),)},
        {"backgrounds": (("landscape", float("nan")),)},
        {"backgrounds": (("moon", 1.0),)},
        {"coats": "bald"},
        {"shadows": 1.5},
        {"blur": (-0.1, 1.0, 2.0)},
        {"clutter": (3, 2)},
        {"occluders": ()},
        {"jpeg": (0.5, 0)},
    ],
)
def test_a_look_that_cannot_be_is_refused(wrong):
    with pytest.raises((InputError, UnknownName), match=r"found|there is no"):
        Look(**wrong)
