from dataclasses import replace

import pytest
import torch

from poise import zoo
from poise.codecs.gaussian import Gaussian
from poise.codecs.one_hot import OneHot
from poise.codecs.roi_adapter import RoIAdapter
from poise.codecs.udp import UDPGaussian
from poise.errors import CheckpointError, InputError
from poise.models.box_detector import BoxDetector
from poise.skeletons import COCO17, LSP14, QUADRUPED
from poise.skeletons.mapping import KeypointMap
from poise.weights.transfer import transfer, transfer_rows
from poise.zoo.rcnn.poise_rcnn import small_detector
from poise.zoo.simple_baselines import poseresnet

SIZE = (64, 64)


@pytest.fixture(scope="module")
def start():
    return poseresnet(18, skeleton=COCO17, size=SIZE)


def rows(model, name):
    final, place = model.network.head.final, model.skeleton.index(name)
    return final.weight[place], final.bias[place]


def test_rows_of_keypoints_both_know_are_copied_and_others_start_anew(start):
    with torch.no_grad():
        start.network.head.final.bias.normal_()
    target = poseresnet(18, skeleton=LSP14, size=SIZE)
    before = target.network.head.final.weight.clone()
    carried = transfer_rows(start, target)
    assert set(carried.kept) == set(COCO17.keypoints) & set(LSP14.keypoints)
    assert set(carried.new) == set(LSP14.keypoints) - set(COCO17.keypoints)
    assert carried.kept
    for name in carried.kept:
        assert all(torch.equal(a, b) for a, b in zip(rows(start, name), rows(target, name), strict=True))
    for name in carried.new:
        place = LSP14.index(name)
        assert torch.equal(target.network.head.final.weight[place], before[place])
    old, new = start.network.state_dict(), target.network.state_dict()
    assert all(torch.equal(old[k], new[k]) for k in new if not k.startswith("head.final"))
    assert carried.new[0] in str(carried)


def test_nothing_in_common_keeps_the_backbone_alone(start):
    animal = poseresnet(18, skeleton=QUADRUPED, size=SIZE)
    shared = set(COCO17.keypoints) & set(QUADRUPED.keypoints)
    assert set(transfer_rows(start, animal).kept) == shared


def test_another_codec_with_one_map_per_keypoint_keeps_the_rows(start):
    codec = UDPGaussian(size=SIZE, cells=(16, 16), keypoints=17)
    assert len(transfer_rows(start, poseresnet(18, size=SIZE, codec=codec)).kept) == 17


def test_a_codec_that_says_its_map_holds_something_else_keeps_no_rows(start, monkeypatch):
    monkeypatch.setattr(UDPGaussian, "output_type", "logits")
    codec = UDPGaussian(size=SIZE, cells=(16, 16), keypoints=17)
    assert transfer_rows(start, poseresnet(18, size=SIZE, codec=codec)).kept == ()


def test_another_backbone_is_refused_with_the_reason_and_the_name_to_take(start, monkeypatch):
    with pytest.raises(CheckpointError, match=r"another one; weights: .*backbone") as told:
        transfer_rows(start, poseresnet(34, size=SIZE))
    assert "--model" not in str(told.value)  # no name makes it
    monkeypatch.setattr(start, "card", replace(start.card, name="poseresnet_18_coco_64x64"))
    with pytest.raises(CheckpointError, match=r"both: --model poseresnet_18_coco_64x64$"):
        transfer_rows(start, poseresnet(34, size=SIZE))


STEMS = ["poise_t_coco", "cpn_18_coco", "mspn_1stg_coco", "rsn_res18_coco", "hourglass_2stack_b1_17j", "lpn_50_gc_coco"]
SHARED = [name for name in LSP14.keypoints if name in COCO17.keypoints]


def randomised(model, *, seed):
    """The model, something added to every weight: a fresh layer's zeros and ones would be alike by themselves."""
    generator = torch.Generator().manual_seed(seed)
    for value in model.network.state_dict().values():
        if value.is_floating_point():
            value += 0.01 * torch.rand(value.shape, generator=generator)
    return model


