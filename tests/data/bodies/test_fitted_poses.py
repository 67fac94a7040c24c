"""Poses fitted to labels: what is projected is found again, wrong labels are told, poses are kept in files."""

import json

import numpy as np
import pytest
import torch

pytest.importorskip("anny", reason="needs poise[bodies]")

from poise.cli.main import main
from poise.data.bodies import BodyDataset, BodyPoses
from poise.data.bodies.body_poses import mirrored
from poise.data.bodies.fitting import _projected as projected
from poise.data.bodies.fitting import fit_poses, points
from poise.data.bodies.joints import NAMES, limits
from poise.data.bodies.postures import random_posture
from poise.data.figures import write_coco
from poise.errors import ReadError
from poise.skeletons import COCO17

SEEN = COCO17.keypoints


def postures(count):
    return torch.from_numpy(np.stack([random_posture(np.random.default_rng(seed)) for seed in range(count)]))


def labels(angles):
    return 100 * projected(angles, torch.stack([points()[name] for name in SEEN])) + 300


def test_a_fitted_pose_meets_the_labels_within_the_limits():
    xy = labels(postures(12))
    fit = fit_poses(xy, torch.full(xy.shape[:2], 2), SEEN)
    assert float(fit.residuals.median()) < 0.015
    low, high = limits()
    assert ((fit.angles >= low - 1e-5) & (fit.angles <= high + 1e-5)).all()


def test_a_wrong_label_is_farther_from_the_pose_than_the_others():
    xy = labels(postures(8))
    wrong = xy.clone()
    elbow = SEEN.index("left_elbow")
    wrong[:, elbow] += 0.7 * (xy[:, SEEN.index("right_ankle")] - xy[:, elbow])
    far = ((wrong - xy).norm(dim=2).amax(dim=1) / (xy.amax(dim=1) - xy.amin(dim=1)).amax(dim=1)) > 0.3
    fit = fit_poses(wrong, torch.full(xy.shape[:2], 2), SEEN)
    assert far.sum() >= 4
    assert (fit.distances[far].argmax(dim=1) == elbow).float().mean() >= 0.7


def test_the_mirror_image_of_a_pose_projects_to_the_mirror_image():
    pose = postures(5)
    swapped = [SEEN.index(n.replace("left", "~").replace("right", "left").replace("~", "right")) for n in SEEN]
    other = labels(torch.from_numpy(mirrored(pose.numpy())))[:, swapped]
    assert torch.allclose(other[..., 0], 600 - labels(pose)[..., 0], atol=0.3)
    assert torch.allclose(other[..., 1], labels(pose)[..., 1], atol=0.3)


def test_a_file_of_poses_is_written_read_and_drawn_from(tmp_path):
    BodyPoses(postures(4).numpy()).write(tmp_path / "poses.npz")
    poses = BodyPoses.read(tmp_path / "poses.npz")
    assert poses.draw(np.random.default_rng(0)).shape == (len(NAMES),)
    image = BodyDataset(1, size=(96, 96), poses=poses)[0].image
    assert not image.equal(BodyDataset(1, size=(96, 96))[0].image)


def test_what_is_no_file_of_poses_is_refused(tmp_path):
    (tmp_path / "text.npz").write_text("no poses")
    np.savez(tmp_path / "other.npz", names=np.array(["knee"]), angles=np.zeros((2, 1)))
    for name in ("text.npz", "other.npz", "gone.npz"):
        with pytest.raises(ReadError, match=r"poise data poses|make it again"):
            BodyPoses.read(tmp_path / name)


def test_from_labels_to_people_in_their_poses(tmp_path, capsys):
    write_coco(BodyDataset(6, size=(96, 96), seed=2), tmp_path / "first")
    file, poses, found = tmp_path / "first" / "annotations.json", tmp_path / "poses.npz", tmp_path / "suspects.json"
    assert main(["data", "poses", str(file), "--out", str(poses), "--suspects", str(found), "--good", "0.2"]) == 0
    assert main(["data", "poses", str(file), "--out", str(poses), "--suspects", str(found), "--good", "0.2"]) == 0  # again
    assert all(one["distance"] > 0.15 for one in json.loads(found.read_text()))
    words = ["data", "draw", "--kind", "bodies", "--poses", str(poses), "--count", "2", "--size", "96", "96"]
    assert main([*words, "--out", str(tmp_path / "drawn")]) == 0
    written = json.loads((tmp_path / "drawn" / "annotations.json").read_text())
    assert len(written["annotations"]) == 2
    assert main(["data", "poses", str(file), "--good", "0"]) == 1
    assert main([*words, "--frames", "3", "--out", str(tmp_path / "no")]) == 1
    assert "--frames" in capsys.readouterr().err
