"""BlazePose in the form of its paper: what learns from what, what is left out, other keypoints, its files."""

import pytest
import torch
from torch import nn

from poise import zoo
from poise.codecs.regression import Regression
from poise.errors import InputError
from poise.skeletons import BLAZEPOSE33, COCO17, MPII16, QUADRUPED, Skeleton
from poise.structures import Batch
from poise.weights.model_file import load, save
from poise.weights.transfer import transfer
from poise.zoo.blazepose_paper import blazepose_paper

SIZE = (64, 64)
TRUNK_AND_PYRAMID = {"backbone.conv1", "backbone.conv6_b1", "head.conv7_", "head.conv9_"}


def batch(keypoints: int, *, visible: int = 2) -> Batch:
    chance = torch.Generator().manual_seed(0)
    return Batch(
        images=torch.randn(2, 3, *SIZE, generator=chance),
        xy=8 + 48 * torch.rand(2, keypoints, 2, generator=chance),
        visible=torch.full((2, keypoints), visible),
        warps=torch.eye(3).expand(2, 3, 3),
    )


def reached(model, output: int) -> set[str]:
    """Parts of the network that the loss of an output reaches."""
    model.train().zero_grad()
    list(model.losses(batch(len(model.skeleton))).values())[output].backward()
    moved = [name for name, weight in model.network.named_parameters() if weight.grad is not None and weight.grad.any()]
    return {".".join(name.split(".")[:2]) for name in moved}


def test_heatmaps_teach_trunk_and_pyramid_and_the_regression_teaches_its_own_encoder_alone():
    torch.manual_seed(0)
    model = blazepose_paper(size=SIZE)
    heatmaps, numbers = reached(model, 0), reached(model, 1)
    assert heatmaps >= TRUNK_AND_PYRAMID | {"head.heatmaps"}
    assert {"head.numbers", "head.conv12", "head.conv15_a1"} <= numbers
    assert not heatmaps & numbers
    assert heatmaps | numbers == {".".join(name.split(".")[:2]) for name, _ in model.network.named_parameters()}
    assert reached(blazepose_paper(size=SIZE, detached=False), 1) >= TRUNK_AND_PYRAMID


def test_the_layer_of_the_heatmaps_is_not_run_outside_of_training():
    class Refused(nn.Module):
        def forward(self, x):
            raise AssertionError("heatmaps are not wanted here")

    model = blazepose_paper(size=SIZE).eval()
    view = batch(17).images
    with torch.no_grad():
        before = model(view)
        model.network.head.heatmaps = Refused()
        assert torch.equal(model(view), before)
    assert list(model.losses(batch(17))) == ["codec Regression"]
    with pytest.raises(AssertionError, match="not wanted"):
        model.train().losses(batch(17))


def test_it_learns_a_batch_by_heart_and_whether_keypoints_are_visible():
    torch.manual_seed(0)
    model, seen = blazepose_paper(size=SIZE).train(), batch(17)
    seen.visible[:, ::2] = 1
    optimizer, losses = torch.optim.Adam(model.parameters(), lr=2e-3), []
    for _ in range(25):
        optimizer.zero_grad()
        loss = model.loss(seen)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    with torch.no_grad():
        score = model.codec.decode(model.outputs(seen.images)[-1]).score
    assert score[:, 1::2].min() > score[:, ::2].max()


@pytest.mark.parametrize(("joints", "skeleton"), [("16", MPII16), ("17", COCO17), ("33", BLAZEPOSE33)])
def test_names_say_the_keypoints_and_files_bring_the_model_back(joints, skeleton, tmp_path):
    model = zoo.build(f"blazepose_paper_{joints}j_64x64").eval()
    assert model.skeleton is skeleton
    copy = load(save(model, tmp_path / "model.safetensors")).eval()
    view = torch.randn(1, 3, *SIZE)
    with torch.no_grad():
        assert torch.equal(copy(view), model(view))
        assert model.predict(view, flip=True).xy.shape == (1, len(skeleton), 2)
    assert copy.deep == model.deep


def test_other_keypoints_sizes_and_codecs_may_be_asked_for():
    own = Skeleton("two", ("left", "right"), (), (("left", "right"),), (0.1, 0.1))
    for skeleton in (QUADRUPED, own):
        model = zoo.build("blazepose_paper_17j_96x64", skeleton=skeleton).eval()
        assert model(torch.randn(1, 3, 96, 64)).shape == (1, len(skeleton), 3)
    assert isinstance(zoo.build("blazepose_paper_17j_64x64", codec="Regression").codec, Regression)
    offsets = zoo.build("blazepose_paper_17j_64x64", codec="UDPOffset")
    assert offsets(torch.randn(1, 3, *SIZE)).shape == (1, 51, 16, 16)
    with pytest.raises(InputError, match="64x64 or 96x64"):
        zoo.build("blazepose_paper_17j_80x64")


def test_it_starts_from_a_trained_network_of_the_third_party():
    lite, paper = zoo.build("blazepose_wang_lite_17j_64x64"), blazepose_paper(size=SIZE)
    transfer(lite, paper)
    first, last = lite.network.state_dict(), paper.network.state_dict()
    for key in first:
        if not key.startswith("head.final"):
            assert torch.equal(first[key], last[key]), key
