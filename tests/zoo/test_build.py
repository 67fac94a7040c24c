import json

import pytest
import torch
import torchvision

from poise import zoo
from poise.errors import InputError, ReadError, UnknownName
from poise.nn.backbones.hrnet import HRNet
from poise.nn.backbones.resnet import ResNet
from poise.skeletons import COCO17, MPII16, QUADRUPED
from poise.weights import torch_cache
from poise.zoo.cost import STORED, measure_model, model_costs
from poise.zoo.find import families, releases
from poise.zoo.simple_baselines import poseresnet


def test_every_published_combination_is_listed():
    names = set(zoo.names())
    for depth in (18, 34, 50, 101, 152):
        for shape in ("coco_256x192", "coco_384x288", "mpii_256x256", "mpii_384x384"):
            assert f"poseresnet_{depth}_{shape}" in names
            assert (f"poseresnet_{depth}_caffe_{shape}" in names) == (depth >= 50)
    assert {f"hrnet_{w}_{s}" for w in ("w32", "w48") for s in ("coco_256x192", "coco_384x288", "mpii_256x256")} <= names


def test_the_smallest_and_the_largest_of_every_family_build_and_stored_sizes_are_those_of_the_networks():
    # All of them would take half a minute; `python -m poise.zoo.cost` builds, counts and stores every one.
    stored = json.loads(STORED.read_text())
    assert set(stored) == set(zoo.names()), f"run python -m poise.zoo.cost to renew {STORED}"
    for family in families().values():
        listed = sorted((release.name for release in family.releases), key=lambda name: stored[name])
        for name in (*listed[:1], *listed[-1:]):
            with torch.device("meta"):
                model = zoo.build(name)
            assert sum(p.numel() for p in model.network.parameters()) == stored[name][0]
    for name in ("hrnet_w32_mpii_256x256", "poseresnet_18_coco_384x288", "poseresnet_50_caffe_coco_256x192"):
        assert measure_model(name) == model_costs([name])[name], f"run python -m poise.zoo.cost to renew {STORED}"


def test_sizes_stand_in_a_name_whether_listed_or_not():
    model = zoo.build("poseresnet_18_mpii_320x256")
    assert (model.codec.size, model.codec.cells, model.skeleton) == ((320, 256), (80, 64), MPII16)


@pytest.mark.parametrize(
    ("name", "sigma"), [("coco_256x192", 2), ("coco_384x288", 3), ("mpii_256x256", 2), ("mpii_384x384", 3), ("coco_128x96", 1)]
)
def test_maps_are_as_wide_as_in_the_releases(name, sigma):
    with torch.device("meta"):
        assert zoo.build(f"poseresnet_18_{name}").codec.sigma == sigma


def test_simple_baselines_read_bgr_and_hrnet_rgb():
    with torch.device("meta"):
        assert zoo.build("poseresnet_18_coco_256x192").preprocess.channels == "bgr"
        assert zoo.build("hrnet_w32_coco_256x192").preprocess.channels == "rgb"


def test_another_skeleton_may_be_asked_for():
    assert zoo.build("poseresnet_18_coco_64x64", skeleton=QUADRUPED).codec.keypoints == len(QUADRUPED)


def test_an_unknown_name_is_answered_with_near_ones():
    with pytest.raises(UnknownName, match="hrnet_w32_coco_256x192"):
        zoo.build("hrnet_w32_coco256x192")


def test_a_size_the_network_cannot_take_is_answered_with_near_ones():
    with pytest.raises(InputError, match="256x192 or 288x192"):
        zoo.build("hrnet_w32_coco_270x192")


def test_a_codec_for_other_views_is_refused():
    codec = poseresnet(18, size=(64, 64)).codec
    with pytest.raises(InputError, match="this network needs"):
        poseresnet(18, size=(128, 128), codec=codec)


def test_imagenet_weights_of_the_caffe_style_are_refused():
    with pytest.raises(InputError, match="pytorch style"):
        zoo.build("poseresnet_50_caffe_coco_64x64", pretrained=True)


def test_every_release_belongs_to_its_family_and_tells_its_licence():
    for family in families().values():
        for release in family.releases:
            assert family.match(release.name) is not None
            assert release.licence != "unknown"
            assert all(0 < score < 1 for score in release.scores.values())
            assert not release.file or (release.page and release.folder)
    assert releases()["hrnet_w48_coco_384x288"].scores == {"coco-val2017/AP": 0.763}
    assert len(COCO17) == 17


@pytest.mark.parametrize("width", [32, 48])
def test_every_weight_of_hrnet_stands_in_timms_classifier_of_the_same_width(width):
    timm = pytest.importorskip("timm")
    with torch.device("meta"):
        given = timm.create_model(f"hrnet_w{width}").state_dict()
        needed = HRNet(width).state_dict()
    assert all(given[key].shape == value.shape for key, value in needed.items())


@pytest.mark.parametrize("depth", [18, 50])
def test_every_weight_of_resnet_stands_in_torchvisions(depth):
    with torch.device("meta"):
        given = torchvision.models.get_model(f"resnet{depth}").state_dict()
        needed = ResNet(depth).state_dict()
    assert all(given[key].shape == value.shape for key, value in needed.items())


def test_imagenet_weights_out_of_reach_say_how_to_go_on(monkeypatch, tmp_path):
    def no_network(url, path, *, instead):
        raise ReadError(f"{url} cannot be downloaded; {instead}")

    monkeypatch.setattr(torch_cache, "download", no_network)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    with pytest.raises(ReadError, match=r"TORCH_HOME.*start without"):
        zoo.build("poseresnet_18_coco_64x64", pretrained=True)
