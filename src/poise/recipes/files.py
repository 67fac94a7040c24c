"""A user's COCO-style files, as the flags of recipes name them."""

from collections.abc import Sequence
from pathlib import Path

from poise.data.base import Dataset
from poise.data.coco import CocoDataset
from poise.data.join import Joined
from poise.errors import InputError
from poise.skeletons import Skeleton, union


def coco_files(annotations: Sequence[Path], images: Sequence[Path], *, complete: Sequence[bool] | None = None) -> list[Dataset]:
    """Each file with its images.

    Args:
        annotations: The files.
        images: The folder or zip file of each, or one for all.
        complete: Of each, whether everybody in its images is labelled; all are by default.

    Raises:
        InputError: Numbers of files, folders and statements differ.
    """
    folders = list(images) * len(annotations) if len(images) == 1 else list(images)
    if len(folders) != len(annotations) or not annotations:
        raise InputError(
            f"{len(annotations)} annotation files and {len(images)} image folders; give a folder for each file, or one for all"
        )
    whole = list(complete or [True] * len(annotations))
    if len(whole) != len(annotations):
        raise InputError(
            f"`complete` says of each of the {len(annotations)} files whether everybody is labelled; found {whole}"
        )
    return [CocoDataset(a, i, complete=c) for a, i, c in zip(annotations, folders, whole, strict=True)]


def joined(annotations: Sequence[Path], images: Sequence[Path], *, skeleton: Skeleton | None = None) -> Dataset:
    """Files as one data set, joined by keypoint name.

    Args:
        annotations: The files.
        images: The folder or zip file of each, or one for all.
        skeleton: The keypoints wanted; by default all of all files.

    Raises:
        InputError: Numbers of files and folders differ.
    """
    parts = coco_files(annotations, images)
    if len(parts) == 1 and skeleton is None:
        return parts[0]
    return Joined(parts, skeleton=skeleton or union([p.skeleton for p in parts]))
