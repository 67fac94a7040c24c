"""`poise data split`: an annotation file in two."""

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

_Group = Annotated[str | None, arg(metavar="KEY")]


def run(file: Positional[Path], *, out: Path, share: float = 0.8, seed: int = 0, group: _Group = None) -> int:
    r"""Split an annotation file in two: OUT/train.json and OUT/val.json.

    For example:

        poise data split person_keypoints.json --share 0.8 --seed 0 --group sequence --out splits

        poise data split person_keypoints.json --group "^(.*)_\d+\.jpg$" --out splits

    Args:
        file: COCO-style keypoint file.
        out: Folder for the two files.
        share: Of the images that go to train.json.
        seed: The same seed gives the same parts.
        group: Images of one group stay together: a field of the image records, or a regular expression on file_name.
    """
    from rich.console import Console

    from poise.data.document import read_document, write_document
    from poise.data.split import groups, split

    document = read_document(file)
    console = Console()
    for name, part in zip(("train", "val"), split(document, share=share, seed=seed, group=group), strict=True):
        write_document(part, out / f"{name}.json")
        count = f"{len(part['images'])} images, {len(part['annotations'])} annotations"
        of = f", {len(set(groups(part, group)))} groups" if group else ""
        console.print(f"{out / name}.json: {count}{of}", soft_wrap=True, highlight=False)
    return 0
