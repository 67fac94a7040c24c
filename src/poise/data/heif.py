"""HEIC and AVIF, as telephones write them: read by the package pillow-heif, AVIF also by newer versions of Pillow alone."""

from PIL import features

from poise.errors import ImageError

HEIC = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"})
AVIF = frozenset({b"avif", b"avis"})
"""Brands of the two kinds of files (ISO/IEC 23008-12; the AV1 image file format)."""


def allow_heif(data: bytes, *, name: str) -> None:
    """Teach Pillow to read a file that is HEIC or AVIF; nothing for other files.

    Args:
        data: Content of the file.
        name: Name of the file, for the error message.

    Raises:
        ImageError: It is HEIC or AVIF and the package that reads it is not installed.
    """
    brands = _brands(data)
    avif = bool(brands & AVIF)
    if not (avif or brands & HEIC) or (avif and features.check("avif")):
        return
    try:
        import pillow_heif
    except ImportError as error:
        raise ImageError(
            f"image {name!r} is {'AVIF' if avif else 'HEIC'}, which another package reads: pip install 'poise[heif]' "
            "(pillow-heif); or save it as JPEG"
        ) from error
    getattr(pillow_heif, "register_avif_opener" if avif else "register_heif_opener", pillow_heif.register_heif_opener)()


def _brands(data: bytes) -> set[bytes]:
    """The brands that the first box of a file lists; none where it is no such file."""
    if data[4:8] != b"ftyp":
        return set()
    box = data[8 : min(int.from_bytes(data[:4], "big"), 256)]
    return {box[at : at + 4] for at in range(0, len(box), 4) if at != 4}  # the second word is a version
