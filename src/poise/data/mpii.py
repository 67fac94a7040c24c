"""MPII Human Pose (Andriluka et al., CVPR 2014) in the JSON of Simple Baselines, HRNet, MMPose and others.

The file is a list with an entry per person: `image`, `center` and `scale` (the person's height divided by 200 pixels), and,
except in the test set, `joints` (16 times x, y) and `joints_vis` (1 labelled, 0 not). All positions are counted from pixel 1.
Head boxes are in another file, in the .mat beside those JSONs (`headboxes_src` of gt_val.mat) or in MPII's own .mat, or they
are a field of the JSON.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from poise.data.base import Dataset
from poise.data.boxes import mpii_boxes
from poise.data.coco_labels import BODY_SHARE, box_around
from poise.data.files import ImageFiles
from poise.data.mat import read_mat, write_mat
from poise.errors import AnnotationError, ImageError
from poise.reading import read_json
from poise.skeletons import MPII16
from poise.structures import CropRule, Key, Labels

HEAD_FIELDS = ("head_box", "headbox", "head_rect")
"""Names that JSON files use for head boxes: x1 y1 x2 y2, flat or as two corners, counted from pixel 1."""

_NEEDED = ("image", "center", "scale")


@final
class MpiiDataset(Dataset):
    """MPII's JSON and its images.

    A box is the square crop of the releases before they grow it by 1.25 (`boxes.mpii_boxes`); it is not clipped to the image.
    MPII has no areas: the area of a person is `BODY_SHARE` of the box around the labelled keypoints, so OKS and AP are not
    comparable with other software; the data set's metric is PCKh. `joints_vis` does not tell hidden from visible keypoints:
    labelled keypoints have visibility 2. Ids of people are their positions in the file and ids of images their order of first
    appearance, both from 1. People of the test set have no labelled keypoints and therefore are not in `people()`.

    Args:
        annotations: The JSON file.
        images: Folder or zip file of the images; None to read labels only.
        heads: A .mat file with the head boxes; None to use a field of the JSON, if there is one.

    Raises:
        ReadError: A file or folder is missing, empty or cannot be read.
        AnnotationError: The JSON or the .mat file has other content, or a field has no valid value; the message names the
            entry.
    """

    def __init__(self, annotations: Path | str, images: Path | str | None, *, heads: Path | str | None = None) -> None:
        rows = read_json(annotations)
        name = str(annotations)
        if not is_mpii(rows):
            raise AnnotationError(f"{name!r} is not an MPII file: expected a list of people, each with {', '.join(_NEEDED)}")
        self.skeleton = MPII16
        self.annotations = Path(annotations)
        self.files = None if images is None else ImageFiles(images)
        xy, visible = _joints(rows, name)
        centre, scale = _floats(rows, "center", 2, name), _floats(rows, "scale", 1, name)[:, 0]
        self._names = list(dict.fromkeys(str(row["image"]) for row in rows))
        order = {image: i for i, image in enumerate(self._names)}
        image = np.array([order[str(row["image"])] for row in rows])
        turn = np.argsort(image, kind="stable")
        self._first = np.searchsorted(image[turn], np.arange(len(order) + 1))
        self._labels = _labels(xy, visible, centre, scale).select(torch.from_numpy(turn))
        boxes = _head_field(rows, name) if heads is None else _from_mat(heads, rows, centre)
        self._heads = None if boxes is None else torch.from_numpy(boxes - 1)[torch.from_numpy(turn)]

    def __len__(self) -> int:
        """Number of images."""
        return len(self._names)

    def key(self, index: int) -> Key:
        """File name and id of an image."""
        return Key(self._names[index], range(1, len(self) + 1)[index])

    def labels(self, index: int) -> Labels:
        """The annotations of an image, in the order of the file."""
        return self._labels.select(self._rows(index))

    def heads(self, index: int) -> Float[Tensor, "n 4"] | None:
        """Head boxes x0 y0 x1 y1 of the people of an image, pixels; nan where one is unknown, None for files without any."""
        return None if self._heads is None else self._heads[self._rows(index)]

    def image(self, index: int) -> UInt8[Tensor, "3 H W"]:
        """An image, RGB, 0 to 255; not turned by its EXIF orientation, which MPII's labels do not know.

        Raises:
            ImageError: The image is missing or cannot be decoded, or the data set has labels only.
        """
        if self.files is None:
            raise ImageError(
                f"image {self._names[index]!r} cannot be read: the data set was opened without images; give their folder or "
                f"zip file"
            )
        return self.files.read_labelled(self._names[index], labels="stored")

    @property
    def files_read(self) -> tuple[Path, ...]:
        """The annotation file."""
        return (self.annotations,)

    def file_size(self, index: int) -> int | None:
        """Size of the stored image file, bytes; None for an image that is missing."""
        return None if self.files is None else self.files.size(self._names[index])

    def boxes(self, index: int, rule: CropRule) -> Float[Tensor, "n 4"]:
        """Boxes x0 y0 x1 y1 of the people of an image as the release of a crop rule reads them, pixels.

        DARK's release computes the centre of a box half a pixel up and left, so its boxes are moved by half a pixel.

        Args:
            index: Index of the image.
            rule: The crop rule of the model.
        """
        boxes = self._labels.boxes[self._rows(index)]
        sized = boxes[(boxes[:, 2:] > boxes[:, :2]).all(dim=1)]
        return sized + 0.5 if rule == "dark" else sized

    @property
    def all_labels(self) -> Labels:
        """The annotations of all images, image by image."""
        return self._labels

    @property
    def all_heads(self) -> Float[Tensor, "n 4"] | None:
        """Head boxes x0 y0 x1 y1 of `all_labels`, pixels; nan where one is unknown, None for files without any."""
        return self._heads

    def _rows(self, index: int) -> Tensor:
        start = range(len(self))[index]
        return torch.arange(*self._first[start : start + 2].tolist())


def is_people_list(rows: Any) -> bool:
    """Whether the content of a JSON file is a list of people in MPII's form, with any number of joints."""
    return isinstance(rows, list) and bool(rows) and all(isinstance(r, dict) and all(n in r for n in _NEEDED) for r in rows)


