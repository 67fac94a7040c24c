"""`poise verify`: a run's stored scores, measured again."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from poise.cli._inputs import RUN
from poise.cli.options import Name, ResamplingOptions, RunOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from poise.analysis.verify import Check
    from poise.terminal import Console

RunFolder = Annotated[Path, arg(metavar="RUN"), RUN]


@dataclass(frozen=True, kw_only=True)
class SameRunOptions(RunOptions):
    """How the model is run.

    Attributes:
        device: cpu, cuda, cuda:1, mps; by default that of the run, where there is one.
        precision: fp32 or bf16; by default that of the run.
    """

    device: Name = None
    precision: Name = None


def run(
    folder: Positional[RunFolder],
    *,
    tolerance: float = 0.002,
    resampling: ResamplingOptions,
    running: SameRunOptions,
) -> int:
    """Evaluate a run again, on the same data: PASS, or FAIL and exit code 1.

    The data are found by the command that trained the run, from the folder in which it was typed, and compared by checksum; a
    recipe of your own runs only where you name its package with --plugin. The evaluation is that of training: labelled boxes or
    whole images, no flip test, outputs decoded by the model's codec.

    For example:

        poise verify runs/mine

    Args:
        folder: Folder of the run, as poise train writes it.
        tolerance: Largest difference of a score from the stored one.
        resampling: Intervals, over images.
        running: How the model is run.
    """
    from poise.analysis.verify import RunRecord, verify
    from poise.cli._print import say, with_bar
    from poise.cli._report import boxes_text, device_text
    from poise.cli._runs import RunCommand
    from poise.cli.train import recipe_of
    from poise.codecs.decoders import described
    from poise.errors import CheckpointError
    from poise.runtimes.choice import TORCH
    from poise.terminal import Console

    record = RunRecord.read(folder)
    if not (record.settings.get("settings") or {}):
        raise CheckpointError(
            f"the run in {str(folder)!r} was not started by a command, so its data cannot be found again; in Python: "
            "poise.analysis.verify.verify(RunRecord.read(folder), dataset, setting)"
        )
    command = RunCommand.of(record.settings, folder)
    command.set_limits()
    plan = record.settings.get("plan")
    if not isinstance(plan, dict) or not all(isinstance(plan.get(name), str) for name in ("device", "precision")):
        raise CheckpointError(f"the settings of the run in {str(folder)!r} do not say what it ran on; put settings.json back")
    same = running.device is None or running.device == plan["device"]
    device, precision = running.device or _available(plan["device"]), running.precision or (plan["precision"] if same else None)
    same_way = replace(running, device=device, precision=precision, runtime=running.runtime or TORCH)
    settings = same_way.settings_for(record.model, flip=False)
    console = Console()
    recipe = recipe_of(command)
    if not command.own_code:
        record = replace(record, data=replace(record.data, files=command.files_from_here(record.data.files)))
    stages = (recipe, *recipe.then)
    dataset = stages[min(record.stage, len(stages) - 1)].val
    if dataset is None:
        raise CheckpointError(
            f"the recipe of the run in {str(folder)!r} validates on nothing now, so there is nothing to verify"
        )
    how = f"no flip test, read by {described(record.model.codec)}, {device_text(settings)}"
    say(console, f"{len(dataset)} images, {boxes_text(record.model, None, None)}, {how}")
    with command.place():
        checks = verify(
            record,
            dataset,
            settings,
            tolerance=tolerance,
            resamples=resampling.resamples,
            seed=resampling.seed,
            watch=with_bar,
        )
    _print_checks(console, checks)
    passed = bool(checks) and all(check.passed for check in checks)
    say(console, f"{'PASS' if passed else 'FAIL'}: the data are those of the run; scores may differ by {tolerance:g}")
    return 0 if passed else 1


def _print_checks(console: "Console", checks: "Sequence[Check]") -> None:
    """A table of all scores."""
    from rich.table import Table

    table = Table("score", "stored", "measured", "difference", "95 % interval, over images", "")
    for check in checks:
        row = (f"{check.stored:.4f}", f"{check.found:.4f}", f"{check.found - check.stored:+.4f}")
        table.add_row(check.name, *row, f"{check.low:.4f} to {check.high:.4f}", "PASS" if check.passed else "FAIL")
    console.print(table)


def _available(device: str) -> str | None:
    """The device of the run, if this machine has one."""
    from poise.errors import PoiseError
    from poise.models.device import choose_device

    try:
        return str(choose_device(device))
    except PoiseError:
        return None
