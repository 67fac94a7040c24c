"""One file through all rules, and its mended copy."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from poise.data.document import Document
from poise.data.lint.finding import Finding
from poise.data.lint.identity import check_annotation_ids, check_categories, check_images
from poise.data.lint.image_files import ImageInfo, check_image_files
from poise.data.lint.people import check_people


@final
@dataclass(frozen=True)
class LintReport:
    """What was found in a file, and the file with everything mended that can be."""

    findings: tuple[Finding, ...]
    mended: Document


def check_file(document: Document, pictures: Mapping[str, ImageInfo]) -> LintReport:
    """All rules, one after the other, each on what the one before has mended; `document` stays as it is.

    Args:
        document: As it stands on disk (`read_document`).
        pictures: Of the image files (`read_image_infos`); empty to look at no files.
    """
    mended = _copied(document)
    findings = [
        *check_images(mended),
        *check_image_files(mended, pictures),
        *check_categories(mended),
        *check_annotation_ids(mended),
        *check_people(mended),
    ]
    return LintReport(tuple(findings), mended)


def _copied(document: Document) -> Document:
    """Deep where the rules mend; segmentations, by far the largest part, are only ever removed."""
    people = [{**a, "keypoints": copy.copy(a["keypoints"])} if "keypoints" in a else dict(a) for a in document["annotations"]]
    return {**document, "images": [dict(image) for image in document["images"]], "annotations": people}
