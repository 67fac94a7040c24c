"""`poise verify`: a run's stored scores, measured again."""

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

_Run = Annotated[Path, arg(metavar="RUN")]
_Name = Annotated[str | None, arg(metavar="NAME")]
_Number = Annotated[int | None, arg(metavar="N")]


def run(
    folder: Positional[_Run],
    *,
    tolerance: float = 0.002,
    resamples: int = 1000,
    seed: int = 0,
    device: _Name = None,
    precision: _Name = None,
    batch: _Number = None,
    workers: int = 2,
) -> int:
    """Evaluate a run again, on the same data: PASS, or FAIL and exit code 1.

    The data are found by the command that trained the run, and told by their checksums; they are measured as in training:
    labelled boxes or whole images, no flip test, answers read as the model's codec does.

    For example:

        poise verify runs/mine

    Args:
        folder: Of a run, as poise train leaves it.
        tolerance: How far a score may be from the stored one.
        resamples: Draws of the images, for the interval.
        seed: Of the draws.
        device: cpu, cuda, cuda:1, mps; by default that of the run, where there is one.
        precision: fp32 or bf16; by default that of the run.
        batch: People at a time (32), or whole images (4; 2 for detectors).
        workers: Threads that read images.
    """
    from contextlib import chdir

    from rich.console import Console
    from rich.table import Table

    from poise.analysis.verify import RunRecord, verify
    from poise.cli._report import places
    from poise.cli._scores import say, with_bar
    from poise.cli.train import check_plugins, recipe_of
    from poise.codecs.decoders import described
    from poise.errors import CheckpointError
    from poise.inference.settings import InferenceSettings

    record = RunRecord.read(folder)
    command = (record.settings.get("settings") or {}).get("command")
    if not command:
        raise CheckpointError(
            f"the run in {str(folder)!r} was not started by a command, so its data cannot be found again; in Python: "
            "poise.analysis.verify.verify(RunRecord.read(folder), dataset, setting)"
        )
    check_plugins(record.settings["settings"], folder)
    plan, home = record.settings["plan"], Path(record.settings.get("folder", "."))
    same = device is None or device == plan["device"]
    setting = InferenceSettings.of(
        record.model,
        device=device or _there(plan["device"]),
        precision=precision or (plan["precision"] if same else None),
        flip=False,
        batch=batch,
        workers=workers,
    )
    console = Console()
    with chdir(home if home.is_dir() else Path.cwd()):
        recipe = recipe_of(command)
        stages = (recipe, *recipe.then)
        dataset = stages[min(record.stage, len(stages) - 1)].val
        if dataset is None:
            raise CheckpointError(
                f"the recipe of the run in {str(folder)!r} validates on nothing now, so there is nothing to verify"
            )
        how = f"no flip test, read by {described(record.model.codec)}, {setting.device} in {setting.precision}"
        say(console, f"{len(dataset)} images, {places(record.model, None, None)}, {how}")
        checks = verify(record, dataset, setting, tolerance=tolerance, resamples=resamples, seed=seed, watch=with_bar)
    table = Table("score", "stored", "measured", "difference", "95 % interval, over images", "")
    for check in checks:
        row = (f"{check.stored:.4f}", f"{check.found:.4f}", f"{check.found - check.stored:+.4f}")
        table.add_row(check.name, *row, f"{check.low:.4f} to {check.high:.4f}", "PASS" if check.passed else "FAIL")
    console.print(table)
    passed = bool(checks) and all(check.passed for check in checks)
    say(console, f"{'PASS' if passed else 'FAIL'}: the data are those of the run; scores may differ by {tolerance:g}")
    return 0 if passed else 1


def _there(device: str) -> str | None:
    """The device of the run, if this machine has one."""
    from poise.errors import PoiseError
    from poise.models.device import choose_device

    try:
        return str(choose_device(device))
    except PoiseError:
        return None
