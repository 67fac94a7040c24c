"""Types of flags that several groups share."""

from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from poise.cli._inputs import ANNOTATIONS, MODEL

Name = Annotated[str | None, arg(metavar="NAME")]
Number = Annotated[int | None, arg(metavar="N")]
Score = Annotated[float | None, arg(metavar="T")]
ModelFile = Annotated[Path, arg(metavar="FILE|NAME"), MODEL]
OptionalModelFile = Annotated[Path | None, arg(metavar="FILE|NAME"), MODEL]
AnnotationFile = Annotated[Path, arg(metavar="FILE"), ANNOTATIONS]
Folder = Annotated[Path, arg(metavar="DIR")]
Assignments = Annotated[tuple[str, ...], arg(metavar="NAME=VALUE [NAME=VALUE ...]")]
Factors = Annotated[tuple[float, ...], arg(metavar="F [F ...]")]