def is_mpii(rows: Any) -> bool:
    """Whether the content of a JSON file is MPII's list of people; those of other sets have another number of joints."""
    return is_people_list(rows) and not any(_is_other(row.get("joints")) for row in rows[:1])


def _is_other(joints: Any) -> bool:
    return isinstance(joints, list) and len(joints) > 0 and len(joints) != len(MPII16) and isinstance(joints[0], list)


def write_predictions(path: Path | str, xy: Float[Tensor, "n k 2"]) -> None:
    """Write poses in the format of MPII's evaluation: `preds`, n x 16 x 2, people in the order of the JSON, from pixel 1.

    Args:
        path: The .mat file.
        xy: Keypoint positions, pixels counted from 0; nan for a person that was not found.

    Raises:
        WriteError: The file cannot be written.
    """
    write_mat(path, {"preds": xy.double().numpy() + 1})


def _floats(rows: Sequence[Mapping[str, Any]], field: str, count: int, name: str) -> np.ndarray:
    values = [row[field] for row in rows]
    try:
        out = np.array(values, dtype=np.float64).reshape(len(rows), count)
    except (TypeError, ValueError):
        raise AnnotationError(f"{name!r}: `{field}` must be {count} number{'s' * (count > 1)} in every row") from None
    return _finite(out, field, name)


def _finite(values: np.ndarray, field: str, name: str) -> np.ndarray:
    wrong = ~np.isfinite(values).reshape(len(values), -1).all(axis=1)
    if wrong.any():
        row = int(wrong.argmax())
        raise AnnotationError(f"{name!r}: `{field}` of row {row + 1} is {values[row].tolist()}; expected finite numbers")
    return values


