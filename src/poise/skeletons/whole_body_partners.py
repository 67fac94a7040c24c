"""Which keypoints of public data sets stand for those of the whole body, where names do not tell: faces, fingers, toes.

As RTMW (arXiv 2407.08634) joins its data sets.
"""

from poise.skeletons._skeleton import Pair, Skeleton


def _pairs(prefix: str, *runs: tuple[int, int, int, int]) -> tuple[Pair, ...]:
    """Pairs of numbered keypoints and those of a face: runs of (first, first of the face, count, step)."""
    return tuple((f"{prefix}-{first + step * i}", f"face-{to + i}") for first, to, count, step in runs for i in range(count))


def _listed(prefix: str, first: int, numbers: tuple[int, ...]) -> tuple[Pair, ...]:
    """Pairs of these numbers and the keypoints of a face from `first` on."""
    return tuple((f"{prefix}-{number}", f"face-{first + i}") for i, number in enumerate(numbers))


PARTNERS: tuple[Pair, ...] = (
    *_pairs("wflw", (0, 0, 17, 2), (33, 17, 5, 1), (42, 22, 5, 1), (51, 27, 9, 1), (76, 48, 20, 1)),
    *_listed("wflw", 36, (60, 61, 63, 64, 65, 67, 68, 69, 71, 72, 73, 75)),
    *_pairs("lapa", (0, 0, 17, 2), (33, 17, 5, 1), (42, 22, 5, 1), (51, 27, 4, 1), (58, 31, 5, 1), (84, 48, 20, 1)),
    *_listed("lapa", 36, (66, 67, 69, 70, 71, 73, 75, 76, 78, 79, 80, 82)),
    *(
        (f"cofw-{number}", f"face-{face}")
        for number, face in (
            (0, 17), (1, 26), (2, 21), (3, 22), (4, 19), (6, 24), (8, 36), (9, 45), (10, 39), (11, 42), (18, 31), (19, 35),
            (20, 30), (21, 33), (22, 48), (23, 54), (24, 51), (25, 62), (26, 66), (27, 57), (28, 8),
        )
    ),
    ("left_finger", "left_forefinger4"),
    ("right_finger", "right_forefinger4"),
    ("left_toe", "left_big_toe"),
    ("right_toe", "right_big_toe"),
)  # fmt: skip
"""Pairs (of a data set, of the whole body): WFLW's, LaPa's and COFW's faces, Human-Art's fingers and toes."""


def whole_body_pairs(skeleton: Skeleton) -> tuple[Pair, ...]:
    """The pairs whose first keypoint a data set has.

    Args:
        skeleton: The keypoints of the data set.
    """
    return tuple(pair for pair in PARTNERS if pair[0] in skeleton.keypoints)
