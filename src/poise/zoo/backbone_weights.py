"""A backbone's weights from an ImageNet file of others, whatever names their code gives them; what matched is told."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import final

import torch
from torch import Tensor, nn

from poise.errors import CheckpointError
from poise.models.base import TrainableModel
from poise.nn.backbones.hrnet import HRNet
from poise.nn.backbones.multistage import MultiStage
from poise.nn.backbones.plain import PlainNet
from poise.nn.backbones.resnet import ResNet
from poise.nn.backbones.timm import TimmBackbone
from poise.nn.backbones.vit import ViT
from poise.weights.cache import located
from poise.weights.checkpoint import COUNTER, beside_weights, check_finite, few, read_checkpoint, unwrap
from poise.weights.model_file import read_weights
from poise.weights.whole_network import is_model_file
from poise.zoo.imagenet import LAST_FUSION, resnet_as_mspn
from poise.zoo.vitpose_keys import of_a_plain_vit

Names = Mapping[str, Tensor]
"""Weights by name."""

_BODIES = (ResNet, HRNet, MultiStage, PlainNet, TimmBackbone, ViT)
_AFFINE = {"s": "weight", "b": "bias"}


@final
@dataclass(frozen=True)
class StartedBackbone:
    """What a backbone took from a file.

    Attributes:
        source: Whose names the weights have.
        taken: Number of weights that were taken.
        anew: Weights of the backbone that start anew, because no classifier has them in this form.
        left: Names of what the file holds besides.
    """

    source: str
    taken: int
    anew: tuple[str, ...]
    left: tuple[str, ...]

    def __str__(self) -> str:
        """In words, to print."""
        anew = f"; {len(self.anew)} start anew: {few(self.anew)}" if self.anew else ""
        left = f"; left aside: {few(self.left)}" if self.left else ""
        return f"all {self.taken} weights of the backbone, by {self.source} names{anew}{left}"


def start_backbone(model: TrainableModel, path: Path | str) -> StartedBackbone:
    """Load the backbone of a model from a file of others: torchvision, timm, HRNet, Detectron2, Caffe2, OpenMMLab or MAE.

    Also from a model file of poise with the same backbone, such as that of a detector from a top-down model.

    Args:
        model: The model, whose backbone is filled in place; the rest of it stays.
        path: The file: a state dict, perhaps in a training state (.pth, .pth.tar, .pkl, .safetensors); or a model file, or the
            name of one (`weights.cache`).

    Raises:
        CheckpointError: The file cannot be read, or lacks weights of this backbone.
    """
    path = located(path)
    own = is_model_file(path)
    content = read_weights(path) if own else read_checkpoint(path)
    weights = content if own else unwrap(content)
    check_finite(weights)
    body = _body(model.network)
    wanted = {key: value for key, value in body.state_dict().items() if not key.endswith(COUNTER)}
    names = OWN_READINGS if own else READINGS
    readings = [(source, _fitting(body, wanted, rename(weights))) for source, rename in names]
    source, found = max(readings, key=lambda one: len(one[1]))
    missing = tuple(key for key in wanted if key not in found)
    anew = tuple(key for key in missing if _new(body, key))
    if len(missing) > len(anew):
        lacking = tuple(key for key in missing if key not in anew)
        raise CheckpointError(
            f"{path} fits {len(found)} of {len(wanted)} weights of the backbone of {model.card.name!r} (read by {source} "
            f"names); it lacks {len(lacking)}, or has them in another shape: {few(lacking)}. Is it of another depth or width? "
            "Without such a file: --no-pretrained"
        )
    body.load_state_dict(found, strict=False)  # what is missing was looked at
    used, named = {value.data_ptr() for value in found.values()}, {name for key in found for name in _aliases(key)}
    spare = (key for key, value in weights.items() if value.data_ptr() not in used and key not in named)
    left = tuple(key for key in spare if not key.endswith(COUNTER))
    return StartedBackbone(source, len(found), anew, left if own else (*left, *beside_weights(content)))


def _body(network: nn.Module) -> nn.Module:
    """The part of a network that classifiers share: a known backbone inside it, else what it calls `backbone`."""
    known = next((part for part in network.modules() if isinstance(part, _BODIES)), None)
    if known is not None:
        return known
    part: nn.Module = network.get_submodule("backbone")
    return part


def _new(body: nn.Module, key: str) -> bool:
    """Whether a weight is one that no classifier has: UDP's wider last fusion, the decoders of MSPN."""
    return (isinstance(body, HRNet) and key.startswith(LAST_FUSION)) or (
        isinstance(body, MultiStage) and (".upsample." in key or "cross_conv" in key)
    )


