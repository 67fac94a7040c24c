"""What is wrong in one place of a file."""

from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        kind: What, in a few words; equal for all findings of the kind.
        where: `annotation 12`, `image 'a.jpg'`, ...
        found: What stands there.
        mended: What a mended copy has instead; empty where nobody but the author can know.
    """

    kind: str
    where: str
    found: str
    mended: str = ""
