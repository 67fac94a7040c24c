"""`poise data split | stats | draw | walk | check | sigmas`: look at annotation files before anybody trains on them."""

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

_Images = Annotated[Path | None, arg(metavar="DIR")]
_Out = Annotated[Path | None, arg(metavar="OUT")]
_File = Annotated[Path, arg(metavar="FILE")]
_Page = Annotated[Path, arg(metavar="PAGE.html")]
_Model = Annotated[Path | None, arg(metavar="FILE")]
_Number = Annotated[int | None, arg(metavar="ID")]
_Files = Annotated[tuple[Path, ...], arg(metavar="FILE [FILE ...]")]
_Folders = Annotated[tuple[Path, ...], arg(metavar="DIR [DIR ...]")]
_Group = Annotated[str | None, arg(metavar="KEY")]


def split(file: Positional[Path], *, out: Path, share: float = 0.8, seed: int = 0, group: _Group = None) -> int:
    r"""Split an annotation file in two: OUT/train.json and OUT/val.json.

    For example:

        poise data split person_keypoints.json --share 0.8 --seed 0 --group sequence --out splits

        poise data split person_keypoints.json --group "^(.*)_\d+\.jpg$" --out splits

    Args:
        file: COCO-style keypoint file.
        out: Folder for the two files.
        share: Of the images that go to train.json.
        seed: The same seed gives the same parts.
        group: Images of one group stay together: a field of the image records, or a regular expression on file_name.
    """
    from rich.console import Console

    from poise.data.document import read_document, write_document
    from poise.data.split import groups
    from poise.data.split import split as split_document

    document = read_document(file)
    console = Console()
    for name, part in zip(("train", "val"), split_document(document, share=share, seed=seed, group=group), strict=True):
        write_document(part, out / f"{name}.json")
        count = f"{len(part['images'])} images, {len(part['annotations'])} annotations"
        of = f", {len(set(groups(part, group)))} groups" if group else ""
        console.print(f"{out / name}.json: {count}{of}", soft_wrap=True, highlight=False)
    return 0


