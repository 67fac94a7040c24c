"""The names of LPN, CPN, MSPN, RSN, stacked hourglasses, DARK and UDP: what they build."""

import pytest
import torch

from poise import zoo
from poise.errors import InputError, UnknownName
from poise.skeletons import ANIMAL18, COCO17, MPII16, QUADRUPED
from poise.weights.model_file import load, save
from poise.zoo.find import families, family_of
from poise.zoo.hourglass import hourglass
from poise.zoo.importing import official_state
from poise.zoo.lpn import lpn
from poise.zoo.udp import udp_hrnet


def built(name, **options):
    with torch.device("meta"):
        return zoo.build(name, **options)


def millions(model):
    return sum(p.numel() for p in model.network.parameters()) / 1e6


def published():
    """Every combination the papers' releases are configured for, with its family."""
    sizes = ("coco_256x192", "coco_384x288", "mpii_256x256")
    kinds = {
        "lpn": [f"lpn_{depth}_{attention}" for depth in (50, 101, 152) for attention in ("gc", "se", "none")],
        "mspn": [f"mspn_{stages}stg" for stages in (1, 2, 3, 4)],
        "rsn": [f"rsn_{kind}" for kind in ("res18", "rsn18", "4xrsn18")],
        "udp": [
            f"udp_{net}_{target}"
            for net in ("hrnet_w32", "hrnet_w48", "poseresnet50", "poseresnet152")
            for target in ("gaussian", "offset")
        ],
    }
    for family, stems in kinds.items():
        yield from ((family, f"{stem}_{size}") for stem in stems for size in sizes)
    yield from (("cpn", f"cpn_{d}_coco_{size}") for d in (50, 101) for size in ("256x192", "384x288", "256x256"))
    yield from (
        ("hourglass", f"hourglass_{stacks}stack_b{blocks}_{joints}j_256x256")
        for stacks in (1, 2, 4, 8)
        for blocks in (1, 4)
        for joints in (16, 17, 18)
    )
    yield from (("darkpose", f"darkpose_{net}_coco_128x96") for net in ("hrnet_w32", "hourglass4", "hourglass8"))


def test_every_published_combination_is_a_name_of_its_family_alone():
    for family, name in published():
        assert [key for key, value in families().items() if value.match(name) is not None] == [family], name


# The authors' tables and checkpoints: millions of parameters, and weights of the checkpoint with its counters.
@pytest.mark.parametrize(
    ("name", "size", "entries"),
    [
        ("lpn_50_gc_coco_256x192", 2.911, 466),
        ("lpn_101_gc_coco_256x192", 5.353, 908),
        ("lpn_152_gc_coco_256x192", 7.377, 1350),
        ("lpn_50_none_coco_256x192", 2.733, 338),
        ("lpn_101_none_mpii_256x256", 5.026, 644),
        ("lpn_152_se_mpii_384x384", 7.351, 1050),
        ("hourglass_1stack_b1_18j_256x256", 3.587, 377),
        ("hourglass_2stack_b4_16j_256x256", 24.751, 2448),
        ("hourglass_8stack_b1_16j_256x256", 25.595, 2526),
        ("hourglass_1stack_b1_17j_256x256", 3.587, 377),
        ("cpn_50_coco_256x256", 27.407, 582),
        ("cpn_101_coco_384x288", 46.399, 888),
        ("mspn_1stg_coco_256x192", 25.142, 476),
        ("mspn_2stg_mpii_256x256", 56.849, 1008),
        ("mspn_4stg_coco_384x288", 120.318, 2072),
        ("rsn_res18_coco_256x192", 8.559, 301),
        ("rsn_rsn18_mpii_256x256", 9.150, 805),
        ("rsn_4xrsn18_coco_256x192", 38.456, 3388),
        ("darkpose_hourglass8_coco_128x96", 25.598, 2526),
        ("darkpose_hrnet_w48_coco_384x288", 63.596, 1754),
        ("darkpose_poseresnet_101_coco_128x96", 52.992, 644),
        ("udp_hrnet_w48_offset_coco_384x288", 63.712, 1755),
        ("udp_hrnet_w32_gaussian_mpii_256x256", 28.585, 1755),
        ("udp_poseresnet50_offset_coco_256x192", 34.008, 338),
        ("udp_poseresnet152_gaussian_coco_384x288", 68.635, 950),
    ],
)
def test_networks_are_as_large_as_their_checkpoints(name, size, entries):
    model = built(name)
    assert millions(model) == pytest.approx(size, abs=6e-4)
    assert len(official_state(model, name)) == entries


