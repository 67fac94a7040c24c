"""Rendered animals of Learning from Synthetic Animals (arXiv 1912.08265).

    synthetic_animal/<animal>_combineds5r5_texture/<name>_img.png   RGB, 640 x 480
    synthetic_animal/<animal>_combineds5r5_texture/<name>_kpts.npy  x, y, visible of every vertex of the animal's mesh
    synthetic_animal/<animal>_combineds5r5_texture/<name>_partseg.png   number of the part that each pixel shows
    synthetic_animal/<animal>_combineds5r5_texture/<name>_seg.png   the animal's mask; or part numbers, without partseg

10,000 images of each animal, of which 8,000 are to train on and 2,000 held out, as index lists into the sorted files say.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import final

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64, UInt8
from PIL import Image
from torch import Tensor

from poise.data.base import Dataset
from poise.data.coco_labels import BODY_SHARE
from poise.data.files import ImageFiles
from poise.data.positions import HELD_OUT, check_part, read_array, read_positions
from poise.errors import AnnotationError, ImageError, ReadError, unknown
from poise.reading import check_folder
from poise.skeletons import ANIMAL18
from poise.skeletons.animals import ELEPHANT25
from poise.structures import Key, Labels

FOLDER = "synthetic_animal"
TEXTURE = "combineds5r5_texture"
SIZE = (480, 640)
"""Height and width of the images, pixels, to which boxes are clipped."""

PART_NAMES = ("background", "head", "eye", "ear", "torso", "left front", "right front", "left back", "right back", "tail")
"""What the value of a pixel of a part mask says; the release's `generate_partseg.py` writes them so, for horses and tigers."""

PARTS = len(PART_NAMES) - 1
"""Part classes beside the background, as many as the multitask hourglass tells apart; a pixel of part n has the value n."""

MIRRORED_PARTS = (0, 1, 2, 3, 4, 6, 5, 8, 7, 9)
"""The number that each part has in a mirrored image."""

NO_PART = 255
"""Value of a pixel whose part nobody knows; the release's loss leaves it out."""

VERTICES: Mapping[str, tuple[int, ...]] = {
    "horse": (
        1718, 1684, 1271, 1634, 1650, 1643, 1659, 925, 392, 564, 993, 726, 1585, 1556, 427, 1548, 967, 877,
    ),
    "tiger": (
        2753, 2679, 2032, 1451, 1287, 3085, 1632, 229, 1441, 1280, 2201, 1662, 266, 158, 270, 152, 219, 129,
    ),
    "sheep": (
        2046, 1944, 1267, 1875, 1900, 1868, 1894, 687, 173, 1829, 1422, 821, 624, 580, 622, 575, 1370, 716,
    ),
    "hound": (
        2028, 2580, 912, 878, 977, 1541, 1734, 480, 799, 1575, 1446, 602, 755, 673, 780, 1580, 466, 631,
    ),
    "elephant": (
        1980, 2051, 1734, 2122, 2155, 2070, 2166, 681, 923, 1442, 1041, 1528, 78, 599, 25, 595, 171, 570, 1147, 1211, 1208,
        1226, 1320, 1275, 1265,
    ),
}  # fmt: skip
"""Vertices of each animal's mesh that are the keypoints, in their order; the last seven of the elephant are its trunk."""


