"""The whole body: COCO-WholeBody's 133 keypoints (arXiv 2007.11858) and Halpe's 26 and 136, made of body, feet, face and hands.

`FIELDS` are the fields of COCO-WholeBody's annotations, whose keypoints stand in a list for each part.
"""

from poise.skeletons.coco import COCO17
from poise.skeletons.faces import FACE68, FACE_MIRROR, FACE_SIGMAS
from poise.skeletons.hands import HAND_BONES, HAND_NAMES, HAND_SIGMAS
from poise.skeletons.published import published, shifted

_FEET = tuple(f"{side}_{part}" for side in ("left", "right") for part in ("big_toe", "small_toe", "heel"))
_HANDS = {side: (f"{side}_hand_root", *(f"{side}_{name}" for name in HAND_NAMES[1:])) for side in ("left", "right")}

FIELDS = {
    "keypoints": COCO17.keypoints,
    "foot_kpts": _FEET,
    "face_kpts": FACE68.keypoints,
    "lefthand_kpts": _HANDS["left"],
    "righthand_kpts": _HANDS["right"],
}

WHOLEBODY133 = published(
    "wholebody133",
    [name for names in FIELDS.values() for name in names],
    bones=(
        *COCO17.edges, (15, 17), (15, 18), (15, 19), (16, 20), (16, 21), (16, 22),
        *shifted(HAND_BONES, 91), *shifted(HAND_BONES, 112),
    ),
    mirror=shifted(FACE_MIRROR, 23),
    sigmas=(*COCO17.sigmas, 0.068, 0.066, 0.066, 0.092, 0.094, 0.094, *FACE_SIGMAS, *HAND_SIGMAS, *HAND_SIGMAS),
    source="COCO-WholeBody's",
)  # fmt: skip

FINE = frozenset((*FACE68.keypoints, *_HANDS["left"], *_HANDS["right"]))
"""Names of keypoints that lie so densely on a whole body that they are drawn thin: of face and hands."""

_HALPE = (
    *COCO17.keypoints, "head", "neck", "hip", "left_big_toe", "right_big_toe", "left_small_toe", "right_small_toe",
    "left_heel", "right_heel",
)  # fmt: skip
_HALPE_BONES = (
    (15, 13), (13, 11), (11, 19), (16, 14), (14, 12), (12, 19), (17, 18), (18, 19), (18, 5), (5, 7), (7, 9), (18, 6), (6, 8),
    (8, 10), (1, 2), (0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 6), (15, 20), (15, 22), (15, 24), (16, 21), (16, 23),
    (16, 25),
)  # fmt: skip

HALPE26 = published(
    "halpe26",
    _HALPE,
    bones=_HALPE_BONES,
    sigmas=(*COCO17.sigmas, 0.026, 0.026, 0.066, 0.079, 0.079, 0.079, 0.079, 0.079, 0.079),
    source="Halpe's",
)

HALPE136 = published(
    "halpe136",
    (*_HALPE, *FACE68.keypoints, *_HANDS["left"], *_HANDS["right"]),
    bones=(*_HALPE_BONES, (9, 94), (10, 115), *shifted(HAND_BONES, 94), *shifted(HAND_BONES, 115)),
    mirror=shifted(FACE_MIRROR, 26),
    sigmas=(*COCO17.sigmas, 0.08, 0.08, 0.08, 0.089, 0.089, 0.089, 0.089, 0.089, 0.089, *(0.015,) * 110),
    source="Halpe's",
)
