"""Common parts of RTMPose and RTMW: sizes, keypoints of a name, labels, preprocessing, first weights of the backbone."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from poise.codecs.simcc import SimCC
from poise.dims import Size
from poise.nn.backbones.cspnext import CSPNeXt
from poise.skeletons import Skeleton
from poise.structures import Preprocess
from poise.weights.checkpoint import read_checkpoint, unwrap
from poise.weights.torch_cache import bring
from poise.zoo.imagenet import fill

STRIDE = 32
"""Of the maps that a keypoint's token is made of, pixels."""

FACTORS: Mapping[str, tuple[float, float]] = {
    "t": (0.375, 0.167),
    "s": (0.5, 0.33),
    "m": (0.75, 0.67),
    "l": (1.0, 1.0),
    "x": (1.25, 1.33),
}
"""Factors on CSPNeXt's channels and blocks."""

IMAGENET = "https://download.openmmlab.com/mmdetection/v3.0/rtmdet/cspnext_rsb_pretrain"
IMAGENET_FILES: Mapping[str, str] = {
    "t": "cspnext-tiny_imagenet_600e-3a2dd350.pth",
    "s": "cspnext-s_imagenet_600e-ea671761.pth",
    "m": "cspnext-m_8xb256-rsb-a1-600e_in1k-ecb3bbd9.pth",
    "l": "cspnext-l_8xb256-rsb-a1-600e_in1k-6a760974.pth",
    "x": "cspnext-x_8xb256-rsb-a1-600e_in1k-b3f78edd.pth",
}


def usual_sigmas(size: Size, ratio: float = 2.0) -> tuple[float, float]:
    """Deviations of the labels along x and y, bins: a quarter of the root of the bins, to two digits as in the configs.

    >>> usual_sigmas((256, 192)), usual_sigmas((384, 288))
    ((4.9, 5.66), (6.0, 6.93))
    """
    return round((size[1] * ratio) ** 0.5 / 4, 2), round((size[0] * ratio) ** 0.5 / 4, 2)


def rtm_codec(size: Size, skeleton: Skeleton, *, beta: float = 10.0) -> SimCC:
    """Bins of half a pixel, Gaussians of height 1, a softmax of ten times the labels; flipped vectors are only reversed.

    Args:
        size: Size of the views (h, w).
        skeleton: The keypoints.
        beta: Factor on the output before its softmax: 10 in RTMPose, 1 in RTMW.
    """
    cells = (size[0] // STRIDE, size[1] // STRIDE)
    return SimCC(
        size, cells, len(skeleton), sigma=usual_sigmas(size), beta=beta, label_beta=10.0, per_bin=True, shift_flipped=False
    )


def rtm_preprocess() -> Preprocess:
    """The preprocessing of the releases: box padded by a quarter, ImageNet's mean and deviation."""
    return Preprocess(crop="hrnet")


def start_cspnext(backbone: CSPNeXt, variant: str) -> None:
    """Load OpenMMLab's ImageNet weights of a CSPNeXt.

    Args:
        backbone: The backbone.
        variant: Its letter.

    Raises:
        ReadError: They are not in torch's cache and cannot be downloaded.
        CheckpointError: The file in torch's cache is damaged.
    """
    url = f"{IMAGENET}/{IMAGENET_FILES[variant]}"
    by_hand = (
        f"put {url} into torch's cache (the folder hub/checkpoints of $TORCH_HOME), or start without (--no-pretrained, "
        "pretrained=False)"
    )
    file: Path = bring(url, what=f"CSPNeXt-{variant} (ImageNet)", instead=by_hand)
    state = {key.removeprefix("backbone."): value for key, value in unwrap(read_checkpoint(file)).items()}
    fill(backbone, state, f"OpenMMLab's CSPNeXt-{variant}")


def of_deeplabcut(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """RTMPose's weights in a file of DeepLabCut 3 under OpenMMLab's names; others stay.

    It calls the batch norms `norm`, and the head `heads.bodypart`.
    """
    head = "heads.bodypart."
    if not any(key.startswith(head) for key in weights):
        return dict(weights)
    return {key.replace(head, "head.").replace(".norm.", ".bn."): value for key, value in weights.items()}