@final
class SyntheticAnimals(Dataset):
    """The rendered images of one animal; each is a sample with one animal.

    The box goes around all vertices, clipped to the image; areas are `BODY_SHARE` of it. Keypoints that the animal itself hides
    have visibility 1 and count as labelled, as the release trains (`train_with_occlusion`); those outside the image have 0.

    Args:
        root: The folder `synthetic_animal`, the one it is in, or the folder of the images themselves.
        animal: One of `VERTICES`.
        part: "train" or "val": by the index lists or at random; "all" for both.
        lists: Folder with the release's index lists; None to hold out a random fifth of the images.
        seed: Seed of that choice.

    Raises:
        UnknownName: There is no such animal.
        ReadError: A file or folder is missing or damaged.
        AnnotationError: A file of vertices has another shape, or too few vertices for this animal.
        InputError: There is no such part.
    """

    def __init__(
        self,
        root: Path | str,
        animal: str = "horse",
        *,
        part: str = "all",
        lists: Path | str | None = None,
        seed: int = 0,
    ) -> None:
        if animal not in VERTICES:
            raise unknown("synthetic animal", animal, VERTICES)
        check_part(part)
        self.skeleton = ELEPHANT25 if animal == "elephant" else ANIMAL18
        self.folder = image_folder(Path(root), animal)
        names = [name.removesuffix("_img.png") for name in sorted(path.name for path in self.folder.glob("*_img.png"))]
        if not names:
            raise ReadError(f"{str(self.folder)!r} holds no images ('*_img.png'); see `poise data fetch synthetic_animals`")
        chosen = _part(part, len(names), animal, lists, seed=seed)
        self._ids = (chosen + 1).tolist()
        self._names = [names[i] for i in chosen.tolist()]
        self.files = ImageFiles(self.folder)
        vertices = list(VERTICES[animal])
        found = [_labels(self.folder / f"{name}_kpts.npy", vertices) for name in self._names]
        self._xy = torch.stack([xy for xy, _, _ in found])
        self._visible = torch.stack([visible for _, visible, _ in found])
        self._boxes = torch.stack([box for _, _, box in found])

    def __len__(self) -> int:
        """Number of images."""
        return len(self._names)

    def key(self, index: int) -> Key:
        """File name of an image, and its position in the sorted files, from 1."""
        return Key(f"{self._names[index]}_img.png", self._ids[index])

    def labels(self, index: int) -> Labels:
        """The animal of an image."""
        box = self._boxes[index : index + 1] if index >= 0 else self._boxes[[index]]
        if not len(box):
            raise IndexError(f"there is no image {index}; there are {len(self)}")
        area = BODY_SHARE * (box[:, 2:] - box[:, :2]).prod(dim=1)
        return Labels.of(self._xy[index][None], self._visible[index][None], box, area=area)

    def image(self, index: int) -> UInt8[Tensor, "3 H W"]:
        """An image, RGB, 0 to 255.

        Raises:
            ImageError: The image cannot be decoded.
        """
        return self.files.read(self.key(index).file_name)

    def parts(self, index: int) -> UInt8[Tensor, "H W"] | None:
        """The part that each pixel of an image shows: 0 for the background, 1 to `PARTS`, `NO_PART`; None without such a mask.

        A file `*_seg.png` that tells the animal from the background alone has no parts.

        Raises:
            ImageError: The file is no image of part numbers.
        """
        path = self.folder / f"{self._names[index]}_partseg.png"
        if path.is_file():
            return read_parts(path)
        path = self.folder / f"{self._names[index]}_seg.png"
        if not path.is_file() or len(np.setdiff1d(_mask_pixels(path), (0,))) < 2:
            return None
        return read_parts(path)

    def masks(self, index: int) -> Bool[Tensor, "n H W"] | None:
        """Mask of the animal: `*_seg.png`, or all its parts; None where the set has neither.

        Raises:
            ImageError: The file is no mask.
        """
        found = (self.folder / f"{self._names[index]}_{kind}.png" for kind in ("seg", "partseg"))
        path = next((one for one in found if one.is_file()), None)
        return None if path is None else torch.from_numpy(_mask_pixels(path) > 0)[None]

    def file_size(self, index: int) -> int | None:
        """Size of the image file, bytes."""
        return self.files.size(self.key(index).file_name)

    def file_path(self, index: int) -> str | None:
        """Path of the image file."""
        return self.files.resolved_path(self.key(index).file_name)


