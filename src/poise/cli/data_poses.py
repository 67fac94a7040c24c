"""`poise data poses`: poses fitted to 2-D labels, and the labels that no pose explains."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from poise.cli._inputs import ANNOTATIONS
from poise.cli.options import NameOptions
from poise.errors import InputError

if TYPE_CHECKING:
    from poise.data.bodies.fitting import Suspect

Files = Annotated[tuple[Path, ...], arg(metavar="FILE [FILE ...]"), ANNOTATIONS]
Output = Annotated[Path | None, arg(metavar="OUT")]


def run(
    files: Positional[Files],
    *,
    names: NameOptions,
    out: Output = None,
    suspects: Output = None,
    explained: float = 0.15,
    good: float = 0.03,
) -> int:
    """Fit poses of a parametric body to the 2-D labels of people (needs poise[bodies]); find labels that no pose explains.

    Joints are matched by name (COCO's, neck, head_top). The file of poses is for `poise data draw --kind bodies --poses`. Depth
    is a guess within the limits of the joints.

    For example:

        poise data poses person_keypoints.json --out poses.npz --suspects suspects.json

    Args:
        files: COCO-style keypoint files.
        names: Names of keypoints.
        out: Write the poses.
        suspects: Write the suspicious labels, the farthest first.
        explained: Labels farther from the pose than this are suspicious; a share of the person's size.
        good: Poses whose median distance is above this are left out; a share of the person's size.
    """
    import json
    from dataclasses import asdict

    import numpy as np

    from poise.data.bodies.body_poses import BodyPoses
    from poise.data.bodies.fitting import fit_dataset
    from poise.data.coco import CocoDataset
    from poise.terminal import Console
    from poise.writing import check_targets, write_atomic

    if not 0 < explained <= 10 or not 0 < good <= 10:
        raise InputError(
            f"found --explained {explained} and --good {good}; give shares of a person's size, above 0, such as 0.1"
        )
    targets = [path for path in (out, suspects) if path is not None]
    check_targets(targets, flag="--out")
    console, poses, found = Console(), [], []
    for file in files:
        kept, wrong = fit_dataset(CocoDataset(file, None, naming=names.naming), explained=explained, good=good)
        console.print(f"{file}: {len(kept)} poses; {_summary(wrong)}", highlight=False, markup=False, soft_wrap=True)
        poses.append(kept)
        found += [{"annotations": str(file)} | asdict(one) for one in wrong]
    if out is not None and not any(map(len, poses)):
        raise InputError(f"no pose is nearer to its labels than --good {good}, so nothing was written; give a larger share")
    if out is not None:
        BodyPoses(np.concatenate(poses)).write(out)
    if suspects is not None:
        write_atomic(suspects, json.dumps(found, indent=1).encode())
    return 0


def _summary(wrong: "list[Suspect]") -> str:
    people = {(one.image_id, one.person) for one in wrong}
    worst = f", the farthest {wrong[0].keypoint} of {wrong[0].file_name}" if wrong else ""
    return f"{len(wrong)} suspicious labels of {len(people)} people{worst}"
