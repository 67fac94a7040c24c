"""COCO as it is unpacked from its official archives, for recipes."""

from pathlib import Path

from poise.data.coco import CocoDataset
from poise.errors import ReadError
from poise.skeletons import COCO17


def keypoints2017(data: Path, part: str) -> CocoDataset:
    """The people of `train2017` or `val2017`.

    Args:
        data: Folder with `annotations/person_keypoints_PART.json`, and the images in `PART`, `images/PART` or zips so named.
        part: `train2017` or `val2017`.

    Raises:
        ReadError: The images are in none of these places.
    """
    places = [data / folder / f"{part}{end}" for end in ("", ".zip") for folder in (".", "images")]
    found = next((place for place in places if place.exists()), None)
    if found is None:
        raise ReadError(
            f"{data} holds no images of COCO {part}; expected {part}, images/{part}, {part}.zip or images/{part}.zip there"
        )
    return CocoDataset(data / "annotations" / f"person_keypoints_{part}.json", found, skeleton=COCO17)
