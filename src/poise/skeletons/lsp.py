"""The 14 keypoints of Leeds Sports Pose (Johnson and Everingham, BMVC 2010), in the order of its files."""

from poise.skeletons._skeleton import Skeleton
from poise.skeletons.coco import sigmas_by_name

_NAMES = (
    "right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle",
    "right_wrist", "right_elbow", "right_shoulder", "left_shoulder", "left_elbow", "left_wrist", "neck", "head_top",
)  # fmt: skip
_SIGMAS, _SOURCE = sigmas_by_name(_NAMES)

LSP14 = Skeleton(
    name="lsp14",
    keypoints=_NAMES,
    bones=(
        ("right_ankle", "right_knee"), ("right_knee", "right_hip"), ("right_hip", "left_hip"), ("left_hip", "left_knee"),
        ("left_knee", "left_ankle"), ("right_wrist", "right_elbow"), ("right_elbow", "right_shoulder"),
        ("left_shoulder", "left_elbow"), ("left_elbow", "left_wrist"), ("right_shoulder", "neck"), ("left_shoulder", "neck"),
        ("neck", "head_top"), ("right_hip", "right_shoulder"), ("left_hip", "left_shoulder"),
    ),
    mirror=tuple((f"left_{n}", f"right_{n}") for n in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")),
    sigmas=_SIGMAS,
    upper=_NAMES[6:],
    sigma_source=_SOURCE,
)  # fmt: skip
