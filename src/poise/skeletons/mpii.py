"""The 16 keypoints of MPII Human Pose (Andriluka et al., CVPR 2014), in the order of its annotation files."""

from poise.skeletons._skeleton import Skeleton
from poise.skeletons.coco import sigmas_by_name

_NAMES = (
    "right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle", "pelvis", "thorax", "upper_neck",
    "head_top", "right_wrist", "right_elbow", "right_shoulder", "left_shoulder", "left_elbow", "left_wrist",
)  # fmt: skip
_SIGMAS, _SOURCE = sigmas_by_name(_NAMES)

MPII16 = Skeleton(
    name="mpii16",
    keypoints=_NAMES,
    bones=(
        ("right_ankle", "right_knee"), ("right_knee", "right_hip"), ("right_hip", "pelvis"), ("pelvis", "left_hip"),
        ("left_hip", "left_knee"), ("left_knee", "left_ankle"), ("pelvis", "thorax"), ("thorax", "upper_neck"),
        ("upper_neck", "head_top"), ("right_wrist", "right_elbow"), ("right_elbow", "right_shoulder"),
        ("right_shoulder", "thorax"), ("thorax", "left_shoulder"), ("left_shoulder", "left_elbow"),
        ("left_elbow", "left_wrist"),
    ),
    mirror=tuple((f"left_{n}", f"right_{n}") for n in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")),
    sigmas=_SIGMAS,
    upper=_NAMES[7:],
    sigma_source=_SOURCE,
)  # fmt: skip
