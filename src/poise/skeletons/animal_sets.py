"""Keypoints of public data sets of animals, in the order of their files."""

from poise.skeletons.published import published

AP10K17 = published(
    "ap10k17",
    (
        "L_Eye", "R_Eye", "Nose", "Neck", "Root of tail", "L_Shoulder", "L_Elbow", "L_F_Paw", "R_Shoulder", "R_Elbow",
        "R_F_Paw", "L_Hip", "L_Knee", "L_B_Paw", "R_Hip", "R_Knee", "R_B_Paw",
    ),
    bones=(
        (0, 1), (0, 2), (1, 2), (2, 3), (3, 4), (3, 5), (5, 6), (6, 7), (3, 8), (8, 9), (9, 10), (4, 11), (11, 12), (12, 13),
        (4, 14), (14, 15), (15, 16),
    ),
    sigmas=(
        0.025, 0.025, 0.026, 0.035, 0.035, 0.079, 0.072, 0.062, 0.079, 0.072, 0.062, 0.107, 0.087, 0.089, 0.107, 0.087, 0.089,
    ),
    source="AP-10K's",
)  # fmt: skip

ANIMALPOSE20 = published(
    "animalpose20",
    (
        "L_Eye", "R_Eye", "L_EarBase", "R_EarBase", "Nose", "Throat", "TailBase", "Withers", "L_F_Elbow", "R_F_Elbow",
        "L_B_Elbow", "R_B_Elbow", "L_F_Knee", "R_F_Knee", "L_B_Knee", "R_B_Knee", "L_F_Paw", "R_F_Paw", "L_B_Paw", "R_B_Paw",
    ),
    bones=(
        (0, 1), (0, 2), (1, 3), (0, 4), (1, 4), (4, 5), (5, 7), (6, 7), (5, 8), (8, 12), (12, 16), (5, 9), (9, 13), (13, 17),
        (6, 10), (10, 14), (14, 18), (6, 11), (11, 15), (15, 19),
    ),
    sigmas=(
        0.025, 0.025, 0.026, 0.035, 0.035, 0.1, 0.1, 0.1, 0.107, 0.107, 0.107, 0.107, 0.087, 0.087, 0.087, 0.087, 0.089,
        0.089, 0.089, 0.089,
    ),
    source="Animal-Pose's",
)  # fmt: skip

ATRW15 = published(
    "atrw15",
    (
        "left_ear", "right_ear", "nose", "right_shoulder", "right_front_paw", "left_shoulder", "left_front_paw", "right_hip",
        "right_knee", "right_back_paw", "left_hip", "left_knee", "left_back_paw", "tail", "center",
    ),
    bones=(
        (0, 2), (1, 2), (2, 14), (5, 6), (5, 14), (3, 4), (3, 14), (13, 14), (9, 8), (8, 7), (7, 13), (12, 11), (11, 10),
        (10, 13),
    ),
    sigmas=(
        0.0277, 0.0823, 0.0831, 0.0202, 0.0716, 0.0263, 0.0646, 0.0302, 0.044, 0.0316, 0.0333, 0.0547, 0.0263, 0.0683, 0.0539,
    ),
    source="ATRW's",
)  # fmt: skip

HORSE22 = published(
    "horse22",
    (
        "Nose", "Eye", "Nearknee", "Nearfrontfetlock", "Nearfrontfoot", "Offknee", "Offfrontfetlock", "Offfrontfoot",
        "Shoulder", "Midshoulder", "Elbow", "Girth", "Wither", "Nearhindhock", "Nearhindfetlock", "Nearhindfoot", "Hip",
        "Stifle", "Offhindhock", "Offhindfetlock", "Offhindfoot", "Ischium",
    ),
    bones=(
        (0, 1), (1, 12), (12, 16), (16, 21), (21, 17), (17, 11), (11, 10), (10, 8), (8, 9), (9, 12), (2, 3), (3, 4), (5, 6),
        (6, 7), (13, 14), (14, 15), (18, 19), (19, 20),
    ),
).with_mirror((("Nose", "Nose"),))  # near and off side are those of the camera, which a mirror leaves  # fmt: skip

