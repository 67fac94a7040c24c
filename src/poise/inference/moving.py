"""Sources that are no photographs: videos, cameras, addresses. Imports nothing heavy."""

import re
from pathlib import Path

VIDEOS = frozenset(
    {".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".mts", ".m2ts", ".ts", ".3gp", ".flv", ".ogv"}
)
"""Suffixes of videos."""

CAMERA = re.compile(r"camera(:\w*)?")
"""How a camera is asked for."""

CAMERAS = frozenset({"webcam", "cam", "video"})
"""Words by which people ask for a camera; numbers do so too."""

DEVICE = "/dev/video"
"""Beginning of the names of cameras on Linux."""

NUMBERED = re.compile(r"%0?\d*d")
"""The number in a pattern of images, such as frame_%06d.png."""


_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+):/{1,3}(?=[^/])")

OTHERS = frozenset({"http", "https", "ftp", "rtsp", "rtmp", "file"})
"""Schemes that are not read so: of pages, cameras and films; and of local files, whose paths are given."""


def address_of(path: str | Path) -> str:
    """The address that a text or path is, such as "s3://bucket/photos"; "" for paths of files.

    >>> address_of(Path("s3://bucket/photos")), address_of("photos/s3.jpg"), address_of("https://x.org/a.jpg")
    ('s3://bucket/photos', '', '')
    """
    found = _SCHEME.match(str(path))  # a Path has made one slash of two
    if found is None or found.group(1) in OTHERS or len(found.group(1)) < 2:
        return ""
    return f"{found.group(1)}://{str(path)[found.end() :]}"


def is_video(text: str) -> bool:
    """Whether something is a video, a camera or a numbered pattern, by its name; folders are photographs.

    Args:
        text: That was given as images.

    >>> [is_video(text) for text in ("walk.MP4", "camera:0", "frame_%06d.png", "photo.jpg")]
    [True, True, True, False]
    """
    if CAMERA.fullmatch(text):
        return True
    name = Path(text).name
    return "://" not in text and (Path(text).suffix.lower() in VIDEOS or bool(NUMBERED.search(name))) and not _is_folder(text)


def moving_text(text: str) -> str:
    """Message about a video, a camera or an address, for a command that looks at photographs; empty for other sources.

    Args:
        text: That was given as images.

    >>> moving_text("photo.jpg")
    ''
    """
    if is_video(text):
        return f"{text!r} is a video, and photographs are looked at here; poise predict takes videos and cameras"
    return no_source_text(text)


def no_source_text(text: str) -> str:
    """Message about an address, or about a camera by another name; empty for other sources.

    Args:
        text: That was given as images.
    """
    try:
        there = Path(text).exists()
    except (OSError, ValueError):  # whoever reads it says more
        return ""
    if there and not text.startswith(DEVICE):
        return ""
    if text.lower() in CAMERAS or text.isdigit() or text.startswith(DEVICE):
        number = text.removeprefix(DEVICE)
        return f"{text!r} names no file; a camera is called camera:{number if number.isdigit() else 0} here"
    if text.startswith(("rtsp://", "rtmp://", "http://", "https://", "ftp://", "s3://", "gs://")):
        return f"{text!r} is an address, and files are looked at here; download it first and name the file"
    return ""


def _is_folder(text: str) -> bool:
    try:
        return Path(text).is_dir()
    except (OSError, ValueError):
        return False
