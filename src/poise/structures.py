"""The values that pass between the stages of the library: frozen dataclasses of tensors, without files or drawing.

    files --data--> Sample --transforms--> View --training--> Batch --model.loss--> number
                                             |                     `-model.predict-> Points --View.warp^-1--> Poses
                                             `- warp: 3x3, sample pixels -> view pixels

Annotations (`Labels`) and predictions (`Points`, `Poses`) are different types.
"""

import importlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor

from poise.dims import Size
from poise.errors import InputError, MissingExtra, SkeletonMismatch
from poise.skeletons import Skeleton

if TYPE_CHECKING:
    import pandas
    from PIL.Image import Image as PillowImage


@dataclass(frozen=True)
class Key:
    """The image of a sample.

    Attributes:
        file_name: Name of the image file, as the annotation file or the caller gives it.
        image_id: Id of the image in its annotation file.
        source: Index of its data set among several that are trained together (`data.combined`).
        frame: Index of the frame, from 0, where the image is one of a video; None for a photo.
        time: Seconds from the start of the video; None for a photo.
    """

    file_name: str
    image_id: int = 0
    source: int = 0
    frame: int | None = None
    time: float | None = None


@dataclass(frozen=True, eq=False)
class Labels:
    """The annotations of one image: n people (or animals) with k keypoints each.

    Attributes:
        xy: Keypoint positions, pixels of the image; meaningless where `visible` is 0.
        visible: Visibility of each keypoint as in COCO: 0 not labelled, 1 labelled but hidden, 2 labelled and visible.
        boxes: Boxes x0 y0 x1 y1, pixels of the image.
        area: Annotated area of each person, square pixels (the s^2 of OKS).
        crowd: True for an annotation that stands for a group (COCO's `iscrowd`).
        ids: Annotation id of each person.
        categories: Category id of each person.
    """

    xy: Float[Tensor, "n k 2"]
    visible: Int64[Tensor, "n k"]
    boxes: Float[Tensor, "n 4"]
    area: Float[Tensor, " n"]
    crowd: Bool[Tensor, " n"]
    ids: Int64[Tensor, " n"]
    categories: Int64[Tensor, " n"]

    @classmethod
    def of(
        cls,
        xy: Float[Tensor, "n k 2"],
        visible: Int64[Tensor, "n k"],
        boxes: Float[Tensor, "n 4"],
        *,
        area: Float[Tensor, " n"] | None = None,
    ) -> "Labels":
        """Labels that do not come from an annotation file: no crowds, ids from 1, category 1.

        Args:
            xy: Keypoint positions, pixels of the image.
            visible: Visibility of each keypoint: 0 not labelled, 1 hidden, 2 visible.
            boxes: Boxes x0 y0 x1 y1, pixels of the image.
            area: Area of each person, square pixels; by default the area of the box.
        """
        n = len(xy)
        size = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1) if area is None else area
        ones = torch.ones(n, dtype=torch.int64)
        return cls(xy, visible, boxes, size, torch.zeros(n, dtype=torch.bool), torch.arange(1, n + 1), ones)

    def __len__(self) -> int:
        """Number of people, n."""
        return len(self.xy)

    @property
    def unlabelled(self) -> Bool[Tensor, " n"]:
        """True for annotations without keypoint positions: crowds, and people with no labelled keypoint."""
        return self.crowd | (self.visible == 0).all(dim=1)

    def ignore_mask(self, region: Callable[[Bool[Tensor, " n"]], Bool[Tensor, "H W"]]) -> Bool[Tensor, "H W"]:
        """Pixels where an unlabelled keypoint may be, so that they are no background for the loss.

        These are the pixels of crowds, without those of labelled people inside them, and the pixels of unlabelled people.

        Args:
            region: Returns the pixels covered by the people that a mask selects.
        """
        crowd = region(self.crowd) & ~region(~self.unlabelled) if bool(self.crowd.any()) else region(self.crowd)
        return crowd | region(self.unlabelled & ~self.crowd)

    def select(self, index: Tensor | slice) -> "Labels":
        """Labels of some of the people, chosen by indices, a bool mask or a slice."""
        return Labels(**{f.name: getattr(self, f.name)[index] for f in fields(self)})


