"""`poise demo`: everything once, on drawn people, without a file and without a network."""

from pathlib import Path
from typing import Annotated

from tyro.conf import arg

_Dir = Annotated[Path, arg(metavar="DIR")]
_Name = Annotated[str | None, arg(metavar="NAME")]


def run(
    *,
    out: _Dir = Path("poise-demo"),
    people: int = 6000,
    tested: int = 300,
    epochs: int = 9,
    minutes: float = 2.3,
    seed: int = 0,
    device: _Name = None,
    precision: _Name = None,
) -> int:
    """Draw people, train a small model on them, evaluate it on unseen drawings, predict, and report.

    Takes at most three minutes on two CPU cores. DIR receives the model file, `metrics.json`, annotated pictures, the unseen
    drawings as a COCO-style data set, and `report.html`.

    For example:

        poise demo --out poise-demo

    Args:
        out: Folder for everything; a demo that is already there is replaced.
        people: Drawings to learn from.
        tested: Unseen drawings to measure on.
        epochs: Passes through them.
        minutes: Most time for the training.
        seed: Of drawings and training.
        device: cpu, cuda, cuda:1, mps; by default a GPU where there is one.
        precision: fp32 or bf16; by default bf16 where it is faster.
    """
    import time

    from rich.console import Console

    from poise.cli._demo import clear, draw_test, finish, with_progress
    from poise.cli._scores import print_evaluation, say, with_bar
    from poise.evaluation.eval_set import EvalSet
    from poise.evaluation.evaluate import evaluate
    from poise.inference.settings import InferenceSettings
    from poise.recipes.demo import drawn
    from poise.training.fit import fit

    started = time.monotonic()
    console = Console()
    clear(out)
    say(console, f"drawing {people} people to learn from, 200 to check on and {tested} for the test")
    recipe = drawn(people=people, checked=200, epochs=epochs, seed=seed, size=(128, 96), watch=with_progress)
    annotations = draw_test(out, tested, seed=seed + 2)
    trained = fit(recipe, out=out / "run", seed=seed, device=device, precision=precision, minutes=minutes, console=console)
    eval_set = EvalSet.of_file(annotations, annotations.parent / "images", skeleton=trained.model.skeleton)
    setting = InferenceSettings.of(trained.model, device=device, precision=precision)
    found = evaluate(trained.model, eval_set, setting, watch=with_bar)
    print_evaluation(console, found, name=trained.model.card.name)
    finish(out, trained, eval_set, found, setting, seconds=time.monotonic() - started)
    say(console, f"pck@0.1 on {len(eval_set.dataset)} unseen drawings: {found.pck['pck@0.1']:.3f}")
    say(console, f"{time.monotonic() - started:.0f} seconds; look at {out / 'report.html'} and {out / 'pictures'}")
    say(
        console,
        f"again: poise evaluate {out / 'model.safetensors'} --annotations {annotations} --images {annotations.parent}/images",
    )
    return 0
