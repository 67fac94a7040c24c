"""`poise data stats`: what is in an annotation file."""

from tyro.conf import Positional

from poise.cli._flags import refuse
from poise.cli.options import AnnotationFile, MirrorOptions, Number, OptionalImageFolderOptions

MAX_IMAGES = 2000
"""Images whose channels are measured, where `--count` is not given."""


def run(
    file: Positional[AnnotationFile], *, files: OptionalImageFolderOptions, names: MirrorOptions, count: Number = None
) -> int:
    """Count people, boxes and keypoints; mean and deviation of the images.

    For example:

        poise data stats person_keypoints.json --images images

    Args:
        file: COCO-style keypoint file.
        files: Images; without them only the labels are counted.
        names: Names of keypoints.
        count: Largest number of images for mean and deviation, evenly spread over the file (2000).
    """
    from poise.analysis.codec_report import evenly_spaced
    from poise.cli._data import print_statistics
    from poise.data.coco import CocoDataset
    from poise.data.stats import channel_statistics, label_statistics
    from poise.errors import InputError
    from poise.terminal import Console, say

    images, limit = files.images, MAX_IMAGES if count is None else count
    if images is None:
        refuse({"--count": count}, why="without --images the labels alone are counted")
    if limit < 1:
        raise InputError(f"mean and deviation of {limit} images cannot be computed; --count is 1 or more")
    dataset = CocoDataset(file, images, naming=names.naming)
    console = Console()
    print_statistics(console, label_statistics(dataset), dataset.skeleton)
    if images is None:
        return 0
    found = channel_statistics(dataset, evenly_spaced(len(dataset), limit))
    heights, widths = zip(*found.sizes, strict=True)
    for name, values in (("mean", found.mean), ("deviation", found.std)):
        console.print(f"{name} of red, green, blue (0..1): " + ", ".join(f"{v:.4f}" for v in values), highlight=False)
    console.print(
        f"{len(found.sizes)} images read: {min(widths)} to {max(widths)} wide, {min(heights)} to {max(heights)} high",
        highlight=False,
    )
    for problem in found.unreadable[:10]:
        say(console, f"left out: {problem}")
    return 1 if found.unreadable else 0
