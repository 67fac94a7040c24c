"""The names of OffsetGuided's models and of our own for whole images: what they build, read and refuse."""

import pytest
import torch

from poise import zoo
from poise.cli.main import main
from poise.codecs.guiding_losses import LabelMaps
from poise.errors import CheckpointError, InputError, UnknownName
from poise.models.bottom_up import BottomUp
from poise.nn.backbones.hourglass104 import Hourglass104
from poise.scenes import Canvas
from poise.skeletons import COCO17, LSP14, MPII16, QUADRUPED
from poise.skeletons.limbs import limbs
from poise.weights.model_file import load, save
from poise.zoo.find import families
from poise.zoo.importing import import_checkpoint, official_state
from poise.zoo.offset_guided import bottom_up, build_codec, parts_of

SMALL = "offsetguided_hrnet2_hmp_omp_64x64"
"""An HRNet of two channels: a quick one of the release's kind."""


def built(name, **options):
    with torch.device("meta"):
        return zoo.build(name, **options)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("offsetguided_hg104_all_128x128", {"heat": 17, "background": 1, "jitter": 2, "offset": 38, "spread": 19, "scale": 17}),
        ("offsetguided_hg104_scale_256x384", {"heat": 17, "offset": 38, "scale": 17}),
        ("offsetguided_hg104_heads3x3_scale_128x128", {"heat": 17, "offset": 38, "scale": 17}),
        ("offsetguided_hrnet48_hmp_omp_256x256", {"heat": 17, "offset": 38}),
        ("offsetguided_hrnet_w18_hmp17_omp31_bg_64x64", {"heat": 17, "background": 1, "offset": 62}),
        ("offsetguided_hg52_plain_limbs44_128x128", {"heat": 17, "offset": 88}),
        ("offsetguided_hg104_jitter_spread_mpii_128x128", {"heat": 16, "jitter": 2, "offset": 30, "spread": 15}),
        ("poise_scene_t_coco_320x320", {"heat": 17, "offset": 38}),
        ("poise_scene_s_scale_mpii_256x256", {"heat": 16, "offset": 30, "scale": 16}),
    ],
)
def test_words_of_a_name_are_its_heads(name, parts):
    assert [key for key, family in families().items() if family.match(name) is not None] == ["offset_guided"]
    model = built(name)
    assert isinstance(model, BottomUp)
    assert parts_of(model.codec) == parts
    assert model.codec.channels == sum(parts.values())
    assert len(model.deep) == ("hg104" in name)


@pytest.mark.parametrize(("which", "count"), [("16", 16), ("19", 19), ("31", 31), ("44", 44)])
def test_limbs_stand_in_a_name(which, count):
    model = built(f"offsetguided_hg104_hmp_omp{which}_128x128")
    assert model.codec.limbs == limbs(COCO17, which)
    assert len(model.codec.limbs) == count


def test_other_skeletons_have_limbs_by_rule():
    for skeleton in (MPII16, LSP14, QUADRUPED):
        model = built("poise_scene_t_coco_256x256", skeleton=skeleton)
        assert model.codec.keypoints == len(skeleton)
        assert model.codec.limbs == limbs(skeleton)


def test_images_reach_the_release_as_it_wants_them_and_our_own_without_bias():
    canvas = built("offsetguided_hg104_scale_512x512").preprocess
    assert (canvas.side, canvas.multiple, canvas.place, canvas.rule) == (640, 128, "corner", "offsetguided")
    own = built("poise_scene_t_coco_256x320").preprocess
    assert (own.side, own.multiple, own.rule) == (320, 32, "unbiased")


