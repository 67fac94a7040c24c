"""A user's COCO-style files, as the flags of recipes name them."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from poise.data.base import Dataset
from poise.data.coco import CocoDataset
from poise.data.combined import CombinedDataset
from poise.data.mapped import MappedDataset
from poise.data.naming import Naming
from poise.data.subset import hold_out, with_people, without
from poise.errors import InputError
from poise.skeletons import Skeleton, union
from poise.skeletons.mapping import KeypointMap


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
    naming: Naming | None = None,
) -> tuple[CombinedDataset, CombinedDataset]:
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
        naming: Names of the keypoints where files have none.

    Raises:
        InputError: Numbers of files, folders, statements and copies differ, or a share that is none or leaves a part empty.
        SkeletonMismatch: A file has none of the keypoints.
    """
    files = coco_files(annotations, images, complete=complete, naming=naming)
    first, val = hold_out(files[0], share=val_share, seed=split_seed)
    times = copies or [1] * len(files)
    if len(times) != len(files) or min(times) < 1:
        raise InputError(f"{len(files)} files need as many copies, each 1 or more; found {times}")
    learnt = (first, *(without(file, val) for file in files[1:]))
    parts = [part for part, count in zip(learnt, times, strict=True) for _ in range(count)]
    return CombinedDataset([*parts, *more()], skeleton=skeleton), CombinedDataset([val], skeleton=skeleton)


def joined(
    annotations: Sequence[Path],
    images: Sequence[Path],
    *,
    skeleton: Skeleton | None = None,
    naming: Naming | None = None,
    mapping: KeypointMap | None = None,
) -> Dataset:
    """Files as one data set, joined by keypoint name.

    Args:
        annotations: The files.
        images: For each annotation file the folder or zip file of its images, or one for all.
        skeleton: The keypoints wanted; by default all of all files.
        naming: Names of the keypoints where files have none, and mirror pairs of all files together.
        mapping: Which keypoints of further files stand for which of the first one, which then are the keypoints wanted.

    Raises:
        InputError: Numbers of files and folders differ.
        SkeletonMismatch: A mirror pair names a keypoint that no file has, or a map one that the first file does not have, or
            nothing of a file is left.
    """
    parts = coco_files(annotations, images, naming=naming and replace(naming, mirror=()))
    if mapping is not None:
        wanted = skeleton or parts[0].skeleton
        parts = [mapped(part, wanted, mapping) for part in parts]
    wanted = (skeleton or union([p.skeleton for p in parts])).with_mirror(naming.mirror if naming else ())
    if len(parts) == 1 and wanted is parts[0].skeleton:
        return parts[0]
    return CombinedDataset(parts, skeleton=wanted)


def mapped_split(
    annotations: Sequence[Path],
    images: Sequence[Path],
    *,
    naming: Naming | None,
    mapping: KeypointMap,
    val_share: float,
    seed: int,
) -> tuple[Dataset, Dataset]:
    """Training and validation set of files whose keypoints stand for those of the first; the validation is a part of the first.

    Args:
        annotations: The files.
        images: For each annotation file the folder or zip file of its images, or one for all.
        naming: Names of the keypoints where files have none, and mirror pairs.
        mapping: Which keypoints of further files stand for which of the first one.
        val_share: Share of the first file's images kept for validation.
        seed: Seed of that split.

    Raises:
        PoiseError: As `joined` and `hold_out`.
    """
    whole = joined(annotations, images, naming=naming, mapping=mapping)
    parts = whole.datasets if isinstance(whole, CombinedDataset) else (whole,)
    first, val = hold_out(with_people(parts[0]), share=val_share, seed=seed)
    if whole is parts[0]:
        return first, val
    learnt = [first, *(without(part, val) for part in parts[1:])]
    return CombinedDataset(learnt, skeleton=whole.skeleton), CombinedDataset([val], skeleton=whole.skeleton)


def mapped(dataset: Dataset, skeleton: Skeleton, mapping: KeypointMap) -> Dataset:
    """A data set in the keypoints of another: itself where it has the same.

    Raises:
        SkeletonMismatch: The map names a keypoint that `skeleton` does not have, or nothing is left.
    """
    own = mapping.for_data(dataset.skeleton, skeleton)
    if dataset.skeleton.keypoints == skeleton.keypoints:
        return dataset
    return MappedDataset(dataset, skeleton=skeleton, mapping=own)


def used_by(mapping: KeypointMap, dataset: Dataset) -> KeypointMap:
    """The map, knowing which of its words the files of a data set have used."""
    return mapping.having_used([part.mapping for part in _mapped_parts(dataset)])


def _mapped_parts(dataset: Dataset) -> list[MappedDataset]:
    """The mapped files inside a data set."""
    if isinstance(dataset, MappedDataset):
        return [dataset]
    inner = [*getattr(dataset, "datasets", ()), *filter(None, [getattr(dataset, "dataset", None)])]
    return [part for one in inner for part in _mapped_parts(one)]
