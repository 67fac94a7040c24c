"""What adaptation gains on drawn animals: source of one look, target of another, whose labels only score.

    python benchmarks/adaptation.py --out runs/adaptation                  # one seed, about an hour
    python benchmarks/adaptation.py --out runs/adaptation --rows cc_ssl ws_cda --seeds 0 1 2
    python benchmarks/adaptation.py --out runs/adaptation --tables-only

Horses with the 18 published keypoints. Source: random coats before a gradient, from the side, by a good camera. Target:
natural coats in landscapes and rooms, from all sides, with things in front, blur and noise. One small network (`poise_t`,
views of 64x64), whose backbone begins as that of `poise_people`, which learnt from photographs of people. Every row takes
`--steps` steps of the source alone (the common start) and as many from there on; others take all of them in one run. Rows on
few labels take `--steps` steps on them, whatever they start from. Rows on sequences have as many frames of moving horses of
the target's look, which optical flow can follow, and are scored on the same images as all others. The best
epoch is chosen without labels of the target (`confidence`). Scores are those of unseen target images: pck@0.05 of labelled
boxes, no flip test, and PCK@0.05 on maps as CC-SSL's release prints it.

A run that was interrupted goes on where it stood, and a row that is done is not done again: OUT/SEED/ROW/scores.json. The
tables are OUT/adaptation.md and OUT/adaptation.json: scores, their spread over the seeds, the share of the gap between the
source alone and labels of the target that is closed, every keypoint, and share and precision of pseudo-labels in every round.
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import tyro
from adaptation_tables import LOWER, UPPER, write_tables

from poise.adaptation.criteria import CRITERIA
from poise.data.figures import LOOKS, FigureDataset, FigureSequences, Look, write_coco
from poise.evaluation.eval_set import EvalSet
from poise.evaluation.evaluate import evaluate
from poise.evaluation.measures import measure_pck
from poise.inference.settings import InferenceSettings
from poise.metrics.measure_names import PCKMeasure
from poise.models.device import Precision
from poise.models.require import require_pose
from poise.recipes import adapt
from poise.recipes.adapting import AdaptOptions, CcSslOptions, MeanTeacherOptions, PploOptions
from poise.recipes.base import Recipe
from poise.recipes.ws_cda import WsCdaOptions, ws_cda
from poise.skeletons import ANIMAL18
from poise.training.fit import fit
from poise.training.result import read_csv
from poise.weights.model_file import load

BARE = replace(LOOKS["plain"], coats="random")
"""The look of the source: that of "plain", with coats of random textures as synthetic animals have."""

ORACLE, CRITERION = "val/target_pck@0.1", f"val/{AdaptOptions.best}"
FEW = "few.json"
"""The target's labels of the first `--few` images, beside all of them."""

FRAMES = 30
"""Frames of a drawn sequence."""

EPOCHS = 12
"""Epochs of a run of `--steps` steps."""


