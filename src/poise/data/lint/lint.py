"""Checking a file by all rules."""

import copy
from collections.abc import Mapping

from poise.data.document import Document
from poise.data.lint.identity import check_annotation_ids, check_categories, check_images
from poise.data.lint.image_files import ImageInfo, check_image_files
from poise.data.lint.people import check_people
from poise.data.lint.report import LintReport


def check_file(document: Document, infos: Mapping[str, ImageInfo]) -> LintReport:
    """Check a document by all rules. Each rule works on the corrections of those before it; `document` is not changed.

    Args:
        document: The annotation file (`read_document`).
        infos: Contents of the image files (`read_image_infos`), by name; empty to check no image files.
    """
    fixed = _copied(document)
    findings = [
        *check_images(fixed),
        *check_image_files(fixed, infos),
        *check_categories(fixed),
        *check_annotation_ids(fixed),
        *check_people(fixed),
    ]
    return LintReport(tuple(findings), fixed)


def _copied(document: Document) -> Document:
    """A copy whose records the rules may change. Segmentations, by far the largest part, are shared: rules only remove them."""
    annotations = [
        {**a, "keypoints": copy.copy(a["keypoints"])} if "keypoints" in a else dict(a) for a in document["annotations"]
    ]
    return {**document, "images": [dict(image) for image in document["images"]], "annotations": annotations}
