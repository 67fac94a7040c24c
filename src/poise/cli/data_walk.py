"""`poise data walk`: one person's whole way, from the photo to the maps and back."""

from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from poise.cli._flags import check_out, refuse, view_size
from poise.cli.options import DatasetOptions, Name, OptionalModelFile

Page = Annotated[Path, arg(metavar="PAGE.html")]
AnnotationId = Annotated[int | None, arg(metavar="ID")]
Size = Annotated[str | None, arg(metavar="HxW")]


def run(
    *,
    files: DatasetOptions,
    out: Page = Path("walk.html"),
    id: AnnotationId = None,
    model: OptionalModelFile = None,
    codec: Name = None,
    size: Size = None,
) -> int:
    """Show one person's steps on a page: image, warp, view, target, output, mirrored view, mean, and back in the image.

    Each step with its shape and values. Without a model the codec is shown as if its network gave the target itself.

    For example:

        poise data walk --annotations person_keypoints.json --images images --codec Gaussian --out walk.html

        poise data walk --annotations person_keypoints.json --images images --id 425226 --model model.safetensors

    Args:
        files: Labels and images.
        out: The page, one file.
        id: Id of the person's annotation; by default the first one that can be shown.
        model: Model file, or name of a model of `poise get`; its own codec, size and crop are shown.
        codec: Without a model: a codec by the name of its class, such as `Gaussian` (UDPGaussian); maps are a quarter of the
            size.
        size: Without a model: size of the view, height x width (256x192).
    """
    from poise.analysis.trace import find_person, network_of, trace_person
    from poise.cli._print import say
    from poise.cli._walk import page
    from poise.data.coco import CocoDataset
    from poise.models.require import require_top_down
    from poise.structures import Preprocess
    from poise.terminal import Console
    from poise.weights.model_file import load
    from poise.zoo.assemble import named_codec, preprocess_for

    check_out("--out", out, ends=(".html", ".htm", ""))
    if model is not None:
        refuse({"--codec": codec, "--size": size}, why="a model has a codec and a size of its own")
    dataset = CocoDataset(files.annotations, files.images, naming=files.naming)
    index, person = find_person(dataset, id)
    sample, source = dataset[index], dataset.skeleton
    if model is None:
        h, w = view_size(size or "256x192")
        made = named_codec(codec or "UDPGaussian", (h, w), (h // 4, w // 4), keypoints=len(source))
        cut = preprocess_for(made, Preprocess())
        report = page(trace_person(sample, person, source=source, skeleton=source, codec=made, preprocess=cut), model=None)
    else:
        network = require_top_down(load(model))
        found = trace_person(
            sample,
            person,
            source=source,
            skeleton=network.skeleton,
            codec=network.codec,
            preprocess=network.preprocess,
            network=network_of(network),
        )
        report = page(found, model=network.card.name)
    report.write(out)
    say(Console(), f"{out}: annotation {int(sample.labels.ids[person])} of {sample.key.file_name}")
    return 0
