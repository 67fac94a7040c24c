"""Keypoints of DeepLabCut's SuperAnimal models (arXiv 2203.07436), in the order of their outputs.

The names are DeepLabCut's, "thai" for thigh included. It publishes no limbs and no OKS sigmas: bones are ours.
"""

from poise.skeletons.published import published

_SIDES = ("left", "right")

QUADRUPED39 = published(
    "superanimal_quadruped39",
    (
        "nose", "upper_jaw", "lower_jaw", "mouth_end_right", "mouth_end_left", "right_eye", "right_earbase", "right_earend",
        "right_antler_base", "right_antler_end", "left_eye", "left_earbase", "left_earend", "left_antler_base",
        "left_antler_end", "neck_base", "neck_end", "throat_base", "throat_end", "back_base", "back_end", "back_middle",
        "tail_base", "tail_end", "front_left_thai", "front_left_knee", "front_left_paw", "front_right_thai",
        "front_right_knee", "front_right_paw", "back_left_paw", "back_left_thai", "back_right_thai", "back_left_knee",
        "back_right_knee", "back_right_paw", "belly_bottom", "body_middle_right", "body_middle_left",
    ),
    bones=(
        (0, 1), (1, 2), (2, 3), (2, 4), (0, 5), (0, 10), (5, 6), (6, 7), (10, 11), (11, 12), (6, 8), (8, 9), (11, 13),
        (13, 14), (15, 16), (17, 18), (15, 19), (19, 21), (21, 20), (20, 22), (22, 23), (24, 25), (25, 26), (27, 28),
        (28, 29), (31, 33), (33, 30), (32, 34), (34, 35), (19, 24), (19, 27), (20, 31), (20, 32),
    ),
)  # fmt: skip

TOPVIEWMOUSE27 = published(
    "superanimal_topviewmouse27",
    (
        "nose", "left_ear", "right_ear", "left_ear_tip", "right_ear_tip", "left_eye", "right_eye", "neck", "mid_back",
        "mouse_center", "mid_backend", "mid_backend2", "mid_backend3", "tail_base", "tail1", "tail2", "tail3", "tail4",
        "tail5", "left_shoulder", "left_midside", "left_hip", "right_shoulder", "right_midside", "right_hip", "tail_end",
        "head_midpoint",
    ),
    bones=(
        (0, 26), (26, 7), (26, 1), (26, 2), (1, 3), (2, 4), (0, 5), (0, 6), (7, 8), (8, 9), (9, 10), (10, 11), (11, 12),
        (12, 13), (13, 14), (14, 15), (15, 16), (16, 17), (17, 18), (18, 25), (7, 19), (19, 20), (20, 21), (7, 22), (22, 23),
        (23, 24), (21, 13), (24, 13),
    ),
)  # fmt: skip

BIRD42 = published(
    "superanimal_bird42",
    (
        "back", "bill", "belly", "breast", "crown", "forehead", "left_eye", "left_leg", "left_wing_tip", "left_wrist", "nape",
        "right_eye", "right_leg", "right_wing_tip", "right_wrist", "tail_tip", "throat", "neck", "tail_left", "tail_right",
        "upper_spine", "upper_half_spine", "lower_half_spine", "right_foot", "left_foot", "left_half_chest",
        "right_half_chest", "chin", "left_tibia", "right_tibia", "lower_spine", "upper_half_neck", "lower_half_neck",
        "left_chest", "right_chest", "upper_neck", "left_wing_shoulder", "left_wing_elbow", "right_wing_shoulder",
        "right_wing_elbow", "upper_cere", "lower_cere",
    ),
    bones=(
        (1, 5), (5, 4), (4, 10), (1, 27), (27, 16), (16, 3), (3, 2), (10, 17), (17, 0), (0, 15), (15, 18), (15, 19), (6, 5),
        (11, 5), (7, 24), (12, 23), (28, 7), (29, 12), (36, 37), (37, 9), (9, 8), (38, 39), (39, 14), (14, 13),
    ),
)  # fmt: skip
