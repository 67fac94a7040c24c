"""MPII Human Pose (Andriluka et al., CVPR 2014) in the JSON of Simple Baselines, HRNet, MMPose and others.

A list with a row per person: `image`, `center` and `scale` (the person's height over 200 pixels), and but for the test part
`joints` (16 of x, y) and `joints_vis` (1 labelled, 0 not); all positions count from pixel 1. Heads stand elsewhere, in the
.mat beside those JSONs (`headboxes_src` of gt_val.mat), or in MPII's own .mat, or in a column of the JSON.
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
from poise.data.coco_labels import BODY_SHARE, around
from poise.data.document import read_json
from poise.data.files import ImageFiles
from poise.data.mat import read_mat, write_mat
from poise.errors import AnnotationError, ImageError
from poise.skeletons import MPII16
from poise.structures import CropRule, Key, Labels

HEAD_COLUMNS = ("head_box", "headbox", "head_rect")
"""What a column of head boxes is called in one JSON or another: x1 y1 x2 y2, flat or as two corners, from pixel 1."""

_NEEDED = ("image", "center", "scale")


@final
class MpiiDataset(Dataset):
    """MPII's JSON and its images.

    A box is the square that the releases cut, before they widen it by a quarter (`boxes.mpii_boxes`); nobody's ends at the
    image. MPII has no areas: a person's is `BODY_SHARE` of the box around its labelled keypoints, so OKS and AP are poise's
    own here; the data set's measure is PCKh. `joints_vis` does not say who is in sight: labelled keypoints are 2. Ids of
    people are their rows in the file, ids of images their order of appearance, both from 1. People of the test part have no
    labelled keypoints, and are found only by asking for every row.

    Args:
        annotations: The JSON.
        images: The folder or zip file of the images; None for the labels alone.
        heads: A .mat with the head boxes; None for a column of the JSON, if there is one.

    Raises:
        ReadError: A file or folder is missing, empty or unreadable.
        AnnotationError: The JSON or the .mat is of another kind, or damaged; the message names the row.
    """

    def __init__(self, annotations: Path | str, images: Path | str | None, *, heads: Path | str | None = None) -> None:
        rows = read_json(annotations)
        name = str(annotations)
        if not is_mpii(rows):
            raise AnnotationError(f"{name!r} is no MPII file: expected a list of people, each with {', '.join(_NEEDED)}")
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
        boxes = _column(rows, name) if heads is None else _from_mat(heads, rows, centre)
        self._heads = None if boxes is None else torch.from_numpy(boxes - 1)[torch.from_numpy(turn)]

    def __len__(self) -> int:
        """How many images."""
        return len(self._names)

    def key(self, index: int) -> Key:
        """File name and id of an image."""
        return Key(self._names[index], range(1, len(self) + 1)[index])

    def labels(self, index: int) -> Labels:
        """The people of an image, in the order of the file."""
        return self._labels.select(self._rows(index))

    def heads(self, index: int) -> Float[Tensor, "n 4"] | None:
        """The head boxes x0 y0 x1 y1 of the people of an image; None where nobody said, nan where one is unknown."""
        return None if self._heads is None else self._heads[self._rows(index)]

    def image(self, index: int) -> UInt8[Tensor, "3 H W"]:
        """The image, RGB.

        Raises:
            ImageError: It is missing or cannot be decoded.
        """
        if self.files is None:
            raise ImageError(
                f"image {self._names[index]!r} was asked of a data set opened without images; give their folder or zip file"
            )
        return self.files.read(self._names[index])

    @property
    def files_read(self) -> tuple[Path, ...]:
        """The JSON."""
        return (self.annotations,)

    def file_size(self, index: int) -> int | None:
        """Bytes of the image's file."""
        return None if self.files is None else self.files.size(self._names[index])

    def boxes(self, index: int, rule: CropRule) -> Float[Tensor, "n 4"]:
        """The boxes of an image's people as a release reads them: DARK's takes the middle of a box half a pixel up and left."""
        boxes = self._labels.boxes[self._rows(index)]
        sized = boxes[(boxes[:, 2:] > boxes[:, :2]).all(dim=1)]
        return sized + 0.5 if rule == "dark" else sized

    @property
    def everybody(self) -> Labels:
        """The people of all images, image by image."""
        return self._labels

    @property
    def all_heads(self) -> Float[Tensor, "n 4"] | None:
        """The head boxes of `everybody`; None where nobody said."""
        return self._heads

    def _rows(self, index: int) -> Tensor:
        start = range(len(self))[index]
        return torch.arange(*self._first[start : start + 2].tolist())


def is_mpii(rows: Any) -> bool:
    """Whether what was read from a JSON is MPII's list of people."""
    return isinstance(rows, list) and bool(rows) and all(isinstance(r, dict) and all(n in r for n in _NEEDED) for r in rows)


