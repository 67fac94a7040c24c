"""How people are read out of maps with guiding offsets: which peaks count, where they lie, which limbs are people."""

from dataclasses import dataclass, replace
from typing import Literal, get_args

from poise.errors import InputError, unknown

PeakMethod = Literal["fast", "upsampled", "bilinear", "cell", "quarter", "dark", "fit1", "fit2", "fit1-sigma", "fit2-sigma"]
"""Where a peak of a map lies. `upsampled`: the highest of 3x3 pixels of the map enlarged bicubically (the release); `bilinear`:
the same, enlarged bilinearly; `fast`: as `upsampled`, of what is around each peak of the small map; `cell`: the highest of 3x3
cells; a quarter of a cell on; DARK's Newton step; the middle of a round bump fitted to what is 1 or 2 cells around, its width
given or fitted too."""

RELEASE_SIGMA = 1.75
"""Cells: the 7 pixels of the release's labels."""


@dataclass(frozen=True)
class GroupingConfig:
    """How people are read out of an answer with maps, guiding offsets and whatever else it has.

    Attributes:
        peaks: Where a peak lies.
        threshold: Peaks below are none.
        top_k: So many peaks of a keypoint at most.
        dist_max: Pixels a guide may be off the peak it finds; or the size of that peak's keypoint if that is more.
        person_threshold: People whose keypoints' mean score is below are none.
        sigma: Width of bumps, cells, for DARK and for fits whose width is given; None for that of the codec's labels. A fit of
            another width moves each peak by the square of the ratio too far.
        weigh: Cells a side over which offsets are averaged, weighed with the map they start from; 1 takes them as they are.
        transposed: Whether jitter at (x, y) is looked up at (y, x), as the release does.
    """

    peaks: PeakMethod = "fast"
    threshold: float = 0.06
    top_k: int = 32
    dist_max: float = 20.0
    person_threshold: float = 0.06
    sigma: float | None = None
    weigh: int = 1
    transposed: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be read with.

        Raises:
            UnknownName: There are no such peaks.
            InputError: A number that cannot be.
        """
        if self.peaks not in PEAK_METHODS:
            raise unknown("reading", self.peaks, PEAK_METHODS)
        if self.top_k < 1 or self.weigh < 1 or self.weigh % 2 == 0:
            raise InputError(f"people cannot be read so: top_k is 1 or more and weigh odd, found {self.top_k} and {self.weigh}")
        if not (self.gaussian_sigma > 0 and self.dist_max >= 0):
            raise InputError(
                f"people cannot be read so: sigma is above 0 and dist_max not below, found {self.sigma} and {self.dist_max}"
            )

    @property
    def gaussian_sigma(self) -> float:
        """Of the bumps, cells; where neither the reading nor a codec says it, that of the release's labels."""
        return RELEASE_SIGMA if self.sigma is None else self.sigma

    def with_label_sigma(self, width: float) -> "GroupingConfig":
        """The same; for bumps of this width, cells, if it says nothing of that itself."""
        return self if self.sigma is not None else replace(self, sigma=width)


PEAK_METHODS: tuple[str, ...] = get_args(PeakMethod)
"""The names of the readings."""

PRACTITIONER_CONFIG = GroupingConfig()
"""What a practitioner who trained OffsetGuided evaluated with: 0.06, 32 peaks, 20 pixels; with peaks found fast."""

RELEASE_CONFIG = GroupingConfig(threshold=0.04, dist_max=40.0, person_threshold=0.04)
"""What the release's own evaluation sets: 0.04, 32 peaks, 40 pixels, people from 0.04 on."""
