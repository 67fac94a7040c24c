"""The 21 keypoints of a hand, as COCO-WholeBody, OneHand10K, FreiHAND and others order them."""

from poise.skeletons.published import published

_FINGERS = ("thumb", "forefinger", "middle_finger", "ring_finger", "pinky_finger")

HAND_NAMES = ("wrist", *(f"{finger}{joint}" for finger in _FINGERS for joint in (1, 2, 3, 4)))
HAND_BONES = tuple(
    (0 if joint == 0 else 4 * finger + joint, 4 * finger + joint + 1) for finger in range(5) for joint in range(4)
)
HAND_SIGMAS = (
    0.029, 0.022, 0.035, 0.037, 0.047, 0.026, 0.025, 0.024, 0.035, 0.018, 0.024, 0.022, 0.026, 0.017, 0.021, 0.021, 0.032,
    0.02, 0.019, 0.022, 0.031,
)  # fmt: skip

HAND21 = published("hand21", HAND_NAMES, bones=HAND_BONES, sigmas=HAND_SIGMAS, source="COCO-WholeBody's").with_mirror(
    (("wrist", "wrist"),)  # every keypoint of a hand stays what it is
)

_TIPS_FIRST = ("wrist", *(f"{finger}{joint}" for finger in _FINGERS for joint in (4, 3, 2, 1)))

RHD21 = published(
    "rhd21",
    _TIPS_FIRST,
    bones=tuple((_TIPS_FIRST.index(HAND_NAMES[a]), _TIPS_FIRST.index(HAND_NAMES[b])) for a, b in HAND_BONES),
    sigmas=tuple(HAND_SIGMAS[HAND_NAMES.index(name)] for name in _TIPS_FIRST),
    source="COCO-WholeBody's",
).with_mirror((("wrist", "wrist"),))
"""The same keypoints in the order of the Rendered Hand Pose data set: each finger from its tip."""
