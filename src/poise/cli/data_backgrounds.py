"""`poise data backgrounds`: the parts of photographs that show nobody."""

from typing import Annotated

from tyro.conf import Positional, arg

from poise.cli.options import AnnotationFile, FolderOutputOptions, ImageFolderOptions
from poise.errors import WriteError

Side = Annotated[int, arg(metavar="N")]


def run(
    file: Positional[AnnotationFile],
    *,
    files: ImageFolderOptions,
    output: FolderOutputOptions,
    least: Side = 120,
) -> int:
    """Cut out the parts of photographs that show nobody, for `poise data draw --backgrounds`.

    They are the largest rectangles that no box meets, three of an image at most. Images in which not everybody is labelled give
    none.

    For example:

        poise data backgrounds person_keypoints.json --images photos --out backgrounds

        poise data draw --kind bodies --backgrounds backgrounds --count 1000 --out bodies

    Args:
        file: COCO-style keypoint file.
        files: Its images.
        output: Files to write.
        least: Shorter side of a part, pixels, at least.
    """
    from poise.data.coco import CocoDataset
    from poise.data.empty_parts import write_empty_parts
    from poise.errors import AnnotationError
    from poise.terminal import Console, say

    if output.out.is_file() or (output.out.is_dir() and any(output.out.iterdir())):
        raise WriteError(f"{str(output.out)!r} is not empty; give a new folder with --out")
    dataset = CocoDataset(file, files.images)
    written = write_empty_parts(dataset, output.out, least=least)
    if not written:
        raise AnnotationError(
            f"none of the {len(dataset)} images of {str(file)!r} has a part of {least} pixels a side that shows nobody, or not "
            "everybody is labelled in them (all_persons_known); give other photographs, or a smaller --least"
        )
    say(Console(), f"{written} parts of {len(dataset)} images in {output.out}")
    return 0
