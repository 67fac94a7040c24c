"""RTMO's network, and its people, their boxes and coordinates, against the release (f20)."""

from pathlib import Path

import numpy as np
import pytest
import torch

from poise.nn.rtmo.coordinates import FEATURES, DynamicCoordinates, encoded
from poise.nn.rtmo.network import RTMOHead, best_boxes, cell_centres
from poise.zoo import build, import_release
from poise.zoo.importing import official_state

from .replay import Replay, by_rule, drawn

CONSTANTS = {
    "neck.sincos_pos_enc.dim_t": 64,
    "head.dcc.x_bins": 192,
    "head.dcc.y_bins": 256,
    "head.dcc.spe.dim_t": 64,
    "head.loss_oks.sigmas": 17,
}
"""Lengths of what checkpoints hold beside the weights."""


@pytest.mark.golden("models/rtmo_*.json")
def test_maps_and_people_are_those_of_the_release(golden_file: Path):
    golden = Replay(golden_file)
    assert golden.keys is not None
    whole = golden.weights(golden.keys) | {key: torch.rand(length) for key, length in CONSTANTS.items()}
    model = import_release(golden.name, whole)
    assert list(official_state(model, golden.name)) == list(golden.keys)
    assert sum(weight.numel() for weight in model.network.parameters()) == golden.meta["params"]
    with torch.no_grad():
        answers = model.network(*golden.inputs())
    assert max(golden.errors(answers)) <= golden.tolerance


@pytest.mark.parametrize(("letter", "millions"), [("t", 6.830), ("s", 9.869), ("m", 22.526), ("l", 44.693)])
def test_every_size_has_as_many_parameters_as_published(letter, millions):
    with torch.device("meta"):
        network = build(f"rtmo_{letter}").network
    assert round(sum(weight.numel() for weight in network.parameters()) / 1e6, 3) == millions


def classifier(scale=0.5):
    """The classifier of coordinates with weights by the rule, whose names begin as in a checkpoint."""
    made = DynamicCoordinates(256, 17).eval()
    state = by_rule({f"head.dcc.{key}": value for key, value in made.state_dict().items()}, scale=scale)
    made.load_state_dict({key.removeprefix("head.dcc."): value for key, value in state.items()})
    return made


@pytest.mark.golden("functions/f20_*.npz")
@pytest.mark.parametrize(("word", "min_score", "max_iou"), [("a", 0.1, 0.65), ("b", 0.3, 0.3)])
def test_people_are_read_from_maps_as_in_the_release(golden_arrays, word, min_score, max_iou):
    head = RTMOHead(256, 17, width=0.5, pose=256).eval()
    head.dcc = classifier()
    maps = [torch.from_numpy(golden_arrays[f"{kind}_{s}"]) for kind in ("cls", "bbox", "vis", "pose") for s in (16, 32)]
    with torch.no_grad():
        [found] = head.people(maps, min_score=min_score, max_iou=max_iou)
    for name, values in (
        ("scores", found.score),
        ("bboxes", found.boxes),
        ("keypoints", found.xy),
        ("keypoint_scores", found.visible),
    ):
        np.testing.assert_allclose(values, golden_arrays[f"{word}_{name}"], rtol=1e-5, atol=1e-3)


@pytest.mark.golden("functions/f20_*.npz")
def test_coordinates_are_classified_as_in_the_release(golden_arrays):
    made = classifier()
    given = torch.from_numpy(golden_arrays["dcc_box_center_scale"])
    half = given[:, 2:] / 1.25 / 2  # the file's sizes have the padding in them
    boxes = torch.cat((given[:, :2] - half, given[:, :2] + half), dim=1)
    priors = torch.from_numpy(golden_arrays["dcc_grid"])
    poses = (
        torch.from_numpy(golden_arrays["pose_16"])[0].flatten(1).T[: len(boxes)]
    )  # of the first cells, wherever the boxes are
    with torch.no_grad():
        places = made.bins(boxes)
        np.testing.assert_allclose(
            made.x_fc(encoded(places[0] - priors[:, :1]))[:, ::16], golden_arrays["dcc_x_enc"], atol=1e-4
        )
        np.testing.assert_allclose(made(poses, boxes, priors), golden_arrays["dcc_keypoints"], rtol=1e-5, atol=1e-3)
        logits = made.logits(poses, places, priors)[0][..., ::4]
        np.testing.assert_allclose(logits, golden_arrays["dcc_x_logits"], rtol=1e-4, atol=1e-3)
        np.testing.assert_allclose(made.heatmaps(poses, places, priors)[0][..., ::4], golden_arrays["dcc_x_prob"], atol=1e-5)
        np.testing.assert_allclose(made.sigma_fc(poses), golden_arrays["dcc_sigma"], rtol=1e-5)
    assert encoded(places[0]).shape[-1] == FEATURES
    assert drawn("head.dcc.sigma_fc.2.scale", (), 0.5).ndim == 0


@pytest.mark.golden("functions/f20_*.npz")
def test_cells_have_the_centres_of_the_release_and_the_same_boxes_stay(golden_arrays):
    centres, strides = cell_centres([(2, 3), (1, 2)], torch.zeros(1))
    np.testing.assert_array_equal(centres, golden_arrays["priors_2x3_1x2"])
    assert strides.flatten().tolist() == [16] * 6 + [32] * 2
    boxes, score = (torch.from_numpy(golden_arrays[f"nms_{name}"]) for name in ("boxes", "scores"))
    for word, share in (("065", 0.65), ("03", 0.3)):
        kept = best_boxes(boxes, score, min_score=-1.0, max_iou=share)
        np.testing.assert_array_equal(kept, golden_arrays[f"nms_keep_{word}"])


def test_where_nobody_is_nobody_is_found_and_in_training_nobody_is_looked_for():
    torch.manual_seed(0)
    network = build("rtmo_t_coco17_64x64").network.eval()
    for layer in network.head.head_module.out_cls:
        torch.nn.init.constant_(layer.bias, -20.0)
    views = torch.zeros(2, 3, 64, 96)
    with torch.no_grad():
        *maps, score, boxes, xy, visible = network(views)
        assert len(network.train()(views)) == len(maps) == 8
    assert [tuple(part.shape) for part in (score, boxes, xy, visible)] == [(0,), (0, 4), (0, 17, 2), (0, 17)]
