"""Tables and pictures of `poise data`."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from poise.data.coco import CocoDataset
from poise.data.conversions import as_lists
from poise.data.document import Document, read_raw, write_document
from poise.data.files import ImageFiles
from poise.data.label_ops import flip_sample
from poise.data.lint import Finding, LintReport
from poise.data.lint.image_files import ImageInfo, read_image_infos
from poise.data.naming import Naming
from poise.data.stats import PERCENTILES, LabelStatistics
from poise.errors import InputError
from poise.plain import plain
from poise.skeletons import Skeleton
from poise.structures import Labels, Sample
from poise.terminal import Console
from poise.viz.draw import contact_sheet, draw_mask, draw_outline, draw_people, enlarged, titled

EXAMPLES = 3
"""Number of findings shown for each rule."""

LintedFile = tuple[str, Document, dict[str, ImageInfo]]


def print_statistics(console: Console, found: LabelStatistics, skeleton: Skeleton) -> None:
    """Counts, a table of keypoints, sizes."""
    console.print(
        f"{found.images} images ({found.empty} without annotations), {found.annotations} annotations, {found.crowds} crowds, "
        f"at most {found.per_image} in an image; {found.people} people to train on",
        highlight=False,
    )
    table = Table(
        "keypoint", "not labelled", "hidden", "in sight", "mirror partner", "sigma", title=f"skeleton {skeleton.name}"
    )
    for k, name in enumerate(skeleton.keypoints):
        partner = skeleton.keypoints[int(skeleton.flip[k])]
        counts = [f"{v}" for v in found.visible[k]]
        table.add_row(name, *counts, "" if partner == name else partner, f"{skeleton.sigmas[k]:g}")
    console.print(table)
    console.print(f"sigmas: {skeleton.sigma_source}", highlight=False)
    console.print(skeleton.mirror_text, highlight=False, markup=False, soft_wrap=True)
    for name, values in (("height", found.box_height), ("width", found.box_width)):
        shown = ", ".join(f"{p} %: {v:.0f}" for p, v in zip(PERCENTILES, values, strict=False))
        console.print(f"box {name}, pixels: {shown or 'no boxes'}", highlight=False)
    console.print(f"area over box area: {found.area_share:.2f} on average", highlight=False)


def labelled_pair(dataset: CocoDataset, index: int, side: int) -> np.ndarray:
    """A picture with its labels, and the mirrored one beside where mirror pairs are known.

    Crowds are tinted and people outlined, where masks say so.
    """
    sample = dataset[index]
    stated = dataset.image_size(index) == sample.size
    masks = dataset.masks(index).numpy() if stated else np.zeros((len(sample.labels), *sample.size), dtype=np.bool_)
    left = _drawn(sample, dataset.skeleton, side, masks=masks)
    name = Path(sample.key.file_name).name
    if not dataset.skeleton.mirrors:
        return titled(left, name)
    right = _drawn(flip_sample(sample, dataset.skeleton), dataset.skeleton, side, masks=masks[:, :, ::-1])
    return contact_sheet([titled(left, name), titled(right, "mirrored")], 2)


def _drawn(sample: Sample, skeleton: Skeleton, side: int, *, masks: np.ndarray) -> np.ndarray:
    labels: Labels = sample.labels
    image = np.ascontiguousarray(sample.image.permute(1, 2, 0).numpy())
    for crowd, mask in zip(labels.crowd.tolist(), masks, strict=True):
        image = (draw_mask if crowd else draw_outline)(image, np.ascontiguousarray(mask))
    image, factor = enlarged(image, side)
    return draw_people(
        image,
        (labels.xy + 0.5) * factor - 0.5,
        labels.visible,
        skeleton,
        boxes=(labels.boxes + 0.5) * factor - 0.5,
    )


def read_file(console: Console, file: Path, images: Path | None, naming: Naming | None = None) -> LintedFile:
    """An annotation file and, where there is a folder, its images, all read once."""
    document = read_raw(file, naming=naming, images=images)
    if images is None:
        return str(file), document, {}
    listed = dict(document)
    as_lists(listed)
    files = ImageFiles(images, names=(n for r in listed["images"] if isinstance(n := r.get("file_name"), str)))
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(escape(f"reading the images of {plain(file.name)}"), total=len(listed["images"]))
        return str(file), document, read_image_infos(listed, files, advance=lambda: progress.advance(task))


def targets(files: Sequence[Path], fix: Path) -> list[Path]:
    """Paths of the fixed copies.

    Raises:
        InputError: A copy would overwrite an original or another copy, or several files would become one.
    """
    one = fix.suffix.lower() == ".json"
    if one and len(files) > 1:
        raise InputError(f"{len(files)} files need a folder for their fixed copies, found {str(fix)!r}")
    found = [fix] if one else [fix / (file.name if file.suffix == ".json" else f"{file.stem}.json") for file in files]
    originals = {os.path.realpath(file) for file in files}
    if len(set(found)) < len(found) or any(os.path.realpath(target) in originals for target in found):
        raise InputError(f"fixed copies in {str(fix)!r} would overwrite an original or each other; choose another folder")
    return found


def print_findings(console: Console, name: str, findings: Sequence[Finding], *, fixed: bool) -> None:
    """A table with the number of findings of each rule and the first few of them."""
    if not findings:
        return
    after = "fixed to" if fixed else "--fix would change it to"
    table = Table("what is wrong", "count", title=name)
    for column in ("where", "found", after):
        table.add_column(column, overflow="fold")  # the last part of a path says which file it is
    rules: dict[tuple[str, bool], list[Finding]] = {}
    for finding in findings:
        rules.setdefault((finding.rule, bool(finding.fix)), []).append(finding)
    for (rule, _), members in sorted(rules.items(), key=lambda item: (bool(item[1][0].fix), -len(item[1]))):
        for row, finding in enumerate(members[:EXAMPLES]):
            count = f"{len(members)}" if row == 0 else ""
            new = finding.fix or Text("left: only you can know", "red")
            table.add_row(rule if row == 0 else "", count, _middle(finding.where), _middle(finding.found), new)
    console.print(table)


def _middle(text: str) -> str:
    """A text whose middle is left out where it is very long: its end is the name of the file."""
    return text if len(text) <= 200 else f"{text[:80]}...{text[-110:]}"


MAX_LOST = 0.1
"""Largest share of the labelled people that a fixed copy may lack."""


def losses(reports: Mapping[str, LintReport]) -> str | None:
    """What to say where fixed copies would lack more than `MAX_LOST` of the labelled people; None where they do not.

    Args:
        reports: The report of each file, by its name.
    """
    for name, report in reports.items():
        if report.lost <= MAX_LOST * report.people:
            continue
        reasons: Counter[str] = Counter()
        for finding in report.findings:
            reasons[finding.rule] += finding.lost
        why = ", ".join(f"{count} by {rule!r}" for rule, count in reasons.most_common(3) if count)
        return (
            f"{name!r}: a fixed copy would lack {report.lost} of {report.people} labelled people ({why}), more than a tenth; "
            f"nothing was written. Mend that in the file or by other flags, such as the right --images, first"
        )
    return None


def say_lost(console: Console, reports: Mapping[str, LintReport]) -> None:
    """How many labelled people the fixed copies lack, and why."""
    for name, report in reports.items():
        reasons = dict.fromkeys(finding.rule for finding in report.findings if finding.lost)
        if reasons:
            text = f"{name}: the fixed copy lacks {report.lost} of {report.people} labelled people: {', '.join(reasons)}"
            console.print(text, soft_wrap=True, highlight=False, markup=False)


def write_fixed(console: Console, documents: Sequence[Document], paths: Sequence[Path]) -> None:
    """Write the copies, and say what is in them."""
    for document, path in zip(documents, paths, strict=True):
        write_document(document, path)
    for document, path in zip(documents, paths, strict=True):
        count = f"{len(document['images'])} images, {len(document['annotations'])} annotations"
        console.print(f"fixed copy: {path} ({count})", soft_wrap=True, highlight=False)


def verdict(found: int, fixable: int, *, fixed: bool) -> str:
    """The last line."""
    if not found:
        return "nothing wrong found"
    if fixed:
        return f"{found} things wrong, {fixable} fixed, {found - fixable} left"
    return f"{found} things wrong; --fix OUT fixes {fixable} of them"
