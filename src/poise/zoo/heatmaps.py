"""What Simple Baselines and HRNet share: rounded Gaussian maps of stride 4, and how their releases cut views."""

from typing import Literal

from poise.codecs.gaussian import Gaussian
from poise.codecs.maps import usual_sigma
from poise.dims import Size
from poise.skeletons import Skeleton
from poise.structures import Preprocess

STRIDE = 4


def gaussian(size: Size, skeleton: Skeleton) -> Gaussian:
    """The releases' codec: Gaussians on whole cells, flipped maps shifted by one cell.

    The deviation is 2 cells for views of 256x192 and 256x256 and 3 for 384x288 and 384x384, as the releases set it, and 1 for
    128x96, as DARK (arXiv 1910.06278) does.
    """
    return gaussian_on(size, (size[0] // STRIDE, size[1] // STRIDE), skeleton)


def gaussian_on(size: Size, cells: Size, skeleton: Skeleton) -> Gaussian:
    """The same codec on maps of `cells`."""
    return Gaussian(size=size, cells=cells, keypoints=len(skeleton), sigma=usual_sigma(size), shift_flipped=True)


def preprocess(channels: Literal["rgb", "bgr"]) -> Preprocess:
    """The releases' views: box grown by a quarter to the aspect of the view, ImageNet's mean and deviation."""
    return Preprocess(crop="hrnet", padding=1.25, channels=channels)
