"""RTMO, HigherHRNet and DEKR as models: they find people in whole images, and take releases' and MMPose's weights."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from torch import nn
from torchvision.ops import box_iou

from poise.cli.main import main
from poise.codecs.dynamic_bins import RTMOBins
from poise.data.base import Dataset
from poise.errors import InputError
from poise.inference.predictor import Predictor
from poise.metrics import coco_format
from poise.models.one_stage_targets import one_stage_losses
from poise.models.values import LabelledImage
from poise.models.views.base import TrainData
from poise.nn.rescore import RescoreNet
from poise.nn.rtmo.network import RTMOHead
from poise.scenes import Canvas, SceneBatch
from poise.skeletons import COCO17
from poise.structures import Key, Labels
from poise.transforms.canvas import canvas_layout, letterbox
from poise.weights.model_file import load, save
from poise.zoo import build, import_release
from poise.zoo.find import releases
from poise.zoo.grouped import dekr, higherhrnet
from poise.zoo.grouped_keys import from_mmpose
from poise.zoo.importing import official_state
from poise.zoo.rtmo import rtmo

KEYPOINTS = 17


class One(Dataset):
    """One image with one person."""

    skeleton = COCO17

    def __len__(self):
        return 1

    def key(self, index):
        return Key("0.png", 1)

    def labels(self, index):
        xy = 20 + 60 * torch.rand(1, KEYPOINTS, 2, generator=torch.Generator().manual_seed(index))
        return Labels.of(xy, torch.full((1, KEYPOINTS), 2), torch.tensor([[10.0, 10.0, 90.0, 90.0]]))

    @classmethod
    def view(cls, model):
        return model.train_views(TrainData("one", cls(), size=(64, 64)), seed=0)[0, 0].view

    def image(self, index):
        return photo(size=(100, 100)).permute(2, 0, 1).contiguous()


@pytest.fixture(scope="module")
def models():
    """One of each, small and with random weights."""
    torch.manual_seed(0)
    found = [rtmo("t", side=96), higherhrnet(8, side=64), dekr(8, side=64)]
    for layer in found[0].network.head.head_module.out_cls:
        nn.init.constant_(layer.bias, 0.0)
    return [model.eval() for model in found]


def photo(seed=0, size=(70, 120)):
    return torch.randint(0, 256, (*size, 3), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def test_each_predicts_and_its_file_predicts_the_same(models, tmp_path):
    for model in models:
        poses = Predictor(model, device="cpu", workers=0)(photo().numpy())
        assert poses.xy.shape[1:] == (KEYPOINTS, 2)
        assert poses.xy.isfinite().all()
        again = load(save(model, tmp_path / "model.safetensors"))
        assert type(again) is type(model)
        assert again.codec == model.codec
        assert again.deep == model.deep
        other = Predictor(again, device="cpu", workers=0)(photo().numpy())
        assert torch.equal(poses.xy, other.xy)
        assert torch.equal(poses.pose_score, other.pose_score)
    assert len(Predictor(models[0], device="cpu", workers=0)(photo().numpy()))  # an untrained RTMO sees people everywhere


def test_commands_predict_and_evaluate(models, tmp_path):
    data, picture = One(), tmp_path / "0.png"
    cv2.imwrite(str(picture), np.ascontiguousarray(data.image(0).permute(1, 2, 0).numpy()))
    images = [{"id": 0, "file_name": "0.png", "width": 100, "height": 100}]
    labels = coco_format.to_coco_annotations({0: data.labels(0)}, COCO17) | {"images": images}
    (tmp_path / "labels.json").write_text(json.dumps(labels))

    def rows(file, *more):
        out = tmp_path / f"out{len(list(tmp_path.iterdir()))}"
        assert main(["predict", str(picture), "--model", file, "--out", str(out), "--device", "cpu", *more]) == 0
        return json.loads((out / "predictions.json").read_text())

    for model in models:
        file = str(save(model, tmp_path / f"{model.kind}.safetensors"))
        assert model.kind != "one-stage" or rows(file)
        words = ["--annotations", str(tmp_path / "labels.json"), "--images", str(tmp_path)]
        assert main(["evaluate", file, *words, "--device", "cpu"]) == 0
        assert main(["evaluate", file, *words, "--self-test"]) == 0
    one = str(tmp_path / "one-stage.safetensors")
    assert rows(one, "--codec-set", "min_score=1.0") == []
    top_down = str(save(build("poise_t_coco_64x64"), tmp_path / "top_down.safetensors"))
    assert len(rows(top_down, "--detector", one)) > 1  # RTMO's boxes for a model that takes boxes


def test_labels_come_back_through_canvas_and_codec(models):
    torch.manual_seed(1)
    for model in models:
        side = 40.0 + 120 * torch.rand(1, KEYPOINTS, 2)
        labels = Labels.of(side, torch.full((1, KEYPOINTS), 2), torch.tensor([[30.0, 30.0, 170.0, 170.0]]))
        image = LabelledImage(Key("a.png", 1), labels, [0], labels.boxes, model.skeleton, lambda: (200, 200))
        usual, model.preprocess = model.preprocess, replace(model.preprocess, side=192)
        [trip] = model.round_trip([image])
        model.preprocess = usual
        scale = float(trip.warps[0, 0, 0])
        tolerance = getattr(model.codec, "tolerance", 1e-2)
        assert (trip.poses.xy - labels.xy).norm(dim=-1).max() <= tolerance / scale + 1e-3


@pytest.mark.parametrize(
    ("size", "rule", "view", "factor", "middle"),
    [
        ((427, 640), "higherhrnet", (512, 768), 512 / 427, (320, 214)),
        ((640, 427), "higherhrnet", (768, 512), 512 / 427, (214, 320)),
        ((500, 500), "higherhrnet", (512, 512), 512 / 500, (250, 250)),
        ((427, 640), "mmpose", (512, 512), 512 / 640, (320, 213.5)),
        ((640, 427), "mmpose", (512, 512), 512 / 640, (213.5, 320)),
    ],
)
def test_images_are_laid_out_as_in_the_releases(size, rule, view, factor, middle):
    layout = canvas_layout(Canvas(side=512, multiple=64, rule=rule), size)
    assert layout.size == view
    there = layout.warp @ torch.tensor([*middle, 1.0], dtype=layout.warp.dtype)
    assert there[:2].tolist() == pytest.approx([view[1] / 2, view[0] / 2])
    assert float(layout.warp[0, 0]) == pytest.approx(factor)
    assert float(layout.warp[1, 1]) == pytest.approx(factor)


def test_rtmo_sees_blue_green_red_as_they_are_and_grey_around():
    view, _ = letterbox(
        torch.tensor([10, 20, 30], dtype=torch.uint8)[:, None, None].expand(3, 32, 64), build("rtmo_t").preprocess
    )
    assert view.shape == (3, 416, 416)
    assert view[:, 208, 208].tolist() == pytest.approx([30, 20, 10], abs=1e-3)
    assert view[:, 2, 2].tolist() == pytest.approx([114, 114, 114], abs=1e-3)


def test_rtmo_has_no_flip_test(models):
    with pytest.raises(InputError, match="without a flip test"):
        models[0].predict(torch.zeros(1, 3, 96, 96), flip=True)


@pytest.mark.parametrize("proxy", [False, True])
def test_rtmo_learns_with_all_of_its_weights_and_nobody_teaches_scores_alone(proxy):
    model = rtmo("t", side=96)
    model.codec = replace(model.codec, proxy=proxy)
    views = model.train().train_views(TrainData("one", One(), size=(96, 96)), seed=0)
    batch = views.collate([views[0, 0], views[1, 0]]).batch
    parts = model.losses(batch)
    assert tuple(parts) == model.loss_parts
    torch.stack(list(parts.values())).sum().backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in model.parameters())
    nobody = model.losses(replace(batch, scenes=replace(batch.scenes, visible=batch.scenes.visible * 0)))
    assert nobody["persons"].item() > 0
    assert all(nobody[name].item() == 0 for name in nobody if name != "persons")
    hidden = replace(batch.scenes, ignore=batch.scenes.ignore | True)
    assert model.losses(replace(batch, scenes=hidden))["persons"].item() == 0
    losses, people = model.eval().validate(batch)
    assert all(part.isfinite() for part in losses.values())
    assert len(people) == 2
    assert model.picture(batch).shape[2] == 3


def learnt_by_heart(seed):
    """Six people, and what RTMO's head reads of maps that learnt them."""
    torch.manual_seed(seed)
    view = One.view(rtmo("t", side=96))
    views = [replace(view, labels=replace(view.labels, xy=16 + 32 * torch.rand(1, KEYPOINTS, 2))) for _ in range(6)]
    scenes, head = SceneBatch.of(views).scenes, RTMOHead(64, KEYPOINTS, width=0.25, pose=32)
    counts = (1, 4, KEYPOINTS, 32, 2 * KEYPOINTS)
    maps = [(0.1 * torch.randn(6, count, side, side)).requires_grad_() for count in counts for side in (4, 2)]
    optimizer = torch.optim.Adam([{"params": maps, "lr": 0.03}, {"params": head.dcc.parameters(), "lr": 3e-3}])
    for _ in range(120):
        optimizer.zero_grad()
        parts = one_stage_losses(maps, scenes, head, RTMOBins(KEYPOINTS), torch.tensor(COCO17.sigmas))
        torch.stack(list(parts.values())).sum().backward()
        optimizer.step()
    head.dcc.pose_to_kpts[1].momentum = 0.9  # so that the norm knows these people
    with torch.no_grad():
        for _ in range(8):
            one_stage_losses(maps, scenes, head, RTMOBins(KEYPOINTS), torch.tensor(COCO17.sigmas))
        found = head.eval().people(maps[: 4 * 2])
    return scenes, found