@dataclass(frozen=True, eq=False)
class Sample:
    """A whole image and its labels.

    Attributes:
        image: RGB, 0 to 255; stored row by row, so that a view of shape (H, W, 3) needs no copy.
        labels: Annotations of all people in the image.
        key: File name and id of the image.
        ignore: Unlabelled pixels, which may show people (`Dataset.sample_with_ignore`); None where
            that was not asked for.
        known: True for each keypoint that this data set annotates at all; None where it annotates all of them.
        masks: Segmentation mask of each person (`Dataset.sample_with_masks`); None where that was not asked for.
    """

    image: UInt8[Tensor, "3 H W"]
    labels: Labels
    key: Key
    ignore: Bool[Tensor, "H W"] | None = None
    known: Bool[Tensor, " k"] | None = None
    masks: Bool[Tensor, "n H W"] | None = None

    @property
    def size(self) -> Size:
        """Size of the image (h, w), pixels."""
        return self.image.shape[1], self.image.shape[2]


@dataclass(frozen=True, eq=False)
class View:
    """The crop of one person, resampled to the input size of a network.

    Attributes:
        image: Pixels, normalised as the model's `Preprocess` says.
        labels: Annotation of this person (n = 1), in pixels of the view.
        warp: Affine matrix from pixels of the sample to pixels of the view.
        key: File name and id of the image.
        person: Index of the person in the labels of the sample.
    """

    image: Float[Tensor, "3 H W"]
    labels: Labels
    warp: Float[Tensor, "3 3"]
    key: Key
    person: int = 0


@dataclass(frozen=True, eq=False)
class Batch:
    """Views of one size, stacked.

    Attributes:
        images: Pixels of the b views, normalised.
        xy: Keypoint positions, pixels of the view.
        visible: Visibility of each keypoint: 0 not labelled, 1 hidden, 2 visible.
        warps: Affine matrix of each view, from pixels of the sample to pixels of the view.
        keys: File name and id of the image of each view; () where they are not needed.
        people: Index of each person in the labels of its sample; () where they are not needed.
    """

    images: Float[Tensor, "b 3 h w"]
    xy: Float[Tensor, "b k 2"]
    visible: Int64[Tensor, "b k"]
    warps: Float[Tensor, "b 3 3"]
    keys: tuple[Key, ...] = ()
    people: tuple[int, ...] = ()

    @classmethod
    def of(cls, views: list[View]) -> "Batch":
        """Stack views of one person each.

        Args:
            views: At least one; all of one size.

        Raises:
            InputError: `views` is empty.
        """
        if not views:
            raise InputError("a batch needs at least one view, found none")
        return cls(
            images=torch.stack([v.image for v in views]),
            xy=torch.cat([v.labels.xy for v in views]),
            visible=torch.cat([v.labels.visible for v in views]),
            warps=torch.stack([v.warp for v in views]),
            keys=tuple(v.key for v in views),
            people=tuple(v.person for v in views),
        )

    def __len__(self) -> int:
        """Number of views, b."""
        return len(self.images)

    def to(self, *args: Any, **kwargs: Any) -> "Batch":
        """The batch on another device or with images of another dtype; arguments of `Tensor.to`. Lightning calls this.

        A dtype changes the images only.
        """
        images = self.images.to(*args, **kwargs)
        moved = {n: getattr(self, n).to(device=images.device) for n in ("xy", "visible", "warps")}
        return replace(self, images=images, **moved)

    def pin_memory(self) -> "Batch":
        """The batch in page-locked memory."""
        pinned = {n: getattr(self, n).pin_memory() for n in ("images", "xy", "visible", "warps")}
        return replace(self, **pinned)


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

    def to_dict(self, skeleton: Skeleton | None = None) -> dict[str, Any]:
        """The poses as numbers, text, lists and dictionaries that `json.dumps` takes; values that are not finite are None.

        Args:
            skeleton: Skeleton with the names of the keypoints; by default that of the poses. Without any the
                keypoints have no names.

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
        return {**self._image(), **names, "people": [one._person() for one in self]}

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
        for number, one in enumerate(self, start=1):
            person = one._person()
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

    def _image(self) -> dict[str, Any]:
        """The image's name, id and size, as plain values."""
        video = {name: value for name in ("frame", "time") if (value := getattr(self.key, name)) is not None}
        size = {} if self.size is None else {"width": self.size[1], "height": self.size[0]}
        return {"file_name": self.key.file_name, "image_id": self.key.image_id, **video, **size}

    def _person(self) -> dict[str, Any]:
        """The only person of these poses, for `to_dict`."""
        keypoints = torch.cat((self.xy, self.score[..., None].to(self.xy)), dim=-1)[0]
        person = {
            "keypoints": _plain(keypoints),
            "box": _plain(self.boxes[0]),
            "box_score": _plain(self.box_score[0]),
            "pose_score": _plain(self.pose_score[0]),
        }
        track = {} if self.track is None else {"track": int(self.track[0])}
        marked = {} if self.filled is None else {"filled": self.filled[0].nonzero().flatten().tolist()}
        return {**person, **track, **marked}

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