def _joints(rows: Sequence[Mapping[str, Any]], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Keypoint positions, pixels counted from 0 (n 16 2), and their visibility, 0 or 2 (n 16)."""
    count = len(MPII16)
    xy, visible = np.zeros((len(rows), count, 2)), np.zeros((len(rows), count), np.int64)
    for index, row in enumerate(rows):
        if "joints" not in row:
            continue
        try:
            points = np.array(row["joints"], dtype=np.float64).reshape(count, -1)[:, :2]
            seen = np.array(row.get("joints_vis", [1] * count), dtype=np.float64).reshape(count) > 0
            xy[index], visible[index] = np.where(seen[:, None], points - 1, 0.0), 2 * seen
        except (TypeError, ValueError):
            raise AnnotationError(
                f"{name!r}: row {index + 1} ({row['image']}) must have {count} `joints` of x, y and {count} `joints_vis`"
            ) from None
    return _finite(xy, "joints", name), visible


def _labels(xy: np.ndarray, visible: np.ndarray, centre: np.ndarray, scale: np.ndarray) -> Labels:
    boxes = mpii_boxes(torch.from_numpy(centre), torch.from_numpy(scale).clamp(min=0))
    near = np.array([box_around(p[v > 0]) if v.any() else b for p, v, b in zip(xy, visible, boxes.numpy(), strict=True)])
    n = len(xy)
    return Labels(
        xy=torch.from_numpy(xy).float(),
        visible=torch.from_numpy(visible),
        boxes=boxes.float(),
        area=torch.from_numpy((BODY_SHARE * (near[:, 2:] - near[:, :2]).prod(axis=1)).astype(np.float32)),
        crowd=torch.zeros(n, dtype=torch.bool),
        ids=torch.arange(1, n + 1),
        categories=torch.ones(n, dtype=torch.int64),
    )


def _head_field(rows: Sequence[Mapping[str, Any]], name: str) -> np.ndarray | None:
    """Head boxes of a field of the JSON, counted from pixel 1; nan where an entry has none, None without such a field."""
    column = next((c for c in HEAD_FIELDS if any(row.get(c) for row in rows)), None)
    if column is None:
        return None
    unknown = [float("nan")] * 4
    try:
        return np.array([np.array(row.get(column) or unknown, dtype=np.float64).reshape(4) for row in rows])
    except (TypeError, ValueError):
        raise AnnotationError(f"{name!r}: `{column}` must be four numbers x1, y1, x2, y2") from None


def _from_mat(path: Path | str, rows: Sequence[Mapping[str, Any]], centre: np.ndarray) -> np.ndarray:
    """Head boxes (n 4), counted from pixel 1: from the releases' .mat by index, from MPII's own by image and centre."""
    content = read_mat(path)
    if "headboxes_src" in content:
        boxes = _numbers(content["headboxes_src"], f"{str(path)!r}: headboxes_src")
        if boxes.shape == (2, 2):  # of a single person
            boxes = boxes[..., None]
        if boxes.shape != (2, 2, len(rows)):
            raise AnnotationError(
                f"{str(path)!r} has head boxes of shape {boxes.shape} and the JSON {len(rows)} people, so they are of another "
                f"set; expected (2, 2, {len(rows)})"
            )
        return boxes.transpose(2, 0, 1).reshape(len(rows), 4)
    if "RELEASE" not in content:
        raise AnnotationError(
            f"{str(path)!r} contains no head boxes but {', '.join(content) or 'nothing'}; expected gt_val.mat with "
            f"headboxes_src or MPII's mpii_human_pose_v1_u12_1.mat with RELEASE"
        )
    people = _released(content["RELEASE"], str(path))
    found = np.array([_nearest(people.get(str(row["image"]), []), c) for row, c in zip(rows, centre, strict=True)])
    if len(rows) and np.isnan(found).all():
        raise AnnotationError(
            f"{str(path)!r} has head boxes of {len(people)} images, and none of them belongs to the {len(rows)} people of the "
            f"JSON, such as those of {str(rows[0]['image'])[:80]!r}; give the file of the same set"
        )
    return found


def _released(release: Any, name: str) -> dict[str, list[np.ndarray]]:
    """Centre and head box (6 numbers) of each person in MPII's own file, by image; people without either are left out."""
    out: dict[str, list[np.ndarray]] = {}
    records = [record for part in each_struct(release) for record in each_struct(part.get("annolist"))]
    if not records:
        raise AnnotationError(f"{name!r}: RELEASE has no `annolist` with images, as MPII's own file has")
    for index, record in enumerate(records):
        image = next((str(part["name"]) for part in each_struct(record.get("image")) if "name" in part), None)
        people = each_struct(record.get("annorect"))
        if people and image is None:
            raise AnnotationError(f"{name!r}: image {index + 1} of `annolist` has people and no `image.name`")
        for person in people:
            centre = next(iter(each_struct(person.get("objpos"))), {})
            values = [centre.get("x"), centre.get("y"), *(person.get(side) for side in ("x1", "y1", "x2", "y2"))]
            if all(value is not None and np.size(value) for value in values):
                numbers = [_numbers(value, f"{name!r}: a person of {image!r}").flat[0] for value in values]
                out.setdefault(str(image), []).append(np.array(numbers))
    return out


def each_struct(value: Any) -> list[Mapping[str, Any]]:
    """The structs of a value of a .mat file: of one, of an array or of cells; [] where it has none."""
    if isinstance(value, Mapping):
        return [value]
    if isinstance(value, np.ndarray) and value.dtype == object:
        value = value.ravel().tolist()
    return [struct for part in value for struct in each_struct(part)] if isinstance(value, list) else []


def _numbers(value: Any, where: str) -> np.ndarray:
    try:
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise AnnotationError(f"{where} has {str(value)[:60]!r} where numbers should be") from None


def _nearest(people: Sequence[np.ndarray], centre: np.ndarray) -> np.ndarray:
    """The head box of the person whose centre is within two pixels; nan where there is none."""
    best = min(people, key=lambda person: float(np.abs(person[:2] - centre).max()), default=None)
    if best is None or np.abs(best[:2] - centre).max() > 2:
        return np.full(4, np.nan)
    return best[2:]
