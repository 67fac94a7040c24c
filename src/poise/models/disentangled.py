"""DEKR (arXiv 2104.02300): poses regressed from centres, rescored by a small network where the weights have one."""

from typing import Any

from jaxtyping import Float
from torch import Tensor

from poise.decoding.centre_poses import CentrePoses
from poise.models.bottom_up import BottomUp
from poise.nn.rescore import RescoreNet, pose_features
from poise.skeletons import Skeleton

TORSO = (("left_shoulder", "left_hip"), ("right_shoulder", "right_hip"))
"""The bones whose mean length is that of the trunk."""


class Disentangled(BottomUp):
    """A bottom-up model whose codec is a `CentreRegression`."""

    kind = "disentangled"

    @property
    def decoding_parts(self) -> tuple[Any, ...]:
        """What gives the factor on a pose's score, if there is a network for it."""
        return () if getattr(self.network, "rescore", None) is None else (self.rescored,)

    def rescored(self, poses: CentrePoses) -> Float[Tensor, " n"]:
        """The factor on the score of each pose; 0 where it is no number."""
        network: RescoreNet = self.network.rescore
        features = pose_features(poses.xy, poses.heat, links_of(self.skeleton), torso=torso_of(self.skeleton))
        found: Tensor = network(features.to(network.l1.weight)).detach()
        return found.nan_to_num(0.0).to(poses.xy)


def links_of(skeleton: Skeleton) -> list[tuple[int, int]]:
    """The bones of a skeleton by the indices of their ends."""
    names = skeleton.keypoints
    return [(names.index(a), names.index(b)) for a, b in skeleton.bones]


def torso_of(skeleton: Skeleton) -> tuple[int, int]:
    """Which of the bones are those between shoulders and hips."""
    first, second = (skeleton.bones.index(bone) for bone in TORSO)
    return first, second
