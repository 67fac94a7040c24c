"""`poise demo`: everything once, on drawn people, without a file and without a network."""

from pathlib import Path

from poise.cli._packages import require_training
from poise.cli.options import Folder, InferenceOptions, SeedOptions


def run(
    *,
    out: Folder = Path("poise-demo"),
    people: int = 4500,
    tested: int = 300,
    epochs: int = 12,
    minutes: float = 2.7,
    from_scratch: bool = False,
    chance: SeedOptions,
    running: InferenceOptions,
) -> int:
    """Draw people, train a small model on them, evaluate it on unseen drawings, predict, and report.

    It is poise_people, the small model that comes with poise and knows photographs, which learns what drawings look like.

    Takes at most three minutes on two CPU cores. DIR receives the model file, `metrics.json`, annotated pictures, the unseen
    drawings as a COCO-style data set, and `report.html`.

    For example:

        poise demo --out poise-demo

    Args:
        out: Folder for everything; what an earlier demo made there is replaced, anything else is left alone and refused.
        people: Drawings to train on.
        tested: Unseen drawings to evaluate on.
        epochs: Epochs.
        minutes: Longest time of drawing and training together, of which training gets at least half; evaluation and report
            follow.
        from_scratch: Start from random weights, and not from poise_people, which comes with poise.
        chance: Seed of drawings and training.
        running: How the model is run.
    """
    require_training()
    import time

    from poise.cli._demo import check_folder, clear, draw_test, finish, mark, with_progress
    from poise.cli._print import print_evaluation, say, with_bar
    from poise.evaluation.eval_set import EvalSet
    from poise.evaluation.evaluate import evaluate
    from poise.models.device import choose_device, choose_precision
    from poise.models.require import require_pose
    from poise.recipes.demo import SIZE, drawn
    from poise.terminal import Console
    from poise.training.fit import fit
    from poise.weights.cache import PEOPLE, PEOPLE_RATE, shipped
    from poise.writing import locked

    started = time.monotonic()
    console = Console()
    choose_precision(running.precision, choose_device(running.device))
    check_folder(out)
    start = None if from_scratch else shipped(PEOPLE)
    begun = "with random weights" if start is None else f"as {start.stem}, which comes with poise"
    checked = max(8, min(200, people // 30))
    say(console, f"drawing {people} people to learn from, {checked} to check on and {tested} for the test")
    rate = 1e-2 if start is None else PEOPLE_RATE
    recipe = drawn(people=people, checked=checked, epochs=epochs, seed=chance.seed, size=SIZE, rate=rate, watch=with_progress)
    with locked(out, what="another demo"):
        clear(out)
        annotations = draw_test(out, tested, seed=chance.seed + 2)
        drawn_in = (time.monotonic() - started) / 60
        trained = fit(
            recipe,
            out=out / "run",
            seed=chance.seed,
            device=running.device,
            precision=running.precision,
            minutes=max(minutes / 2, minutes - drawn_in),
            start=start,
            console=console,
        )
        eval_set = EvalSet.of_file(annotations, annotations.parent / "images", skeleton=trained.model.skeleton)
        settings = running.settings_for(trained.model)
        found = evaluate(require_pose(trained.model), eval_set, settings, watch=with_bar)
        print_evaluation(console, found, name=trained.model.card.name)
        finish(out, trained, eval_set, found, settings, begun=begun, seconds=time.monotonic() - started)
        mark(out)
    say(console, f"pck@0.1 on {len(eval_set.dataset)} unseen drawings: {found.pck['pck@0.1']:.3f}")
    say(console, f"{time.monotonic() - started:.0f} seconds; look at {out / 'report.html'} and {out / 'pictures'}")
    say(
        console,
        f"again: poise evaluate {out / 'model.safetensors'} --annotations {annotations} --images {annotations.parent}/images",
    )
    return 0