ZEBRA9 = published(
    "zebra9",
    (
        "snout", "head", "neck", "forelegL1", "forelegR1", "hindlegL1", "hindlegR1", "tailbase", "tailtip",
    ),
    bones=(
        (1, 0), (2, 1), (3, 2), (4, 2), (5, 7), (6, 7), (7, 2), (8, 7),
    ),
)  # fmt: skip

FLY32 = published(
    "fly32",
    (
        "head", "eyeL", "eyeR", "neck", "thorax", "abdomen", "forelegR1", "forelegR2", "forelegR3", "forelegR4", "midlegR1",
        "midlegR2", "midlegR3", "midlegR4", "hindlegR1", "hindlegR2", "hindlegR3", "hindlegR4", "forelegL1", "forelegL2",
        "forelegL3", "forelegL4", "midlegL1", "midlegL2", "midlegL3", "midlegL4", "hindlegL1", "hindlegL2", "hindlegL3",
        "hindlegL4", "wingL", "wingR",
    ),
    bones=(
        (1, 0), (2, 0), (3, 0), (4, 3), (5, 4), (7, 6), (8, 7), (9, 8), (11, 10), (12, 11), (13, 12), (15, 14), (16, 15),
        (17, 16), (19, 18), (20, 19), (21, 20), (23, 22), (24, 23), (25, 24), (27, 26), (28, 27), (29, 28), (30, 3), (31, 3),
    ),
)  # fmt: skip

LOCUST35 = published(
    "locust35",
    (
        "head", "neck", "thorax", "abdomen1", "abdomen2", "anttipL", "antbaseL", "eyeL", "forelegL1", "forelegL2",
        "forelegL3", "forelegL4", "midlegL1", "midlegL2", "midlegL3", "midlegL4", "hindlegL1", "hindlegL2", "hindlegL3",
        "hindlegL4", "anttipR", "antbaseR", "eyeR", "forelegR1", "forelegR2", "forelegR3", "forelegR4", "midlegR1",
        "midlegR2", "midlegR3", "midlegR4", "hindlegR1", "hindlegR2", "hindlegR3", "hindlegR4",
    ),
    bones=(
        (1, 0), (2, 1), (3, 2), (4, 3), (6, 5), (7, 6), (9, 8), (10, 9), (11, 10), (13, 12), (14, 13), (15, 14), (17, 16),
        (18, 17), (19, 18), (21, 20), (22, 21), (24, 23), (25, 24), (26, 25), (28, 27), (29, 28), (30, 29), (32, 31),
        (33, 32), (34, 33),
    ),
)  # fmt: skip

ANIMALKINGDOM23 = published(
    "animal_kingdom23",
    (
        "Head_Mid_Top", "Eye_Left", "Eye_Right", "Mouth_Front_Top", "Mouth_Back_Left", "Mouth_Back_Right",
        "Mouth_Front_Bottom", "Shoulder_Left", "Shoulder_Right", "Elbow_Left", "Elbow_Right", "Wrist_Left", "Wrist_Right",
        "Torso_Mid_Back", "Hip_Left", "Hip_Right", "Knee_Left", "Knee_Right", "Ankle_Left", "Ankle_Right", "Tail_Top_Back",
        "Tail_Mid_Back", "Tail_End_Back",
    ),
    bones=(
        (3, 0), (1, 0), (2, 0), (0, 7), (0, 8), (7, 9), (8, 10), (9, 11), (10, 12), (0, 13), (13, 20), (20, 14), (20, 15),
        (14, 16), (15, 17), (16, 18), (17, 19), (20, 21), (21, 22), (3, 4), (3, 5), (6, 4), (6, 5),
    ),
)  # fmt: skip

STANFORDEXTRA24 = published(
    "stanford_extra24",
    (
        *(f"{side}_{end}_{joint}" for side in ("left", "right") for end in ("front", "rear")
          for joint in ("paw", "knee", "elbow")),
        "tail_start", "tail_end", "left_ear_base", "right_ear_base", "nose", "chin", "left_ear_tip", "right_ear_tip",
        "left_eye", "right_eye", "withers", "throat",
    ),
    bones=(
        (0, 1), (1, 2), (3, 4), (4, 5), (6, 7), (7, 8), (9, 10), (10, 11), (12, 13), (14, 18), (15, 19), (16, 20), (16, 21),
        (16, 17), (22, 23), (22, 12),
    ),
)  # fmt: skip
