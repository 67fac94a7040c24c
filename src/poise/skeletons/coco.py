"""The 17 keypoints of COCO (arXiv 1405.0312; sigmas from its evaluation page), and OKS sigmas for keypoints by name."""

from poise.skeletons._skeleton import Skeleton

COCO17 = Skeleton(
    name="coco17",
    keypoints=(
        "nose", "left_eye", "right_eye", "left_ear", "right_ear",
        "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
        "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
    ),
    bones=(
        ("left_ankle", "left_knee"), ("left_knee", "left_hip"), ("right_ankle", "right_knee"), ("right_knee", "right_hip"),
        ("left_hip", "right_hip"), ("left_shoulder", "left_hip"), ("right_shoulder", "right_hip"),
        ("left_shoulder", "right_shoulder"), ("left_shoulder", "left_elbow"), ("right_shoulder", "right_elbow"),
        ("left_elbow", "left_wrist"), ("right_elbow", "right_wrist"), ("left_eye", "right_eye"), ("nose", "left_eye"),
        ("nose", "right_eye"), ("left_eye", "left_ear"), ("right_eye", "right_ear"), ("left_ear", "left_shoulder"),
        ("right_ear", "right_shoulder"),
    ),
    mirror=(
        ("left_eye", "right_eye"), ("left_ear", "right_ear"), ("left_shoulder", "right_shoulder"),
        ("left_elbow", "right_elbow"), ("left_wrist", "right_wrist"), ("left_hip", "right_hip"),
        ("left_knee", "right_knee"), ("left_ankle", "right_ankle"),
    ),
    sigmas=(
        0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072, 0.062, 0.062, 0.107, 0.107, 0.087, 0.087, 0.089, 0.089,
    ),
    upper=(
        "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder",
        "left_elbow", "right_elbow", "left_wrist", "right_wrist",
    ),
    sigma_source="COCO's",
)  # fmt: skip

DEFAULT_SIGMA = 0.05
"""Sigma of OKS for a keypoint whose name COCO does not have. COCO's sigmas lie between 0.025 (eyes) and 0.107 (hips), half of
them at or above 0.072, so the default makes OKS stricter than it is for most joints and does not inflate a score."""


def sigmas_by_name(names: tuple[str, ...]) -> tuple[tuple[float, ...], str]:
    """Sigmas of OKS for keypoints that come without: COCO's sigma for a name that COCO has, else `DEFAULT_SIGMA`.

    Args:
        names: Names of the keypoints.

    Returns:
        The sigma of each keypoint, and a sentence for reports that says where they come from.

    >>> sigmas_by_name(("nose", "tail"))
    ((0.026, 0.05), "COCO's by name; default 0.05 for tail")
    """
    known = dict(zip(COCO17.keypoints, COCO17.sigmas, strict=True))
    missing = [name for name in names if name not in known]
    sigmas = tuple(known.get(name, DEFAULT_SIGMA) for name in names)
    if not missing:
        return sigmas, "COCO's by name"
    if len(missing) == len(names):
        return sigmas, f"default {DEFAULT_SIGMA} for all keypoints"
    return sigmas, f"COCO's by name; default {DEFAULT_SIGMA} for {', '.join(missing)}"
