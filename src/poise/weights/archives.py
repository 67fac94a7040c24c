"""Zip files of others: whether what they hold could fit, looked at before anything is unpacked."""

import zipfile
from pathlib import Path

RATIO = 20
"""How much larger than the file its content may be; weights hardly shrink."""

SPARE = 2**28
"""Bytes of content that nobody minds, whatever the ratio."""


def expanded_size(path: Path) -> int:
    """Bytes that a file has when it is unpacked; of a file that is no zip file its own.

    Raises:
        ValueError: It would become far larger than it is.
        BadZipFile: It is a damaged zip file.
    """
    size = path.stat().st_size
    if not zipfile.is_zipfile(path):
        return size
    with zipfile.ZipFile(path) as archive:
        whole = sum(member.file_size for member in archive.infolist())
    if whole > RATIO * size + SPARE:
        raise ValueError(f"its {size:,} bytes would become {whole:,}")
    return whole
