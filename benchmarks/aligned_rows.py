"""The rows of `aligned.py`: a base, and what differs from it; options of `poise train finetune`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SIZE = (64, 64)
PAPER = "blazepose_paper_17j_64x64"
BRANCH = "start of BlazePose"


@dataclass(frozen=True)
class Way:
    """A row.

    Attributes:
        name: Of its file, and in the table.
        options: Options that differ from the base: rotated views of 64x64, alignment keypoints, people without them masked.
        share: Steps as a share of the base's, so that the processor time is the same.
        start: The common training that it starts from: of `poise_t`, or of the first branch of the paper's BlazePose.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    share: float = 1.0
    start: str = "start"


STARTS: Mapping[str, Mapping[str, Any]] = {"start": {}, BRANCH: {"model": PAPER, "codec": "UDPGaussian"}}
"""Options of the common trainings; they are upright, as is the first stage of BlazePose."""

ROWS = (
    Way("base"),
    Way("circle, not turned", {"align": "circle"}),
    Way("upright, box", {"align": None, "missing": None}),
    Way("dropped", {"missing": "drop"}),
    Way("kept", {"missing": "keep"}),
    Way("tight, padding 1", {"padding": 1.0}),
    Way("loose, padding 1.75", {"padding": 1.75}),
    Way("96x96", {"size": (96, 96)}, share=0.55),
    Way("128x96", {"size": (128, 96)}, share=0.42),
    Way("no alignment keypoints", {"alignment_keypoints": False}),
    Way("heatmap and offset", {"codec": "UDPOffset"}),
    Way(
        "practitioner's: not turned, no alignment keypoints, dropped, padding 1.75",
        {"align": "circle", "alignment_keypoints": False, "missing": "drop", "padding": 1.75},
    ),
    Way("the same, not dropped", {"align": "circle", "alignment_keypoints": False, "padding": 1.75}),
    Way("the same, not dropped, padding 1.25", {"align": "circle", "alignment_keypoints": False}),
    Way("BlazePose: heatmap", {"model": PAPER, "codec": "UDPGaussian"}, 0.9, BRANCH),
    Way("BlazePose: heatmap and offset", {"model": PAPER, "codec": "UDPOffset"}, 0.9, BRANCH),
    Way("BlazePose: heatmap, offset and regression", {"model": PAPER}, 0.6, BRANCH),
)
