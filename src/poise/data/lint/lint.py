"""Checking a file by all rules."""

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from poise.data.coco import CocoDataset
from poise.data.coco_labels import labelled, unreadable
from poise.data.conversions import convert
from poise.data.lint.categories import check_categories
from poise.data.lint.identity import check_annotation_ids, check_images
from poise.data.lint.image_files import ImageInfo, check_image_files
from poise.data.lint.meaning import check_meaning
from poise.data.lint.people import check_people
from poise.data.lint.report import Finding, LintReport
from poise.data.records import Document
from poise.errors import PoiseError
from poise.notes import without_notes

ROUNDS = 4
"""Corrections may show further errors; so many times all rules are tried at most."""


def check_file(document: Document, infos: Mapping[str, ImageInfo]) -> LintReport:
    """Check a document by all rules. Each rule works on the corrections of those before it; `document` is not changed.

    The rules are tried until they find nothing more to correct; then the corrected document is read as a data set, so that a
    file without findings, or with corrected ones only, can be used.

    Args:
        document: The annotation file (`read_raw`).
        infos: Contents of the image files (`read_image_infos`), by name; empty to check no image files.
    """
    fixed = _copied(document)
    found = [Finding(change.rule, change.where, change.found, change.now) for change in convert(fixed)]
    people = sum(labelled(a) or unreadable(a) for a in fixed["annotations"])
    for _ in range(ROUNDS):
        known = set(found)
        new = [finding for finding in _findings(fixed, infos) if finding not in known]
        found += new
        if not any(finding.fix for finding in new):
            break
    if all(finding.fix for finding in found):
        found += _refused(fixed)
    return LintReport(tuple(found), fixed, people)


def _findings(fixed: Document, infos: Mapping[str, ImageInfo]) -> Iterator[Finding]:
    yield from check_images(fixed)
    yield from check_image_files(fixed, infos)
    yield from check_categories(fixed)
    yield from check_annotation_ids(fixed)
    yield from check_meaning(fixed)
    yield from check_people(fixed)


def _refused(fixed: Document) -> Iterator[Finding]:
    """What still keeps the document from being read."""
    try:
        with without_notes():  # the findings say all of it
            CocoDataset("the file", None, document=fixed)
    except PoiseError as error:
        yield Finding("the file cannot be read", "the file", str(error).removeprefix("'the file': "))


def _copied(document: Document) -> Document:
    """A copy whose records the rules may change."""
    return {
        **document,
        "images": _records(document["images"]),
        "categories": copy.deepcopy(document["categories"]),
        "annotations": _records(document["annotations"]),
    }


def _records(rows: Any) -> Any:
    """Records as in the file, a list or an object by id. Their lists are shared: rules give new ones."""
    if isinstance(rows, dict):
        return {key: copy.copy(row) for key, row in rows.items()}
    return [row.copy() if isinstance(row, dict) else row for row in rows]
