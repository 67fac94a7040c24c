"""How the files of this folder write down the keypoints of a public data set."""

from collections.abc import Sequence

from poise.skeletons._skeleton import Skeleton
from poise.skeletons.category import in_upper_body
from poise.skeletons.coco import sigmas_by_name
from poise.skeletons.mirror import mirror_pairs


def published(
    name: str,
    keypoints: Sequence[str],
    *,
    bones: Sequence[tuple[int, int]] = (),
    mirror: Sequence[tuple[int, int]] = (),
    sigmas: Sequence[float] = (),
    source: str = "",
) -> Skeleton:
    """A skeleton whose bones and mirror pairs are written as indices from 0.

    Args:
        name: Name of the skeleton: that of the data set and the number of keypoints.
        keypoints: Names, in the order of the data set's files.
        bones: Pairs of indices that are drawn as lines.
        mirror: Pairs of indices (left, right) that names do not tell.
        sigmas: OKS sigmas; by default by name (`sigmas_by_name`).
        source: Where the sigmas come from.
    """
    names = tuple(keypoints)
    by_name, described = sigmas_by_name(names)
    return Skeleton(
        name=name,
        keypoints=names,
        bones=tuple((names[a], names[b]) for a, b in bones),
        mirror=(*mirror_pairs(names), *((names[a], names[b]) for a, b in mirror)),
        sigmas=tuple(sigmas) or by_name,
        upper=tuple(n for n in names if in_upper_body(n)),
        sigma_source=source if sigmas else described,
    )


def shifted(pairs: Sequence[tuple[int, int]], by: int) -> tuple[tuple[int, int], ...]:
    """Pairs of indices of a part, in a skeleton that has it from index `by` on."""
    return tuple((a + by, b + by) for a, b in pairs)
