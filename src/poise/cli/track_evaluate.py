"""`poise track evaluate`: scores of tracks, jitter and lag."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from poise.cli._inputs import ANNOTATIONS, Reads
from poise.cli.options import NameOptions
from poise.errors import InputError

TRACKS = Reads("file of tracks", hint="poise predict VIDEO writes poses.jsonl")
Tracks = Annotated[Path, arg(metavar="FILE"), TRACKS]
Raw = Annotated[Path | None, arg(metavar="FILE"), TRACKS]
Truth = Annotated[Path | None, arg(metavar="FILE"), ANNOTATIONS]


@dataclass(frozen=True, kw_only=True)
class TrackNameOptions(NameOptions):
    """Names of keypoints."""


def run(
    tracks: Positional[Tracks],
    *,
    annotations: Truth = None,
    by: Annotated[str, arg(metavar="oks|iou")] = "oks",
    raw: Raw = None,
    names: TrackNameOptions,
    min_keypoint_score: Annotated[float | None, arg(metavar="T")] = None,
    out: Annotated[Path | None, arg(metavar="FILE")] = None,
) -> int:
    """Score tracks: HOTA, MOTA, IDF1 and their parts, MOTA of each keypoint; jitter of keypoints at rest, and lag.

    For example:

        poise track evaluate walk/poses.jsonl --annotations labels.json

        poise track evaluate smooth/poses.jsonl --raw raw/poses.jsonl

    Args:
        tracks: A poses.jsonl of `poise predict`, or COCO's results with track_id.
        annotations: Labels in COCO's form with track_id, or PoseTrack's. Without them only jitter and lag are measured.
        by: How people are compared: oks, or the iou of boxes.
        raw: Tracks of the same video without smoothing (--smooth none): prints their jitter, too, and the lag behind them.
        names: Names of keypoints.
        min_keypoint_score: Keypoints of a lower score count as not found; by default those of score 0.
        out: JSON file for the scores.
    """
    from rich.table import Table

    from poise.cli._print import counted
    from poise.evaluation.tracks import HEAD, evaluate_tracks, positions_of, read_tracks, read_truth, to_json
    from poise.terminal import Console, say
    from poise.tracking.quality import at_rest, jitter, lag
    from poise.writing import check_targets, write_atomic

    if out is not None and annotations is None:
        raise InputError("--out holds scores, and without --annotations there are none; give them, or leave out --out")
    check_targets([out] if out else [], flag="--out")
    console = Console()
    truth = None if annotations is None else read_truth(annotations, naming=names.naming)
    found = read_tracks(tracks, None if truth is None else truth.skeleton, min_keypoint_score=min_keypoint_score)
    if truth is not None:
        evaluation = evaluate_tracks(truth, found, by=by)
        title = f"tracks by {by.upper()}, {counted(evaluation.frames, 'frame')}"
        table = Table("score", "value", title=title, title_justify="left")
        whole = ("IDSW", "FP", "FN", "Frag", "MT", "ML", "truth", "found", "truth ids", "found ids")
        for name, value in evaluation.scores.items():
            table.add_row(name, f"{value:.0f}" if name in whole else f"{value:.3f}")
        console.print(table)
        each = Table("keypoint", "MOTA", title="MOTA of keypoints (PoseTrack)", title_justify="left")
        for name, value in {**evaluation.keypoints, "mean": evaluation.mota}.items():
            each.add_row(name, f"{value:.3f}" if value == value else "-")
        console.print(each)
        if not evaluation.heads:
            say(
                console, f"no boxes of heads are labelled: a keypoint matches within {HEAD / 2:g} of the longer side of the box"
            )
        if evaluation.missing:
            say(console, f"{counted(evaluation.missing, 'labelled frame')} without any result: nobody was found there")
        if evaluation.left_out:
            say(console, f"{counted(evaluation.left_out, 'found person', 'found people')} left out: nobody is labelled there")
        if out is not None:
            write_atomic(out, to_json(evaluation).encode())
    smooth = positions_of(found)
    if raw is None:
        own, _ = jitter(list(smooth.values()))
        say(console, f"jitter of keypoints at rest: {_thousandths(own)}")
        return 0
    before = positions_of(read_tracks(raw, min_keypoint_score=min_keypoint_score))
    both = [track for track in smooth if track in before and smooth[track].xy.shape == before[track].xy.shape]
    if not both:
        raise InputError(f"{str(tracks)!r} and {str(raw)!r} have no track in common over the same frames and keypoints")
    rest = [at_rest(before[track]) for track in both]
    a, b = [smooth[track] for track in both], [before[track] for track in both]
    say(console, f"jitter of keypoints at rest: {_thousandths(jitter(a, rest)[0])}, raw {_thousandths(jitter(b, rest)[0])}")
    late = lag(a, b)
    say(
        console,
        f"lag behind the raw positions: {late:.1f} frames" if late == late else "nothing moves, so there is no lag to see",
    )
    return 0


def _thousandths(value: float) -> str:
    return f"{value:.2f} thousandths of the body's size" if value == value else "no keypoint rests"
