"""A user's COCO-style files, as the flags of recipes name them."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from poise.data.base import Dataset
from poise.data.coco import CocoDataset
from poise.data.combined import CombinedDataset
from poise.data.naming import Naming
from poise.data.subset import hold_out, without
from poise.errors import InputError
from poise.skeletons import Skeleton, union


def coco_files(
    annotations: Sequence[Path],
    images: Sequence[Path],
    *,
    complete: Sequence[bool] | None = None,
    naming: Naming | None = None,
) -> list[Dataset]:
    """Each file with its images.

    Args:
        annotations: The files.
        images: For each annotation file the folder or zip file of its images, or one for all.
        complete: For each file, whether all people in its images are labelled; true by default.
        naming: Names of the keypoints where files have none.

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
    return [CocoDataset(a, i, complete=c, naming=naming) for a, i, c in zip(annotations, folders, whole, strict=True)]


def mixture(
    annotations: Sequence[Path],
    images: Sequence[Path],
    *,
    complete: Sequence[bool] | None,
    copies: Sequence[int] | None,
    more: Callable[[], Sequence[Dataset]],
    skeleton: Skeleton,
    val_share: float,
    split_seed: int,
) -> tuple[Dataset, Dataset]:
    """The training set, files and other data sets concatenated, and the validation set, a part of the first file.

    Images of the validation set are not trained on where another file lists them too.

    Args:
        annotations: The files; keypoints are joined by name.
        images: For each annotation file the folder or zip file of its images, or one for all.
        complete: For each file, whether all people in its images are labelled; true by default.
        copies: For each file, how often its images are shown in an epoch; once by default.
        more: Gives further data sets to train on; called after the other arguments are checked.
        skeleton: The keypoints of both sets.
        val_share: Share of the first file's images kept for validation.
        split_seed: Seed of that split.

    Raises:
        InputError: Numbers of files, folders, statements and copies differ, or a share that is none or leaves a part empty.
        SkeletonMismatch: A file has none of the keypoints.
    """
    files = coco_files(annotations, images, complete=complete)
    first, val = hold_out(files[0], share=val_share, seed=split_seed)
    times = copies or [1] * len(files)
    if len(times) != len(files) or min(times) < 1:
        raise InputError(f"{len(files)} files need as many copies, each 1 or more; found {times}")
    learnt = (first, *(without(file, val) for file in files[1:]))
    parts = [part for part, count in zip(learnt, times, strict=True) for _ in range(count)]
    return CombinedDataset([*parts, *more()], skeleton=skeleton), CombinedDataset([val], skeleton=skeleton)


def joined(
    annotations: Sequence[Path], images: Sequence[Path], *, skeleton: Skeleton | None = None, naming: Naming | None = None
) -> Dataset:
    """Files as one data set, joined by keypoint name.

    Args:
        annotations: The files.
        images: For each annotation file the folder or zip file of its images, or one for all.
        skeleton: The keypoints wanted; by default all of all files.
        naming: Names of the keypoints where files have none, and mirror pairs of all files together.

    Raises:
        InputError: Numbers of files and folders differ.
        SkeletonMismatch: A mirror pair names a keypoint that no file has.
    """
    parts = coco_files(annotations, images, naming=naming and replace(naming, mirror=()))
    wanted = (skeleton or union([p.skeleton for p in parts])).with_mirror(naming.mirror if naming else ())
    if len(parts) == 1 and wanted is parts[0].skeleton:
        return parts[0]
    return CombinedDataset(parts, skeleton=wanted)
