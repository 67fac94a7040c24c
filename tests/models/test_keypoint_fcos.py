"""A one-stage detector with keypoints: which cells learn what, and that it learns, finds, is kept and is evaluated."""

import math

import pytest
import torch
from torchvision.models.detection.fcos import FCOS as TorchFCOS

from poise import zoo
from poise.codecs.one_hot import OneHot
from poise.data.figures import FigureDataset
from poise.errors import InputError
from poise.evaluation.eval_set import EvalSet
from poise.evaluation.evaluate import evaluate
from poise.inference.settings import InferenceSettings
from poise.models.fcos_losses import centerness, fcos_losses, matched
from poise.models.keypoint_fcos import KeypointFCOS
from poise.models.rcnn_config import Learning, RCNNConfig
from poise.nn.attention import SpatialAttention
from poise.nn.fcos import Cells, squares
from poise.nn.heads.rpn import integral_image
from poise.nn.pooler import RoIPooler
from poise.recipes.fields import set_words
from poise.recipes.finetune import FinetuneOptions
from poise.scenes import Canvas, SceneBatch
from poise.skeletons import COCO17
from poise.transforms.scene_crop import SceneCrop
from poise.weights.model_file import load, save
from poise.zoo.rcnn.keypoint_fcos import slim_fcos

