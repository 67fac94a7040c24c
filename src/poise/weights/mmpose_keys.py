"""Names of weights in MMPose's checkpoints of Simple Baselines and HRNet: the originals', under `backbone.` and a head's name.

MMPose 0.x calls the head `keypoint_head`, 1.x `head`.
"""

from collections.abc import Mapping

from torch import Tensor

BODY = "backbone."
HEADS = ("keypoint_head.", "head.")
LAYERS = ("deconv_layers.", "final_layer.")


def is_mmpose(weights: Mapping[str, Tensor]) -> bool:
    """Whether weights are named as MMPose names them: a backbone, and a head with the layers of Simple Baselines or HRNet."""
    return any(key.startswith(BODY) for key in weights) and any(_head(key) for key in weights)


def originals(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights under the originals' names; unknown names are kept."""
    return {_head(key) or key.removeprefix(BODY): value for key, value in weights.items()}


def _head(key: str) -> str:
    """The original name of a weight of the head; empty for others."""
    for head in HEADS:
        layer = key.removeprefix(head)
        if layer != key and layer.startswith(LAYERS):
            return layer
    return ""


def of_today(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a file of MMPose 0.x under the names of 1.x: the head is called `head`; others stay."""
    old, new = HEADS
    return {new + key.removeprefix(old) if key.startswith(old) else key: value for key, value in weights.items()}