def read_parts(path: Path) -> UInt8[Tensor, "H W"]:
    """A mask of part numbers: an image of one channel, a palette, or equal channels; values from 0 to `PARTS`, and `NO_PART`.

    Args:
        path: The file.

    Raises:
        ImageError: It is missing, damaged, coloured, or has other values.
    """
    pixels = _mask_pixels(path)
    if pixels[pixels != NO_PART].max(initial=0) > PARTS:
        raise ImageError(f"part mask {str(path)!r} has values above {PARTS}; {_EXPECTED}")
    return torch.from_numpy(np.ascontiguousarray(pixels, dtype=np.uint8))


_EXPECTED = f"expected the number of the part of each pixel, 0 (background) to {PARTS}, in a grey or palette image"


def _mask_pixels(path: Path) -> np.ndarray:
    """The values of a grey or palette image."""
    try:
        with Image.open(path) as image:
            pixels = np.array(image)
    except (OSError, ValueError, SyntaxError) as error:
        raise ImageError(f"part mask {str(path)!r} is missing or damaged ({str(error)[:100]})") from error
    if pixels.ndim == 3 and (pixels[..., :3] == pixels[..., :1]).all():
        pixels = pixels[..., 0]
    if pixels.ndim != 2:
        raise ImageError(f"part mask {str(path)!r} is coloured; {_EXPECTED}")
    return pixels


def image_folder(root: Path, animal: str) -> Path:
    """The folder of an animal's images below a folder that was given.

    Raises:
        ReadError: There is none.
    """
    name = f"{animal}_{TEXTURE}"
    found = next((p for p in (root / FOLDER / name, root / name) if p.is_dir()), root)
    check_folder(found, what="folder of synthetic animals")
    return found


def _part(part: str, count: int, animal: str, lists: Path | str | None, *, seed: int) -> Int64[np.ndarray, " n"]:
    """Positions of the images of a part in the sorted files."""
    if part == "all":
        return np.arange(count)
    if lists is not None:
        name, folder = {"train": "train_idxs.npy", "val": "valid_idxs.npy"}[part], f"{animal}_{TEXTURE}"
        spellings = (f"{FOLDER}__{folder}__{name}", f"{FOLDER}/{folder}/{name}", f"{folder}/{name}", name)
        found = read_positions(Path(lists), spellings)
        if len(found) and found.max() >= count:
            raise AnnotationError(
                f"the index list names image {int(found.max())}, and the folder has {count}; are all images unpacked?"
            )
        return found
    order = np.random.default_rng(seed).permutation(count)
    held = max(1, round(HELD_OUT * count))
    return np.sort(order[:held] if part == "val" else order[held:])


def _labels(path: Path, vertices: list[int]) -> tuple[Float[Tensor, "k 2"], Int64[Tensor, " k"], Float[Tensor, "4"]]:
    """Keypoints, their visibility, and the box of a file of vertices."""
    rows = read_array(path, what="file of vertices").astype(np.float32)
    if rows.ndim != 2 or rows.shape[1] != 3 or len(rows) <= max(vertices) or not np.isfinite(rows).all():
        raise AnnotationError(
            f"{str(path)!r} has an array of {' x '.join(map(str, rows.shape))}; expected x, y, visible of {max(vertices) + 1} "
            "vertices or more, all finite: is it another animal's?"
        )
    height, width = SIZE
    xy = rows[vertices, :2]
    inside = np.all((xy >= 0) & (xy < np.array((width, height))), axis=1)
    visible = np.where(inside, 1 + (rows[vertices, 2] > 0), 0)
    low, high = (np.clip(end(rows[:, :2], axis=0), 0, (width, height)) for end in (np.min, np.max))
    box = np.concatenate([low, high]).astype(np.float32)
    xy = np.where(inside[:, None], xy, 0)
    return torch.from_numpy(xy), torch.from_numpy(visible.astype(np.int64)), torch.from_numpy(box)
