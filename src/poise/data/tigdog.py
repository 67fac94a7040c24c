"""TigDog (Del Pero et al., CVPR 2015): video frames of horses and tigers with 19 landmarks, `behaviorDiscovery2.0`.

    behaviorDiscovery2.0/ranges/<animal>/ranges.mat         `ranges`: rows of shot, first frame, last frame (both counted)
    behaviorDiscovery2.0/landmarks/<animal>/<shot>.mat      `landmarks`: for each frame positions (19 x 2) and visibility (19)
    behaviorDiscovery2.0/<animal>/<frame, 8 digits>.jpg

The last landmark, the neck, is left out, as in Learning from Synthetic Animals (arXiv 1912.08265). Of the tigers' landmarks
knees and elbows change places, so that both animals have the order of `ANIMAL18`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from poise.data.base import Dataset
from poise.data.coco_labels import BODY_SHARE
from poise.data.files import ImageFiles
from poise.data.mat import read_mats
from poise.data.positions import HELD_OUT, check_part, read_positions
from poise.errors import AnnotationError, ImageError, InputError, ReadError
from poise.notes import note
from poise.reading import check_folder
from poise.skeletons import ANIMAL18
from poise.structures import Key, Labels

FOLDER = "behaviorDiscovery2.0"
LANDMARKS = 19
MIN_VISIBLE = 10
"""Visible landmarks of the 18 that a frame has at least; the release keeps those with more than 9."""

TIGER_ORDER = (*range(8), *range(14, 18), 12, 13, *range(8, 12))
"""Index of each keypoint of `ANIMAL18` among the tigers' landmarks."""


@final
@dataclass(frozen=True)
class Shot:
    """A shot of the videos.

    Attributes:
        number: Its number.
        first: Its first frame.
        last: Its last frame, counted.
    """

    number: int
    first: int
    last: int


@final
class TigDogDataset(Dataset):
    """The labelled frames of one animal; each is a sample with one animal.

    Only shots with a file of landmarks are read; how many have none, and how many of their frames have no landmarks, is said.
    Frames with fewer than `min_visible` visible landmarks are left out. The box goes around all landmarks with positive
    coordinates; areas are `BODY_SHARE` of it. A frame's sequence is its shot; its image id counts all frames of labelled shots
    from 1, left out or not.

    Args:
        root: The folder `behaviorDiscovery2.0`, or the one it is in.
        animal: "horse" or "tiger".
        part: "train" or "val": by the index lists or by shots; "all" for both.
        lists: Folder with the release's index lists; None to hold out a random fifth of the shots.
        seed: Seed of that choice.
        min_visible: Fewest visible landmarks of the 18 in a frame.

    Raises:
        ReadError: A file or folder is missing or damaged.
        AnnotationError: A file has other content than the data set's; the message names shot and frame.
        ImageError: Frames are missing.
        MissingExtra: scipy is not installed.
        InputError: There is no such part, or nothing is left.
    """

    skeleton = ANIMAL18

    def __init__(
        self,
        root: Path | str,
        animal: str = "horse",
        *,
        part: str = "all",
        lists: Path | str | None = None,
        seed: int = 0,
        min_visible: int = MIN_VISIBLE,
    ) -> None:
        check_part(part)
        base = Path(root)
        base = base / FOLDER if (base / FOLDER).is_dir() else base
        check_folder(base, what="TigDog folder")
        self._file = base / "ranges" / animal / "ranges.mat"
        if not self._file.is_file():
            raise ReadError(
                f"{str(base)!r} holds no TigDog of {animal!r}: expected ranges/{animal}/ranges.mat there; `poise data fetch "
                "tigdog` says where it lives"
            )
        shots, points = _labelled_shots(base, animal, _read_shots(self._file))
        self._shots = [shot for shot in shots for _ in range(shot.first, shot.last + 1)]
        self._frames = [frame for shot in shots for frame in range(shot.first, shot.last + 1)]
        kept = (points[:, :, 2] > 0).sum(axis=1) >= min_visible
        chosen = _part(part, kept, self._shots, _positions(lists, animal, part), seed=seed)
        if not len(chosen):
            raise InputError(
                f"{str(self._file)!r}: none of {len(kept)} frames of {len(shots)} shots is left as part {part!r} "
                f"({int(kept.sum())} have {min_visible} visible landmarks or more)"
            )
        self._chosen = chosen.tolist()
        self._points = torch.from_numpy(points[chosen])
        self._animal = animal
        self.files = ImageFiles(base / animal)
        self._check_images()

    def __len__(self) -> int:
        """Number of frames."""
        return len(self._chosen)

    def key(self, index: int) -> Key:
        """File name, id and number of a frame."""
        frame = self._chosen[index]
        return Key(f"{self._frames[frame]:08d}.jpg", frame + 1, frame=self._frames[frame])

    def sequence(self, index: int) -> str:
        """The shot of a frame."""
        return f"{self._animal} {self._shots[self._chosen[index]].number}"

    def labels(self, index: int) -> Labels:
        """The animal of a frame."""
        points = self._points[range(len(self))[index]]
        xy, visible = points[:, :2], points[:, 2] > 0
        box = _box(points)
        area = BODY_SHARE * (box[2:] - box[:2]).prod()
        xy = torch.where(visible[:, None], xy, 0)
        return Labels.of(xy[None], 2 * visible.long()[None], box[None], area=area[None])

    def image(self, index: int) -> UInt8[Tensor, "3 H W"]:
        """A frame, RGB, 0 to 255.

        Raises:
            ImageError: The frame cannot be decoded.
        """
        return self.files.read(self.key(index).file_name)

    @property
    def files_read(self) -> tuple[Path, ...]:
        """The file of ranges, and the landmarks of each shot."""
        numbers = sorted({self._shots[frame].number for frame in self._chosen})
        folder = self._file.parents[2] / "landmarks" / self._animal
        return (self._file, *(folder / f"{number}.mat" for number in numbers))

    def file_size(self, index: int) -> int | None:
        """Size of the frame's file, bytes."""
        return self.files.size(self.key(index).file_name)

    def file_path(self, index: int) -> str | None:
        """Path of the frame's file."""
        return self.files.resolved_path(self.key(index).file_name)

    def _check_images(self) -> None:
        there = set(self.files.names())
        lost = [name for i in range(len(self)) if (name := self.key(i).file_name) not in there]
        if lost:
            raise ImageError(
                f"{len(lost)} of {len(self)} labelled frames are not in {str(self.files.root)!r}, such as {lost[0]!r}; unpack "
                "the data set again (`poise data fetch tigdog --folder DIR` counts what is there)"
            )


