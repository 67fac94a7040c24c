"""MMPose's checkpoints of Simple Baselines and HRNet: the original weights with the prefix `backbone.` and that of a head.

MMPose 0.x calls the head `keypoint_head`, 1.x `head`. Its networks take RGB, Simple Baselines too; with three outputs a
keypoint they are UDP's disks and offsets, with a radius of 0.0546875 of the map's height.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import final

from torch import Tensor

from poise.codecs.udp_offset import UDPOffset
from poise.errors import CheckpointError, InputError
from poise.models.base import Model, PoseModel
from poise.models.require import require_top_down
from poise.skeletons import Skeleton
from poise.zoo.find import build
from poise.zoo.official_files import HOSTS

PAGE = HOSTS["openmmlab"].page
LAST = "final_layer.weight"
RADIUS = 0.0546875
LICENCE = (
    "Apache-2.0 (code); the weights come from ImageNet and COCO or MPII images, whose own terms hold "
    "(MPII: non-commercial research)"
)


@final
@dataclass(frozen=True, eq=False)
class MatchedModel:
    """A model for MMPose's weights.

    Attributes:
        model: The model, with random weights.
        description: What the weights were recognised as, for messages.
    """

    model: PoseModel
    description: str


def build_for(name: str, weights: Mapping[str, Tensor], *, codec: str | None, skeleton: Skeleton | None = None) -> MatchedModel:
    """The model of a name as MMPose would build it, with random weights.

    Args:
        name: Name of the model.
        weights: Weights under the original names; the shape of the last layer decides about the codec.
        codec: Another codec than that of the name, or than UDP's offsets for three outputs a keypoint.
        skeleton: Other keypoints than those of the name.

    Raises:
        CheckpointError: The name is not that of a top-down model.
    """
    model = _top_down(build(name, codec=codec, skeleton=skeleton))
    outputs = len(weights[LAST]) if LAST in weights else 0
    words = f"an MMPose checkpoint of {name!r}"
    if codec is None and outputs == 3 * len(model.skeleton):
        model = _top_down(build(name, codec=UDPOffset.__name__, skeleton=skeleton))
        known = model.codec
        radius = RADIUS * known.cells[0]
        model.codec = UDPOffset(
            known.size, known.cells, known.keypoints, radius=radius, everywhere=True, heat_blur=23, offset_blur=1
        )
        words += f" with {outputs} outputs: disks of {radius:g} cells and offsets, as UDP trains them"
    model.preprocess = replace(model.preprocess, channels="rgb")
    return MatchedModel(model, words)


def _top_down(model: Model) -> PoseModel:
    try:
        return require_top_down(model)
    except InputError as error:
        raise CheckpointError(f"MMPose's checkpoints are imported into top-down models: {error}") from None
