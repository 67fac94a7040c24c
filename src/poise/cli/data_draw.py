"""`poise data draw`: pictures with their labels."""

from pathlib import Path
from typing import TYPE_CHECKING

from tyro.conf import Positional

from poise.cli._draw import FigureOptions, write_figures
from poise.cli._flags import given, refuse
from poise.cli.options import (
    AnnotationFile,
    FolderOutputOptions,
    MirrorOptions,
    Number,
    OptionalImageFolderOptions,
    SeedOptions,
)
from poise.errors import InputError

if TYPE_CHECKING:
    from poise.data.naming import Naming


def run(
    file: Positional[AnnotationFile | None] = None,
    *,
    files: OptionalImageFolderOptions,
    figures: FigureOptions,
    output: FolderOutputOptions,
    chance: SeedOptions,
    names: MirrorOptions,
    count: int = 20,
    side: Number = None,
) -> int:
    """Draw labels on images, and the mirrored image with mirrored labels beside each; or draw a data set (--kind).

    In both, the person's own left is warm (orange) and right is cool (blue); hidden keypoints are hollow. Where the file
    has segmentations, people are outlined and crowds tinted. Where nobody knows which keypoints a mirror exchanges, there is
    no mirrored picture.

    For example:

        poise data draw person_keypoints.json --images images --out drawn --count 20

    With --kind there is no file: people or animals are drawn, and written as a COCO-style file with their images.

        poise data draw --kind horse --look wild --keypoints animal18 --count 1000 --out horses

    Args:
        file: COCO-style keypoint file.
        files: Images.
        figures: Drawn figures in place of a file.
        output: Files to write.
        chance: Seed of the choice.
        names: Names of keypoints.
        count: Number of images, drawn at random from those with people; of drawings, their number.
        side: Least length of the longer side, pixels; smaller images are enlarged. 480 by default.
    """
    if figures.kind is not None:
        _refuse_file(file, given(files, names), side=side)
        write_figures(figures, output.out, count=count, seed=chance.seed)
        return 0
    refuse(given(figures), why="without --kind nothing is drawn but labels")
    if file is None or files.images is None:
        raise InputError("name a keypoint file and its --images, or what to draw, such as --kind horse")
    return _draw_labels(file, files.images, output.out, naming=names.naming, seed=chance.seed, count=count, side=side or 480)


def _refuse_file(file: Path | None, flags: dict[str, object], *, side: int | None) -> None:
    if file is not None:
        raise InputError(f"found both {str(file)!r} and --kind; labels of a file or new figures are drawn: leave one out")
    refuse(flags | {"--side": side}, why="with --kind no file is read")


def _draw_labels(file: Path, images: Path, out: Path, *, naming: "Naming | None", seed: int, count: int, side: int) -> int:
    """Draw the labels of a file; the exit code."""
    import os
    import random

    from poise.cli._data import labelled_pair
    from poise.data.coco import CocoDataset
    from poise.data.images import write_image
    from poise.errors import AnnotationError, ImageError
    from poise.terminal import Console, say
    from poise.writing import check_targets, protecting, short_name

    if count < 1:
        raise InputError(f"--count {count} pictures cannot be drawn; give 1 or more")
    dataset = CocoDataset(file, images, naming=naming)
    with_people = sorted({i for i, _ in dataset.people(crowd=True)})
    if not with_people:
        raise AnnotationError(f"{str(file)!r} labels nobody, so there is nothing to draw")
    console, failed = Console(), 0
    chosen = sorted(random.Random(seed).sample(with_people, min(count, len(with_people))))
    pictures = {i: out / short_name(f"{i:06d}_{Path(dataset.key(i).file_name).stem}", ending=".jpg") for i in chosen}
    if any(map(os.path.lexists, pictures.values())):  # pictures of an earlier time, but not images of the data set
        with protecting(path for path in map(dataset.file_path, range(len(dataset))) if path):
            check_targets(pictures.values(), flag="--out")
    for index in chosen:
        try:
            picture = labelled_pair(dataset, index, side)
        except (ImageError, AnnotationError) as error:
            failed += 1
            say(console, f"left out: {error}")
            continue
        write_image(pictures[index], picture)
    console.print(dataset.skeleton.mirror_text, highlight=False, markup=False, soft_wrap=True)
    console.print(f"{len(chosen) - failed} pictures in {out}" + (f", {failed} left out" if failed else ""), highlight=False)
    return 1 if failed else 0
