"""COCO as it is unpacked from its official archives, for recipes, and what several papers' runs on it share."""

from pathlib import Path

from poise.codecs.base import InstanceCodec
from poise.data.coco import CocoDataset
from poise.dims import Size
from poise.errors import ReadError
from poise.models.base import Model
from poise.models.require import require_pose
from poise.recipes.base import Optimizer, Recipe, Schedule
from poise.skeletons import COCO17
from poise.transforms.jitter import Augmentation
from poise.transforms.scene_jitter import SceneAugmentation
from poise.zoo.assemble import named_codec

AP = "coco-val2017/AP"
"""Name of an expected score: boxes of a detector, flip test."""

STRIDE = 4

BASELINE_VIEWS = Augmentation(scale=0.3, rotation=40.0)
"""Views of Simple Baselines (arXiv 1804.06208) on COCO."""

HRNET_VIEWS = Augmentation(scale=0.35, rotation=45.0, half_body=0.3, half_body_joints=8)
"""Views of HRNet (arXiv 1902.09212) on COCO."""

BASELINE_STEPS = Schedule("steps", milestones=(90, 120))
"""Learning-rate schedule of runs of 140 epochs."""

HRNET_STEPS = Schedule("steps", milestones=(170, 200))
"""Learning-rate schedule of runs of 210 epochs."""

MMPOSE_STEPS = Schedule("steps", milestones=(170, 200), warmup_steps=500, warmup_start=0.001)
"""Learning-rate schedule of most MMPose configurations, 210 epochs."""


def keypoints2017(data: Path, part: str) -> CocoDataset:
    """The people of `train2017` or `val2017`.

    Args:
        data: Folder with `annotations/person_keypoints_PART.json`, and the images in `PART`, `images/PART` or zips so named.
        part: `train2017` or `val2017`.

    Raises:
        ReadError: The images are in none of these places.
    """
    return CocoDataset(_annotations(data, part), images2017(data, part), skeleton=COCO17)


def check2017(data: Path) -> None:
    """Refuse a folder that is not COCO 2017 as its archives unpack: cheap, before a network is made or downloaded.

    Args:
        data: Folder with `annotations/person_keypoints_PART.json`, and the images in `PART`, `images/PART` or zips so named.

    Raises:
        ReadError: Images or annotations of `train2017` or `val2017` are missing.
    """
    for part in ("train2017", "val2017"):
        images2017(data, part)
        if not _annotations(data, part).is_file():
            raise ReadError(
                f"there is no annotation file {str(_annotations(data, part))!r}; expected COCO 2017 as its archives unpack"
            )


def _annotations(data: Path, part: str) -> Path:
    return data / "annotations" / f"person_keypoints_{part}.json"


def images2017(data: Path, part: str) -> Path:
    """The folder or zip file with the images of `train2017` or `val2017`.

    Raises:
        ReadError: There is none in the usual places.
    """
    places = [data / folder / f"{part}{end}" for end in ("", ".zip") for folder in (".", "images")]
    found = next((place for place in places if place.exists()), None)
    if found is None:
        raise ReadError(
            f"{data} holds no images of COCO {part}; expected {part}, images/{part}, {part}.zip or images/{part}.zip there"
        )
    return found


def on_coco(
    name: str,
    model: Model,
    data: Path,
    *,
    epochs: int,
    batch: int,
    augmentation: Augmentation | SceneAugmentation,
    schedule: Schedule,
    optimizer: Optimizer | None = None,
    select: bool = False,
    score: float | None = None,
    notes: str = "",
) -> Recipe:
    """A run on COCO's people; Adam at 1e-3 by default.

    Args:
        name: Name of the recipe.
        model: Model to train, from the weights that it has.
        data: Folder of COCO 2017.
        epochs: Epochs.
        batch: People per step.
        augmentation: Augmentation of the views.
        schedule: Schedule of the learning rate.
        optimizer: Optimizer; Adam at 1e-3 by default.
        select: Leave out people whose keypoints lie off the middle of their box.
        score: AP to expect; None where none was published.
        notes: Remarks for the summary of the run.
    """
    return Recipe(
        name=name,
        model=require_pose(model),
        train=keypoints2017(data, "train2017"),
        val=keypoints2017(data, "val2017"),
        epochs=epochs,
        batch=batch,
        augmentation=augmentation,
        optimizer=optimizer or Optimizer("adam", rate=1e-3),
        schedule=schedule,
        best="AP",
        select=select,
        expected={} if score is None else {AP: score},
        notes=notes,
    )


def codec_for(name: str | None, size: Size) -> InstanceCodec | None:
    """A codec of COCO's keypoints by its name, for maps of a quarter of the views; None for the paper's own.

    Raises:
        UnknownName: There is no such codec.
    """
    if name is None:
        return None
    return named_codec(name, size, (size[0] // STRIDE, size[1] // STRIDE), keypoints=len(COCO17))


def epochs_of(iterations: int, *, people: int, batch: int) -> int:
    """Number of epochs that have so many steps: MSPN's schedules are in steps.

    >>> epochs_of(96000, people=149813, batch=256)
    164
    """
    return max(1, round(iterations * batch / people))
