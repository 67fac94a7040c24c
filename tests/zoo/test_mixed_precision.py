"""Every family of networks but detectors (tests/models) learns and predicts in bfloat16, the default on some machines."""

import pytest
import torch

from poise.data.figures import FigureDataset
from poise.inference.predictor import Predictor
from poise.models.views.base import TrainData
from poise.skeletons import COCO17
from poise.zoo import build
from poise.zoo.grouped import dekr, higherhrnet
from poise.zoo.rtmo import rtmo

NAMED = [
    "poise_t_coco_64x64",
    "poseresnet_18_coco_64x64",
    "hrnet_w32_coco_64x64",
    "litehrnet_18_coco_64x64",
    "mobilenetv2_coco_64x64",
    "lpn_50_gc_coco_64x64",
    "cpn_50_coco_64x64",
    "mspn_1stg_coco_64x64",
    "rsn_rsn18_coco_64x64",
    "hourglass_1stack_b1_16j_64x64",
    "rtmpose_t_coco_64x64",
    "rtmw_t_64x64",
    "vitpose_s_64x64",
    "poise_scene_t_coco_64x64",
]
MADE = {
    "rtmo": lambda: rtmo("t", side=64),
    "higherhrnet": lambda: higherhrnet(8, side=64),
    "dekr": lambda: dekr(8, side=64),
}


@pytest.mark.parametrize("name", [*NAMED, *MADE])
def test_it_learns_and_predicts_in_bfloat16(name):
    torch.manual_seed(0)
    model = MADE[name]() if name in MADE else build(name, skeleton=COCO17)
    data = FigureDataset(4, size=(72, 96))
    views = model.train_views(TrainData("figures", data, size=None if model.takes_boxes else (64, 64)), seed=0)
    batch = views.collate([views[0, index] for index in range(4)]).batch
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = model.train().loss(batch)
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)
    boxes = {"boxes": data.labels(0).boxes.tolist()} if model.takes_boxes else {}
    found = Predictor(model.eval(), device="cpu", precision="bf16", workers=0)(data.image(0).permute(1, 2, 0).numpy(), **boxes)
    assert found.xy.isfinite().all()


def test_gradients_of_a_kernel_larger_than_its_map_are_those_of_float32():
    torch.manual_seed(2)
    model = build("rtmpose_t_coco_64x64").train()
    torch.nn.init.normal_(model.network.head.final.weight)
    feature = torch.randn(4, 384, 2, 2).contiguous(memory_format=torch.channels_last)
    found = []
    for bf16 in (False, True):
        model.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            vectors = model.network.head([feature])
        sum(one.float().square().mean() for one in vectors).backward()
        found.append(model.network.head.final.weight.grad.clone())
    assert (found[1] - found[0]).abs().max() < 0.1 * found[0].abs().max()
