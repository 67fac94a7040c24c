"""The laws of backbones (`nn/base.py`), for every file of `nn/backbones/`.

A new file is tried as soon as TINY says how to make a small backbone of it. Those of a package that is named with `--plugin`
are made without arguments.
"""

import copy
import importlib
import inspect
import io
import pkgutil
from collections.abc import Callable
from functools import cache

import pytest
import torch
from torch import Tensor, nn

import poise.nn.backbones
from poise.nn.backbones.blazepose_wang import WangTrunk
from poise.nn.backbones.csp_darknet import CSPDarknet
from poise.nn.backbones.cspnext import CSPNeXt
from poise.nn.backbones.hourglass import HourglassStem
from poise.nn.backbones.hourglass104 import Hourglass104
from poise.nn.backbones.hrnet import HRNet
from poise.nn.backbones.litehrnet import LiteHRNet
from poise.nn.backbones.lpn import LPN
from poise.nn.backbones.mobilenetv2 import MobileNetV2
from poise.nn.backbones.mspn import resnet_bottleneck
from poise.nn.backbones.multistage import Encoder, MultiStage
from poise.nn.backbones.plain import PlainNet
from poise.nn.backbones.resnet import ResNet
from poise.nn.backbones.rsn import ResidualStepsBlock, attentive_block, plain_bottleneck
from poise.nn.backbones.timm import TimmBackbone
from poise.nn.backbones.vit import ViT
from poise.nn.base import Backbone
from poise.plugins import members, named

WIDTHS = (16, 24, 32, 40)
ONE_EACH = (1, 1, 1, 1)

TINY: dict[str, dict[str, Callable[[], Backbone]]] = {
    "blazepose_wang": {"blazepose-wang": WangTrunk},
    "csp_darknet": {"csp-darknet": lambda: CSPDarknet(0.125, 0.167), "csp-last": lambda: CSPDarknet(0.125, 0.33, (4,))},
    "cspnext": {"cspnext": lambda: CSPNeXt(0.125, 0.167), "cspnext-stages": lambda: CSPNeXt(0.125, 0.33, (2, 3, 4))},
    "hourglass": {"hourglass": lambda: HourglassStem(16)},
    "hourglass104": {
        "hourglass104": lambda: Hourglass104(2, (8, 8, 12), (1, 2, 1)),
        "hourglass52": lambda: Hourglass104(1, (8, 12), (1, 1)),
    },
    "hrnet": {"hrnet": lambda: HRNet(4), "hrnet-branches": lambda: HRNet(4, branches=4, gain=2)},
    "lpn": {"lpn-gc": lambda: LPN(50), "lpn-se": lambda: LPN(50, "se")},
    "litehrnet": {"litehrnet": LiteHRNet},
    "mobilenetv2": {"mobilenetv2": lambda: MobileNetV2(0.25)},
    "mspn": {"mspn": lambda: MultiStage(Encoder(resnet_bottleneck, ONE_EACH, WIDTHS), 1)},
    "multistage": {"multistage": lambda: MultiStage(Encoder(resnet_bottleneck, (1, 2, 1, 1), WIDTHS), 3)},
    "plain": {"plain": lambda: PlainNet((8, 12, 16, 20), (1, 2, 1, 1))},
    "resnet": {
        "resnet": lambda: ResNet(18),
        "resnet-caffe": lambda: ResNet(50, "caffe", stages=2),
        "resnext": lambda: ResNet(50, stages=3, groups=8, group_width=4),
    },
    "rsn": {
        "rsn": lambda: MultiStage(Encoder(ResidualStepsBlock, ONE_EACH, WIDTHS), 2),
        "rsn-plain": lambda: MultiStage(Encoder(plain_bottleneck, ONE_EACH, WIDTHS), 2),
        "rsn-udp": lambda: MultiStage(Encoder(attentive_block, ONE_EACH, (64,) * 4), 1, deep_stem=True, refined=True),
    },
    "timm": {
        "timm-resnet": lambda: TimmBackbone("test_resnet"),
        "timm-vit": lambda: TimmBackbone("test_vit"),
        "timm-sized": lambda: TimmBackbone("test_vit", (96, 64)),
        "timm-last": lambda: TimmBackbone("test_vit", (96, 64), last=True),
        "timm-convnext": lambda: TimmBackbone("test_convnext"),
    },
    "vit": {
        "vit": lambda: ViT((48, 32), 24, 2, 3),
        "vit-experts": lambda: ViT((48, 32), 24, 2, 3, part=8, experts=(0, 1, 2, 3, 4, 5)),
    },
}
"""Small backbones by the file they are of, each under a name of its own."""

WITHOUT_EFFECT = {"lpn-gc": ".att.conv_mask.bias"}
"""How weights end that change no answer on purpose: a softmax over cells takes what is added to all of them out again. The
release has such a bias in every block, and so do its checkpoints."""

ONE_SIZE = {"timm-sized": (96, 64), "timm-last": (96, 64), "vit": (48, 32), "vit-experts": (48, 32)}
"""Of backbones that take views of one size (h, w) only."""

MAKERS = {name: make for makers in TINY.values() for name, make in makers.items()} | members(Backbone, named())


def files() -> list[str]:
    return sorted(info.name for info in pkgutil.iter_modules(poise.nn.backbones.__path__))


@cache
def backbone(name: str) -> Backbone:
    """In evaluation mode, its norms used to what they see: initial weights alone make some networks answer almost nothing."""
    if name.startswith("timm"):
        pytest.importorskip("timm")
    torch.manual_seed(0)
    made = MAKERS[name]()
    with torch.no_grad():
        for p in made.parameters():
            if p.ndim == 1 and not p.any():  # norms that begin at 0 hide the layers before them
                p.uniform_(0.2, 0.5)
        for module in made.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.momentum = None  # the mean over all batches so far
        for _ in range(2):
            made.train()(views(sizes(name, made)[-1], 4))
    return made.eval()


