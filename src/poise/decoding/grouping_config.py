"""Settings of bottom-up decoding with guiding offsets: peak finding, limb matching, grouping into people."""

from dataclasses import dataclass, replace
from typing import Literal, get_args

from poise.errors import InputError, unknown

PeakMethod = Literal["fast", "upsampled", "bilinear", "cell", "quarter", "dark", "fit1", "fit2", "fit1-sigma", "fit2-sigma"]
"""How a peak's position is refined. `upsampled`: local maxima (3x3) of the bicubically upsampled map (the release). `bilinear`:
the same, upsampled bilinearly. `fast`: as `upsampled`, but only around the peaks of the small map. `cell`: local maxima
(3x3) of the small map, unrefined. `quarter`: a quarter offset. `dark`: DARK's Taylor step. `fit1`, `fit2`: a Gaussian of
known sigma fitted to cells up to 1 or 2 away; with `-sigma`, its sigma is fitted too.
"""

RELEASE_SIGMA = 1.75
"""Sigma of the release's labels, cells (7 pixels)."""


@dataclass(frozen=True)
class GroupingConfig:
    """How people are decoded from heatmaps and guiding offsets.

    Attributes:
        peaks: How a peak's position is refined.
        threshold: Lowest score of a peak.
        top_k: Largest number of peaks of a keypoint.
        dist_max: Largest distance, pixels, of a limb's guide from the peak it is matched to, or the scale of that peak if
            larger.
        person_threshold: Lowest mean score of a person's keypoints.
        sigma: Sigma of the Gaussians, cells, for "dark", "fit1" and "fit2"; None for that of the codec's labels. A fit with a
            wrong sigma moves each peak by the square of the ratio too far.
        weigh: Side of the window, cells, over which offsets are averaged, weighted by the heatmap of the limb's start; 1 for
            none.
        transposed: Whether the jitter at (x, y) is looked up at (y, x), as the release does.
        cell_offset: Pixels of the view that are added to a cell times the stride, for peaks of the small map ("cell" and its
            refinements); None for the cell's centre, 1.5 with a stride of 4; 0 leaves it out.
    """

    peaks: PeakMethod = "fast"
    threshold: float = 0.06
    top_k: int = 32
    dist_max: float = 20.0
    person_threshold: float = 0.06
    sigma: float | None = None
    weigh: int = 1
    transposed: bool = False
    cell_offset: float | None = None

    def __post_init__(self) -> None:
        """Refuse impossible settings.

        Raises:
            UnknownName: No such method of refining peaks.
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
        """Sigma of the Gaussians, cells; that of the release's labels if neither these settings nor a codec give one."""
        return RELEASE_SIGMA if self.sigma is None else self.sigma

    def with_label_sigma(self, width: float) -> "GroupingConfig":
        """These settings with `sigma` (cells) filled in from the codec's labels, unless they give one themselves."""
        return self if self.sigma is not None else replace(self, sigma=width)


PEAK_METHODS: tuple[str, ...] = get_args(PeakMethod)
"""Names of the methods of refining peaks."""

PRACTITIONER_CONFIG = GroupingConfig()
"""Settings of a practitioner who trained OffsetGuided: 0.06, 32 peaks, 20 pixels; with fast peaks."""

RELEASE_CONFIG = GroupingConfig(threshold=0.04, dist_max=40.0, person_threshold=0.04)
"""Settings of the release's own evaluation: 0.04, 32 peaks, 40 pixels, people from 0.04 on."""