def test_scales_are_learnt_as_the_releases_page_says_and_spreads_by_their_own_loss():
    cost = built("offsetguided_hg104_scale_512x512").codec.cost
    assert (cost.offset, cost.root, cost.weights) == ("instance_l1", True, (1.0, 0.0, 0.0, 10000.0, 10.0))
    assert cost.weight == 0.5, "both stacks together weigh 1"
    assert built("offsetguided_hg104_spread_128x128").codec.cost.offset == "laplace"
    assert built("offsetguided_hrnet48_hmp_omp_64x64").codec.cost.weight == 1


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("offsetguided_hg104_scale_200x256", InputError, "multiples of 128, not 200x256.*128x256 or 256x256"),
        ("offsetguided_hrnet48_hmp_omp_250x256", InputError, "multiples of 32.*224x256 or 256x256"),
        ("poise_scene_t_coco_320x300", InputError, "multiples of 32.*320x288 or 320x320"),
        ("offsetguided_hg104_sclae_128x128", UnknownName, "called 'sclae'; did you mean 'scale'"),
        ("offsetguided_hg104_omp25_128x128", UnknownName, "called '25'; there are: 16, 19, 31, 44"),
        ("offsetguided_hg101_128x128", UnknownName, "'hg101'; did you mean 'hg104'"),
        ("poise_scene_m_coco_320x320", UnknownName, "backbone of OffsetGuided 'm'"),
    ],
)
def test_what_no_network_can_be_is_refused_with_what_could(name, error, message):
    with pytest.raises(error, match=message):
        built(name)


def test_codecs_of_one_kind_of_model_are_not_taken_by_the_other():
    with pytest.raises(InputError, match="is bottom-up and takes the codec OffsetGuided only, not 'UDPOffset'"):
        built("poise_scene_t_coco_320x320", codec="UDPOffset")
    assert built("poise_scene_t_coco_320x320", codec="OffsetGuided").codec.keypoints == 17
    with pytest.raises(UnknownName, match="no codec 'OffsetGuided'"):
        built("poise_t_coco_192x160", codec="OffsetGuided")


def test_a_canvas_whose_views_the_network_cannot_take_is_refused():
    with pytest.raises(InputError, match="multiples of 32, and the canvas makes multiples of 48"):
        bottom_up("t", canvas=Canvas(side=320, multiple=48))


def test_only_hrnet_starts_from_imagenet():
    for name in ("poise_scene_t_coco_256x256", "offsetguided_hg104_scale_128x128"):
        with pytest.raises(InputError, match="there are no ImageNet weights of"):
            built(name, pretrained=True)


def test_imagenet_weights_fill_hrnets_backbone(monkeypatch):
    seen = []
    monkeypatch.setattr("poise.zoo.offset_guided.start_hrnet", lambda backbone, width: seen.append((backbone, width)))
    model = zoo.build(SMALL, pretrained=True)
    assert seen == [(model.network.backbone, 2)]


@pytest.mark.parametrize("name", ["poise_scene_t_scale_coco_64x64", SMALL, "offsetguided_hrnet2_k3_all_64x64"])
def test_a_file_carries_everything_a_model_for_whole_images_is(name, tmp_path):
    model = zoo.build(name).eval()
    again = load(save(model, tmp_path / "model.safetensors"))
    view = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        assert torch.equal(model(view), again(view))
    assert (again.codec, again.deep, again.preprocess) == (model.codec, model.deep, model.preprocess)
    assert (again.skeleton, again.card) == (model.skeleton, model.card)


@pytest.mark.parametrize("wrap", ["state_dict", "model_state_dict"])
def test_the_releases_checkpoints_are_read_whatever_stands_beside_the_weights(wrap):
    state = official_state(zoo.build(SMALL), SMALL)
    assert {key.split(".")[0] for key in state} == {"basenet", "headnets"}
    file = {"epoch": 77, "train_loss": 1.0, wrap: {f"module.{k}": v for k, v in state.items()}, "optimizer_state_dict": {}}
    found = import_checkpoint(SMALL, file)
    assert found.description.startswith(f"an official checkpoint of '{SMALL}'")
    assert all(torch.equal(value, state[key]) for key, value in official_state(found.model, SMALL).items())