def test_what_rtmo_learns_is_what_is_read():
    away = []
    for seed in range(3):  # rounding alone moves the mean distance of one by some pixels
        scenes, found = learnt_by_heart(seed)
        assert min(one.score[0] for one in found) > 0.6
        assert torch.stack([box_iou(one.boxes[:1], scenes.boxes[i, None]) for i, one in enumerate(found)]).median() > 0.6
        assert torch.stack([one.visible[0] for one in found]).median() > 0.7
        away += [(one.xy[0] - scenes.xy[i]).norm(dim=-1) for i, one in enumerate(found)]
    assert torch.cat(away).median() < 13.5  # a guess is 17 off


def test_people_of_several_scales_are_joined(models):
    model = rtmo("t", side=96).eval()
    model.network = models[0].network
    model.preprocess = replace(model.preprocess, scales=(1.0, 0.67))
    both = Predictor(model, device="cpu", workers=0)(photo().numpy())
    assert len(both)
    assert (both.pose_score.diff() <= 0).all()


def test_higherhrnet_and_dekr_learn_a_person_by_heart(models):
    for model in (higherhrnet(8, side=64), dekr(8, side=64)):
        views = model.train().train_views(TrainData("one", One(), size=(64, 64)), seed=0)
        batch = views.collate([views[0, 0], views[1, 0]]).batch
        optimizer, losses = torch.optim.Adam(model.parameters(), lr=3e-3), []
        for _ in range(8):
            optimizer.zero_grad()
            losses.append(model.loss(batch))
            losses[-1].backward()
            optimizer.step()
        assert losses[-1] < 0.85 * losses[0]
        _, found = model.eval().validate(batch)
        assert len(found) == 2


