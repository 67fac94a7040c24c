"""`poise data sigmas`: OKS sigmas from repeated annotations."""

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from poise.cli._inputs import ANNOTATIONS
from poise.cli.options import NameOptions, ResamplingOptions

Output = Annotated[Path | None, arg(metavar="OUT")]
Files = Annotated[tuple[Path, ...], arg(metavar="FILE [FILE ...]"), ANNOTATIONS]


def run(
    files: Positional[Files],
    *,
    by: Annotated[str, arg(metavar="overlap|id")] = "overlap",
    resampling: ResamplingOptions,
    names: NameOptions,
    out: Output = None,
) -> int:
    """Estimate the OKS sigmas of any keypoints from repeated annotations, with 95 % intervals.

    Each file has the labels of one annotator, of the same images. Images are found by file name, keypoints by name, people by
    their boxes. With the sigmas written into a file's categories, AP is measured relative to the agreement of annotators.

    For example:

        poise data sigmas first.json second.json --out with-sigmas.json

    Args:
        files: COCO-style keypoint files, two or more.
        by: How the annotations of one person are found: boxes that overlap most, or annotations of one id.
        resampling: Intervals, over people.
        names: Names of keypoints.
        out: Write a copy of the first file with the sigmas; keypoints of too few people keep their sigmas.
    """
    from rich.table import Table

    from poise.analysis.sigmas import MIN_PEOPLE, check_pairing, estimate_sigmas, with_sigmas
    from poise.cli._data import targets
    from poise.data.coco import CocoDataset
    from poise.data.document import read_document, write_document
    from poise.terminal import Console
    from poise.writing import check_targets

    copy = targets(files[:1], out)[0] if out and files else None
    check_targets([copy] if copy else [], flag="--out")
    datasets = [CocoDataset(file, None, naming=names.naming) for file in files]
    found = estimate_sigmas(datasets, by=check_pairing(by), resamples=resampling.resamples, seed=resampling.seed)
    table = Table("keypoint", "people", "sigma", "95 % interval", "now", title="sigmas of OKS", title_justify="left")
    for one, now in zip(found, datasets[0].skeleton.sigmas, strict=True):
        known = one.value is not None
        interval = f"{one.low:.4f} to {one.high:.4f}" if known else f"fewer than {MIN_PEOPLE} people"
        table.add_row(one.name, f"{one.people}", f"{one.value:.4f}" if known else "-", interval, f"{now:.4f}")
    console = Console()
    console.print(table)
    if copy is not None:
        write_document(with_sigmas(read_document(files[0], naming=names.naming), found), copy)
        console.print(f"copy with sigmas: {copy}", highlight=False, soft_wrap=True)
    return 0