@pytest.mark.parametrize("codec", [None, "UDPOffset", "SimCC"])
@pytest.mark.parametrize("stem", STEMS)
def test_keypoints_both_know_are_answered_alike_at_every_answer_of_every_network(stem, codec):
    source = randomised(zoo.build(f"{stem}_64x64", codec=codec), seed=0).eval()
    target = randomised(zoo.build(f"{stem}_64x64", skeleton=LSP14, codec=codec), seed=1).eval()
    carried = transfer_rows(source, target)
    assert carried.kept == tuple(SHARED)
    assert carried.layers == ()
    if hasattr(target.network.head, "score_"):  # an hourglass sees the maps of the one before, also of keypoints not shared
        silence(source, SHARED)
        silence(target, SHARED)
    images = torch.randn(1, 3, *SIZE, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        for before, after in zip(source.outputs(images), target.outputs(images), strict=True):
            old, new = (out.unflatten(1, (len(model.skeleton), -1)) for out, model in ((before, source), (after, target)))
            places = ([model.skeleton.index(name) for name in SHARED] for model in (source, target))
            wanted, found = (maps[:, rows] for maps, rows in zip((old, new), places, strict=True))
            assert torch.allclose(found, wanted, rtol=1e-4, atol=1e-5 * float(wanted.abs().max()))


def silence(model, names):
    """Let later hourglasses not see the maps of other keypoints than these."""
    width = model.codec.channels // model.codec.keypoints
    seen = torch.tensor([name in names for name in model.skeleton.keypoints]).repeat_interleave(width)
    with torch.no_grad():
        for layer in model.network.head.score_:
            layer.weight[:, ~seen] = 0


def test_layers_that_read_vectors_start_anew_after_a_codec_of_maps():
    start = zoo.build("poise_t_coco_64x64")
    carried = transfer_rows(start, zoo.build("poise_t_coco_64x64", codec="SimCC"))
    assert len(carried.kept) == 17
    assert carried.layers == (
        "readout.vectors.0.weight", "readout.vectors.0.bias", "readout.vectors.1.weight", "readout.vectors.1.bias",
    )  # fmt: skip
    assert len(transfer_rows(zoo.build("poise_t_coco_64x64", codec="SimCC"), start).kept) == 17


def test_channels_that_mean_other_things_start_anew():
    start = zoo.build("poise_t_coco_64x64", codec="UDPOffset")
    assert transfer_rows(start, zoo.build("poise_t_coco_64x64", codec="GRMI")).kept == ()
    assert transfer_rows(start, zoo.build("poise_t_coco_64x64")).kept == ()


def test_a_stack_of_other_height_keeps_what_it_has_and_starts_the_rest_anew():
    start = zoo.build("hourglass_1stack_b1_17j_64x64")
    carried = transfer_rows(start, zoo.build("hourglass_2stack_b1_17j_64x64"))
    assert carried.kept == ()
    assert any(layer.startswith("head.hg.1.") for layer in carried.layers)
    assert not any(layer.startswith("head.hg.0.") for layer in carried.layers)


def detector(skeleton=COCO17, *, head="one_hot", width="t", seed=0):
    torch.manual_seed(seed)
    cells = (16, 16)
    codecs = {
        "one_hot": lambda: OneHot(cells, len(skeleton), score="mass"),
        "gaussian": lambda: RoIAdapter.of(Gaussian(cells, cells, len(skeleton)), weight=4.0),
        "udp": lambda: RoIAdapter.of(UDPGaussian(cells, cells, len(skeleton))),
    }
    return small_detector(width, skeleton=skeleton, size=(64, 64), codec=codecs[head]())


def test_a_detector_of_other_keypoints_keeps_all_but_their_rows():
    start, target = detector(seed=1), detector(LSP14)
    with torch.no_grad():
        start.network.keypoint.head.reader.final.bias.normal_()
    before = target.network.keypoint.head.reader.final.weight.clone()
    carried = transfer(start, target)
    assert set(carried.kept) == set(SHARED)
    assert carried.layers == ()
    old, new = (model.network.keypoint.head.reader.final for model in (start, target))
    for name in carried.kept:
        here, there = LSP14.index(name), COCO17.index(name)
        assert torch.equal(new.weight[:, here], old.weight[:, there])
        assert new.bias[here] == old.bias[there]
    for name in carried.new:
        assert torch.equal(new.weight[:, LSP14.index(name)], before[:, LSP14.index(name)])
    given, now = start.network.state_dict(), target.network.state_dict()
    assert all(torch.equal(given[key], now[key]) for key in now if "final" not in key)


@pytest.mark.parametrize(
    ("heads", "kept"), [(("gaussian", "udp"), 17), (("one_hot", "gaussian"), 0), (("one_hot", "one_hot"), 17)]
)
def test_a_detectors_maps_are_kept_where_both_are_gaussians_or_both_are_cells(heads, kept):
    start, target = (detector(head=head, seed=seed) for seed, head in enumerate(heads))
    before = target.network.keypoint.head.reader.final.weight.clone()
    carried = transfer(start, target)
    assert len(carried.kept) == kept
    old, new = (model.network.keypoint.head for model in (start, target))
    assert torch.equal(new.reader.final.weight, old.reader.final.weight if kept else before)
    assert torch.equal(new.body.conv[0].weight, old.body.conv[0].weight)
    assert torch.equal(target.network.box.head.body.fc6.weight, start.network.box.head.body.fc6.weight)


def test_a_detector_with_another_trunk_is_refused():
    with pytest.raises(CheckpointError, match="backbone is another"):
        transfer(detector(), detector(width="s"))


def test_a_map_says_where_the_rows_of_the_head_go(start):
    with torch.no_grad():
        start.network.head.final.weight.normal_()
        start.network.head.final.bias.normal_()
    target = poseresnet(18, skeleton=QUADRUPED, size=SIZE)
    before = target.network.head.final.weight.clone()
    carried = transfer(start, target, mapping=KeypointMap.of(["left_wrist:tail_base", "analogies"]))
    for new, old in (("tail_base", "left_wrist"), ("left_back_paw", "left_ankle"), ("right_front_paw", "right_wrist")):
        assert all(torch.equal(a, b) for a, b in zip(rows(target, new), rows(start, old), strict=True))
        assert carried.renamed[new] == old
        assert f"{new} from {old}" in str(carried)
    assert all(torch.equal(a, b) for a, b in zip(rows(target, "nose"), rows(start, "nose"), strict=True))
    assert "nose" not in carried.renamed
    assert set(carried.new) == {"throat", "withers", "left_front_paw"}, "the left wrist is taken"
    for name in carried.new:
        place = QUADRUPED.index(name)
        assert torch.equal(target.network.head.final.weight[place], before[place])


def test_a_map_is_refused_where_no_keypoint_has_weights_of_its_own(start):
    with pytest.raises(InputError, match="only the backbone is kept"):
        transfer(start, zoo.build("poise_scene_t_coco_64x64"), mapping=KeypointMap(analogies=True))


def test_a_detector_of_boxes_starts_one_with_keypoints_and_the_other_way_round():
    whole = small_detector("t", size=SIZE)
    alone = BoxDetector(small_detector("t", size=SIZE).network, whole.preprocess, whole.card)
    alone.network.keypoint = None
    carried = transfer(whole, alone)
    assert (carried.kept, carried.new, carried.layers) == ((), (), ())
    assert str(carried) == "kept the backbone"
    old = whole.network.state_dict()
    assert all(torch.equal(old[key], value) for key, value in alone.network.state_dict().items())
    back = transfer(alone, small_detector("t", size=SIZE))
    assert all(name.startswith("keypoint.") for name in back.layers)
    with pytest.raises(InputError, match="--map says which keypoint stands for which"):
        transfer(whole, alone, mapping=KeypointMap())