@pytest.mark.parametrize("kind", ["higherhrnet", "dekr"])
def test_the_last_columns_of_a_shifted_mirrored_view_stay(models, kind):
    model = models[1 if kind == "higherhrnet" else 2]
    images = torch.arange(8.0).expand(1, 3, 4, 8)
    expected = [7, 6, 5, 4, 3, 2, 1, 0] if kind == "higherhrnet" else [4, 3, 2, 1, 0, 2, 1, 0]
    assert model.mirrored_views(images)[0, 0, 0].tolist() == expected


def mmpose_of(state, *, old):
    """DEKR's weights as MMPose keeps them, by the words of its manifest."""
    found = {}
    layers = "offset_conv_layers" if old else "displacement_conv_layers"
    head = "keypoint_head." if old else "head."
    one = {"transition_heatmap.0.": "heatmap_conv_layers.0.conv.", "transition_heatmap.1.": "heatmap_conv_layers.0.bn."}
    one |= {"head_heatmap.0.0.": "heatmap_conv_layers.1.", "head_heatmap.1.": "heatmap_conv_layers.2."}
    one |= {"transition_offset.0.": f"{layers}.0.conv.", "transition_offset.1.": f"{layers}.0.bn."}
    for key, value in state.items():
        part = next((old_name for old_name in one if key.startswith(old_name)), None)
        if part is not None:
            name = one[part] + key.removeprefix(part)
            found[head + name] = torch.cat((value[-1:], value[:-1])) if old and "heatmap_conv_layers.2." in name else value
        elif not key.startswith(("offset_",)):
            found["backbone." + key] = value
    for block in (0, 1):
        for name, new in (("adapt_conv.", "adapt_conv."), ("bn.", "norm.")):
            for rest in {key.partition(f".{block}.{name}")[2] for key in state if f".{block}.{name}" in key}:
                parts = [state[f"offset_feature_layers.{k}.{block}.{name}{rest}"] for k in range(KEYPOINTS)]
                found[f"{head}{layers}.{block + 1}.{new}{rest}"] = parts[0] if parts[0].ndim == 0 else torch.cat(parts)
        for rest in ("weight", "bias"):
            parts = []
            for k in range(KEYPOINTS):
                place = f"offset_feature_layers.{k}.{block}."
                matrix = state[f"{place}transform_matrix_conv.{rest}"].clone()
                shift = state[f"{place}translation_conv.{rest}"]
                if rest == "bias":
                    matrix -= torch.tensor([1.0, 0.0, 0.0, 1.0])
                parts += [matrix[:2], shift[:1], matrix[2:], shift[1:]]
            found[f"{head}{layers}.{block + 1}.transform_matrix_conv.{rest}"] = torch.cat(parts)
    for rest in ("weight", "bias"):
        last = torch.cat([state[f"offset_final_layer.{k}.{rest}"] for k in range(KEYPOINTS)])
        found[f"{head}{layers}.3.{rest}"] = last if old else -last
    return found