SIDE = 96


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def cells_of(size=(64, 96), strides=(4, 8, 16), views=1, fill=0.0) -> Cells:
    grids = [squares(torch.zeros(1, 1, size[0] // s, size[1] // s), s) for s in strides]
    every = torch.cat(grids)
    n = len(every)
    zeros = torch.full((views, n), fill)
    return Cells(zeros, torch.full((views, n, 4), 1.0), zeros, every, tuple(map(len, grids)))


def test_cells_learn_the_boxes_that_torchvisions_fcos_gives_them():
    chance = torch.Generator().manual_seed(0)
    corner = torch.rand(12, 2, generator=chance) * torch.tensor([80.0, 50.0])
    boxes = torch.cat((corner, corner + 3 + torch.rand(12, 2, generator=chance) * 60), dim=1)
    cells = cells_of()
    seen = {}
    theirs = TorchFCOS.__new__(TorchFCOS)
    torch.nn.Module.__init__(theirs)
    theirs.center_sampling_radius = 1.5
    theirs.head = type("Head", (torch.nn.Module,), {"compute_loss": lambda _, t, h, a, m: seen.update(found=m[0])})()
    theirs.compute_loss([{"boxes": boxes}], {}, [cells.squares], list(cells.counts))
    assert torch.equal(matched(cells, boxes), seen["found"])
    assert int((seen["found"] >= 0).sum()) > 20
    assert (matched(cells, boxes[:0]) == -1).all()


def test_centerness_is_one_in_the_middle_and_nothing_at_the_side():
    square = torch.tensor([[8.0, 8.0, 12.0, 12.0]])
    for box, expected in (([0.0, 0.0, 20.0, 20.0], 1.0), ([10.0, 0.0, 20.0, 20.0], 0.0), ([5.0, 0.0, 30.0, 20.0], 0.5)):
        assert centerness(square, torch.tensor([box])).item() == pytest.approx(expected)


def test_background_in_ignored_regions_is_not_learnt():
    cells, nobody = cells_of(fill=3.0), [torch.zeros(0, 4)]
    everything = integral_image(torch.ones(64, 96, dtype=torch.bool))
    assert fcos_losses(cells, nobody, [everything])["classes"] == 0
    losses = fcos_losses(cells, nobody)
    assert losses["classes"] > 1
    assert [losses[name].item() for name in ("boxes", "centerness")] == [0, 0]


def test_a_box_is_pooled_from_the_map_that_its_share_of_the_view_says():
    pooler = RoIPooler((8, 16, 32, 64, 128), (14, 14), rule="share")
    assert pooler.strides == (8, 16, 32)
    boxes = torch.tensor([[0.0, 0.0, 100.0, 100.0], [0.0, 0.0, 70.0, 70.0], [0.0, 0.0, 60.0, 40.0], [0.0, 0.0, 9.0, 9.0]])
    areas = torch.full((4,), 10_000.0)
    assert pooler.assign_levels(boxes, areas).tolist() == [2, 1, 0, 0]  # ceil(k_max - log2(view / box)), as in CenterMask
    features = [torch.full((2, 1, 128 // s, 128 // s), float(s)) for s in (8, 16, 32)]
    own = [boxes[:1], boxes[:1]]
    assert pooler(features, own, [(100, 100), (128, 160)])[:, 0, 7, 7].tolist() == [32, 16], "padding is no part of a view"


def test_spatial_attention_scales_cells_by_their_means_and_maxima():
    layer, x = SpatialAttention(), torch.randn(1, 5, 6, 7)
    with torch.no_grad():
        layer.conv.weight.zero_()
        layer.conv.weight[0, :, 1, 1] = torch.tensor([2.0, -1.0])
        scale = (2 * x.mean(dim=1) - x.amax(dim=1)).sigmoid()
        assert torch.allclose(layer(x), x * scale[:, None])


@pytest.fixture(scope="module")
def figures():
    return FigureDataset(2, size=(SIDE, SIDE), per_image=(1, 2), seed=1)


@pytest.fixture(scope="module")
def drawn(figures) -> SceneBatch:
    cutter = SceneCrop((SIDE, SIDE), Canvas(side=SIDE, multiple=32), COCO17)
    return SceneBatch.of([cutter(figures.sample_with_ignore(i)) for i in range(2)])


@pytest.fixture(scope="module")
def learnt(drawn) -> KeypointFCOS:
    """A slim detector that knows two drawings by heart."""
    torch.manual_seed(0)
    config = RCNNConfig(nms=0.6, learning=Learning(per_image=32, posed=8))
    model = slim_fcos("t", size=(SIDE, SIDE), codec=OneHot((28, 28), 17, score="mass"), config=config)
    optimizer, steps = torch.optim.AdamW(model.parameters()), 60
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 3e-3 * min(1, (step + 1) / 10) * (1 if step < 0.7 * steps else 0.2)
        optimizer.zero_grad()
        parts = model.losses(drawn)
        assert tuple(parts) == model.loss_parts
        sum(parts.values()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
    return model.eval()


@torch.no_grad()
def test_two_drawings_are_learnt_by_heart(learnt, drawn):
    for view, people in enumerate(learnt.predict(drawn.images, flip=False)):
        rows, sure = torch.where(drawn.scenes.scene == view)[0], people.box_score > 0.5
        assert int(sure.sum()) == len(rows)
        for row in rows:
            seen = drawn.scenes.visible[row] > 0
            gap = (people.xy[sure][:, seen] - drawn.scenes.xy[row, seen]).norm(dim=-1).mean(dim=1)
            assert gap.min() < 3.0
            assert (people.boxes[sure][gap.argmin()] - drawn.scenes.boxes[row]).abs().max() < 10


@torch.no_grad()
def test_the_flip_test_finds_the_same_in_a_view_and_its_mirror_image(learnt, drawn):
    straight, mirrored = (learnt.predict(images, flip=True) for images in (drawn.images, drawn.images.flip(-1)))
    for one, other in zip(straight, mirrored, strict=True):
        assert torch.allclose(one.box_score.sort().values[-3:], other.box_score.sort().values[-3:], atol=1e-3)
        turned = SIDE - 1 - other.boxes[other.box_score.argmax()][[2, 1, 0, 3]][0]
        assert (turned - one.boxes[one.box_score.argmax()][0]).abs() < 1.5


def test_it_is_kept_and_evaluated_with_boxes_and_keypoints(learnt, figures, drawn, tmp_path):
    again = load(save(learnt, tmp_path / "model.safetensors"))
    assert type(again) is KeypointFCOS
    with torch.no_grad():
        assert torch.equal(again.predict(drawn.images, flip=False)[0].xy, learnt.predict(drawn.images, flip=False)[0].xy)
    scores = evaluate(
        again, EvalSet.of_dataset(figures), InferenceSettings.of(again, flip=False, device="cpu", workers=0)
    ).numbers
    assert scores["AP50"] > 0.9
    assert scores["box AP50"] > 0.9


@pytest.mark.parametrize(
    ("name", "strides"),
    [
        ("keypoint_fcos_r50_fpn", (8, 16, 32, 64, 128)),
        ("keypoint_fcos_hrnet_w18_hrfpn", (4, 8, 16, 32, 64)),
        ("keypoint_fcos_cspnext_t_fpn_c5p6p7_gn", (8, 16, 32, 64, 128)),
        ("keypoint_fcos_litehrnet18_fpn_maps28x28", (4, 8)),
        ("poise_fcos_s_r18_fpn_coco_96x96", (4, 8, 16, 32)),
    ],
)
def test_it_stands_on_any_trunk_of_detectors(name, strides):
    with torch.device("meta"):
        assert zoo.build(name).network.backbone.strides == strides
        assert zoo.keypoint_fcos("resnet18", convolutions=1).card.name == "keypoint_fcos_r18_fpn_p5p6p7"


def test_what_needs_a_box_head_is_refused(learnt):
    with pytest.raises(InputError, match="no box head that could learn from copies"):
        set_words(learnt, config=["learning.copies=2"])
    with pytest.raises(InputError, match="a pyramid of 20 channels"):
        zoo.build("keypoint_fcos_r18_fpn_20wide")
    assert math.isfinite(learnt.config.weights.centerness)


def test_it_is_a_detector_for_ones_own_data():
    for name in ("poise_fcos_t", "poise_fcos_s_r18_fpn_coco_96x96", "keypoint_fcos_r50_fpn"):
        options = FinetuneOptions.by_name(name)
        assert options is not None
        assert options.kind == "detectors"
