"""Names of golden networks by the names of their files."""

import json

import numpy as np
import pytest
import torch

from .replay import Replay


@pytest.mark.parametrize("scale", ["", "_ws0.5", "_ws0.25", "_ws1", "_ws1.5"])
def test_the_scale_of_the_weights_is_no_part_of_a_models_name_and_is_used(scale, tmp_path):
    path = tmp_path / f"maskrcnn_r50fpn_256x320{scale}.json"
    factor = float(scale.removeprefix("_ws") or 1)
    path.write_text(json.dumps({"ndim2_weight_extra_scale": factor}))
    golden = Replay(path)
    assert golden.name == "maskrcnn_r50fpn_256x320"
    path.write_text(json.dumps({"ndim2_weight_extra_scale": 1.0}))
    keys = {"conv1.weight": (4, 3, 3, 3)}
    assert (golden.weights(keys)["conv1.weight"] / Replay(path).weights(keys)["conv1.weight"]).mean().item() == pytest.approx(
        factor
    )


def test_an_output_for_no_boxes_is_off_by_nothing(tmp_path):
    outputs = [
        {"name": "maps", "shape": [0, 17, 56, 56], "stride": 1, "absmax": 0.0},
        {"name": "logits", "shape": [2, 3], "stride": 1, "absmax": 4.0},
    ]
    (tmp_path / "maskrcnn_keypoint_head.json").write_text(json.dumps({"outputs": outputs}))
    np.savez(tmp_path / "maskrcnn_keypoint_head.npz", maps=np.zeros(0, np.float32), logits=np.full(6, 4.0, np.float32))
    golden = Replay(tmp_path / "maskrcnn_keypoint_head.json")
    assert golden.errors([torch.zeros(0, 17, 56, 56), torch.full((2, 3), 3.0)]) == [0.0, 0.25]