def test_mmposes_dekr_rescores_people_if_its_weights_can(models, tmp_path):
    own = official_state(models[2], "dekr_w8_coco17_64x64")
    network = RescoreNet(19, KEYPOINTS)
    nn.init.constant_(network.l3.bias, 0.5)
    theirs = mmpose_of(own, old=False) | {f"head.rescore_net.{key}": value for key, value in network.state_dict().items()}
    made = import_release("dekr_w8_coco17_64x64", theirs)
    assert made.codec.centres.rule == "mmpose"
    again = load(save(made, tmp_path / "model.safetensors"))
    assert all(torch.equal(again.network.rescore.state_dict()[key], value) for key, value in network.state_dict().items())
    output = again.codec.encode(SceneBatch.of([One.view(again)]).scenes)
    [plain], [rescored] = again.codec.decode(output), again.read(output)
    assert len(plain) == len(rescored) == 1
    assert rescored.pose_score != plain.pose_score


@pytest.mark.parametrize("old", [False, True])
def test_mmposes_dekr_is_the_release_again(models, old):
    own = official_state(models[2], "dekr_w8_coco17_64x64")
    again = from_mmpose(models[2], mmpose_of(own, old=old))
    assert set(again) == set(own)
    for key, value in own.items():
        assert torch.allclose(again[key].to(value.dtype), value, atol=1e-6), key


def test_mmposes_higherhrnet_is_imported(models):
    own = official_state(models[1], "higherhrnet_w8_coco17_64x64")
    heads = ("final_layers.", "deconv_layers.")
    theirs = {f"{'keypoint_head.' if key.startswith(heads) else 'backbone.'}{key}": value for key, value in own.items()}
    made = import_release("higherhrnet_w8_coco17_64x64", {"state_dict": theirs})
    assert type(made) is type(models[1])
    assert all(
        torch.equal(a, b)
        for a, b in zip(made.network.state_dict().values(), models[1].network.state_dict().values(), strict=True)
    )


PUBLISHED = {
    "rtmo_t": (17, 416, 6.8),
    "rtmo_s_crowdpose14": (14, 640, 9.8),
    "rtmo_m": (17, 640, 22.5),
    "rtmo_l_coco": (17, 640, 44.7),
    "higherhrnet_w32_coco17_640x640": (17, 640, 28.6),
    "higherhrnet_w48_coco17_512x512": (17, 512, 63.8),
    "dekr_w32_coco17_512x512": (17, 512, 29.6),
    "dekr_w48_coco17_640x640": (17, 640, 65.7),
}
"""One release of each network: keypoints, side of the views, parameters (millions) as the papers have them."""


def test_published_ones_build_with_their_size_and_keypoints():
    names = [name for name in releases() if name.startswith(("rtmo_", "higherhrnet_", "dekr_"))]
    assert len(names) == 20
    assert all(releases()[name].sha256 and releases()[name].url for name in names)
    for name, expected in PUBLISHED.items():
        assert name in names
        with torch.device("meta"):
            model = build(name)
        count = sum(weight.numel() for weight in model.network.parameters())
        assert (len(model.skeleton), model.preprocess.side, round(count / 1e6, 1)) == expected
