"""`poise data split`: split an annotation file in two."""

from typing import Annotated

from tyro.conf import Positional, arg

from poise.cli.options import AnnotationFile, FolderOutputOptions, MirrorOptions, SeedOptions

Group = Annotated[str | None, arg(metavar="KEY")]


def run(
    file: Positional[AnnotationFile],
    *,
    output: FolderOutputOptions,
    names: MirrorOptions,
    chance: SeedOptions,
    share: float = 0.8,
    group: Group = None,
) -> int:
    r"""Split an annotation file in two: OUT/train.json and OUT/val.json.

    For example:

        poise data split person_keypoints.json --share 0.8 --seed 0 --group sequence --out splits

        poise data split person_keypoints.json --group "^(.*)_\d+\.jpg$" --out splits

    Args:
        file: COCO-style keypoint file.
        output: Files to write.
        names: Names of keypoints; both parts have them.
        chance: Seed of the split.
        share: Share of the labelled people that go to train.json; images without any go there too.
        group: Images of one group stay together: a field of the image records, or a regular expression on file_name.
    """
    from poise.data.document import read_document, write_document
    from poise.data.split import groups, people_of, split
    from poise.terminal import Console
    from poise.writing import check_targets

    places = [output.out / f"{name}.json" for name in ("train", "val")]
    check_targets(places, flag="--out", new=True)
    document = read_document(file, naming=names.naming)
    console = Console()
    parts = split(document, share=share, seed=chance.seed, group=group)
    for place, part in zip(places, parts, strict=True):
        write_document(part, place)
    for place, part in zip(places, parts, strict=True):
        people = people_of(part)
        count = f"{len(part['images'])} images, {len(part['annotations'])} annotations, {sum(people.values())} labelled people"
        empty = len(part["images"]) - len(people)
        count += f", {empty} images without any" if empty and people else ""
        of = f", {len(set(groups(part, group)))} groups" if group else ""
        console.print(f"{place}: {count}{of}", soft_wrap=True, highlight=False)
    return 0
