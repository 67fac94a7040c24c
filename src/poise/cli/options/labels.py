"""Flags of label files and their images."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import arg

from poise.cli._inputs import IMAGES, SKELETON
from poise.cli.options.types import AnnotationFile

if TYPE_CHECKING:
    from poise.data.naming import Naming


@dataclass(frozen=True, kw_only=True)
class NameOptions:
    """Names of keypoints.

    Attributes:
        skeleton: Names of the keypoints where the file has none: of a public data set, such as wflw or coco_wholebody, or a
            JSON or text file with the names.
        fields: Fields of the annotations that hold the keypoints, one after the other, such as keypoints foot_kpts.
    """

    skeleton: Annotated[str | None, arg(metavar="NAME|FILE"), SKELETON] = None
    fields: Annotated[tuple[str, ...], arg(metavar="FIELD [FIELD ...]")] = ()

    @property
    def naming(self) -> "Naming | None":
        """The values of these flags; None where none is given.

        Raises:
            PoiseError: There is no such skeleton, or a pair is none.
        """
        from poise.data.naming import naming_of

        return naming_of(self.skeleton, self.fields)


@dataclass(frozen=True, kw_only=True)
class MirrorOptions(NameOptions):
    """Names and mirror pairs of keypoints.

    Attributes:
        mirror: Pairs of keypoints that a mirror exchanges, where names do not tell: left_paw:right_paw; nose:nose alone where
            it exchanges none.
    """

    mirror: Annotated[tuple[str, ...], arg(metavar="A:B [A:B ...]")] = ()

    @property
    def naming(self) -> "Naming | None":
        """The values of these flags; None where none is given."""
        from poise.data.naming import naming_of

        return naming_of(self.skeleton, self.fields, self.mirror)


@dataclass(frozen=True, kw_only=True)
class AnnotationOptions(NameOptions):
    """The labels.

    Attributes:
        annotations: COCO-style keypoint file.
    """

    annotations: AnnotationFile


@dataclass(frozen=True, kw_only=True)
class ImageFolderOptions:
    """The images.

    Attributes:
        images: Folder or zip file of the images of the annotation file.
    """

    images: Annotated[Path, arg(metavar="DIR"), IMAGES]


@dataclass(frozen=True, kw_only=True)
class OptionalImageFolderOptions:
    """The images.

    Attributes:
        images: Folder or zip file of the images of the annotation file, where images are read.
    """

    images: Annotated[Path | None, arg(metavar="DIR"), IMAGES] = None


@dataclass(frozen=True, kw_only=True)
class DatasetOptions(ImageFolderOptions, AnnotationOptions):
    """Labels and images."""


@dataclass(frozen=True, kw_only=True)
class EvalFilesOptions(OptionalImageFolderOptions, AnnotationOptions):
    """Labels, and images where a model is run."""