def _fitting(body: nn.Module, own: Names, given: Names) -> dict[str, Tensor]:
    """The weights of a backbone that a file has in the same shape."""
    if isinstance(body, MultiStage):
        given = {key: value for key, value in resnet_as_mspn(given, own).items() if not _new(body, key)}
    if isinstance(body, TimmBackbone):
        given = body.converted(given)
    if isinstance(body, ViT):
        given = of_a_plain_vit(given, body.cells)
    found = {key: next((given[name] for name in _aliases(key) if name in given), None) for key in own}
    return {key: value for key, value in found.items() if value is not None and value.shape == own[key].shape}


def _aliases(key: str) -> tuple[str, ...]:
    """A weight's name, and that in a whole model of timm: `stages.0` for `body.stages_0`, `blocks` for `body.model.blocks`."""
    inner = key.removeprefix("body.").removeprefix("model.")
    return key, inner, re.sub(r"^([a-z]+)_(\d+)\.", r"\1.\2.", inner)


def _plain(weights: Names) -> Names:
    return weights


def _of_a_part(weights: Names) -> Names:
    """Without `backbone.` or `encoder.` before the names."""
    return {re.sub(r"^(backbone|encoder)\.", "", key): value for key, value in weights.items()}


def _of_a_detector(weights: Names) -> Names:
    """Without the `backbone.body.` of a detector's trunk."""
    return {key.removeprefix("backbone.").removeprefix("body."): value for key, value in weights.items()}


def _detectron2(weights: Names) -> Names:
    """Torchvision's names for Detectron2's: `res2.0.conv1.norm.weight` is `layer1.0.bn1.weight`."""
    return {_from_detectron2(key): value for key, value in weights.items()}


def _from_detectron2(key: str) -> str:
    key = re.sub(r"^(backbone\.)?(bottom_up\.)?(stem\.)?", "", key)
    key = re.sub(r"^res([2-5])\.", lambda m: f"layer{int(m[1]) - 1}.", key)
    key = re.sub(r"shortcut\.norm\.", "downsample.1.", key)
    key = re.sub(r"shortcut\.", "downsample.0.", key)
    return re.sub(r"conv(\d)\.norm\.", r"bn\1.", key)


def _caffe2(weights: Names) -> Names:
    """Torchvision's names for Caffe2's: `res2_0_branch2a_bn_s` is `layer1.0.bn1.weight`.

    Its norms are a factor and a summand: mean 0 and variance 1 stand for the statistics they have been multiplied into.
    """
    found: dict[str, Tensor] = {}
    for key, value in weights.items():
        name = _from_caffe2(key)
        found[name] = value
        if name.endswith(".weight") and key.endswith("_bn_s"):
            norm = name.removesuffix("weight")
            found |= {f"{norm}running_mean": torch.zeros_like(value), f"{norm}running_var": torch.ones_like(value)}
    return found


def _from_caffe2(key: str) -> str:
    stem = {"conv1_w": "conv1.weight", "res_conv1_bn_s": "bn1.weight", "res_conv1_bn_b": "bn1.bias"}
    if key in stem:
        return stem[key]
    found = re.fullmatch(r"res([2-5])_(\d+)_branch(1|2[abc])_(?:(w)|bn_([sb]))", key)
    if found is None:
        return key
    block = f"layer{int(found[1]) - 1}.{found[2]}."
    if found[3] == "1":
        return f"{block}downsample.0.weight" if found[4] else f"{block}downsample.1.{_AFFINE[found[5]]}"
    number = "abc".index(found[3][1]) + 1
    return f"{block}conv{number}.weight" if found[4] else f"{block}bn{number}.{_AFFINE[found[5]]}"


OWN_READINGS: tuple[tuple[str, Callable[[Names], Names]], ...] = (("poise's", _of_a_part), ("poise's", _of_a_detector))
"""What makes ours of the names of a model file: of a network for views, of a detector's."""

READINGS: tuple[tuple[str, Callable[[Names], Names]], ...] = (
    ("torchvision's, timm's or HRNet's", _plain),
    ("OpenMMLab's", _of_a_part),
    ("Detectron2's", _detectron2),
    ("Caffe2's", _caffe2),
)
"""Whose names are tried, and what makes ours of them."""
