"""The tables of `poise plan`."""

from collections.abc import Sequence

from rich.table import Table

from poise.analysis.plan import STAGE_NAMES, Costs
from poise.analysis.skew import LoopCosts, largest_share, people_counts, simulate
from poise.cli._report import device_text
from poise.inference.settings import InferenceSettings
from poise.inference.stages import CROPS, READING
from poise.terminal import Console, say


def print_costs(console: Console, costs: Costs, settings: InferenceSettings, images: float) -> None:
    """Print what an image takes, stage by stage."""
    people = f", {costs.people:g} {'person' if costs.people == 1 else 'people'} each" if costs.people else ""
    say(console, f"measured here, one thread, {device_text(settings)}: {costs.images} runs over {costs.what}{people}")
    grid = Table("stage", "ms an image", f"hours for {images:,.0f}")
    for column in grid.columns[1:]:
        column.justify = "right"
    for name in STAGE_NAMES:
        if costs.seconds[name]:
            grid.add_row(name, f"{costs.seconds[name] * 1000:.2f}", f"{images * costs.seconds[name] / 3600:,.1f}")
    total = sum(costs.seconds.values())
    grid.add_section()
    grid.add_row("together", f"{total * 1000:.2f}", f"{images * total / 3600:,.1f}")
    console.print(grid)


def print_skews(console: Console, costs: Costs, skews: Sequence[float], *, images: int, workers: int) -> None:
    """Print how busy the network is on images with very different numbers of people."""
    one = LoopCosts(
        reading=costs.seconds[READING] + costs.seconds[CROPS],
        fixed=max(costs.alone - costs.each, 0.0),
        person=costs.each,
        batch=costs.batch,
        workers=max(workers, 1),
    )
    say(
        console,
        f"simulated, {images:,} images: {one.workers} threads read {one.reading * 1000:.2f} ms an image; a run of the network "
        f"takes {one.fixed * 1000:.2f} ms and {one.person * 1000:.2f} ms for each person, up to {one.batch}",
    )
    grid = Table("people in the fullest 1 % of images", "batches", "people a run", "network busy", "images a second")
    for column in grid.columns[2:]:
        column.justify = "right"
    for skew in skews:
        counts = people_counts(images, mean=costs.people, skew=skew)
        for across, how in ((False, "of each image"), (True, "across images")):
            found = simulate(counts, one, across=across)
            share = f"{largest_share(counts):.0%} of all" if not across else ""
            grid.add_row(share, how, f"{found.people_a_run:.1f}", f"{found.network:.0%}", f"{found.images_a_second:,.1f}")
    console.print(grid)
