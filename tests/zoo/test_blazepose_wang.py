"""The third party's BlazePose: its stages of training, other keypoints, other codecs."""

import pytest
import torch

from poise import zoo
from poise.errors import InputError
from poise.skeletons import BLAZEPOSE33, COCO17, MPII16, QUADRUPED
from poise.structures import Batch
from poise.weights.model_file import load, save
from poise.weights.transfer import transfer
from poise.zoo.blazepose_wang import blazepose_wang

SIZE = (64, 64)


def batch(keypoints: int) -> Batch:
    chance = torch.Generator().manual_seed(0)
    return Batch(
        images=torch.randn(2, 3, *SIZE, generator=chance),
        xy=8 + 48 * torch.rand(2, keypoints, 2, generator=chance),
        visible=torch.full((2, keypoints), 2),
        warps=torch.eye(3).expand(2, 3, 3),
    )


def moved(model) -> set[str]:
    """Parts of the network that a step of learning reaches."""
    model.train().loss(batch(len(model.skeleton))).backward()
    reached = [name for name, weight in model.network.named_parameters() if weight.grad is not None and weight.grad.any()]
    return {name.split(".")[0] + "." + name.split(".")[1] for name in reached}


def test_the_loss_of_vectors_does_not_reach_trunk_and_pyramid_unless_that_is_wanted():
    torch.manual_seed(0)
    alone = moved(blazepose_wang("full", size=SIZE))
    assert {"readout.vectors", "head.vectors", "head.conv12", "head.conv15_a1"} <= alone
    assert not {name for name in alone if name.startswith("backbone.") or name in ("head.conv7_", "head.conv8_", "head.conv9_")}
    whole = moved(blazepose_wang("full", size=SIZE, detached=False))
    assert {"backbone.conv1", "backbone.conv6_b1", "head.conv7_", "head.conv9_"} <= whole


def test_heatmaps_are_learnt_first_then_heatmaps_with_offsets_then_vectors_on_what_they_learnt():
    heatmaps = blazepose_wang("lite", size=SIZE)
    offsets = zoo.build("blazepose_wang_lite_17j_64x64", codec="UDPOffset")
    vectors = blazepose_wang("full", size=SIZE)
    transfer(heatmaps, offsets)
    transfer(offsets, vectors)
    first, last = heatmaps.network.state_dict(), vectors.network.state_dict()
    for key in first:
        if key.startswith(("backbone.", "head.conv7_", "head.conv8_", "head.conv9_")):
            assert torch.equal(first[key], last[key]), key


def test_heatmaps_are_bounded_and_offsets_are_not():
    view = 9 * torch.randn(1, 3, *SIZE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        maps = blazepose_wang("lite", size=SIZE).eval()(view)
        offsets = zoo.build("blazepose_wang_lite_17j_64x64", codec="UDPOffset").eval()(view)
    assert 0 <= maps.min() < maps.max() <= 1
    assert offsets.shape[1] == 3 * 17
    assert offsets.min() < 0


@pytest.mark.parametrize(("joints", "skeleton"), [("16", MPII16), ("17", COCO17), ("33", BLAZEPOSE33)])
@pytest.mark.parametrize("variant", ["lite", "full"])
def test_names_say_the_keypoints_and_files_bring_the_model_back(variant, joints, skeleton, tmp_path):
    model = zoo.build(f"blazepose_wang_{variant}_{joints}j_64x64").eval()
    assert model.skeleton is skeleton
    copy = load(save(model, tmp_path / "model.safetensors"))
    view = torch.randn(1, 3, *SIZE)
    with torch.no_grad():
        assert torch.equal(copy(view), model(view))
        points = model.predict(view, flip=True)
    assert points.xy.shape == (1, len(skeleton), 2)


def test_other_keypoints_and_sizes_may_be_asked_for():
    assert zoo.build("blazepose_wang_full_17j_96x64", skeleton=QUADRUPED).codec.keypoints == len(QUADRUPED)
    with pytest.raises(InputError, match="64x64 or 96x64"):
        zoo.build("blazepose_wang_lite_17j_80x64")
