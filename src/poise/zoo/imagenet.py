"""Backbones that start from ImageNet weights, as both papers train: through torchvision's and timm's own loaders."""

from collections.abc import Mapping

from torch import Tensor, nn

from poise.errors import CheckpointError, InputError, ReadError
from poise.nn.backbones.hrnet import HRNet
from poise.nn.backbones.resnet import ResNet
from poise.nn.blocks import Style


def start_resnet(backbone: ResNet, depth: int, style: Style) -> None:
    """Load torchvision's first ImageNet weights, the ones of the paper.

    Raises:
        InputError: Caffe style, for which torchvision has none.
        ReadError: They are not in torch's cache and cannot be downloaded.
    """
    if style == "caffe":
        raise InputError(
            "torchvision has ImageNet weights for the pytorch style only; take that style, or start without (pretrained off)"
        )
    from torchvision.models import get_model_weights

    weights = get_model_weights(f"resnet{depth}").IMAGENET1K_V1
    try:
        state: Mapping[str, Tensor] = weights.get_state_dict(progress=False, check_hash=True)
    except (OSError, RuntimeError) as error:  # RuntimeError: a broken download, by its hash
        raise ReadError(
            f"the ImageNet weights of ResNet-{depth} cannot be downloaded ({error}); put {weights.url} into torch's cache "
            "(the folder hub/checkpoints of $TORCH_HOME), or start without (pretrained off)"
        ) from error
    _fill(backbone, state, f"torchvision's resnet{depth}")


def start_hrnet(backbone: HRNet, width: int) -> None:
    """Load timm's ImageNet weights of the classifier HRNet, whose trunk is this one.

    Raises:
        MissingExtra: timm is not installed.
        UnknownName: timm has no HRNet of that width.
        ReadError: The weights are not in its cache and cannot be downloaded.
    """
    from poise.nn.backbones.timm import whole_model

    _fill(backbone, whole_model(f"hrnet_w{width}").state_dict(), f"timm's hrnet_w{width}")


def _fill(backbone: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    """Every weight of the backbone from `state`; what the classifier has beside them stays behind."""
    own = backbone.state_dict()
    unfit = [key for key, value in own.items() if key not in state or state[key].shape != value.shape]
    if unfit:
        raise CheckpointError(
            f"{source} lacks {len(unfit)} weights of this backbone, such as {unfit[0]!r}; is it another version?"
        )
    backbone.load_state_dict({key: state[key] for key in own})
