"""Sources that are no photographs: videos, cameras, addresses. Imports nothing heavy."""

import shlex
from pathlib import Path

VIDEOS = frozenset({".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".mts", ".3gp", ".flv"})
"""Suffixes of videos."""

CAMERAS = frozenset({"camera", "webcam", "cam", "video"})
"""Words by which a camera is asked for; numbers do so too."""

DEVICE = "/dev/video"
"""Beginning of the names of cameras on Linux."""


def moving_text(text: str) -> str:
    """Message about a video, a camera or an address; empty for other sources.

    Args:
        text: That was given as images.

    >>> moving_text("photo.jpg")
    ''
    """
    try:
        folder, there = Path(text).is_dir(), Path(text).exists()
    except (OSError, ValueError):  # whoever reads it says more
        return ""
    if folder:
        return ""
    if Path(text).suffix.lower() in VIDEOS and "://" not in text:
        return (
            f"{text!r} is a video, and photographs are looked at here; cut it into pictures first, such as with: mkdir frames "
            f"&& ffmpeg -i {shlex.quote(text)} frames/%06d.jpg; then give the folder frames"
        )
    if there and not text.startswith(DEVICE):
        return ""
    if text.lower() in CAMERAS or text.isdigit() or text.startswith((DEVICE, "rtsp://", "rtmp://")):
        return f"{text!r} asks for a camera, and photographs are looked at here; save its pictures and name their folder"
    if text.startswith(("http://", "https://", "ftp://", "s3://", "gs://")):
        return f"{text!r} is an address, and files are looked at here; download it first and name the file"
    return ""
