"""Keypoints of public data sets of people beside COCO, MPII and LSP, in the order of their files."""

from poise.skeletons.coco import COCO17
from poise.skeletons.published import published

CROWDPOSE14 = published(
    "crowdpose14",
    (
        "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip",
        "left_knee", "right_knee", "left_ankle", "right_ankle", "top_head", "neck",
    ),
    bones=(
        (10, 8), (8, 6), (11, 9), (9, 7), (6, 7), (0, 6), (1, 7), (0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (12, 13), (1, 13),
        (0, 13),
    ),
    sigmas=(
        0.079, 0.079, 0.072, 0.072, 0.062, 0.062, 0.107, 0.107, 0.087, 0.087, 0.089, 0.089, 0.079, 0.079,
    ),
    source="CrowdPose's",
)  # fmt: skip

AIC14 = published(
    "aic14",
    (
        "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist", "right_hip",
        "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "head_top", "neck",
    ),
    bones=(
        (2, 1), (1, 0), (0, 13), (13, 3), (3, 4), (4, 5), (8, 7), (7, 6), (6, 9), (9, 10), (10, 11), (12, 13), (0, 6), (3, 9),
    ),
    sigmas=(
        0.01388152, 0.01515228, 0.01057665, 0.01417709, 0.01497891, 0.01402144, 0.03909642, 0.03686941, 0.01981803,
        0.03843971, 0.03412318, 0.02415081, 0.01291456, 0.01236173,
    ),
    source="AI Challenger's",
)  # fmt: skip

POSETRACK17 = published(
    "posetrack17",
    (
        "nose", "head_bottom", "head_top", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
        "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
        "right_ankle",
    ),
    bones=(
        (15, 13), (13, 11), (16, 14), (14, 12), (11, 12), (5, 11), (6, 12), (5, 6), (5, 7), (6, 8), (7, 9), (8, 10), (0, 1),
        (0, 2), (1, 5), (1, 6),
    ),
    sigmas=(
        0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072, 0.062, 0.062, 0.107, 0.107, 0.087, 0.087, 0.089, 0.089,
    ),
    source="PoseTrack's",
)  # fmt: skip

H36M17 = published(
    "h36m17",
    (
        "root", "right_hip", "right_knee", "right_foot", "left_hip", "left_knee", "left_foot", "spine", "thorax", "neck_base",
        "head", "left_shoulder", "left_elbow", "left_wrist", "right_shoulder", "right_elbow", "right_wrist",
    ),
    bones=(
        (0, 4), (4, 5), (5, 6), (0, 1), (1, 2), (2, 3), (0, 7), (7, 8), (8, 9), (9, 10), (8, 11), (11, 12), (12, 13), (8, 14),
        (14, 15), (15, 16),
    ),
)  # fmt: skip

HUMANART21 = published(
    "humanart21", (*COCO17.keypoints, "left_finger", "right_finger", "left_toe", "right_toe"), bones=COCO17.edges
)

JRDB17 = published(
    "jrdb17",
    (
        "head", "right_eye", "left_eye", "right_shoulder", "center_shoulder", "left_shoulder", "right_elbow", "left_elbow",
        "center_hip", "right_wrist", "right_hip", "left_hip", "left_wrist", "right_knee", "left_knee", "right_foot",
        "left_foot",
    ),
    bones=(
        (0, 1), (0, 2), (0, 4), (3, 4), (4, 5), (3, 6), (5, 7), (4, 8), (6, 9), (8, 10), (8, 11), (7, 12), (10, 13), (11, 14),
        (13, 15), (14, 16),
    ),
)  # fmt: skip
