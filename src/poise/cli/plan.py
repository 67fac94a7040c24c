"""`poise plan`: what many images would take."""

from typing import Annotated

from tyro.conf import Positional, arg

from poise.cli._flags import check_number
from poise.cli._inputs import DETECTOR, SOURCE
from poise.cli.options import RunOptions
from poise.cli.options.types import ModelFile
from poise.errors import InputError

Images = Annotated[float, arg(metavar="N")]
Count = Annotated[float | None, arg(metavar="N")]
Milliseconds = Annotated[float | None, arg(metavar="MS")]
Sample = Annotated[tuple[str, ...], arg(metavar="SOURCE [SOURCE ...]"), SOURCE]
DetectorName = Annotated[str | None, arg(metavar="FILE|NAME"), DETECTOR]

SKEWS = (0.0, 1.0, 2.0)
"""Deviations of the logarithm of people per image."""

SIMULATED = 20_000
"""Images of a simulation."""


def run(
    model: Positional[ModelFile],
    *,
    images: Images,
    people_per_image: float = 1.0,
    cores: Count = None,
    gpus: Count = None,
    network_ms: Milliseconds = None,
    detector: DetectorName = None,
    sample: Sample = (),
    seconds: float = 30.0,
    running: RunOptions,
) -> int:
    """Measure this machine for half a minute, and say what a number of images takes: cores or GPUs, hours, bytes.

    Each stage runs in one thread, one after the other: what a core takes for an image. The last table is a simulation of the
    loop on images with very different numbers of people: how busy the network is, with batches across images and without.

    For example:

        poise plan model.safetensors --images 1e9 --people-per-image 2.5 --cores 256

        poise plan model.safetensors --images 1e7 --sample photos --detector fasterrcnn_resnet50_fpn_v2

        poise plan model.safetensors --images 1e9 --gpus 8 --network-ms 0.4

    Args:
        model: Model file, or the name of a model of `poise get`.
        images: How many images, such as 1e9.
        people_per_image: People per image on average, for a top-down model.
        cores: Cores of the fleet; without cores and GPUs it says how many a day and a week take.
        gpus: GPUs of the fleet; this machine needs one, or give --network-ms.
        network_ms: Milliseconds of the network for a person (or a whole image) on the fleet's hardware, in place of those
            measured here.
        detector: A detector that finds the boxes: a model file, or the name of one of torchvision's; its time is measured, too.
        sample: Images like those to come; drawn ones by default, whose files are smaller than photographs.
        seconds: How long to measure, up to 60.
        running: How the model is run.
    """
    for flag, value in (("--images", images), ("--people-per-image", people_per_image)):
        check_number(flag, value)
    if images < 1 or people_per_image <= 0:
        raise InputError(f"--images and --people-per-image are above 0; found {images:g} and {people_per_image:g}")
    if cores is not None and gpus is not None:
        raise InputError("--cores and --gpus are two fleets; give one of them (a GPU's cores are calculated)")
    if network_ms is not None and gpus is not None and detector is not None:
        raise InputError(
            "--network-ms is the time of the model, and nothing tells the detector's on a GPU; leave out --detector, or plan "
            "on a machine with such a GPU, where both are measured"
        )
    if network_ms is None and gpus is not None:
        import torch

        if not torch.cuda.is_available():
            raise InputError(
                "this machine has no GPU on which the network could be measured; run poise plan on one that has, or give "
                "--network-ms, the milliseconds for a person (or a whole image) there"
            )
    from dataclasses import replace

    from poise.analysis.plan import fleet_lines, measure
    from poise.cli._plan import print_costs, print_skews
    from poise.inference.detect import detector_of
    from poise.models.require import require_pose
    from poise.runtimes.choice import preferred
    from poise.terminal import Console, say
    from poise.weights.model_file import load

    console, network = Console(), require_pose(load(model))
    if detector is not None and not network.takes_boxes:
        raise InputError(f"{network.card.name} finds people by itself, so a detector is of no use to it; leave out --detector")
    settings = replace(running, runtime=preferred(running.runtime)).settings_for(network)
    finder = None
    if detector is not None:
        finder = detector_of(detector, device=running.device, precision=running.precision, workers=0, runtime=running.runtime)
    costs = measure(network, settings, seconds=seconds, people=people_per_image, sample=sample, detector=finder)
    if network_ms is not None:
        costs = costs.with_network(network_ms, gpu=gpus is not None)
    print_costs(console, costs, settings, images)
    for line in fleet_lines(costs, images, cores=cores, gpus=gpus):
        say(console, line)
    if network.takes_boxes:
        print_skews(console, costs, SKEWS, images=SIMULATED, workers=costs.readers or running.threads)
    return 0
