"""`poise data check`: what breaks training or evaluation."""

import sys
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from poise.cli._inputs import ANNOTATIONS, IMAGES
from poise.cli.options import MirrorOptions

Output = Annotated[Path | None, arg(metavar="OUT")]
Files = Annotated[tuple[Path, ...], arg(metavar="FILE [FILE ...]"), ANNOTATIONS]
Folders = Annotated[tuple[Path, ...], arg(metavar="DIR [DIR ...]"), IMAGES]


def run(files: Positional[Files], *, names: MirrorOptions, images: Folders = (), fix: Output = None) -> int:
    """Find what breaks training or makes AP 0 or -1; exit code 1 if something is left.

    With several files, images present in more than one are found too (leakage), by name, id and content.

    For example:

        poise data check train.json val.json --images images --fix fixed

    A fixed copy says the same in COCO's form. What cannot be converted is left out of it and counted; copies that would lack
    more than a tenth of the labelled people are not written (exit code 2).

    Args:
        files: COCO-style keypoint files.
        names: Names of keypoints; fixed copies have them.
        images: Folder or zip file of the images: one for all files, or one for each.
        fix: Write fixed copies there: a file name, or a folder (needed for several files). The originals
            stay, and nothing that exists is replaced.
    """
    from poise.cli._data import losses, print_findings, read_file, say_lost, targets, verdict, write_fixed
    from poise.data.lint import check_file, remove_leakage
    from poise.errors import InputError
    from poise.terminal import Console
    from poise.writing import check_targets

    if not files or len(images) not in (0, 1, len(files)):
        raise InputError(
            f"found {len(files)} files and {len(images)} image folders; give files, and one folder or one for each"
        )
    copies = targets(files, fix) if fix else []
    check_targets(copies, flag="--fix", new=True)
    console = Console()
    folders = images if len(images) == len(files) else (images or (None,)) * len(files)
    read = [read_file(console, file, folder, names.naming) for file, folder in zip(files, folders, strict=True)]
    results = [check_file(document, infos) for _, document, infos in read]
    fixed = [(name, result.fixed, infos) for (name, _, infos), result in zip(read, results, strict=True)]
    found = {name: list(result.findings) for (name, _, _), result in zip(read, results, strict=True)}
    for i, first in enumerate(fixed):
        for second in fixed[i + 1 :]:
            found[f"{first[0]} and {second[0]}"] = remove_leakage(first, second)
    for name, findings in found.items():
        print_findings(console, name, findings, fixed=fix is not None)
    reports = {name: result for (name, _, _), result in zip(read, results, strict=True)}
    if fix is not None and (refusal := losses(reports)) is not None:
        sys.stderr.write(f"poise data check: {refusal}\n")
        return 2
    say_lost(console, reports if fix is not None else {})
    write_fixed(console, [document for _, document, _ in fixed][: len(copies)], copies)
    everything = [finding for findings in found.values() for finding in findings]
    left = [finding for finding in everything if fix is None or not finding.fix]
    fixable = sum(bool(finding.fix) for finding in everything)
    console.print(verdict(len(everything), fixable, fixed=fix is not None), highlight=False)
    return 1 if left else 0
