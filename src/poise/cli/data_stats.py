"""`poise data stats`: what is in an annotation file."""

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

_Images = Annotated[Path | None, arg(metavar="DIR")]


def run(file: Positional[Path], *, images: _Images = None, count: int = 2000) -> int:
    """Count people, boxes and keypoints; mean and deviation of the images.

    For example:

        poise data stats person_keypoints.json --images images

    Args:
        file: COCO-style keypoint file.
        images: Folder or zip file of the images; without it only the labels are counted.
        count: Mean and deviation are of so many images at most, evenly spread over the file.
    """
    from rich.console import Console

    from poise.cli._data import print_statistics
    from poise.data.coco import CocoDataset
    from poise.data.stats import channel_statistics, label_statistics

    dataset = CocoDataset(file, images)
    console = Console()
    print_statistics(console, label_statistics(dataset), dataset.skeleton)
    if images is None:
        return 0
    total = len(dataset)
    chosen = range(total) if total <= count else [i * total // count for i in range(count)]
    found = channel_statistics(dataset, chosen)
    heights, widths = zip(*found.sizes, strict=True)
    for name, values in (("mean", found.mean), ("deviation", found.std)):
        console.print(f"{name} of red, green, blue (0..1): " + ", ".join(f"{v:.4f}" for v in values), highlight=False)
    console.print(
        f"{len(found.sizes)} images read: {min(widths)} to {max(widths)} wide, {min(heights)} to {max(heights)} high",
        highlight=False,
    )
    for problem in found.unreadable[:10]:
        console.print(f"[yellow]left out:[/] {problem}", highlight=False)
    return 1 if found.unreadable else 0
