"""Put two trained models into the package, with their cards and kernels in int8: what poise ships.

    python scripts/ship.py runs/people runs/detector

The first is a run of `poise train people`, the second one of `poise train detector_mixed`; see `scripts/people`.
"""

import argparse
from dataclasses import replace
from pathlib import Path

from poise.models.keypoint_fcos import KeypointFCOS
from poise.weights.cache import PEOPLE, PEOPLE_DETECTOR
from poise.weights.model_file import load, save

SHIPPED = Path(__file__).parent.parent / "src" / "poise" / "weights" / "shipped"
LICENCE = "Apache-2.0"
SIDE = 320
"""Long side of the views in which the detector looks for people, pixels."""

NOTES = (
    "trained by poise from random weights, on people rendered from anny (code Apache-2.0, assets CC0), on 245 images of COCO "
    "train2017 (labels CC BY 4.0) and on Leeds Sports Pose extended (research data); data, scores and limits: docs/people.md"
)

SCORE = 0.42
"""Lowest score of a box that is kept: about that of the best F1 on held-out photographs."""

NMS = 0.4
"""IoU above which two boxes are duplicates, for its boxes are loose: best F1 0.37 with 0.6, 0.41 with 0.35."""


def main() -> None:
    """Write both model files."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("people", type=Path, help="run of poise train people, or its model file")
    parser.add_argument("detector", type=Path, help="run of poise train detector_mixed, or its model file")
    given = parser.parse_args()
    for name, run in ((PEOPLE, given.people), (PEOPLE_DETECTOR, given.detector)):
        model = load(run / "model.safetensors" if run.is_dir() else run)
        model.card = replace(model.card, name=name, licence=LICENCE, notes=NOTES)
        if isinstance(model, KeypointFCOS):  # people in photographs are smaller than in the views that it learnt from
            model.preprocess = replace(model.preprocess, side=SIDE)
            model.config = replace(model.config, score=SCORE, nms=NMS)
        path = save(model, SHIPPED / f"{name}.safetensors", kernels="int8")
        print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
