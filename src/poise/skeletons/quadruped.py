"""The 20 keypoints of the four-legged animals that `data/figures` draws, named as in animal data sets."""

from poise.skeletons._skeleton import Skeleton

_LEGS = tuple(f"{side}_{end}" for end in ("front", "back") for side in ("left", "right"))

QUADRUPED = Skeleton(
    name="quadruped",
    keypoints=(
        "nose", "left_eye", "right_eye", "left_ear", "right_ear", "throat", "withers", "tail_base",
        *(f"{leg}_{joint}" for leg in _LEGS for joint in ("elbow", "knee", "paw")),
    ),
    bones=(
        ("left_eye", "right_eye"), ("nose", "left_eye"), ("nose", "right_eye"), ("left_eye", "left_ear"),
        ("right_eye", "right_ear"), ("nose", "throat"), ("throat", "withers"), ("withers", "tail_base"),
        *((root, f"{leg}_elbow") for leg, root in zip(_LEGS, ("throat", "throat", "tail_base", "tail_base"), strict=True)),
        *((f"{leg}_{a}", f"{leg}_{b}") for leg in _LEGS for a, b in (("elbow", "knee"), ("knee", "paw"))),
    ),
    mirror=tuple(
        (f"left_{name}", f"right_{name}")
        for name in ("eye", "ear", *(f"{end}_{joint}" for end in ("front", "back") for joint in ("elbow", "knee", "paw")))
    ),
    # Those of human joints of the same size, as no sigmas are published for these animal keypoints.
    sigmas=(0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.079, *((0.072, 0.087, 0.089) * 4)),
    upper=("nose", "left_eye", "right_eye", "left_ear", "right_ear", "throat", "withers"),
    sigma_source="COCO's, of joints of the same size",
)  # fmt: skip