def sizes(name: str, made: Backbone) -> list[tuple[int, int]]:
    """Of views (h, w): the smallest, and some that are no multiples of more than `multiple`."""
    m = made.multiple
    return [ONE_SIZE[name]] if name in ONE_SIZE else [(m, m), (m, 3 * m), (5 * m, m), (3 * m, 2 * m)]


def views(size: tuple[int, int], count: int, *, seed: int = 0) -> Tensor:
    return torch.randn(count, 3, *size, generator=torch.Generator().manual_seed(seed))


def difference(found: Tensor, expected: Tensor) -> float:
    """Of two maps: the root of the mean squared difference, by that of what is expected."""
    return float((found.float() - expected).square().mean().sqrt() / expected.square().mean().sqrt())


def test_every_file_has_an_entry():
    missing = set(files()) - set(TINY)
    assert not missing, (
        f"no law is tried on nn/backbones/{', '.join(sorted(missing))}: add to TINY of {__file__} how to make a small backbone "
        "of each file"
    )
    assert set(TINY) == set(files()), "TINY has entries of files that are not there"


def test_every_class_of_the_folder_is_tried():
    modules = [importlib.import_module(f"poise.nn.backbones.{name}") for name in files()]
    classes = {cls for module in modules for cls in vars(module).values() if inspect.isclass(cls)}
    kinds = {cls for cls in classes if issubclass(cls, Backbone) and not inspect.isabstract(cls)}
    with torch.device("meta"):
        missing = {cls.__name__ for cls in kinds} - {type(make()).__name__ for make in MAKERS.values()}
    assert not missing, f"no entry of TINY makes a {', '.join(sorted(missing))}"


@pytest.mark.parametrize("name", MAKERS)
def test_feature_maps_have_the_channels_and_strides_that_the_backbone_says(name):
    made = backbone(name)
    assert all(made.multiple % stride == 0 for stride in made.strides), "views of a multiple must have whole cells"
    for h, w in sizes(name, made):
        with torch.no_grad():
            features = made(views((h, w), 1))
        assert isinstance(features, list)
        found = [tuple(f.shape) for f in features]
        assert found == [(1, c, h // s, w // s) for c, s in zip(made.channels, made.strides, strict=True)]


@pytest.mark.parametrize("name", MAKERS)
def test_a_batch_of_two_is_two_batches_of_one_and_views_stay_as_they_are(name):
    made = backbone(name)
    both = views(sizes(name, made)[-1], 2)
    before = both.clone()
    with torch.no_grad():
        together = made(both)
        apart = [made(both[i : i + 1]) for i in range(2)]
    assert torch.equal(both, before), "a backbone must not write into the views it is given"
    for i in range(2):
        for found, expected in zip(together, apart[i], strict=True):
            assert expected.std() > 1e-3, "an answer of nothing is always the same"
            assert difference(found[i : i + 1], expected) < 1e-4


@pytest.mark.parametrize("name", MAKERS)
def test_bfloat16_runs_and_is_near_float32(name):
    """Near: about as far as float32 is with weights and views that are rounded once. Deep networks enlarge any rounding."""
    made, rounded = backbone(name), copy.deepcopy(backbone(name))
    seen = views(sizes(name, made)[-1], 2)
    with torch.no_grad():
        for p in rounded.parameters():
            p.copy_(p.bfloat16().float())
        expected, once = made(seen), rounded(seen.bfloat16().float())
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = made(seen)
    for half, near, full in zip(found, once, expected, strict=True):
        assert half.shape == full.shape
        assert 0 < difference(half, full) < 3 * difference(near, full)  # 0: nothing was computed in bfloat16; found: 1.2 to 2.1


@pytest.mark.parametrize("name", MAKERS)
def test_a_gradient_reaches_every_weight(name):
    made = backbone(name)
    made.zero_grad()
    features = made(views(sizes(name, made)[-1], 2))
    chance = torch.Generator().manual_seed(1)
    sum((f * torch.randn(f.shape, generator=chance)).sum() for f in features).backward()
    unreached = [key for key, p in made.named_parameters() if p.grad is None or not p.grad.any()]
    unreached = [key for key in unreached if not key.endswith(WITHOUT_EFFECT.get(name, "nothing"))]
    assert not unreached, f"no loss of its feature maps would ever change {', '.join(unreached)}"
    made.zero_grad()


@pytest.mark.parametrize("name", MAKERS)
def test_a_copy_with_the_weights_of_a_file_answers_the_same(name):
    made, file = backbone(name), io.BytesIO()
    seen = views(sizes(name, made)[-1], 1)
    torch.save(made.state_dict(), file)
    file.seek(0)
    torch.manual_seed(1)
    again = MAKERS[name]().eval()
    with torch.no_grad():
        expected = made(seen)
        assert not all(map(torch.equal, again(seen), expected)), "other weights must give another answer"
        again.load_state_dict(torch.load(file, weights_only=True))
        assert all(map(torch.equal, again(seen), expected))


@pytest.mark.parametrize("name", MAKERS)
def test_it_can_be_made_without_weights_as_a_model_file_is_read(name):
    with torch.device("meta"):
        empty = MAKERS[name]()
    assert {key: t.shape for key, t in empty.state_dict().items()} == {
        key: t.shape for key, t in backbone(name).state_dict().items()
    }
    assert all(t.is_meta for t in empty.state_dict().values())
