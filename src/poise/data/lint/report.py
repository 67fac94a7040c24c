"""The result of checking an annotation file."""

from dataclasses import dataclass
from typing import final

from poise.data.document import Document


@final
@dataclass(frozen=True)
class Finding:
    """One error in a file.

    Attributes:
        rule: Name of the rule that is broken, a few words, such as "image id repeats".
        where: The record with the error, such as "annotation 12" or "image 'a.jpg'".
        found: The wrong value.
        fix: Correction in the fixed copy; "" where only the author of the file can correct it.
    """

    rule: str
    where: str
    found: str
    fix: str = ""


@final
@dataclass(frozen=True)
class LintReport:
    """The errors of a file, and a corrected copy.

    Attributes:
        findings: All errors.
        fixed: The document with all errors corrected for which `Finding.fix` is not empty.
    """

    findings: tuple[Finding, ...]
    fixed: Document
