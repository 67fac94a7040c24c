"""Flags of the files that a command writes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from poise.cli._flags import check_out
from poise.cli.options.types import Folder
from poise.writing import check_targets


@dataclass(frozen=True, kw_only=True)
class EvalOutputOptions:
    """Files to write.

    Attributes:
        out: Write the poses in COCO's result format, and beside it the scores and what they depend on, in a file that ends in
            .scores.json, and the boxes and masks of a model or detector that found them, in .boxes.json and .masks.json;
            for MPII, a name in .mat is written as results are submitted.
        report: Write one page: tables, precision and recall, errors by kind and what each costs, best and worst pictures.
    """

    out: Annotated[Path | None, arg(metavar="FILE.json|FILE.mat")] = None
    report: Annotated[Path | None, arg(metavar="FILE.html")] = None

    def check(self) -> None:
        """Refuse files that cannot be written.

        Raises:
            WriteError: One is a folder, no regular file, or a file that is read; or two are one.
            InputError: A name ends otherwise.
        """
        if self.out is not None:
            check_out("--out", self.out, ends=(".json", ".mat", ""))
        if self.report is not None:
            check_out("--report", self.report, ends=(".html", ".htm", ""))
        check_targets([file for file in (self.report, self.out, *self.beside.values()) if file is not None], flag="--out")

    @property
    def beside(self) -> dict[str, Path]:
        """Files that are written beside the poses."""
        return (
            {} if self.out is None else {name: self.out.with_suffix(f".{name}.json") for name in ("scores", "boxes", "masks")}
        )

    @property
    def submission(self) -> bool:
        """Whether results are written as they are submitted for MPII."""
        return self.out is not None and self.out.suffix.lower() == ".mat"

    @property
    def folders(self) -> list[Path]:
        """The paths that are written."""
        return [file.parent for file in (self.out, self.report) if file is not None]


@dataclass(frozen=True, kw_only=True)
class ModelOutputOptions:
    """Files to write.

    Attributes:
        out: Model file to write, ending in .safetensors.
    """

    out: Annotated[Path, arg(metavar="FILE.safetensors")]

    def check(self) -> None:
        """Refuse a file that cannot be written.

        Raises:
            WriteError: It is a folder, no regular file, or a file that is read.
            InputError: Its name ends otherwise.
        """
        check_out("--out", self.out, ends=(".safetensors",))


@dataclass(frozen=True, kw_only=True)
class FolderOutputOptions:
    """Files to write.

    Attributes:
        out: Folder for the results.
    """

    out: Folder
