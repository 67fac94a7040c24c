"""The 33 landmarks of BlazePose (arXiv 2006.10204, figure 3; names of MediaPipe), and the 39 of its networks."""

from poise.skeletons._skeleton import Skeleton
from poise.skeletons.alignment import CENTRE, CIRCLE, SIGMA
from poise.skeletons.coco import sigmas_by_name

_FACE = (
    "nose", "left_eye_inner", "left_eye", "left_eye_outer", "right_eye_inner", "right_eye", "right_eye_outer",
    "left_ear", "right_ear", "mouth_left", "mouth_right",
)  # fmt: skip
_ARMS = ("shoulder", "elbow", "wrist", "pinky", "index", "thumb")
_LEGS = ("hip", "knee", "ankle", "heel", "foot_index")
_LIMBS = ("left_shoulder right_shoulder", "left_hip right_hip")
_SIDES = (
    "shoulder elbow", "elbow wrist", "wrist pinky", "wrist index", "wrist thumb", "pinky index", "shoulder hip", "hip knee",
    "knee ankle", "ankle heel", "ankle foot_index", "heel foot_index",
)  # fmt: skip
_HEAD = (
    "nose left_eye_inner", "left_eye_inner left_eye", "left_eye left_eye_outer", "left_eye_outer left_ear",
    "nose right_eye_inner", "right_eye_inner right_eye", "right_eye right_eye_outer", "right_eye_outer right_ear",
    "mouth_left mouth_right",
)  # fmt: skip


def _pair(text: str, before: str = "") -> tuple[str, str]:
    first, second = text.split()
    return before + first, before + second


_PAIRED = ("eye_inner", "eye", "eye_outer", "ear", *_ARMS, *_LEGS)
_BODY = tuple(f"{side}_{name}" for name in (*_ARMS, *_LEGS) for side in ("left", "right"))
_SIGMAS, _SOURCE = sigmas_by_name((*_FACE, *_BODY))

BLAZEPOSE33 = Skeleton(
    name="blazepose33",
    keypoints=(*_FACE, *_BODY),
    bones=(
        *(_pair(text) for text in (*_HEAD, *_LIMBS)),
        *(_pair(text, f"{side}_") for side in ("left", "right") for text in _SIDES),
    ),
    mirror=(("mouth_left", "mouth_right"), *((f"left_{name}", f"right_{name}") for name in _PAIRED)),
    sigmas=_SIGMAS,
    upper=(*_FACE, *(f"{side}_{name}" for name in _ARMS for side in ("left", "right"))),
    sigma_source=_SOURCE,
)

_UNREAD = tuple(f"unread_{number}" for number in (35, 36, 37, 38))
_UNKNOWN, _ = sigmas_by_name(_UNREAD)

BLAZEPOSE39 = Skeleton(
    name="blazepose39",
    keypoints=(*BLAZEPOSE33.keypoints, CENTRE, CIRCLE, *_UNREAD),
    bones=BLAZEPOSE33.bones,
    mirror=BLAZEPOSE33.mirror,
    sigmas=(*_SIGMAS, SIGMA, SIGMA, *_UNKNOWN),
    upper=BLAZEPOSE33.upper,
    sigma_source=_SOURCE,
)
