"""Sigmas of OKS for keypoints that come without: COCO's where the name is COCO's, a default elsewhere."""

from poise.skeletons.coco import COCO17

DEFAULT_SIGMA = 0.05
"""For keypoints COCO does not know. COCO's own lie between 0.025 (eyes) and 0.107 (hips), half of them at or above 0.072: a
keypoint nobody has measured is judged more strictly than most joints, so that a default never flatters a score."""


def sigmas_by_name(names: tuple[str, ...]) -> tuple[tuple[float, ...], str]:
    """The sigma of each name, and a sentence for reports that says where they are from.

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
