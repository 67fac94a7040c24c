"""What is known of one published model: its file, where that lies, its licence and scores."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Release:
    """One published model.

    Attributes:
        name: In this zoo.
        file: What the official file is called, with its folder there; empty where none was published.
        page: The page of its authors that leads to the file.
        folder: Where the file lies, for a browser.
        url: The file itself, where it can be downloaded without a browser.
        sha256: Of the file, where known.
        licence: Of code and weights, in words.
        scores: What the authors report, by name; shares, not per cent.
    """

    name: str
    file: str = ""
    page: str = ""
    folder: str = ""
    url: str | None = None
    sha256: str | None = None
    licence: str = "unknown"
    scores: Mapping[str, float] = field(default_factory=dict)