def write_predictions(path: Path | str, xy: Float[Tensor, "n k 2"]) -> None:
    """Write poses as MPII's evaluation takes them: `preds`, n x 16 x 2, rows in the order of the JSON, from pixel 1.

    Args:
        path: A .mat file.
        xy: Poses, pixels from 0; nan where nobody was found.

    Raises:
        WriteError: The place cannot be written.
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
    """Positions from pixel 0 (n 16 2) and which are labelled (n 16)."""
    count = len(MPII16)
    xy, visible = np.zeros((len(rows), count, 2)), np.zeros((len(rows), count), np.int64)
    for place, row in enumerate(rows):
        if "joints" not in row:
            continue
        try:
            points = np.array(row["joints"], dtype=np.float64).reshape(count, -1)[:, :2]
            seen = np.array(row.get("joints_vis", [1] * count), dtype=np.float64).reshape(count) > 0
            xy[place], visible[place] = np.where(seen[:, None], points - 1, 0.0), 2 * seen
        except (TypeError, ValueError):
            raise AnnotationError(
                f"{name!r}: row {place + 1} ({row['image']}) must have {count} `joints` of x, y and {count} `joints_vis`"
            ) from None
    return _finite(xy, "joints", name), visible


def _labels(xy: np.ndarray, visible: np.ndarray, centre: np.ndarray, scale: np.ndarray) -> Labels:
    boxes = mpii_boxes(torch.from_numpy(centre), torch.from_numpy(scale).clamp(min=0))
    near = np.array([around(p[v > 0]) if v.any() else b for p, v, b in zip(xy, visible, boxes.numpy(), strict=True)])
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


def _column(rows: Sequence[Mapping[str, Any]], name: str) -> np.ndarray | None:
    """Head boxes from pixel 1 as a column of the JSON says; nan where a row has none."""
    column = next((c for c in HEAD_COLUMNS if any(row.get(c) for row in rows)), None)
    if column is None:
        return None
    unknown = [float("nan")] * 4
    try:
        return np.array([np.array(row.get(column) or unknown, dtype=np.float64).reshape(4) for row in rows])
    except (TypeError, ValueError):
        raise AnnotationError(f"{name!r}: `{column}` must be four numbers x1, y1, x2, y2") from None


def _from_mat(path: Path | str, rows: Sequence[Mapping[str, Any]], centre: np.ndarray) -> np.ndarray:
    """Head boxes from pixel 1 (n 4): of the releases' .mat by row, of MPII's own by image and place."""
    found = read_mat(path)
    if "headboxes_src" in found:
        boxes = np.asarray(found["headboxes_src"], dtype=np.float64)
        if boxes.shape != (2, 2, len(rows)):
            raise AnnotationError(
                f"{str(path)!r} has head boxes of shape {boxes.shape} and the JSON {len(rows)} people, so they are of another "
                f"part; expected (2, 2, {len(rows)})"
            )
        return boxes.transpose(2, 0, 1).reshape(len(rows), 4)
    if "RELEASE" not in found:
        raise AnnotationError(
            f"{str(path)!r} holds no head boxes but {', '.join(found) or 'nothing'}; expected gt_val.mat with headboxes_src "
            f"or MPII's mpii_human_pose_v1_u12_1.mat with RELEASE"
        )
    people = _released(found["RELEASE"])
    return np.array([_nearest(people.get(str(row["image"]), []), c) for row, c in zip(rows, centre, strict=True)])


def _released(release: np.ndarray) -> dict[str, list[np.ndarray]]:
    """Middle and head box (6 numbers) of everybody in MPII's own file, by image."""
    out: dict[str, list[np.ndarray]] = {}
    for record in release.flat[0]["annolist"].flat:
        people = record["annorect"]
        for person in people.flat if people.dtype == object else ():
            place = person.get("objpos", np.zeros(0))
            corners = [person.get(side, np.zeros(0)) for side in ("x1", "y1", "x2", "y2")]
            if place.size and all(corner.size for corner in corners):
                middle = [place.flat[0]["x"], place.flat[0]["y"]]
                numbers = [float(np.ravel(value)[0]) for value in (*middle, *corners)]
                out.setdefault(str(record["image"].flat[0]["name"]), []).append(np.array(numbers))
    return out


def _nearest(people: Sequence[np.ndarray], centre: np.ndarray) -> np.ndarray:
    """The head box of the person whose middle is within two pixels; nan where there is none."""
    best = min(people, key=lambda person: float(np.abs(person[:2] - centre).max()), default=None)
    if best is None or np.abs(best[:2] - centre).max() > 2:
        return np.full(4, np.nan)
    return best[2:]
