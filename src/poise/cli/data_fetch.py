"""`poise data fetch`: where a public data set lives, what of it is there, and its labels as a COCO-style file."""

from pathlib import Path
from typing import Annotated, Any

from tyro.conf import Positional, arg

from poise.errors import InputError

SetName = Annotated[str | None, arg(metavar="NAME")]
OptionalFolder = Annotated[Path | None, arg(metavar="DIR")]
OptionalFile = Annotated[Path | None, arg(metavar="FILE")]


def run(
    name: Positional[SetName] = None,
    /,
    *,
    folder: OptionalFolder = None,
    write: OptionalFile = None,
    animal: str = "horse",
    part: str = "all",
    lists: OptionalFolder = None,
    seed: int = 0,
) -> int:
    """Where a public data set of animals lives, its terms, its layout; with --folder, what of it is there.

    Nothing is downloaded.

    For example:

        poise data fetch

        poise data fetch tigdog --folder data

        poise data fetch tigdog --folder data --animal horse --part val --lists animal-splits --write horse_val.json

    TigDog and the synthetic animals have files of their own: --write makes a COCO-style file of them, which every other command
    takes. The exit code is 1 where a part of the set is missing.

    Args:
        name: tigdog, synthetic_animals, animalpose or ap10k; without a name, which there are.
        folder: Folder with the data set.
        write: COCO-style file to write.
        animal: Animal that is written.
        part: Part that is written: train, val or all.
        lists: Folder with the release's index lists; without them a fifth is held out at random.
        seed: Seed of that choice.
    """
    from poise.data.published_sets import SETS, find_set, look
    from poise.terminal import Console

    console = Console()
    if name is None:
        for known, one in SETS.items():
            console.print(f"{known:<18} {one.title}", soft_wrap=True, highlight=False)
        return 0
    one = find_set(name)
    if folder is None:
        if write is not None:
            raise InputError("--write needs the data set, whose folder is missing; give --folder")
        _tell(console, name, one)
        return 0
    if write is not None:
        return _write(console, _opened(name, folder, animal=animal, part=part, lists=lists, seed=seed), animal, write)
    parts = look(name, folder)
    for found in parts:
        console.print(f"{'found  ' if found.there else 'missing'}  {found.what}", soft_wrap=True, highlight=False)
    return 0 if all(found.there for found in parts) else 1


def _tell(console: Any, name: str, one: Any) -> None:
    lines = [one.title, f"page: {one.page}", f"terms: {one.terms}", "put it into a folder of your own, as it unpacks:"]
    lines += [f"  {line}" for line in one.layout]
    lines += [f"then: poise data fetch {name} --folder FOLDER", *(f"      {line}" for line in one.use)]
    console.print("\n".join(lines), soft_wrap=True, highlight=False)


def _opened(name: str, folder: Path, *, animal: str, part: str, lists: Path | None, seed: int) -> Any:
    from poise.data.synthetic_animals import SyntheticAnimals
    from poise.data.tigdog import TigDogDataset

    kinds = {"tigdog": TigDogDataset, "synthetic_animals": SyntheticAnimals}
    if name not in kinds:
        raise InputError(f"{name} is in COCO's form already; give its own file to the commands, without --write")
    return kinds[name](folder, animal, part=part, lists=lists, seed=seed)


def _write(console: Any, dataset: Any, animal: str, path: Path) -> int:
    from poise.data.coco_export import coco_document
    from poise.data.document import write_document
    from poise.writing import check_targets

    check_targets([path], flag="--write", new=True)
    write_document(coco_document(dataset, name=animal), path)
    count = f"{len(dataset):,} images, {len(dataset.skeleton)} keypoints"
    console.print(f"wrote {path}: {count}; their folder, for --images: {dataset.files.root}", soft_wrap=True, highlight=False)
    return 0