def _plain(values: Tensor) -> Any:
    """A tensor as nested lists of numbers; None for nan and infinity, which JSON does not have."""

    def finite(value: Any) -> Any:
        if isinstance(value, list):
            return [finite(one) for one in value]
        return value if math.isfinite(value) else None

    return finite(values.tolist())


@dataclass(frozen=True)
class Normalization:
    """How RGB pixels become the input of a network: (value / 255 - mean) / std, in the network's order of channels.

    Attributes:
        channels: Order of the channels that the network reads; Simple Baselines reads "bgr".
        mean: Mean of each channel, of values 0..1, in that order.
        std: Standard deviation of each channel, of values 0..1, in that order.
        fill: Colour of what lies outside the image, RGB, 0 to 255 (CPN: the mean colour).

    Raises:
        InputError: `fill` is not a colour.
    """

    channels: Literal["rgb", "bgr"] = "rgb"
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    fill: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        """Check `fill`."""
        if len(self.fill) != 3 or not all(0 <= value <= 255 for value in self.fill):
            raise InputError(f"preprocessing: `fill` must be a colour, three values from 0 to 255, found {self.fill}")


CropRule = Literal["unbiased", "hrnet", "dark", "udp", "mspn", "cpn", "hourglass"]


@dataclass(frozen=True)
class Preprocess(Normalization):
    """How the crops of a top-down model are made, and how its poses are rescored and suppressed.

    Attributes:
        crop: Release whose rule crops a box from the image (`transforms/crop.py`).
        padding: Factor by which the box grows before it is cut.
        sides: Factors by which width and height grow first, before the box gets the aspect ratio of the view (MSPN, CPN).
        flip_test: Whether the release averages the outputs of the view and its mirror image at test time.
        min_keypoint_score: Keypoints with a higher score count for the score of a pose (rescoring).
        oks_nms: OKS above which the worse of two poses is removed.
        stretch: Whether the values of each view, all channels together, are stretched to 0 to 255 before they are normalised,
            as the releases of stacked hourglasses do by resizing with scipy's `imresize` (golden t04).

    Raises:
        InputError: The crop rule does not exist, `sides` are not above 0, or `fill` is not a colour.
    """

    crop: CropRule = "unbiased"
    padding: float = 1.25
    sides: tuple[float, float] = (1.0, 1.0)
    flip_test: bool = True
    min_keypoint_score: float = 0.2
    oks_nms: float = 0.9
    stretch: bool = False

    def __post_init__(self) -> None:
        """Check the crop rule, the sides and the fill colour."""
        super().__post_init__()
        rules = get_args(CropRule)
        if self.crop not in rules:
            raise InputError(f"preprocessing: there is no crop rule {self.crop!r}; there are {', '.join(rules)}")
        if len(self.sides) != 2 or not all(0 < side < float("inf") for side in self.sides):
            raise InputError(f"preprocessing: `sides` must be two factors above 0 (width, height), found {self.sides}")

    @property
    def two_warps(self) -> bool:
        """Whether the release warps pixels and keypoints differently (CPN's do, by half a pixel of the image).

        Keypoints, and predictions on the way back to the image, use `View.warp`; pixels use `transforms.crop.pixel_warp`.
        """
        return self.crop == "cpn"


@dataclass(frozen=True)
class Architecture:
    """How to build a network again.

    Attributes:
        builder: Name of the builder, `file:function` under `poise.zoo`.
        arguments: Arguments of the builder, plain values by name.
        cells: Size of the feature map (h, w) that vectors are read from, in cells; None where the codec decodes maps.
        vectors: Lengths of those vectors, in bins.
        adaptation: Channels of the feature maps that a domain adaptation layer changes; () for none.
    """

    builder: str
    arguments: dict[str, Any] = field(default_factory=dict)
    cells: Size | None = None
    vectors: tuple[int, ...] = ()
    adaptation: tuple[int, ...] = ()
