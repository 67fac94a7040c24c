"""Poses that are regressed from the centres of people (DEKR, arXiv 2104.02300), as its release and MMPose read them.

Maps have a cell for every `stride` pixels; cell i stands for pixel `stride` * i. The last heatmap is that of centres; offsets
lead from a keypoint to the cell, so that a keypoint is the cell minus its offset. MMPose's displacements are minus these.
"""

from dataclasses import dataclass
from typing import Literal, final

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from poise.decoding.nearby import best_of_nearby
from poise.decoding.peaks import sample_bilinear
from poise.errors import InputError

LARGE, MEDIUM = 300, 200
"""Mean side of a map, cells, above which the window of the release's maxima has 7 or 5 cells a side; else it has 3."""


@final
@dataclass(frozen=True)
class CentreConfig:
    """How people are read from heatmaps of centres and offsets.

    Attributes:
        rule: Whose rule finds centres and scores keypoints: "dekr" has windows of 3, 5 or 7 cells by the size of the map, and
            reads the heatmap, enlarged to pixels, at the pixel of a keypoint; "mmpose" has windows of 5 and reads bilinearly.
        top_k: Largest number of people.
        threshold: Centres have a higher score.
        distance: Two keypoints of two poses are shared if they are nearer than this share of the diagonal of a pose's box.
        min_shared: Number of shared keypoints above which of two poses the better one stays; None for half of them.

    Raises:
        InputError: A number that cannot be.
    """

    rule: Literal["dekr", "mmpose"] = "dekr"
    top_k: int = 30
    threshold: float = 0.01
    distance: float = 0.05
    min_shared: int | None = None

    def __post_init__(self) -> None:
        """Check the numbers."""
        if self.top_k < 1 or not self.distance >= 0:
            raise InputError(
                f"people cannot be read so: top_k is 1 or more, distance not below 0; found {self.top_k}, {self.distance}"
            )


@final
@dataclass(frozen=True, eq=False)
class CentrePoses:
    """Poses of one view.

    Attributes:
        xy: Keypoints, pixels of the view.
        centre_score: Score of the centre of each.
        heat: Value of each keypoint's heatmap where the keypoint is.
    """

    xy: Float[Tensor, "n k 2"]
    centre_score: Float[Tensor, " n"]
    heat: Float[Tensor, "n k"]

    @property
    def score(self) -> Float[Tensor, "n k"]:
        """Score of each keypoint: that of the centre times its heat."""
        return self.centre_score[:, None] * self.heat

    def __getitem__(self, index: Int64[Tensor, " m"]) -> "CentrePoses":
        """Some of the poses."""
        return CentrePoses(self.xy[index], self.centre_score[index], self.heat[index])


def people_by_centres(
    heat: Float[Tensor, "c h w"], offsets: Float[Tensor, "q h w"], config: CentreConfig, *, stride: int
) -> CentrePoses:
    """The people of a view, without duplicates.

    Args:
        heat: Heatmaps of keypoints, that of centres last.
        offsets: From the keypoint to the cell, x before y of each, cells.
        config: How they are read.
        stride: Pixels from cell to cell.
    """
    found = proposed_poses(heat, offsets, config, stride=stride)
    return found[kept_poses(found, config)]


def posemap(offsets: Float[Tensor, "q h w"]) -> Float[Tensor, "q h w"]:
    """Where each cell says that its person's keypoints are, cells, x before y of each."""
    h, w = offsets.shape[1:]
    y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    return torch.stack((x, y)).to(offsets).repeat(len(offsets) // 2, 1, 1) - offsets


def proposed_poses(
    heat: Float[Tensor, "c h w"], offsets: Float[Tensor, "q h w"], config: CentreConfig, *, stride: int
) -> CentrePoses:
    """The poses of the highest centres, the best first; arguments as of `people_by_centres`."""
    score, index = _centres(heat[-1], config)
    xy = posemap(offsets).flatten(1)[:, index].T.reshape(len(index), len(offsets) // 2, 2)
    value = _heat_mmpose(heat[:-1], xy) if config.rule == "mmpose" else heat_at(heat[:-1], xy * stride, stride=stride)
    return CentrePoses(xy * stride, score, value)


def _centres(centre: Float[Tensor, "h w"], config: CentreConfig) -> tuple[Float[Tensor, " n"], Int64[Tensor, " n"]]:
    """Scores and flat indices of the highest centres."""
    size = sum(centre.shape) / 2
    window = 5 if config.rule == "mmpose" else 7 if size > LARGE else 5 if size > MEDIUM else 3
    around = F.max_pool2d(centre[None, None], window, stride=1, padding=window // 2)[0, 0]
    kept = (centre * (around == centre)).flatten()
    score, index = kept.topk(min(config.top_k, len(kept)))
    there = score > config.threshold
    return score[there], index[there]


def heat_at(heat: Float[Tensor, "k h w"], xy: Float[Tensor, "n k 2"], *, stride: int) -> Float[Tensor, "n k"]:
    """Values of heatmaps, enlarged to one cell a pixel, at the pixels of keypoints.

    Cell i of the small map is pixel `stride` * i of the large one, whose last pixels repeat the last cell.

    Args:
        heat: Heatmaps.
        xy: Keypoints, pixels.
        stride: Pixels from cell to cell.
    """
    pixel = xy.floor().clamp(min=0).transpose(0, 1) + (stride - 1) / 2  # `sample_bilinear` counts from the middle of cells
    return sample_bilinear(heat[None], pixel[None], stride=stride)[0].T


def _heat_mmpose(heat: Float[Tensor, "k h w"], cells: Float[Tensor, "n k 2"]) -> Float[Tensor, "n k"]:
    """Values of heatmaps at keypoints as MMPose samples them: positions between corner cells, stretched over whole cells."""
    last = cells.new_tensor((heat.shape[2] - 1, heat.shape[1] - 1)).clamp(min=1)
    grid = (cells / last * 2 - 1).transpose(0, 1)[:, None]
    found = F.grid_sample(heat[:, None], grid, padding_mode="border", align_corners=False)
    return found[:, 0, 0].T


def kept_poses(poses: CentrePoses, config: CentreConfig) -> Int64[Tensor, " m"]:
    """Indices of the poses that stay of those that share keypoints; at each the best by its mean heat.

    Args:
        poses: Poses in the order of their centres' scores.
        config: How near poses are.
    """
    xy, mean = poses.xy.cpu(), poses.heat.mean(dim=1).cpu()
    if not len(xy):
        return torch.zeros(0, dtype=torch.int64, device=poses.xy.device)
    shared = xy.shape[1] // 2 if config.min_shared is None else config.min_shared
    by_heat = mean.argsort(descending=True).tolist()
    order = by_heat if config.rule == "mmpose" else range(len(xy))
    kept = best_of_nearby(xy, mean, order=order, distance=config.distance, min_shared=shared)
    kept = sorted(kept, key=lambda pose: -float(mean[pose])) if config.rule == "mmpose" else kept
    return torch.tensor(kept, device=poses.xy.device)
