"""ImageNet weights for backbones, through the loaders of torchvision and timm."""

import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from poise.errors import CheckpointError, InputError
from poise.nn.backbones.hrnet import MODULES, HRNet
from poise.nn.backbones.multistage import MultiStage
from poise.nn.backbones.resnet import ResNet
from poise.nn.backbones.timm import TimmBackbone, whole_model
from poise.nn.blocks import Style
from poise.weights.torch_cache import UNREADABLE, bring

LAST_FUSION = (f"stage4.{MODULES[-1] - 1}.fuse_layers.",)
"""Prefix of HRNet's weights between its last branches and its outputs."""


def start_resnet(backbone: ResNet, depth: int, style: Style) -> None:
    """Load torchvision's first ImageNet weights, those of the paper.

    Args:
        backbone: The ResNet.
        depth: Its depth.
        style: Convolution of a bottleneck that has the stride: "pytorch" the 3x3, "caffe" the first 1x1.

    Raises:
        InputError: Caffe style, for which torchvision has none.
        ReadError: They are not in torch's cache and cannot be downloaded.
        CheckpointError: The file in torch's cache is damaged.
    """
    if style == "caffe":
        raise InputError(
            "torchvision has ImageNet weights for the pytorch style only; take that style, or start without (--no-pretrained, "
            "pretrained=False)"
        )
    fill(backbone, _torchvision(depth), f"torchvision's resnet{depth}")


def start_mspn(backbone: MultiStage) -> None:
    """Load torchvision's first ImageNet weights of ResNet-50 into the stem and the encoder of every stage.

    Raises:
        ReadError: They are not in torch's cache and cannot be downloaded.
        CheckpointError: The file in torch's cache is damaged.
    """
    fill(backbone, resnet_as_mspn(_torchvision(50), backbone.state_dict()), "torchvision's resnet50")


def resnet_as_mspn(state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a ResNet-50 under the names of MSPN's backbone.

    Args:
        state: Weights of the ResNet, named as in torchvision.
        own: Weights of the backbone. Its decoders, which a ResNet lacks, are kept; biases of its convolutions become 0.
    """
    ready = {key: value for key, value in own.items() if ".upsample." in key}
    biases = {key: torch.zeros_like(value) for key, value in own.items() if key not in ready and key.endswith("conv.bias")}
    rest = {key: _in_resnet(key) for key in own if key not in ready and key not in biases}
    return ready | biases | {key: state[name] for key, name in rest.items() if name in state}


def _in_resnet(key: str) -> str:
    """The name in torchvision: `layer1.0.bn2.weight` for `stages.1.downsample.layer1.0.conv_bn_relu2.bn.weight`."""
    key = re.sub(r"^top\.conv\.(conv|bn)\.", r"\g<1>1.", key)
    key = re.sub(r"^stages\.\d+\.downsample\.", "", key)
    key = re.sub(r"\.conv_bn_relu(\d)\.(conv|bn)\.", r".\2\1.", key)
    return key.replace(".downsample.conv.", ".downsample.0.").replace(".downsample.bn.", ".downsample.1.")


def _torchvision(depth: int) -> Mapping[str, Tensor]:
    from torchvision.models import get_model_weights

    weights = get_model_weights(f"resnet{depth}").IMAGENET1K_V1
    by_hand = (
        f"put {weights.url} into torch's cache (the folder hub/checkpoints of $TORCH_HOME), or start without "
        "(--no-pretrained, pretrained=False)"
    )
    file = bring(weights.url, what=f"ResNet-{depth} (ImageNet)", instead=by_hand)
    try:
        state: Mapping[str, Tensor] = weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
        return state
    except (OSError, RuntimeError, *UNREADABLE) as error:
        raise CheckpointError(f"{file} is damaged ({error}); delete it, and {by_hand}") from error


def start_hrnet(backbone: HRNet, width: int) -> None:
    """Load timm's ImageNet weights of the HRNet classifier, whose backbone is the same.

    The last fusion layers are loaded only if they have the same width; wider ones (UDP) keep their initial weights.

    Raises:
        MissingExtra: timm is not installed.
        UnknownName: timm has no HRNet of that width.
        ReadError: The weights are not in its cache and cannot be downloaded.
    """
    anew = () if backbone.channels[0] == width else LAST_FUSION
    fill(backbone, whole_model(f"hrnet_w{width}").state_dict(), f"timm's hrnet_w{width}", anew=anew)


def start_timm(backbone: TimmBackbone, name: str) -> None:
    """Load timm's weights into a backbone for views of any size.

    Raises:
        ReadError: The weights are not in its cache and cannot be downloaded.
    """
    fill(backbone, TimmBackbone(name, pretrained=True).state_dict(), f"timm's {name}")


def fill(backbone: nn.Module, state: Mapping[str, Tensor], source: str, *, anew: tuple[str, ...] = ()) -> None:
    """Load every weight of the backbone from `state`, except those with prefixes in `anew`.

    Further weights of the classifier are not used.

    Args:
        backbone: The backbone.
        state: Weights under the backbone's names.
        source: Whose they are, for the message.
        anew: Beginnings of names of weights that stay as they are.

    Raises:
        CheckpointError: A weight is missing or of another shape.
    """
    own = {key: value for key, value in backbone.state_dict().items() if not key.startswith(anew)}
    unfit = [key for key, value in own.items() if key not in state or state[key].shape != value.shape]
    if unfit:
        raise CheckpointError(
            f"{source} lacks {len(unfit)} weights of this backbone, such as {unfit[0]!r}; is it another version?"
        )
    backbone.load_state_dict({key: state[key] for key in own}, strict=False)  # `unfit` was strict


def refuse_pretrained(pretrained: bool, what: str) -> None:
    """Refuse ImageNet weights for a network that has none.

    Args:
        pretrained: Whether they are asked for.
        what: The network, for the message.

    Raises:
        InputError: They are asked for.
    """
    if pretrained:
        raise InputError(
            f"there are no ImageNet weights of {what}, whose authors train from scratch; start without (--no-pretrained, "
            "pretrained=False)"
        )
