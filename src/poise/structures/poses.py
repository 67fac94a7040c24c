"""Predictions: `Points` in a view, and `Poses`, the people of an image."""

import importlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from poise.dims import Size
from poise.errors import InputError, MissingExtra, SkeletonMismatch
from poise.skeletons import Skeleton
from poise.structures.samples import Key

if TYPE_CHECKING:
    import pandas
    from PIL.Image import Image as PillowImage


@dataclass(frozen=True, eq=False)
class Points:
    """Keypoints that a codec decodes from the output of a network.

    Attributes:
        xy: Positions, pixels of the view.
        score: Confidence of each keypoint; what it means is up to the codec.
    """

    xy: Float[Tensor, "b k 2"]
    score: Float[Tensor, "b k"]


@dataclass(frozen=True, eq=False)
class Poses:
    """The people found in one image, in pixels of the image.

    Positions are not clipped to the image. A keypoint that a bottom-up model did not find has score 0 and position (0, 0), as
    in COCO's files; no other position is replaced.

    `len(poses)` is the number of people. `poses[i]`, `poses[2:5]`, `poses[mask]` and `poses[indices]` are `Poses` again
    (`poses[i]` of one person), and iterating gives one person after the other.

    Attributes:
        xy: Keypoint positions.
        score: Confidence of each keypoint.
        boxes: Box x0 y0 x1 y1 of each person: the one that was given or detected, or the box around the keypoints that were
            found where the model needs no boxes.
        box_score: Confidence of each box; 1 for boxes that were given, the pose score where the model needs no boxes.
        pose_score: Confidence of each pose, after rescoring.
        key: File name and id of the image; its frame and time in a video.
        track: Id of the track that each person belongs to, -1 for none; None where people were not tracked.
        filled: True for keypoints that smoothing put in where the model found none, or found one far off
            (`tracking.smoothing`); None where nothing was filled.
        skeleton: Names, bones and pairs of the keypoints; None where not given.
        size: Size of the image (h, w), pixels; None where not given.
        masks: Probability of each cell of a person's box that it shows the person (`models.rcnn_masks.pasted` makes pixels of
            them); None for models that predict no masks.
    """

    xy: Float[Tensor, "n k 2"]
    score: Float[Tensor, "n k"]
    boxes: Float[Tensor, "n 4"]
    box_score: Float[Tensor, " n"]
    pose_score: Float[Tensor, " n"]
    key: Key
    track: Int64[Tensor, " n"] | None = None
    filled: Bool[Tensor, "n k"] | None = None
    skeleton: Skeleton | None = None
    size: Size | None = None
    masks: Float[Tensor, "n mh mw"] | None = None

    def __len__(self) -> int:
        """Number of people, n."""
        return len(self.xy)

    def __getitem__(self, index: int | slice | Sequence[int] | Tensor) -> "Poses":
        """Some of the people.

        Args:
            index: An index (negative ones count from the end), a slice, several indices, or a bool mask of n values.

        Raises:
            IndexError: An index is out of range, or a mask has another length.
        """
        if isinstance(index, int):
            if not -len(self) <= index < len(self):
                raise IndexError(f"there is no person {index} among {len(self)}")
            index = [index]
        rows = index if isinstance(index, slice | Tensor) else torch.as_tensor(index if len(index) else np.zeros(0, np.int64))
        selected: dict[str, Any] = {name: values[rows] for name, values in self._tensors().items()}
        return replace(self, **selected)

    def __iter__(self) -> Iterator["Poses"]:
        """One `Poses` for each person."""
        return (self[i] for i in range(len(self)))

    @property
    def time(self) -> float | None:
        """Seconds from the start of the video; None for a photo."""
        return self.key.time

    @classmethod
    def merge(cls, parts: Sequence["Poses"]) -> "Poses":
        """All people of several `Poses` of one image, in the order given.

        People of a part without tracks get track -1 where another part has tracks. Masks stay where all parts have them.

        Args:
            parts: At least one; all of the same image and with the same number of keypoints.

        Raises:
            InputError: `parts` is empty, or of different images.
            SkeletonMismatch: The parts have different numbers of keypoints.
        """
        if not parts:
            raise InputError("merging needs at least one Poses, found none")
        first = parts[0]
        other = next((part.key for part in parts if part.key != first.key), None)
        if other is not None:
            raise InputError(f"poses of one image can be merged, found those of {first.key} and {other}")
        counts = sorted({part.xy.shape[1] for part in parts})
        if len(counts) > 1:
            raise SkeletonMismatch(
                f"poses to be merged need the same keypoints, found {' and '.join(map(str, counts))} of them"
            )
        tracked = any(part.track is not None for part in parts)
        filled = any(part.filled is not None for part in parts)
        numbered = [part._complete(track=tracked, filled=filled) for part in parts]
        if any(part.masks is None for part in parts):
            first, numbered = replace(first, masks=None), [replace(part, masks=None) for part in numbered]
        joined: dict[str, Any] = {
            name: torch.cat([part._tensors()[name] for part in numbered]) for name in numbered[0]._tensors()
        }
        return replace(first, **joined)

    def to_numpy(self) -> dict[str, np.ndarray]:
        """The tensors as a dictionary of NumPy arrays in the memory of the CPU, by the names of the attributes.

        Returns:
            `xy` (n k 2), `score` (n k), `boxes` (n 4), `box_score` (n), `pose_score` (n), floats; and `track` (n), int64, where
            people were tracked. bfloat16, which NumPy does not have, becomes float32.
        """
        tensors = {name: values.detach().cpu() for name, values in self._tensors().items()}
        return {name: (v.float() if v.dtype == torch.bfloat16 else v).numpy() for name, v in tensors.items()}

    def to_dict(self, skeleton: Skeleton | None = None, *, decimals: int | None = None) -> dict[str, Any]:
        """The poses as numbers, text, lists and dictionaries that `json.dumps` takes; values that are not finite are None.

        Args:
            skeleton: Skeleton with the names of the keypoints; by default that of the poses. Without any the
                keypoints have no names.
            decimals: To which positions and scores are rounded; by default they are not.

        Returns:
            `file_name`, `image_id`; `frame` and `time` where the image is of a video; `width` and `height` where its size is
            known; `keypoint_names` where there is a skeleton; and `people`, a list of dictionaries with `keypoints` (a list of
            x, y, score for each keypoint), `box` (x0, y0, x1, y1), `box_score`, `pose_score`, `track` where people were
            tracked, and `filled`, the indices of keypoints that smoothing put in, where it was allowed to.

        Raises:
            SkeletonMismatch: The skeleton has another number of keypoints.
        """
        chosen = self._named_by(skeleton)
        names = {} if chosen is None else {"keypoint_names": list(chosen.keypoints)}
        return {**self._image(decimals), **names, "people": self._people(decimals)}

    def to_rows(self, skeleton: Skeleton | None = None) -> list[dict[str, Any]]:
        """A table of the poses, one flat dictionary a person; values that are not finite are None.

        Args:
            skeleton: Skeleton with the names of the keypoints; by default that of the poses. Without any they are
                `keypoint_1`, ...

        Returns:
            For each person what `to_dict` says of the image, then `person` (from 1), `track` where people were tracked,
            `pose_score`, `box_score`, `box_x0`, `box_y0`, `box_x1`, `box_y1`, and `NAME_x`, `NAME_y`, `NAME_score` of each
            keypoint.

        Raises:
            SkeletonMismatch: The skeleton has another number of keypoints.
        """
        chosen = self._named_by(skeleton)
        count = self.xy.shape[1]
        names = [f"keypoint_{i}" for i in range(1, count + 1)] if chosen is None else list(chosen.keypoints)
        names = [f"keypoint_{name}" if name in ("box", "pose") else name for name in names]  # whose scores have columns already
        columns = [f"{name}_{part}" for name in names for part in ("x", "y", "score")]
        rows = []
        for number, person in enumerate(self._people(), start=1):
            track = {"track": person["track"]} if "track" in person else {}
            scores = {name: person[name] for name in ("pose_score", "box_score")}
            box = dict(zip(("box_x0", "box_y0", "box_x1", "box_y1"), person["box"], strict=True))
            values = [value for keypoint in person["keypoints"] for value in keypoint]
            named = dict(zip(columns, values, strict=True))
            rows.append({**self._image(), "person": number, **track, **scores, **box, **named})
        return rows

    def to_frame(self, skeleton: Skeleton | None = None) -> "pandas.DataFrame":
        """The table of `to_rows` as a DataFrame of pandas; `pandas.concat` joins those of several images.

        Args:
            skeleton: Skeleton with the names of the keypoints; by default that of the poses.

        Raises:
            MissingExtra: pandas is not installed.
            SkeletonMismatch: The skeleton has another number of keypoints.
        """
        try:
            import pandas
        except ImportError as error:
            raise MissingExtra(
                "to_frame makes a DataFrame of pandas, which is not installed: pip install 'poise[pandas]'; to_rows gives the "
                "same table as a list of dictionaries"
            ) from error
        return pandas.DataFrame(self.to_rows(skeleton))

    def plot(
        self, image: Any = None, *, min_score: float = 0.2, boxes: bool = False, skeleton: Skeleton | None = None
    ) -> "PillowImage":
        """The image with the poses drawn on it; a notebook shows it, `.save("found.png")` writes it.

        Args:
            image: The image that was looked at, as `poise.predict` takes it; by default the file of the key.
            min_score: Keypoints of a lower score are drawn thin.
            boxes: Whether boxes are drawn, too.
            skeleton: Skeleton whose bones are drawn; by default that of the poses.

        Raises:
            InputError: There is no image, or no skeleton.
            ImageError: The file of the key is missing or cannot be decoded.
            SkeletonMismatch: The skeleton has another number of keypoints.
        """
        chosen = self._named_by(skeleton)
        drawing = importlib.import_module("poise.inference.plot")  # by name: drawing and files stand above values
        drawn: PillowImage = drawing.plot(self, image, skeleton=chosen, min_score=min_score, boxes=boxes)
        return drawn

    def _named_by(self, skeleton: Skeleton | None) -> Skeleton | None:
        """The skeleton that was given, else that of the poses; refused if it has another number of keypoints."""
        chosen = self.skeleton if skeleton is None else skeleton
        if chosen is not None and len(chosen) != self.xy.shape[1]:
            raise SkeletonMismatch(
                f"the poses have {self.xy.shape[1]} keypoints and skeleton {chosen.name!r} has {len(chosen)}; "
                f"give the skeleton of the model"
            )
        return chosen

    def _image(self, decimals: int | None = None) -> dict[str, Any]:
        """The image's name, id and size, as plain values."""
        video = {name: value for name in ("frame", "time") if (value := getattr(self.key, name)) is not None}
        if "time" in video and decimals is not None:
            video["time"] = round(video["time"], decimals)
        size = {} if self.size is None else {"width": self.size[1], "height": self.size[0]}
        return {"file_name": self.key.file_name, "image_id": self.key.image_id, **video, **size}

    def _people(self, decimals: int | None = None) -> list[dict[str, Any]]:
        """Each person, for `to_dict`."""
        keypoints = torch.cat((self.xy, self.score[..., None].to(self.xy)), dim=-1)
        columns: dict[str, list[Any]] = {
            "keypoints": _plain(keypoints, decimals),
            "box": _plain(self.boxes, decimals),
            "box_score": _plain(self.box_score, decimals),
            "pose_score": _plain(self.pose_score, decimals),
        }
        if self.track is not None:
            columns["track"] = self.track.tolist()
        if self.filled is not None:
            columns["filled"] = [own.nonzero().flatten().tolist() for own in self.filled]
        return [dict(zip(columns, person, strict=True)) for person in zip(*columns.values(), strict=True)]

    def _tensors(self) -> dict[str, Tensor]:
        found = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: value for name, value in found.items() if isinstance(value, Tensor)}

    def _complete(self, *, track: bool, filled: bool) -> "Poses":
        """With tracks (-1) and with marks of filled keypoints (False), where these are wanted and not there."""
        wanted: dict[str, Any] = {}
        if track and self.track is None:
            wanted["track"] = torch.full((len(self),), -1, dtype=torch.int64, device=self.xy.device)
        if filled and self.filled is None:
            wanted["filled"] = torch.zeros(self.xy.shape[:2], dtype=torch.bool, device=self.xy.device)
        return replace(self, **wanted)


def _plain(values: Tensor, decimals: int | None = None) -> Any:
    """A tensor as nested lists of numbers, perhaps rounded; None for nan and infinity, which JSON does not have."""

    def finite(value: Any) -> Any:
        if isinstance(value, list):
            return [finite(one) for one in value]
        return value if math.isfinite(value) else None

    plain = (values if decimals is None else values.double().round(decimals=decimals)).tolist()
    return plain if bool(values.isfinite().all()) else finite(plain)