@pytest.mark.parametrize(("joints", "skeleton"), [(16, MPII16), (17, COCO17), (18, ANIMAL18)])
@pytest.mark.parametrize(("stacks", "blocks"), [(1, 1), (2, 1), (4, 4)])
def test_hourglasses_have_the_joints_of_their_data_and_learn_at_every_stack(stacks, blocks, joints, skeleton):
    model = built(f"hourglass_{stacks}stack_b{blocks}_{joints}j_256x256")
    assert model.skeleton is skeleton
    assert model.deep == (model.codec,) * (stacks - 1)
    assert (model.codec.cells, model.codec.sigma) == ((64, 64), 1)
    assert model.preprocess.std == (1, 1, 1)


@pytest.mark.parametrize(
    ("name", "crop", "channels"),
    [
        ("lpn_50_gc_coco_256x192", "hrnet", "bgr"),
        ("lpn_50_gc_mpii_256x256", "hrnet", "rgb"),
        ("darkpose_hrnet_w32_coco_128x96", "dark", "rgb"),
        ("darkpose_hourglass4_coco_128x96", "dark", "bgr"),
        ("darkpose_poseresnet_50_coco_128x96", "dark", "bgr"),
        ("udp_hrnet_w32_offset_coco_256x192", "udp", "rgb"),
        ("udp_poseresnet50_offset_coco_256x192", "udp", "bgr"),
        ("hourglass_4stack_b1_18j_256x256", "hourglass", "rgb"),
    ],
)
def test_views_are_cut_and_read_as_each_release_does(name, crop, channels):
    cut = built(name).preprocess
    assert (cut.crop, cut.channels) == (crop, channels)


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("lpn_50_gc_coco_256x192", {"sigma": 2.0, "beta": 160.0, "quarter": True}),
        ("lpn_50_gc_coco_384x288", {"sigma": 3.0}),
        ("darkpose_hrnet_w32_coco_128x96", {"sigma": 1.0, "kernel": 3}),
        ("darkpose_hrnet_w32_coco_256x192", {"sigma": 2.0, "kernel": 11}),
        ("darkpose_hrnet_w48_coco_128x96", {"sigma": 1.0, "kernel": 11}),
        ("darkpose_hourglass4_coco_128x96", {"sigma": 1.0, "kernel": 11}),
        ("darkpose_hourglass8_coco_128x96", {"sigma": 2.0, "kernel": 11}),
        ("udp_hrnet_w32_gaussian_coco_256x192", {"sigma": 2.0}),
        ("udp_hrnet_w32_offset_coco_256x192", {"radius": 4.0}),
    ],
)
def test_codecs_are_set_as_the_releases_configure_them(name, fields):
    codec = built(name).codec
    assert {key: getattr(codec, key) for key in fields} == fields


@pytest.mark.parametrize(
    "name",
    [
        "lpn_50_gc_coco_64x64",
        "hourglass_2stack_b1_16j_64x64",
        "darkpose_hourglass4_coco_128x96",
        "udp_hrnet_w32_gaussian_coco_64x64",
    ],
)
def test_any_codec_fits_any_name(name):
    size = built(name).codec.size
    for codec in ("UDPOffset", "Dark"):
        model = built(name, codec=codec)
        assert type(model.codec).__name__ == codec
        assert model.preprocess.crop == {"UDPOffset": "udp", "Dark": "dark"}[codec]
        assert all(type(earlier).__name__ == codec for earlier in model.deep)
        outputs = model.outputs(torch.zeros(2, 3, *size, device="meta"))
        assert [o.shape for o in outputs] == [(2, model.codec.channels, size[0] // 4, size[1] // 4)] * len(outputs)


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("lpn_50_gc_coco_250x192", "240x192 or 256x192"),
        ("hourglass_2stack_b1_16j_254x256", "252x256 or 256x256"),
        ("hourglass_2stack_b1_16j_32x256", "nearest: 64x256"),
        ("hourglass_2stack_b1_16j_32x70", "64x68 or 64x72"),
        ("darkpose_hourglass4_coco_128x90", "128x88 or 128x92"),
        ("darkpose_hrnet_w32_coco_100x96", "96x96 or 128x96"),
        ("udp_hrnet_w32_offset_coco_270x192", "256x192 or 288x192"),
    ],
)
def test_a_size_the_network_cannot_take_is_answered_with_near_ones(name, near):
    with pytest.raises(InputError, match=near):
        built(name)