def test_layers_that_the_release_makes_and_never_asks_are_left_out_and_named():
    name = "offsetguided_hrnet2_heads3x3_scale_64x64"
    state = official_state(zoo.build(name), name)
    idle = [f"headnets.{head}_convs.0.0.{kind}" for head in ("0.bghp", "0.jitter", "1.spread") for kind in ("weight", "bias")]
    found = import_checkpoint(name, state | {key: torch.zeros(2, 2, 3, 3) for key in idle})
    assert (
        "6 weights of layers that its release never asks were left out: headnets.0.bghp_convs.0.0.weight" in found.description
    )
    with pytest.raises(CheckpointError, match=r"1 unexpected: headnets\.1\.spread_convs\.0\.2\.weight"):
        import_checkpoint(name, state | {"headnets.1.spread_convs.0.2.weight": torch.zeros(19, 2, 1, 1)})


@pytest.fixture
def narrow(monkeypatch):
    """The hourglass with eight channels: quick, with the names of the wide one."""
    wide = Hourglass104.__init__
    widths = (8, 8, 8, 8, 8, 8)
    monkeypatch.setattr(Hourglass104, "__init__", lambda self, stacks=2: wide(self, stacks, widths, (1, 1, 1, 1, 1, 1)))


def centernet():
    body = Hourglass104().state_dict()
    return {f"module.{key}": torch.randn_like(value) if value.is_floating_point() else value for key, value in body.items()}


def test_an_hourglass_of_centernet_starts_training_and_what_is_left_out_is_said(narrow, tmp_path, capsys):
    name = "offsetguided_hg104_scale_128x128"
    heads = {f"module.{head}.{stack}.1.bias": torch.zeros(1) for head in ("hm", "hps") for stack in (0, 1)}
    body = centernet()
    torch.save({"epoch": 3, "state_dict": body | heads}, tmp_path / "multi_pose.pth")
    out = tmp_path / "start.safetensors"
    assert main(["import", name, str(tmp_path / "multi_pose.pth"), "--out", str(out)]) == 0
    words = " ".join(capsys.readouterr().out.split())
    assert f"a start for training: its {len(body)} weights are the backbone of '{name}'" in words
    assert "4 weights beside it were left out (hm, hps)" in words
    assert f"the head of '{name}' has its initial weights" in words
    model = load(out)
    state = model.network.state_dict()
    assert all(torch.equal(state[key.replace("module.", "backbone.")], value) for key, value in body.items())
    assert float(model.network.head.maps["heat"][1].weight.detach().abs().max()) < 0.01
    assert "not trained" in model.card.notes


def test_an_hourglass_cannot_start_an_hrnet(narrow):
    with pytest.raises(CheckpointError, match=r"an hourglass of CornerNet or CenterNet, which .* cannot start from"):
        import_checkpoint(SMALL, centernet())


def test_a_codec_of_ones_own_is_taken():
    codec = build_codec(LSP14, which="dense", maps=LabelMaps(sigma=5.0, scale=True))
    model = bottom_up("t", skeleton=LSP14, codec=codec).eval()
    assert model.codec == codec
    assert model(torch.zeros(1, 3, 32, 32)).shape == (1, codec.channels, 8, 8)


def test_simpleposes_network_has_the_releases_weights_and_is_no_whole_model(tmp_path):
    name = "offsetguided_imhn1stage_64x64"
    model = built(name)
    state = official_state(model, name)
    assert next(iter(state)) == "pre.conv1.weight"
    with torch.device("meta"):
        four = zoo.build("offsetguided_imhn4stage_128x128")
    assert len(official_state(four, "offsetguided_imhn4stage_128x128")) == 1848
    assert round(sum(p.numel() for p in four.network.parameters()) / 1e6, 3) == 128.999
    with pytest.raises(InputError, match=r"is a network whose outputs no codec decodes.* take a whole model"):
        save(zoo.build(name), tmp_path / "model.safetensors")
