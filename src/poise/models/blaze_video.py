"""BlazePose over the frames of a video: smoothed landmarks, and a region that follows the person (MediaPipe 0.10.21)."""

from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from poise.decoding.blaze_landmarks import KERNEL
from poise.decoding.one_euro import LowPass, OneEuro, OneEuroSettings
from poise.dims import Size
from poise.models.blaze_pipeline import BODY, MIN_PRESENCE, BlazePerson, detect, people, regions
from poise.models.values import Image
from poise.nn.blaze.detector import DetectorNet
from poise.nn.blaze.landmark import LandmarkNet
from poise.transforms.blaze_crop import aligned_region
from poise.transforms.crop import Frame

BODY_FILTER = OneEuroSettings(min_cutoff=0.05, beta=80.0)
ALIGNMENT_FILTER = OneEuroSettings(min_cutoff=0.01, beta=10.0)
WORLD_FILTER = OneEuroSettings(min_cutoff=0.1, beta=40.0)
VISIBILITY_ALPHA = 0.1
"""Share of a new visibility in the smoothed one."""

MIN_SCALE = 1e-6
"""Diameter of the circle around the body, pixels, below which nothing is smoothed."""

FRAME_SECONDS = 0.033333
"""Time from frame to frame that MediaPipe's Python package assumes, whatever the video's real rate is."""

MASK_SHARE = 0.7
"""Share of the mask before in a smoothed one, where the new one is uncertain, as the graph declares it. MediaPipe's Python
package drops the option as it loads the graph, and does not smooth."""


@final
@dataclass(frozen=True, eq=False)
class SmoothedPerson:
    """A person in a frame of a video.

    Attributes:
        found: What was found in this frame alone.
        landmarks: x / width, y / height, z / width, visibility of the 33 landmarks of the body, smoothed.
        alignment: x / width, y / height, z / width, visibility of the two landmarks that tell the next region, smoothed.
        world: x, y, z in metres and visibility of the 33 landmarks, smoothed.
        region: Where the next frame is looked at.
    """

    found: BlazePerson
    landmarks: Float[Tensor, "33 4"]
    alignment: Float[Tensor, "2 4"]
    world: Float[Tensor, "33 4"]
    region: Frame

    @property
    def xy(self) -> Float[Tensor, "33 2"]:
        """The 33 landmarks of the body, pixels of the image."""
        height, width = self.found.size
        return self.landmarks[:, :2] * self.landmarks.new_tensor((width, height))


@final
class BlazeSmoother:
    """The filters of a video.

    Args:
        smooth: Whether landmarks, world landmarks and their visibility are smoothed; the alignment always is.
    """

    def __init__(self, *, smooth: bool = True) -> None:
        self.smooth = smooth
        self._world = OneEuro(WORLD_FILTER)
        self._visibility = {name: LowPass() for name in ("body", "alignment", "world")}
        self.lose()

    def lose(self) -> None:
        """The person was lost: positions in the image start anew; world landmarks and visibilities keep their past."""
        self._body, self._alignment = OneEuro(BODY_FILTER), OneEuro(ALIGNMENT_FILTER)

    def __call__(
        self, landmarks: Float[Tensor, "k 5"], world: Float[Tensor, "m 3"], size: Size, *, time: float
    ) -> tuple[Float[Tensor, "33 4"], Float[Tensor, "2 4"], Float[Tensor, "33 4"]]:
        """Landmarks of the body, of the alignment, and world landmarks, smoothed; each with its visibility.

        Args:
            landmarks: x / width, y / height, z / width, visibility, presence; of the body, then of the alignment.
            world: x, y, z in metres.
            size: Size of the image (h, w), pixels.
            time: Seconds.
        """
        height, width = size
        sides = landmarks.new_tensor((width, height, width))
        body, alignment = landmarks[:BODY, :4], landmarks[BODY : BODY + 2, :4]
        diameter = float(2 * ((alignment[1, :2] - alignment[0, :2]) * sides[:2]).norm())
        if diameter < MIN_SCALE:
            moved = (body[:, :3], alignment[:, :3])
        else:
            scale = 1 / diameter
            moved = (
                self._body(body[:, :3] * sides, time=time, scale=scale) / sides if self.smooth else body[:, :3],
                self._alignment(alignment[:, :3] * sides, time=time, scale=scale) / sides,
            )
        metres = self._world(world[:BODY], time=time) if self.smooth else world[:BODY]
        seen = body[:, 3:]
        return (
            torch.cat((moved[0], self._seen("body", seen) if self.smooth else seen), dim=1),
            torch.cat((moved[1], self._seen("alignment", alignment[:, 3:])), dim=1),
            torch.cat((metres, self._seen("world", seen) if self.smooth else seen), dim=1),
        )

    def _seen(self, name: str, visibility: Float[Tensor, "k 1"]) -> Float[Tensor, "k 1"]:
        return self._visibility[name](visibility, VISIBILITY_ALPHA)


@final
class BlazePoseVideo:
    """One person through the frames of a video.

    The detector is asked where there is no region: in the first frame, and in the frame after one in which the person was lost,
    not in that one itself.

    Args:
        detector: In evaluation mode.
        landmarks: In evaluation mode.
        smooth: Whether landmarks are smoothed; the region always is.
        kernel: Side of the window on the heatmaps (`decoding.blaze_landmarks`).
    """

    def __init__(self, detector: DetectorNet, landmarks: LandmarkNet, *, smooth: bool = True, kernel: int = KERNEL) -> None:
        self.detector, self.landmarks, self.kernel = detector, landmarks, kernel
        self.region: Frame | None = None
        self.detector_ran = False
        self._smoother = BlazeSmoother(smooth=smooth)
        self._frames = 0

    def __call__(self, image: Image, *, time: float | None = None) -> SmoothedPerson | None:
        """The person in the next frame; None where there is none.

        Args:
            image: RGB.
            time: Seconds, later than the last; by default as MediaPipe's Python package counts, 33.333 ms a frame.
        """
        self._frames += 1
        size = (image.shape[1], image.shape[2])
        self.detector_ran = self.region is None
        where = regions(detect(self.detector, image), size)[:1] if self.region is None else [self.region]
        found = people(self.landmarks, image, where, kernel=self.kernel)
        if not found or found[0].presence <= MIN_PRESENCE:
            self.region = None
            self._smoother.lose()
            return None
        [person] = found
        seconds = self._frames * FRAME_SECONDS if time is None else time
        body, alignment, world = self._smoother(person.landmarks, person.world, size, time=seconds)
        self.region = aligned_region(alignment[0, :2], alignment[1, :2], size)
        return SmoothedPerson(person, body, alignment, world, self.region)


def smoothed_mask(
    mask: Float[np.ndarray, "h w"], before: Float[np.ndarray, "h w"], share: float = MASK_SHARE
) -> Float[np.ndarray, "h w"]:
    """A mask moved towards the smoothed one of the frame before, where it is uncertain.

    Args:
        mask: Probabilities.
        before: What this function gave for the frame before.
        share: Of the mask before, where the new one is 0.5; MediaPipe's Python package runs with 0.
    """
    q = (mask - 0.5) ** 2
    certain = q * (5.68842 + q * (-0.748699 + q * (-57.8051 + q * (291.309 - 624.717 * q))))
    uncertain = 1 - np.minimum(1, certain)
    smoothed: Float[np.ndarray, "h w"] = mask + (before - mask) * uncertain * share
    return smoothed