@dataclass(frozen=True)
class Setting:
    """What all runs have in common.

    Attributes:
        out: Folder of all runs.
        rows: Rows to make; by default all but those that weigh WS-CDA otherwise.
        seeds: Seeds of the runs; the data stay the same.
        steps: Steps of the source alone, and steps from there on.
        batch: Views of source, and of target, in a step.
        images: Images of the source, and of the target, to learn from.
        tested: Images of the target to score on.
        few: Labelled images of the target in the rows on few labels; a tenth of them is held out.
        side: Height and width of images, pixels.
        size: Height and width of views, pixels.
        rate: Learning rate.
        source_look: Look of the source: `bare` (above) or one of poise's.
        target_look: Look of the target.
        precision: fp32 or bf16, of trainings and scores.
        from_scratch: Begin with random weights, and not with the backbone of `poise_people`.
        tables_only: Only write the tables of what is done.
    """

    out: Path
    rows: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (0,)
    steps: int = 600
    batch: int = 16
    images: int = 1500
    tested: int = 500
    few: int = 30
    side: int = 128
    size: int = 64
    rate: float = 1e-3
    source_look: str = "bare"
    target_look: str = "wild"
    precision: Precision = "fp32"
    from_scratch: bool = False
    tables_only: bool = False

    @property
    def data(self) -> Path:
        """Folder of the drawn data."""
        return self.out / "data"

    @property
    def common(self) -> dict[str, Any]:
        """Options of every run of `--steps` steps."""
        return {
            "source": self.data / "source" / "annotations.json",
            "target": self.data / "target" / "annotations.json",
            "size": (self.size, self.size),
            "epochs": EPOCHS,
            "epoch_views": self.batch * (self.steps // EPOCHS),
            "rate": self.rate,
            "check_people": 100,
            "from_scratch": self.from_scratch,
        }


@dataclass(frozen=True)
class Row:
    """A row of the table.

    Attributes:
        says: What it is.
        make: Its recipe; the options that all have in common are given.
        start: Row whose best model it starts from; None for nothing.
        length: Length of the run, as a multiple of `--steps`.
    """

    says: str
    make: Callable[..., Recipe]
    start: str | None = "start"
    length: float = 1.0


def _cc_ssl(**options: Any) -> Recipe:
    return adapt.cc_ssl(CcSslOptions(**{"every": 2, **options}))


def _scratch(**options: Any) -> Recipe:
    return adapt.cc_ssl(CcSslOptions(every=4, source_epochs=0, **(options | {"from_scratch": True})))


def _late(**options: Any) -> Recipe:
    return adapt.cc_ssl(CcSslOptions(every=2, source_epochs=EPOCHS, **options))


def _target_labels(**options: Any) -> Recipe:
    return adapt.source_only(AdaptOptions(**{**options, "source": options["target"]}))


def _few_labels(**options: Any) -> Recipe:
    return adapt.source_only(AdaptOptions(**{**options, "source": options["target"].with_name(FEW)}))


def _video(**options: Any) -> Recipe:
    return _cc_ssl(**{**options, "target": options["target"].parents[1] / "video" / "annotations.json"})


def _ws_cda(people: bool, **options: Any) -> Recipe:
    data = options["source"].parents[1]
    own: dict[str, Any] = {"people": data / "people" / "annotations.json", "map": ["analogies"]} if people else {}
    return ws_cda(WsCdaOptions(**own, **options))


def _weighed(people: bool, **weights: Any) -> Callable[..., Recipe]:
    return lambda **options: _ws_cda(people, **weights, **options)


ROWS: Mapping[str, Row] = {
    "start": Row("source alone, half of the steps", lambda **o: adapt.source_only(AdaptOptions(**o)), start=None),
    LOWER: Row("source alone", lambda **o: adapt.source_only(AdaptOptions(**o))),
    UPPER: Row("source and the target's labels", lambda **o: adapt.supervised(AdaptOptions(**o))),
    "mean_teacher": Row("mean teacher", lambda **o: adapt.mean_teacher(MeanTeacherOptions(**o))),
    "cc_ssl": Row("CC-SSL from the source's model", _cc_ssl),
    "ws_cda": Row("WS-CDA, animals alone", lambda **o: _ws_cda(False, **o)),
    "ws_cda_half": Row("WS-CDA, half of its steps", lambda **o: _ws_cda(False, **o), length=0.5),
    "ws_cda_pplo": Row(
        "WS-CDA, then PPLO", lambda **o: adapt.pplo(PploOptions(**{"every": 1, **o})), start="ws_cda_half", length=0.5
    ),
    "cc_ssl_scratch": Row("CC-SSL from random weights, labels from the first epoch", _scratch, start=None, length=2.0),
    "cc_ssl_late": Row("CC-SSL in one run, labels from the middle", _late, start=None, length=2.0),
    "cc_ssl_no_equivariance": Row("CC-SSL, one view a label", lambda **o: _cc_ssl(equivariance=False, **o)),
    "cc_ssl_no_invariance": Row("CC-SSL, no strong changes of colour", lambda **o: _cc_ssl(invariance=False, **o)),
    "cc_ssl_neither": Row("CC-SSL, neither", lambda **o: _cc_ssl(equivariance=False, invariance=False, **o)),
    "cc_ssl_learn_norms": Row("CC-SSL, batch norms learn anew", lambda **o: _cc_ssl(learn_norms=True, **o)),
    "ws_cda_people": Row("WS-CDA with drawn people", lambda **o: _ws_cda(True, **o)),
    "target_labels": Row("the target's labels alone, in one run", _target_labels, start=None, length=2.0),
    "cc_ssl_r": Row("CC-SSL-R: CC-SSL, then the target's labels", _target_labels, start="cc_ssl"),
    "cc_ssl_video": Row("CC-SSL on sequences", _video),
    "cc_ssl_temporal": Row("CC-SSL on sequences, optical flow", lambda **o: _video(temporal=True, **o)),
    "few_alone": Row("few labels of the target alone", _few_labels, start=None),
    "few_source": Row("few labels of the target, from the source's model", _few_labels, start=LOWER),
    "few_cc_ssl": Row("CC-SSL-R on few labels: the same, from CC-SSL's model", _few_labels, start="cc_ssl"),
    "few_alone_long": Row("few labels of the target alone, in all steps", _few_labels, start=None, length=3.0),
    "pplo": Row("PPLO from the source's model", lambda **o: adapt.pplo(PploOptions(**{"every": 1, **o}))),
    "ws_cda_beta50": Row("WS-CDA, beta 50", _weighed(False, beta=50.0)),
    "ws_cda_beta5000": Row("WS-CDA, beta 5000", _weighed(False, beta=5000.0)),
    "ws_cda_deep": Row("WS-CDA, 4 layers of 128", _weighed(False, discriminator_width=128, discriminator_layers=4)),
    "ws_cda_people_w1": Row("WS-CDA with drawn people, w1 0.1", _weighed(True, w1=0.1)),
    "ws_cda_people_w2": Row("WS-CDA with drawn people, w2 3", _weighed(True, w2=3.0)),
}
"""In the order in which they are made: those that others start from, and the ends of the scale, first."""

USUAL = tuple(ROWS)[: list(ROWS).index("ws_cda_beta50")]
"""Rows that are made by default; those after them weigh WS-CDA otherwise."""


def draw(setting: Setting) -> None:
    """Write the data, once."""
    source: Look | str = BARE if setting.source_look == "bare" else setting.source_look
    animal: dict[str, Any] = {"kind": "horse", "keypoints": ANIMAL18.name}
    wanted: dict[str, tuple[int, dict[str, Any]]] = {
        "source": (setting.images, {**animal, "look": source, "seed": 1}),
        "target": (setting.images, {**animal, "look": setting.target_look, "seed": 2}),
        "tested": (setting.tested, {**animal, "look": setting.target_look, "seed": 3}),
        "people": (setting.images, {"kind": "people", "seed": 4}),
    }
    size = (setting.side, setting.side)
    for name, (count, how) in wanted.items():
        if not (setting.data / name / "annotations.json").exists():
            write_coco(FigureDataset(count, size=size, **how), setting.data / name)
    if not (setting.data / "video" / "annotations.json").exists():
        moving = FigureSequences(
            max(1, setting.images // FRAMES), frames=FRAMES, size=size, look=setting.target_look, seed=5, **animal
        )
        write_coco(moving, setting.data / "video")
    write_few(setting.data / "target" / "annotations.json", setting.few)


def write_few(file: Path, count: int) -> None:
    """Write the labels of the first images of a COCO file beside it."""
    whole = json.loads(file.read_text())
    images = whole["images"][:count]
    ids = {image["id"] for image in images}
    people = [row for row in whole["annotations"] if row["image_id"] in ids]
    file.with_name(FEW).write_text(json.dumps(whole | {"images": images, "annotations": people}))


def folder_of(setting: Setting, seed: int, name: str) -> Path:
    return setting.out / f"seed{seed}" / name


def make(setting: Setting, seed: int, name: str) -> None:
    """Train and score a row, and what it starts from, unless that is done."""
    row, folder = ROWS[name], folder_of(setting, seed, name)
    if (folder / "scores.json").exists():
        return
    if row.start is not None:
        make(setting, seed, row.start)
    train(setting, seed, name)
    (folder / "scores.json").write_text(json.dumps(score(setting, folder), indent=1) + "\n")


def train(setting: Setting, seed: int, name: str) -> None:
    row, folder = ROWS[name], folder_of(setting, seed, name)
    options = setting.common
    if row.start is None:
        options |= {"epochs": round(EPOCHS * row.length)}
    else:
        del options["size"], options["from_scratch"]
        start = folder_of(setting, seed, row.start) / "model.safetensors"
        options |= {"start": start, "epochs": round(EPOCHS * row.length)}
    torch.manual_seed(seed)
    recipe = replace(row.make(**options), batch=setting.batch, base_batch=16)
    last = folder / "checkpoints" / "last.ckpt"
    fit(
        recipe,
        out=folder,
        seed=seed,
        device="cpu",
        precision=setting.precision,
        workers=0,
        loggers=(),
        save_minutes=2.0,
        resume=folder if last.exists() else None,
    )


def score(setting: Setting, folder: Path) -> dict[str, Any]:
    """Scores of the chosen model on unseen images of the target, and what its run tells."""
    model = require_pose(load(folder / "model.safetensors"))
    test = setting.data / "tested"
    tested = EvalSet.of_file(test / "annotations.json", test / "images", skeleton=model.skeleton)
    settings = InferenceSettings.of(model, device="cpu", precision=setting.precision, flip=False, workers=0)
    found = evaluate(model, tested, settings)
    [maps] = measure_pck([PCKMeasure(0.05, "map")], tested, found.positions, model=model, settings=settings)
    rows = read_csv(folder / "metrics.csv")
    looked = [one for one in rows if CRITERION in one]
    chosen = max(looked, key=lambda one: one[CRITERION])
    rounds = read_csv(folder / "rounds.csv") if (folder / "rounds.csv").exists() else []
    return {
        "pck@0.05": found.pck["pck@0.05"],
        "pck@0.1": found.pck["pck@0.1"],
        "map@0.05": maps.counts.mean,
        "map@0.05 published": maps.published,
        "AP": found.coco.numbers["AP"],
        "keypoints": {name: numbers["pck@0.05"] for name, numbers in found.keypoints.items()},
        "steps": rows[-1]["step"],
        "minutes": rows[-1]["minutes"],
        "chosen epoch": chosen["epoch"],
        "oracle of it": chosen[ORACLE],
        "best oracle": max(one[ORACLE] for one in looked),
        "ranks": {
            name: rank_correlation([one[f"val/{name}"] for one in looked], [one[ORACLE] for one in looked]) for name in CRITERIA
        },
        "rounds": [{name: one.get(name) for name in ("epoch", "share", "precision")} for one in rounds],
        "losses": {name: value for name, value in rows[-1].items() if name.startswith("train/")},
    }


def rank_correlation(a: list[float], b: list[float]) -> float:
    """Spearman's, of the epochs of a run."""
    ranks = [torch.tensor(values).argsort().argsort().double() for values in (a, b)]
    return float(torch.corrcoef(torch.stack(ranks))[0, 1]) if len(a) > 2 else float("nan")


def main(setting: Setting) -> None:
    torch.set_num_threads(1)
    begin = time.monotonic()
    says = {name: row.says for name, row in ROWS.items()}
    if not setting.tables_only:
        draw(setting)
        for seed in setting.seeds:
            for name in setting.rows or USUAL:
                make(setting, seed, name)
                write_tables(setting.out, says, time.monotonic() - begin)
    write_tables(setting.out, says, time.monotonic() - begin)
    print((setting.out / "adaptation.md").read_text())


if __name__ == "__main__":
    main(tyro.cli(Setting))
