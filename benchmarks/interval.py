"""How often the interval of `poise compare` holds the truth: it should be 95 times of 100.

2,000 images are evaluated once for two models; they are the population, and its difference of scores is the truth. Then, 500
times, 200 of them are drawn with replacement as if they were a test set, and the interval is computed from these 200 alone,
with 1,000 resamples.

    python benchmarks/interval.py
    python benchmarks/interval.py --annotations val.json --first a.json --second b.json

Without files the people and the errors of both models are made up: some images are harder than others for both, and the
second model is a little better.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from poise.analysis.bootstrap import NAMES, PerImageResults, percentile_interval, resample_counts
from poise.analysis.compare import resampled_scores
from poise.evaluation.eval_set import EvalSet
from poise.evaluation.results import read_results
from poise.metrics.matches import Matches, find_matches
from poise.skeletons import COCO17

Row = dict[str, Any]


def population(images: int, seed: int) -> tuple[PerImageResults, PerImageResults]:
    """Two models' results on made-up people, and what pck@0.1 counts of the poses that belong to them."""
    rng = np.random.default_rng(seed)
    people: list[Row] = []
    results: tuple[list[Row], list[Row]] = ([], [])
    near = np.zeros((2, images), np.int64)
    labelled = np.zeros(images, np.int64)
    for image in range(images):
        hard = rng.gamma(2.0, 0.5)
        for _ in range(rng.integers(1, 4)):
            size = rng.uniform(40, 200)
            xy = rng.uniform(0, 400, 2) + rng.normal(size=(17, 2)) * size / 4
            person = {"image_id": image + 1, "category_id": 1, "bbox": [0.0, 0.0, size, size], "area": size**2 / 2}
            people.append(
                person | {"id": len(people) + 1, "iscrowd": 0, "keypoints": np.c_[xy, np.full(17, 2)].ravel().tolist()}
            )
            shared = rng.normal(size=(17, 2)) * hard
            labelled[image] += 17
            for model, (own, missed) in enumerate(((0.6, 0.10), (0.55, 0.09))):
                error = (shared + rng.normal(size=(17, 2)) * own) * size * 0.06
                near[model, image] += int((np.linalg.norm(error, axis=1) < 0.1 * size).sum())
                score = float(1 / (1 + np.abs(error).mean() / size * 10) + rng.normal() * 0.1)
                if rng.random() > missed:
                    found = np.c_[xy + error, np.ones(17)].ravel().tolist()
                    results[model].append({"image_id": image + 1, "category_id": 1, "keypoints": found, "score": score})
                if rng.random() < missed:
                    stray = np.c_[xy + rng.normal(size=(17, 2)) * size, np.ones(17)].ravel().tolist()
                    results[model].append({"image_id": image + 1, "category_id": 1, "keypoints": stray, "score": score * 0.8})
    truth = {
        "images": [{"id": i + 1} for i in range(images)],
        "annotations": people,
        "categories": [{"id": 1, "name": "person"}],
    }
    tallies = [PerImageResults(tuple(find_matches(truth, rows, COCO17)), near[m], labelled) for m, rows in enumerate(results)]
    return tallies[0], tallies[1]


def chosen(tally: PerImageResults, images: np.ndarray) -> PerImageResults:
    """The tally of a test set drawn from the population: image after image, those drawn twice twice."""
    order = np.argsort(images, kind="stable")
    return PerImageResults(
        tuple(_chosen(part, images[order]) for part in tally.matches), tally.hits[images[order]], tally.labelled[images[order]]
    )


def _chosen(part: Matches, images: np.ndarray) -> Matches:
    """Results stay in the order of their scores."""
    first, last = np.searchsorted(images, part.image, "left"), np.searchsorted(images, part.image, "right")
    rows = np.repeat(np.arange(len(part.image)), last - first)
    start = np.repeat(np.cumsum(last - first) - (last - first), last - first)
    place = first[rows] + np.arange(len(rows)) - start
    return Matches(np.ascontiguousarray(part.outcome[:, rows]), place, part.people[images])


def main() -> None:
    """Print how often the truth is inside, below and above."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--annotations", type=Path)
    words.add_argument(
        "--first", type=Path, help="results of a model on these annotations, as poise evaluate --out writes them"
    )
    words.add_argument("--second", type=Path)
    words.add_argument("--population", type=int, default=2000)
    words.add_argument("--images", type=int, default=200)
    words.add_argument("--pairs", type=int, default=500)
    words.add_argument("--resamples", type=int, default=1000)
    words.add_argument("--seed", type=int, default=0)
    given = words.parse_args()
    if given.annotations is not None:
        eval_set = EvalSet.of_file(given.annotations, None, skeleton=COCO17)
        first, second = (PerImageResults.of(eval_set, read_results(path)) for path in (given.first, given.second))
    else:
        first, second = population(given.population, given.seed)
    truth = {name: second.full_scores[name] - first.full_scores[name] for name in NAMES}
    print(
        f"{len(first)} images; " + ", ".join(f"{n} {first.full_scores[n]:.3f} and {second.full_scores[n]:.3f}" for n in NAMES),
        flush=True,
    )
    rng = np.random.default_rng(given.seed + 1)
    below, above, width = (dict.fromkeys(NAMES, 0.0) for _ in range(3))
    for pair in range(given.pairs):
        images = rng.integers(0, len(first), given.images)
        counts = resample_counts(given.images, resamples=given.resamples, seed=given.seed + 2 + pair)
        one, other = (resampled_scores(chosen(tally, images), counts) for tally in (first, second))
        for name in NAMES:
            low, high = percentile_interval(other[name] - one[name])
            below[name] += truth[name] < low
            above[name] += truth[name] > high
            width[name] += (high - low) / given.pairs
    print(
        "| score | difference of the population | inside the interval, % | truth below it, % | truth above it, % | mean width |"
    )
    print("|---|---|---|---|---|---|")
    for name in NAMES:
        out = 100 * below[name] / given.pairs, 100 * above[name] / given.pairs
        print(f"| {name} | {truth[name]:+.4f} | {100 - sum(out):.1f} | {out[0]:.1f} | {out[1]:.1f} | {width[name]:.4f} |")


if __name__ == "__main__":
    main()
