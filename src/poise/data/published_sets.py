"""Public data sets of animals: where each lives, its terms, where to put it, and what of it is there."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import final

from poise.data import synthetic_animals, tigdog
from poise.errors import unknown
from poise.reading import check_folder

TERMS = "of its own, on its page, which this project has not read for you: take it as research only until you have"


@final
@dataclass(frozen=True)
class Found:
    """A part of a data set in a folder.

    Attributes:
        what: The part.
        there: Whether it is there.
    """

    what: str
    there: bool


@final
@dataclass(frozen=True)
class PublishedSet:
    """A data set that others publish.

    Attributes:
        title: Its name and paper.
        page: Where it is offered.
        terms: Its terms, as far as they are known here.
        layout: The files, below the folder that is given.
        use: The commands that take it.
        look: Finds its parts in a folder.
    """

    title: str
    page: str
    terms: str
    layout: tuple[str, ...]
    use: tuple[str, ...]
    look: Callable[[Path], Iterator[Found]]


def _count(folder: Path, pattern: str) -> int:
    return sum(1 for _ in folder.glob(pattern)) if folder.is_dir() else 0


def _tigdog(folder: Path) -> Iterator[Found]:
    base = folder / tigdog.FOLDER if (folder / tigdog.FOLDER).is_dir() else folder
    for animal in ("horse", "tiger"):
        yield Found(f"ranges/{animal}/ranges.mat", (base / "ranges" / animal / "ranges.mat").is_file())
        shots = _count(base / "landmarks" / animal, "*.mat")
        yield Found(f"landmarks/{animal}: {shots} shots", shots > 0)
        frames = _count(base / animal, "*.jpg")
        yield Found(f"{animal}: {frames:,} frames", frames > 0)


def _synthetic(folder: Path) -> Iterator[Found]:
    for animal in synthetic_animals.VERTICES:
        name = f"{animal}_{synthetic_animals.TEXTURE}"
        place = next((p for p in (folder / synthetic_animals.FOLDER / name, folder / name) if p.is_dir()), folder / name)
        counts = {kind: _count(place, f"*_{kind}") for kind in ("img.png", "kpts.npy", "seg.png", "partseg.png")}
        shown = ", ".join(f"{count:,} *_{kind}" for kind, count in counts.items())
        whole = 0 < counts["img.png"] <= counts["kpts.npy"]
        yield Found(f"{name}: {shown} (10,000 images in the release)", whole)


def _animalpose(folder: Path) -> Iterator[Found]:
    base = folder / "animalpose" if (folder / "animalpose").is_dir() else folder
    yield Found("keypoints.json", (base / "keypoints.json").is_file())
    images = _count(base / "images", "*.*")
    yield Found(f"images: {images:,} files", images > 0)


def _ap10k(folder: Path) -> Iterator[Found]:
    base = folder / "ap-10k" if (folder / "ap-10k").is_dir() else folder
    for part in ("train", "val", "test"):
        files = [f"ap10k-{part}-split{number}.json" for number in (1, 2, 3)]
        there = [name for name in files if (base / "annotations" / name).is_file()]
        yield Found(f"annotations/ap10k-{part}-split1.json to 3: {len(there)}", bool(there))
    images = _count(base / "data", "*.jpg")
    yield Found(f"data: {images:,} images", images > 0)


SETS: Mapping[str, PublishedSet] = {
    "tigdog": PublishedSet(
        "TigDog (Del Pero et al., CVPR 2015): video frames of horses and tigers, 19 landmarks",
        "http://calvin-vision.net/datasets/tigdog/",
        TERMS,
        (
            "behaviorDiscovery2.0/ranges/horse/ranges.mat",
            "behaviorDiscovery2.0/landmarks/horse/1.mat ...",
            "behaviorDiscovery2.0/horse/00000001.jpg ...",
        ),
        (
            "poise train tigdog --data FOLDER --animal horse",
            "poise data fetch tigdog --folder FOLDER --animal horse --part val --write horse_val.json",
        ),
        _tigdog,
    ),
    "synthetic_animals": PublishedSet(
        "synthetic animals (Mu et al., CVPR 2020, arXiv 1912.08265): 10,000 rendered images of each of five animals",
        "https://github.com/JitengMu/Learning-from-Synthetic-Animals (its README links the archives)",
        "its README names none: take it as research only, or ask its authors",
        (
            "synthetic_animal/horse_combineds5r5_texture/*_img.png",
            "synthetic_animal/horse_combineds5r5_texture/*_kpts.npy",
            "synthetic_animal/horse_combineds5r5_texture/*_seg.png",
            "synthetic_animal/horse_combineds5r5_texture/*_partseg.png (of horse and tiger, for --multitask)",
        ),
        ("poise train synthetic_animals --data FOLDER --animal horse",),
        _synthetic,
    ),
    "animalpose": PublishedSet(
        "Animal-Pose (Cao et al., ICCV 2019, arXiv 1908.05806): dogs, cats, sheep, horses, cows with 20 keypoints",
        "https://sites.google.com/view/animal-pose/",
        TERMS,
        ("animalpose/keypoints.json", "animalpose/images/*"),
        (
            "poise data check keypoints.json --images images --fix animalpose.json (its boxes are corners)",
            "poise train finetune --annotations animalpose.json --images images",
        ),
        _animalpose,
    ),
    "ap10k": PublishedSet(
        "AP-10K (Yu et al., NeurIPS 2021, arXiv 2108.12617): 10,015 images of 54 species with 17 keypoints",
        "https://github.com/AlexTheBad/AP-10K",
        "CC BY 4.0, as its README says",
        ("ap-10k/annotations/ap10k-train-split1.json ...", "ap-10k/data/000000000001.jpg ..."),
        ("poise train finetune --annotations annotations/ap10k-train-split1.json --images data",),
        _ap10k,
    ),
}
"""The data sets, by the name that `poise data fetch` takes."""


def find_set(name: str) -> PublishedSet:
    """A data set by its name.

    Raises:
        UnknownName: There is none of that name; the message gives the nearest.
    """
    if name not in SETS:
        raise unknown("data set", name, SETS)
    return SETS[name]


def look(name: str, folder: Path) -> list[Found]:
    """The parts of a data set in a folder.

    Args:
        name: Name of the data set.
        folder: Where it was put.

    Raises:
        ReadError: There is no such folder.
        UnknownName: There is no such data set.
    """
    found = find_set(name)
    check_folder(folder, what=f"folder of {name}")
    return list(found.look(folder))