def _read_shots(path: Path) -> list[Shot]:
    """The shots of a file of ranges."""
    rows = read_mats([path])[0].get("ranges")
    table = np.atleast_2d(rows) if isinstance(rows, np.ndarray) and rows.dtype.kind in "iuf" else np.zeros((0, 0))
    if table.ndim != 2 or table.shape[1] != 3 or not len(table):
        raise AnnotationError(f"{str(path)!r} is no file of ranges: expected `ranges`, rows of shot, first and last frame")
    if not (np.isfinite(table).all() and (table == np.floor(table)).all() and (table >= 0).all()):
        raise AnnotationError(f"{str(path)!r}: `ranges` must be whole numbers of 0 and more")
    shots = [Shot(*map(int, row)) for row in table.tolist()]
    wrong = next((shot for shot in shots if shot.last < shot.first), None)
    if wrong is not None:
        raise AnnotationError(f"{str(path)!r}: shot {wrong.number} ends at frame {wrong.last}, before its first {wrong.first}")
    if len({shot.number for shot in shots}) < len(shots):
        raise AnnotationError(f"{str(path)!r} lists a shot twice; each stands there once")
    return shots


def _labelled_shots(base: Path, animal: str, shots: Sequence[Shot]) -> tuple[list[Shot], Float[np.ndarray, "f 18 3"]]:
    """The shots with landmarks, and the landmarks (x, y, visible) of all their frames; 0 where a frame has none."""
    folder = base / "landmarks" / animal
    check_folder(folder, what="folder of landmarks")
    labelled = [shot for shot in shots if (folder / f"{shot.number}.mat").is_file()]
    if not labelled:
        raise ReadError(f"{str(folder)!r} has landmarks for none of {len(shots)} shots; expected files such as '1.mat'")
    if len(labelled) < len(shots):
        note(f"{str(folder)!r}: {len(shots) - len(labelled)} of {len(shots)} shots have no landmarks and are not used")
    paths = [folder / f"{shot.number}.mat" for shot in labelled]
    contents = zip(labelled, read_mats(paths), paths, strict=True)
    found = [_shot_points(shot, content.get("landmarks"), path) for shot, content, path in contents]
    short = [(shot, len(points)) for shot, points in zip(labelled, found, strict=True) if len(points) < _length(shot)]
    if short:
        lost = sum(_length(shot) - count for shot, count in short)
        note(
            f"{str(folder)!r}: {len(short)} shots have fewer landmarks than frames, such as shot {short[0][0].number} "
            f"{short[0][1]} for {_length(short[0][0])}; the {lost} last frames of these are not used"
        )
    every = np.zeros((sum(map(_length, labelled)), len(ANIMAL18), 3), np.float32)
    start = 0
    for shot, points in zip(labelled, found, strict=True):
        every[start : start + len(points)] = points
        start += _length(shot)
    return labelled, every[:, list(TIGER_ORDER)] if animal == "tiger" else every


