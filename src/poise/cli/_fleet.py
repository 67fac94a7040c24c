"""`poise predict` in parts: sources and results at addresses, here or on many machines."""

import time
from collections.abc import Iterable
from pathlib import Path

from poise.cli._photos import PhotoFlags, model_of
from poise.cli._predict import nobody_text
from poise.cli._print import counted, print_skipped, with_bar
from poise.errors import ImageError, InputError
from poise.inference.addresses import RemoteImage, list_images
from poise.inference.detect import Detector, detector_of
from poise.inference.moving import address_of
from poise.inference.parts import PartJob, PartResult, check_folder, parts_of, require_arrow
from poise.inference.request import Skipped, none_usable
from poise.inference.sources import Source, SourceBoxes, boxes_of
from poise.models.base import PoseModel
from poise.runtimes.choice import preferred
from poise.skeletons.nouns import nouns
from poise.structures import Key
from poise.terminal import Console, say
from poise.weights.checksum import checksum
from poise.weights.exported_network import ExportedNetwork


def predict_parts(sources: tuple[str, ...], flags: PhotoFlags, *, images_of_part: int) -> int:
    """Find the people of images at addresses, and write them in parts; arguments as of `poise predict`.

    Args:
        sources: Folders and files.
        flags: The flags.
        images_of_part: Images of a part.
    """
    cluster = flags.engine.cluster(flags.running.device)
    out = address_of(flags.out) or str(flags.out.absolute())
    _check(sources, flags, out)
    images = list_images([address_of(text) or str(Path(text).absolute()) for text in sources])
    boxes = _boxes(flags, images)
    console = Console()
    model, flags = model_of(console, flags)
    options = flags.options(model) | {"pixels": flags.part_pixels, "weights": _weights(model)}
    asked = {name: str(value) for name, value in options.items()}
    parts = parts_of(images, boxes, asked=asked, size=images_of_part)
    check_folder(out, parts)
    job, begun = _job(model, flags, out), time.perf_counter()
    done: Iterable[PartResult] = map(job(), parts) if cluster is None else cluster.map(job, parts)
    _tell(console, model, list(with_bar(done, len(parts))), out=out, seconds=time.perf_counter() - begun)
    return 0


def _check(sources: tuple[str, ...], flags: PhotoFlags, out: str) -> None:
    """Refuse what cannot be done in parts.

    Raises:
        InputError: A form of results other than Parquet, or the memory of one process on several.
    """
    require_arrow()
    if flags.format not in ("coco", "parquet"):
        raise InputError(f"parts are Parquet files, and --format {flags.format} is another form; leave it out")
    if flags.engine.engine is not None and any(text.startswith("memory:") for text in (*sources, out)):
        raise InputError("memory:// is the memory of one process, and an engine has several; give an address that all can read")


def _boxes(flags: PhotoFlags, images: list[RemoteImage]) -> dict[int, SourceBoxes] | None:
    if flags.boxes.boxes is None:
        return None
    named = [Source(Path(one.name), one.name, one.image_id) for one in images]
    return boxes_of(flags.boxes.boxes, named, min_score=flags.boxes.min_box_score or 0.0)


def _weights(model: PoseModel) -> str:
    """A checksum of the weights.

    Raises:
        InputError: It is a file of `poise export`, which is not sent to workers.
    """
    if isinstance(model.network, ExportedNetwork):
        name = model.card.name
        raise InputError(f"{name} is an exported file, which is not sent to workers; give the .safetensors it was made of")
    return checksum(model.network.state_dict())


def _job(model: PoseModel, flags: PhotoFlags, out: str) -> PartJob:
    running, runtime = flags.running, preferred(flags.running.runtime)
    detector: Detector | None = None
    if flags.boxes.detector is not None:
        detector = detector_of(
            flags.boxes.detector, device=running.device, precision=running.precision, workers=running.threads, runtime=runtime
        )
    return PartJob(
        model=model,
        out=out,
        detector=detector,
        device=running.device,
        precision=running.precision,
        batch=running.batch,
        workers=running.threads,
        runtime=runtime,
        pixels=flags.part_pixels,
        min_score=flags.minimum.min_score,
        min_box_score=flags.confidence,
        min_area=flags.boxes.min_area,
    )


def _tell(console: Console, model: PoseModel, done: list[PartResult], *, out: str, seconds: float) -> None:
    """Say what came of all parts.

    Raises:
        ImageError: No image can be used.
    """
    skipped = [Skipped(Key(name, image), why) for one in done for name, image, why in one.skipped]
    images, people = sum(one.images for one in done), sum(one.people for one in done)
    if skipped and not images:
        raise ImageError(none_usable(skipped))
    print_skipped(console, skipped, "they have no rows" if len(skipped) > 1 else "it has no rows")
    there = sum(not one.made for one in done)
    if there:
        say(console, f"{counted(there, 'part')} of {len(done)} were there and were not made again")
    if images and not people:
        say(console, nobody_text(images, counted(images, "image"), model))
    rate = f"in {seconds:.1f} s ({images / max(seconds, 1e-6):.1f} a second)"
    found = counted(people, *nouns(model.skeleton))
    say(console, f"{found} in {counted(images, 'image')} {rate}: {counted(len(done), 'part')} in {out}")
