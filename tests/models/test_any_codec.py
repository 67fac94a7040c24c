"""Any name of the zoo takes any codec: it learns, reads, mirrors, and comes back from its file the same."""

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from poise import zoo
from poise.codecs.registry import codec_types
from poise.errors import CheckpointError, InputError, UnknownName
from poise.skeletons import Skeleton
from poise.structures import Batch
from poise.weights.model_file import load, save
from poise.zoo.plain import plain

SIZE = (64, 64)
SMALL = "poise_t_coco_64x64"
NAMES = [
    "poseresnet_18_coco_64x64",
    "hrnet_w16_coco_64x64",
    "udp_hrnet_w16_gaussian_coco_64x64",
    "lpn_50_gc_coco_64x64",
    "cpn_18_coco_64x64",
    "mspn_1stg_coco_64x64",
    "rsn_res18_coco_64x64",
    "hourglass_2stack_b1_17j_64x64",
    "rtmpose_t_coco_64x64",
    "timm_mobilenetv4_conv_small_coco_64x64",
]
"""One of every kind of network: one answer or several, maps of one layer or of many."""

KINDS = ["UDPOffset", "SimCC"]
"""Three channels a keypoint; vectors."""


@pytest.fixture(autouse=True)
def one_thread():
    """Layers this small only lose time to threads that wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def built(name, codec):
    if name.startswith("timm"):
        pytest.importorskip("timm")
    torch.manual_seed(0)
    return zoo.build(name, codec=codec)


def batch():
    generator = torch.Generator().manual_seed(1)
    return Batch(
        images=torch.randn(2, 3, *SIZE, generator=generator),
        xy=8 + 48 * torch.rand(2, 17, 2, generator=generator),
        visible=torch.full((2, 17), 2),
        warps=torch.eye(3).expand(2, 3, 3),
    )


def check(model, folder):
    views = batch()
    loss = model.loss(views)
    loss.backward()
    assert loss.isfinite()
    gradients = [weight.grad for weight in model.parameters() if weight.grad is not None]
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert sum(gradient.abs().sum() for gradient in gradients) > 0

    points = model.eval().predict(views.images, flip=True)
    assert points.xy.shape == (2, 17, 2)
    assert points.xy.isfinite().all()
    assert points.score.isfinite().all()

    again = load(save(model, folder / "model.safetensors"))
    assert (again.codec, again.deep, again.preprocess) == (model.codec, model.deep, model.preprocess)
    with torch.no_grad():
        wanted, found = (each.output(views.images, flip=True) for each in (model, again))
    assert torch.allclose(found, wanted, atol=1e-5 * float(wanted.abs().max()))


@pytest.mark.parametrize("codec", codec_types())
def test_every_codec_makes_a_whole_model(codec, tmp_path):
    model = built(SMALL, codec)
    assert type(model.codec).__name__ == codec
    check(model, tmp_path)


def with_each_kind():
    """Pairs of a network and a codec; vectors after maps of one layer are left to `--exhaustive`, but for one network."""
    several = ("poseresnet", "lpn", "cpn", "mspn", "hourglass")
    for name in NAMES:
        for kind in KINDS:
            alike = kind == "SimCC" and not name.startswith(several)
            yield pytest.param(name, kind, marks=pytest.mark.exhaustive if alike else (), id=f"{name}-{kind}")


@pytest.mark.parametrize(("name", "codec"), [*with_each_kind()])
def test_every_network_takes_codecs_of_every_shape(name, codec, tmp_path):
    model = built(name, codec)
    assert type(model.codec).__name__ == codec
    check(model, tmp_path)


@pytest.mark.parametrize("codec", ["SimCC", "Integral"])
@pytest.mark.parametrize("name", [SMALL, *NAMES])
def test_a_view_the_network_cannot_take_is_refused_whatever_the_codec(name, codec):
    if name.startswith("timm"):
        pytest.importorskip("timm")
    with pytest.raises(ValueError, match=r"multiples of \d+, not 90x64 .*the nearest: "):
        zoo.build(name.replace("64x64", "90x64"), codec=codec)


@pytest.mark.parametrize("codec", ["SimCC", "GRMI", "Regression"])
def test_a_codec_for_other_maps_is_refused(codec):
    other = codec_types()[codec](SIZE, (10, 10), 17)
    with pytest.raises(InputError, match=r"maps of \(10, 10\) .* this network needs views of \(64, 64\), maps of \(16, 16\)"):
        plain("t", size=SIZE, codec=other)


def test_a_codec_nobody_has_written_is_refused_with_the_nearest_names():
    with pytest.raises(UnknownName, match=r"there is no codec 'SimC'; did you mean 'SimCC'"):
        zoo.build(SMALL, codec="SimC")


def test_a_file_with_an_unknown_codec_is_refused(tmp_path):
    path = save(built(SMALL, "SimCC"), tmp_path / "model.safetensors")
    with safe_open(path, framework="pt") as file:
        text = file.metadata()["poise"]
    assert text.count('"SimCC"') == 1
    save_file(load_file(path), path, metadata={"poise": text.replace('"SimCC"', '"SimCD"')})  # an older file: no checksum
    with pytest.raises(CheckpointError, match=r"model.safetensors: there is no codec 'SimCD'; did you mean 'SimCC'"):
        load(path)


def test_a_skeleton_without_mirror_pairs_is_tested_without_mirrored_views():
    ends = Skeleton("ends", ("head", "tail"), sigmas=(0.1, 0.1))
    assert not zoo.build(SMALL, skeleton=ends).preprocess.flip_test
