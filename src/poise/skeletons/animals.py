"""The 18 keypoints that synthetic animals (arXiv 1912.08265) share with the horses of TigDog (CVPR 2015).

In the order of the release. TigDog has the neck as a last, 19th keypoint, and its tigers have knees and elbows exchanged.
"""

from dataclasses import replace
from itertools import pairwise

from poise.skeletons._skeleton import Skeleton
from poise.skeletons.coco import sigmas_by_name

_LEGS = ("left_front", "right_front", "left_back", "right_back")
_NAMES = (
    "left_eye", "right_eye", "chin", *(f"{leg}_hoof" for leg in _LEGS), "tail_base", *(f"{leg}_knee" for leg in _LEGS),
    "left_shoulder", "right_shoulder", *(f"{leg}_elbow" for leg in _LEGS),
)  # fmt: skip
_SIGMAS, _SOURCE = sigmas_by_name(_NAMES)

ANIMAL18 = Skeleton(
    name="animal18",
    keypoints=_NAMES,
    bones=(
        ("left_eye", "right_eye"), ("left_eye", "chin"), ("right_eye", "chin"),
        ("left_shoulder", "right_shoulder"), ("left_shoulder", "left_eye"), ("right_shoulder", "right_eye"),
        ("left_shoulder", "tail_base"), ("right_shoulder", "tail_base"),
        ("left_shoulder", "left_front_elbow"), ("right_shoulder", "right_front_elbow"),
        ("tail_base", "left_back_elbow"), ("tail_base", "right_back_elbow"),
        *((f"{leg}_{a}", f"{leg}_{b}") for leg in _LEGS for a, b in (("elbow", "knee"), ("knee", "hoof"))),
    ),
    mirror=(
        ("left_eye", "right_eye"), ("left_shoulder", "right_shoulder"),
        *((f"left_{end}_{joint}", f"right_{end}_{joint}") for joint in ("hoof", "knee", "elbow") for end in ("front", "back")),
    ),
    sigmas=_SIGMAS,
    upper=("left_eye", "right_eye", "chin", "left_shoulder", "right_shoulder"),
    sigma_source=_SOURCE,
)  # fmt: skip

_TRUNK = tuple(f"trunk_{number}" for number in range(1, 8))

ELEPHANT25 = replace(
    ANIMAL18,
    name="elephant25",
    keypoints=(*_NAMES, *_TRUNK),
    bones=(*ANIMAL18.bones, ("chin", _TRUNK[0]), *pairwise(_TRUNK)),
    sigmas=(*_SIGMAS, *sigmas_by_name(_TRUNK)[0]),
)
"""The keypoints of the synthetic elephants: seven of the trunk behind the others; the release does not name them."""