def stats(file: Positional[Path], *, images: _Images = None, count: int = 2000) -> int:
    """Count people, boxes and keypoints; mean and deviation of the images.

    For example:

        poise data stats person_keypoints.json --images images

    Args:
        file: COCO-style keypoint file.
        images: Folder or zip file of the images; without it only the labels are counted.
        count: Mean and deviation are of so many images at most, evenly spread over the file.
    """
    from rich.console import Console

    from poise.cli._data import print_statistics
    from poise.data.coco import CocoDataset
    from poise.data.stats import channel_statistics, label_statistics

    dataset = CocoDataset(file, images)
    console = Console()
    print_statistics(console, label_statistics(dataset), dataset.skeleton)
    if images is None:
        return 0
    total = len(dataset)
    chosen = range(total) if total <= count else [i * total // count for i in range(count)]
    found = channel_statistics(dataset, chosen)
    heights, widths = zip(*found.sizes, strict=True)
    for name, values in (("mean", found.mean), ("deviation", found.std)):
        console.print(f"{name} of red, green, blue (0..1): " + ", ".join(f"{v:.4f}" for v in values), highlight=False)
    console.print(
        f"{len(found.sizes)} images read: {min(widths)} to {max(widths)} wide, {min(heights)} to {max(heights)} high",
        highlight=False,
    )
    for problem in found.unreadable[:10]:
        console.print(f"[yellow]left out:[/] {problem}", highlight=False)
    return 1 if found.unreadable else 0


def draw(
    file: Positional[Path],
    *,
    images: Annotated[Path, arg(metavar="DIR")],
    out: Path,
    count: int = 20,
    seed: int = 0,
    side: int = 480,
) -> int:
    """Draw labels on pictures, and the mirrored picture with mirrored labels beside each.

    In both, the person's own left is warm (orange) and right is cool (blue); hidden keypoints are hollow. Where the file
    has segmentations, people are outlined and crowds tinted.

    For example:

        poise data draw person_keypoints.json --images images --out drawn --count 20

    Args:
        file: COCO-style keypoint file.
        images: Folder or zip file of the images.
        out: Folder for the pictures.
        count: How many pictures, drawn at random from those with people.
        seed: Of the choice.
        side: Smaller pictures are enlarged until their longer side has so many pixels.
    """
    import random

    from rich.console import Console

    from poise.cli._data import labelled_pair
    from poise.data.coco import CocoDataset
    from poise.data.images import write_image
    from poise.errors import AnnotationError, ImageError, InputError

    if count < 1:
        raise InputError(f"--count {count} pictures cannot be drawn; give 1 or more")
    dataset = CocoDataset(file, images)
    peopled = sorted({i for i, _ in dataset.people(crowd=True)})
    if not peopled:
        raise AnnotationError(f"{str(file)!r} labels nobody, so there is nothing to draw")
    console, failed = Console(), 0
    chosen = sorted(random.Random(seed).sample(peopled, min(count, len(peopled))))
    for index in chosen:
        try:
            picture = labelled_pair(dataset, index, side)
        except (ImageError, AnnotationError) as error:
            failed += 1
            console.print(f"[yellow]left out:[/] {error}", highlight=False)
            continue
        write_image(out / f"{index:06d}_{Path(dataset.key(index).file_name).stem}.jpg", picture)
    console.print(f"{len(chosen) - failed} pictures in {out}" + (f", {failed} left out" if failed else ""), highlight=False)
    return 1 if failed else 0


def walk(
    *,
    annotations: _File,
    images: Annotated[Path, arg(metavar="DIR")],
    out: _Page = Path("walk.html"),
    id: _Number = None,
    model: _Model = None,
    codec: str = "UDPGaussian",
    size: str = "256x192",
) -> int:
    """Show one person's whole way on a page: photo, warp, view, target, answer, mirrored view, mean, and back on the photo.

    Each step with its shape and values. Without a model the codec is shown as if its network answered without fault.

    For example:

        poise data walk --annotations person_keypoints.json --images images --codec Gaussian --out walk.html

        poise data walk --annotations person_keypoints.json --images images --id 425226 --model model.safetensors

    Args:
        annotations: COCO-style keypoint file.
        images: Folder or zip file of the images.
        out: The page, one file.
        id: Of the annotation of the person; the first one that can be looked at by default.
        model: Model file; its own codec, size and way to cut views are shown.
        codec: Without a model: a codec by the name of its class, such as `Gaussian` or `Dark`; maps are a quarter of the size.
        size: Without a model: of the view, height x width.
    """
    from rich.console import Console

    from poise.analysis.walk import find_person, network_of
    from poise.analysis.walk import walk as take
    from poise.cli._out import check_out
    from poise.cli._scores import say
    from poise.cli._size import view_size
    from poise.cli._walk import page
    from poise.data.coco import CocoDataset
    from poise.models.kinds import one_person
    from poise.structures import Preprocess
    from poise.zoo.assemble import cut_for, named_codec
    from poise.zoo.file import load

    check_out("--out", out, ends=(".html", ".htm", ""), reads=(annotations,))
    dataset = CocoDataset(annotations, images)
    index, person = find_person(dataset, id)
    sample, source = dataset[index], dataset.skeleton
    if model is None:
        h, w = view_size(size)
        made = named_codec(codec, (h, w), (h // 4, w // 4), keypoints=len(source))
        cut = cut_for(made, Preprocess())
        report = page(take(sample, person, source=source, skeleton=source, codec=made, preprocess=cut), network=None)
    else:
        whole = one_person(load(model))
        found = take(
            sample,
            person,
            source=source,
            skeleton=whole.skeleton,
            codec=whole.codec,
            preprocess=whole.preprocess,
            answer=network_of(whole),
        )
        report = page(found, network=whole.card.name)
    report.write(out)
    say(Console(), f"{out}: annotation {int(sample.labels.ids[person])} of {sample.key.file_name}")
    return 0


def check(files: Positional[_Files], *, images: _Folders = (), fix: _Out = None) -> int:
    """Find what breaks training or makes AP 0 or -1; exit code 1 when something is left.

    With several files also the images they share are found, by name, by id and by content.

    For example:

        poise data check train.json val.json --images images --fix mended

    Args:
        files: COCO-style keypoint files.
        images: Folder or zip file of the images: one for all files, or one for each.
        fix: Write mended copies there: a file name, or a folder (needed for several files). The originals stay.
    """
    from rich.console import Console

    from poise.cli._data import look, print_findings, targets, verdict, write_mended
    from poise.data.lint import check_file, separate
    from poise.errors import InputError

    if not files or len(images) not in (0, 1, len(files)):
        raise InputError(
            f"found {len(files)} files and {len(images)} image folders; give files, and one folder or one for each"
        )
    places = targets(files, fix) if fix else []
    console = Console()
    folders = images if len(images) == len(files) else (images or (None,)) * len(files)
    looked = [look(console, file, folder) for file, folder in zip(files, folders, strict=True)]
    results = [check_file(document, pictures) for _, document, pictures in looked]
    mended = [(name, result.mended, pictures) for (name, _, pictures), result in zip(looked, results, strict=True)]
    found = {name: list(result.findings) for (name, _, _), result in zip(looked, results, strict=True)}
    for i, first in enumerate(mended):
        for second in mended[i + 1 :]:
            found[f"{first[0]} and {second[0]}"] = separate(first, second)
    for name, findings in found.items():
        print_findings(console, name, findings, mended=fix is not None)
    write_mended(console, [document for _, document, _ in mended][: len(places)], places)
    everything = [finding for findings in found.values() for finding in findings]
    left = [finding for finding in everything if fix is None or not finding.mended]
    mendable = sum(bool(finding.mended) for finding in everything)
    console.print(verdict(len(everything), mendable, fixed=fix is not None), highlight=False)
    return 1 if left else 0


def sigmas(
    files: Positional[_Files],
    *,
    by: Annotated[str, arg(metavar="overlap|id")] = "overlap",
    resamples: int = 1000,
    seed: int = 0,
    out: _Out = None,
) -> int:
    """Estimate the OKS sigmas of any keypoints from repeated annotations, with 95 % intervals.

    Each file is another annotator's, of the same images. Images are found by file name, keypoints by name, people by their
    boxes. With the sigmas written into a file's categories, AP is judged by how well people themselves agree.

    For example:

        poise data sigmas first.json second.json --out with-sigmas.json

    Args:
        files: COCO-style keypoint files, two or more.
        by: How the annotations of one person are found: boxes that overlap most, or annotations of one id.
        resamples: Draws of the people, for the intervals.
        seed: Of the draws.
        out: Write a copy of the first file with the sigmas; keypoints too few people have keep what they had.
    """
    from rich.console import Console
    from rich.table import Table

    from poise.analysis.sigmas import LEAST_PEOPLE, check_pairing, estimate_sigmas, with_sigmas
    from poise.cli._data import targets
    from poise.data.coco import CocoDataset
    from poise.data.document import read_document, write_document

    place = targets(files[:1], out)[0] if out and files else None
    datasets = [CocoDataset(file, None) for file in files]
    found = estimate_sigmas(datasets, by=check_pairing(by), resamples=resamples, seed=seed)
    table = Table("keypoint", "people", "sigma", "95 % interval", "now", title="sigmas of OKS", title_justify="left")
    for one, now in zip(found, datasets[0].skeleton.sigmas, strict=True):
        known = one.value is not None
        interval = f"{one.low:.4f} to {one.high:.4f}" if known else f"fewer than {LEAST_PEOPLE} people"
        table.add_row(one.name, f"{one.people}", f"{one.value:.4f}" if known else "-", interval, f"{now:.4f}")
    console = Console()
    console.print(table)
    if place is not None:
        write_document(with_sigmas(read_document(files[0]), found), place)
        console.print(f"copy with sigmas: {place}", highlight=False, soft_wrap=True)
    return 0