def _length(shot: Shot) -> int:
    return shot.last - shot.first + 1


def _shot_points(shot: Shot, content: Any, path: Path) -> Float[np.ndarray, "f 18 3"]:
    """Landmarks of the frames of a shot; 0 for a frame whose entry is empty."""
    if content is None:
        raise AnnotationError(f"{str(path)!r} has no `landmarks`; expected an entry a frame, positions and visibility")
    entries = list(content) if isinstance(content, list | np.ndarray) and _length(shot) > 1 else [content]
    if len(entries) > _length(shot):
        raise AnnotationError(
            f"{str(path)!r} has landmarks of {len(entries)} frames, and shot {shot.number} has {_length(shot)}; are the "
            "ranges those of this release?"
        )
    return np.stack([_entry(entry, f"{str(path)!r}: frame {shot.first + i}") for i, entry in enumerate(entries)])


def _entry(entry: Any, where: str) -> Float[np.ndarray, "18 3"]:
    """Positions and visibility of a frame, however deep they are nested."""
    parts = [part for part in _arrays(entry) if part.size]
    out = np.zeros((len(ANIMAL18), 3), np.float32)
    if not parts:
        return out
    shapes = [part.shape for part in parts]
    if len(parts) != 2 or shapes[0] != (LANDMARKS, 2) or parts[1].size != LANDMARKS:
        found = " and ".join(" x ".join(map(str, shape)) for shape in shapes[:4])
        raise AnnotationError(
            f"{where} has values of {found}; expected positions ({LANDMARKS} x 2) and visibility ({LANDMARKS})"
        )
    seen = parts[1].ravel()[:-1].astype(np.float32)
    out[:, :2] = parts[0][:-1]
    known = np.isfinite(out).all(axis=1) & (out[:, 1] > 0)  # the release draws no other
    out[:, 2] = (seen > 0) & known
    out[~known] = 0
    return out


def _arrays(value: Any) -> Iterator[np.ndarray]:
    """The arrays of numbers in structs and cells, in order."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, np.ndarray) and value.dtype != object:
        yield value
    elif isinstance(value, list | np.ndarray):
        for inner in value:
            yield from _arrays(inner)


def _box(points: Float[Tensor, "18 3"]) -> Float[Tensor, "4"]:
    """Box around all positions above 0, seen or not, as the release's reader makes it (golden e04)."""
    sides = [points[:, axis][points[:, axis] > 0] for axis in (0, 1)]
    low, high = ([float(end(side)) if len(side) else 0.0 for side in sides] for end in (torch.amin, torch.amax))
    return torch.tensor([*low, *high])


def _positions(lists: Path | str | None, animal: str, part: str) -> np.ndarray | None:
    """Positions of an index list in the list of all frames of labelled shots; None where shots are chosen at random."""
    if lists is None or part == "all":
        return None
    name = {"train": "train_idxs_by_video.npy", "val": "valid_idxs_by_video.npy"}[part]
    return read_positions(
        Path(lists), (f"real_animal__{animal}__{name}", f"real_animal/{animal}/{name}", f"{animal}/{name}", name)
    )


def _part(part: str, kept: np.ndarray, shots: Sequence[Shot], positions: np.ndarray | None, *, seed: int) -> np.ndarray:
    """Positions of the frames of a part."""
    if positions is not None:
        if len(positions) and positions.max() >= len(kept):
            raise AnnotationError(
                f"the index list names frame {int(positions.max())}, and the labelled shots have {len(kept)}: a shot lacks?"
            )
        spare = int((~kept[positions]).sum())
        if spare:
            note(f"TigDog: {spare} of {len(positions)} frames of the index list have too few landmarks and are not used")
        chosen: np.ndarray = positions[kept[positions]]
        return chosen
    numbers = sorted({shot.number for shot in shots})
    held = set(np.random.default_rng(seed).permutation(numbers)[: max(1, round(HELD_OUT * len(numbers)))].tolist())
    out = np.array([shot.number in held for shot in shots])
    mine = np.ones(len(kept), bool) if part == "all" else out if part == "val" else ~out
    return np.flatnonzero(kept & mine)
