"""`poise data draw`: pictures with their labels."""

from pathlib import Path

from tyro.conf import Positional

from poise.cli.options import AnnotationFile, FolderOutputOptions, ImageFolderOptions, MirrorOptions, SeedOptions


def run(
    file: Positional[AnnotationFile],
    *,
    files: ImageFolderOptions,
    output: FolderOutputOptions,
    chance: SeedOptions,
    names: MirrorOptions,
    count: int = 20,
    side: int = 480,
) -> int:
    """Draw labels on images, and the mirrored image with mirrored labels beside each.

    In both, the person's own left is warm (orange) and right is cool (blue); hidden keypoints are hollow. Where the file
    has segmentations, people are outlined and crowds tinted. Where nobody knows which keypoints a mirror exchanges, there is
    no mirrored picture.

    For example:

        poise data draw person_keypoints.json --images images --out drawn --count 20

    Args:
        file: COCO-style keypoint file.
        files: Images.
        output: Files to write.
        chance: Seed of the choice.
        names: Names of keypoints.
        count: Number of images, drawn at random from those with people.
        side: Least length of the longer side, pixels; smaller images are enlarged.
    """
    import os
    import random

    from poise.cli._data import labelled_pair
    from poise.data.coco import CocoDataset
    from poise.data.images import write_image
    from poise.errors import AnnotationError, ImageError, InputError
    from poise.terminal import Console, say
    from poise.writing import check_targets, protecting, short_name

    if count < 1:
        raise InputError(f"--count {count} pictures cannot be drawn; give 1 or more")
    dataset = CocoDataset(file, files.images, naming=names.naming)
    with_people = sorted({i for i, _ in dataset.people(crowd=True)})
    if not with_people:
        raise AnnotationError(f"{str(file)!r} labels nobody, so there is nothing to draw")
    console, failed = Console(), 0
    chosen = sorted(random.Random(chance.seed).sample(with_people, min(count, len(with_people))))
    pictures = {i: output.out / short_name(f"{i:06d}_{Path(dataset.key(i).file_name).stem}", ending=".jpg") for i in chosen}
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
    console.print(
        f"{len(chosen) - failed} pictures in {output.out}" + (f", {failed} left out" if failed else ""), highlight=False
    )
    return 1 if failed else 0