@pytest.mark.parametrize(
    "name", ["lpn_51_gc_coco_256x192", "hourglass_0stack_b1_16j_256x256", "hourglass_1stack_b0_16j_256x256"]
)
def test_depths_and_numbers_nobody_can_build_are_refused(name):
    with pytest.raises(InputError):
        built(name)


@pytest.mark.parametrize(
    "name", ["lpn_50_cbam_coco_256x192", "hourglass_2stack_b1_19j_256x256", "udp_hrnet_w32_disk_coco_256x192"]
)
def test_names_that_are_nearly_right_are_answered_with_near_ones(name):
    with pytest.raises(UnknownName, match="did you mean"):
        built(name)


@pytest.mark.parametrize("name", ["lpn_50_gc_coco_64x64", "hourglass_1stack_b1_16j_64x64", "darkpose_hourglass4_coco_128x96"])
def test_networks_nobody_trained_on_imagenet_say_so(name):
    with pytest.raises(InputError, match="start without"):
        built(name, pretrained=True)


def test_a_codec_asked_for_by_name_has_the_width_its_release_gives_it():
    for size, gaussian in (("128x96", 1), ("256x192", 2), ("384x288", 3)):
        name = f"poseresnet_18_coco_{size}"
        assert built(name, codec="UDPGaussian").codec.sigma == gaussian
        assert built(name, codec="Hourglass").codec.sigma == 1


def test_hourglasses_take_another_skeleton():
    model = built("hourglass_2stack_b1_18j_64x64", skeleton=QUADRUPED)
    assert model.codec.keypoints == len(QUADRUPED)
    assert len(model.deep) == 1


def test_every_variant_of_lpns_attention_survives_its_file(tmp_path):
    model = lpn(50, "gc", pooling="average", fusion="multiply", size=(64, 64)).eval()
    for parameter in model.network.parameters():
        torch.nn.init.normal_(parameter, std=0.1) if parameter.ndim > 1 else None
    copy = load(save(model, tmp_path / "lpn.safetensors"))
    view = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(copy(view), model(view))
    assert "channel_mul_conv" in " ".join(copy.network.state_dict())


def test_a_stack_of_hourglasses_survives_its_file(tmp_path):
    model = hourglass(2, size=(64, 64)).eval()
    copy = load(save(model, tmp_path / "hourglass.safetensors"))
    view = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert all(torch.equal(a, b) for a, b in zip(copy.outputs(view), model.outputs(view), strict=True))
    assert copy.deep == model.deep


def test_imagenets_weights_fill_all_of_udps_hrnet_but_its_last_sums():
    pytest.importorskip("timm")
    import timm

    with torch.device("meta"):
        given = timm.create_model("hrnet_w32").state_dict()
        needed = udp_hrnet(32).network.backbone.state_dict()
    anew = {key for key, value in needed.items() if key not in given or given[key].shape != value.shape}
    assert anew
    assert all(key.startswith("stage4.2.fuse_layers.0.") for key in anew)


def test_every_listed_name_is_of_its_own_family():
    listed = {"lpn": 10, "hourglass": 9, "darkpose": 25, "udp": 14}
    assert {family: len(families()[family].releases) for family in listed} == listed
    for family in listed:
        assert all(family_of(release.name) is families()[family] for release in families()[family].releases)


def test_names_of_lpn_say_how_its_context_is_pooled_and_fused():
    with torch.device("meta"):
        made = zoo.build("lpn_50_gc_avg_mul_coco_256x192").card.architecture.arguments
        plain = zoo.build("lpn_50_gc_coco_256x192").card.architecture.arguments
    assert (made["attention"], made["pooling"], made["fusion"]) == ("gc", "average", "multiply")
    assert (plain["attention"], plain["pooling"], plain["fusion"]) == ("gc", "attention", "add")
