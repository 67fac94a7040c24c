"""One cell of the box for each keypoint, chosen by cross-entropy over all cells (Mask R-CNN, arXiv 1703.06870, section 5)."""

from dataclasses import dataclass
from typing import Literal, final, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from poise.codecs.roi import RoICodec, ScoreKind, check_output
from poise.decoding.blur import blur_maps
from poise.decoding.cubic import bicubic_argmax, bicubic_argmax_exhaustive
from poise.decoding.cubic_graph import bicubic_argmax_of_gaps
from poise.decoding.gaussian_fit import fit_gaussian, gather_windows
from poise.decoding.subpixel import argmax_rows, check_method, dark_blur_kernel
from poise.errors import InputError, unknown
from poise.geometry import Boxes
from poise.machine import is_traced
from poise.structures import Points

PERFECT_LOGIT = 40.0
"""Difference of the logits of the keypoint's cell and of those beside it in a perfect output."""

MAX_LOGIT = 1e4
"""Logits are clamped to this distance from 0."""

MAX_SIDE = 2**14
"""Largest side of a resized map, pixels; positions in larger boxes are coarser accordingly."""

Score = Literal["logit", "share", "probability", "mass"]
"""Score of a keypoint.

* `logit`: the resized map at its peak, as in the release; any number, and lower in boxes of fewer pixels than cells, whose
  pixels miss the peak.
* `share`: the exponential of that over the sum of the exponentials of all cells, as in Detectron2; it may be above 1 for a peak
  between cells, and nearly 0 for one that the pixels of a small box miss.
* `probability`: the probability of the highest cell under a softmax over all cells; one half if two neighbours are equal.
* `mass`: the probability of the cells up to 2 away from it, which says whether the keypoint is near there.

The last two may be multiplied with the score of a box, the others only once they are calibrated.
"""


Reading = Literal["peak", "blurred"]
"""How the position is read.

* `peak`: the highest pixel of the map resized to its box, as in the release.
* `blurred`: the highest point of the probabilities of all cells, blurred by a Gaussian. Where the probability is spread over
many
  cells that is the middle of the most probable region, as with a head trained on Gaussians by squared errors, and not a single
  cell that happens to be highest.
"""

BLUR = dark_blur_kernel(3.0)
"""Cells a side of that blur, for a standard deviation of 3 cells."""


@final
@dataclass(frozen=True)
class OneHot(RoICodec):
    """The cell of a keypoint, trained as one class of h x w by cross-entropy.

    Attributes:
        score: Score of a keypoint: its logit, a softmax probability, or the mass around the peak (`Score`).
        reading: How the position is read from the map.
        search: Whether only pixels are computed among which the highest can be ("bounded"), or all of them ("whole"), as in the
            release. Both give the same result, the first in a hundredth of the time; on other devices than the CPU all are
            computed.
    """

    score: Score = "logit"
    search: Literal["bounded", "whole"] = "bounded"
    reading: Reading = "peak"

    def __post_init__(self) -> None:
        """Refuse unknown scores, searches and readings."""
        super().__post_init__()
        if self.score not in get_args(Score):
            raise unknown("score", self.score, get_args(Score))
        check_method(self.reading, get_args(Reading))
        if self.search not in ("bounded", "whole"):
            raise InputError(f"OneHot searches 'bounded' or 'whole', found {self.search!r}")

    @property
    def channels(self) -> int:
        """One map per keypoint: k."""
        return self.keypoints

    @property
    def tolerance(self) -> float:
        """Cells: half of one, since labels are whole cells, and a third in the outermost, whose resized maps peak outside."""
        return 0.5 + 1 / 3

    @property
    def pixel_tolerance(self) -> float:
        """Half a pixel, since maps are read at whole pixels."""
        return 0.5 + 1e-3

    @property
    def score_kind(self) -> ScoreKind:
        """Probabilities for "probability" and "mass", logits for the others."""
        return "logit" if self.score in ("logit", "share") else "probability"

    def encode(self, xy: Float[Tensor, "n k 2"], boxes: Boxes) -> Float[Tensor, "n k h w"]:
        """Logits that fall with the distance from the keypoint's cell; all zeros if the keypoint is not in the box."""
        index, valid = self.targets(xy, torch.ones(xy.shape[:2], dtype=torch.int64, device=xy.device), boxes)
        height, width = self.cells
        row, column = (torch.arange(length, device=xy.device) for length in (height, width))
        dy = row - index.div(width, rounding_mode="floor")[..., None]
        dx = column - (index % width)[..., None]
        distance = (dy.square()[..., :, None] + dx.square()[..., None, :]).float().sqrt()
        return PERFECT_LOGIT * (1 - distance) * valid[..., None, None]

    def targets(
        self, xy: Float[Tensor, "n k 2"], visible: Int64[Tensor, "n k"], boxes: Boxes
    ) -> tuple[Int64[Tensor, "n k"], Bool[Tensor, "n k"]]:
        """Index of the cell of each keypoint, counted row by row, and whether it is labelled inside of its box; else index 0.

        A keypoint exactly on the right or the lower border belongs to the last cell, in a box without extent too.
        """
        corner, end = boxes[:, None, :2], boxes[:, None, 2:]
        many = boxes.new_tensor((self.cells[1], self.cells[0]))
        cell = ((xy - corner) * (many / (end - corner))).floor()
        cell = torch.where(xy == end, many - 1, cell)
        valid = ((cell >= 0) & (cell < many)).all(dim=-1) & (visible > 0)
        x, y = torch.where(valid[..., None], cell, 0).long().unbind(-1)
        return y * self.cells[1] + x, valid

    def loss(
        self, output: Float[Tensor, "n k h w"], xy: Float[Tensor, "n k 2"], visible: Int64[Tensor, "n k"], boxes: Boxes
    ) -> Float[Tensor, ""]:
        """Cross-entropy, as a mean over the labelled keypoints inside their boxes; 0 without any.

        Raises:
            InputError: The output is not of this codec's size.
        """
        check_output(self, output)
        index, valid = self.targets(xy, visible, boxes)
        some = valid.flatten().nonzero().squeeze(1)
        logits = output.flatten(0, 1).flatten(1).index_select(0, some).float()
        return F.cross_entropy(logits, index.flatten()[some], reduction="sum") / max(len(some), 1)

    def decode(self, output: Float[Tensor, "n k h w"], boxes: Boxes) -> Points:
        """Positions read by `reading`, pixels of the view, and scores.

        For "peak" maps are resized (bicubic) to the whole pixels that their box covers; sides of less than a pixel are then
        taken as one pixel.

        Raises:
            InputError: The output is not of this codec's size.
        """
        check_output(self, output)
        maps = output.detach().float()
        corner, sides = boxes[:, :2].float(), (boxes[:, 2:] - boxes[:, :2]).float()
        with torch.autocast(maps.device.type, enabled=False):
            if self.reading == "peak":
                sides = sides.clamp(min=1)
                share, score = self._highest(maps, sides)
            else:
                sides = torch.where(sides > 0, sides, 1)
                share, score = self._most_probable(maps)
        return Points(share * sides[:, None] + corner[:, None], score.nan_to_num(0, 0, 0))

    def _highest(
        self, maps: Float[Tensor, "n k h w"], sides: Float[Tensor, "n 2"]
    ) -> tuple[Float[Tensor, "n k 2"], Float[Tensor, "n k"]]:
        """Position of the highest pixel of each resized map, as a share of the box, and its score."""
        lengths = sides.nan_to_num(1, MAX_SIDE).clamp(max=MAX_SIDE).ceil().long()
        found, value = self._search(maps, lengths)
        share, value = self._replace_nonfinite(maps, (found + 0.5) / lengths[:, None], value)
        if self.score == "logit":
            return share, value
        if self.score == "share":
            return share, (value - maps.flatten(2).logsumexp(dim=2)).exp()
        return share, self._shares(maps, argmax_rows(maps.flatten(0, 1).flatten(1))[0])

    def _search(
        self, maps: Float[Tensor, "n k h w"], lengths: Int64[Tensor, "n 2"]
    ) -> tuple[Int64[Tensor, "n k 2"] | Float[Tensor, "n k 2"], Float[Tensor, "n k"]]:
        """The highest pixel (x, y) of each resized map, and its value."""
        if is_traced():
            return bicubic_argmax_of_gaps(maps, lengths)
        return (bicubic_argmax if self.search == "bounded" else bicubic_argmax_exhaustive)(maps, lengths)

    def _most_probable(self, maps: Float[Tensor, "n k h w"]) -> tuple[Float[Tensor, "n k 2"], Float[Tensor, "n k"]]:
        """Position where the blurred probabilities are highest, as a share of the box, and the score there."""
        each = maps.nan_to_num(-MAX_LOGIT, MAX_LOGIT, -MAX_LOGIT).clamp(-MAX_LOGIT, MAX_LOGIT).flatten(0, 1)
        probability = each.flatten(1).softmax(dim=1).view(each.shape)
        blurred = blur_maps(probability, BLUR, "zeros")
        index, _ = argmax_rows(blurred.flatten(1))
        middle = fit_gaussian(blurred, self._cell(index), reach=1).view(*maps.shape[:2], 2)
        share = (middle + 0.5) / middle.new_tensor((self.cells[1], self.cells[0]))
        if self.score == "logit":
            return share, each.flatten(1).gather(1, index[:, None]).view(maps.shape[:2])
        return share, self._shares(maps, index)

    def unflip(self, output: Float[Tensor, "n k h w"], flip: Int64[Tensor, " k"]) -> Float[Tensor, "n k h w"]:
        """The maps with columns reversed and left and right keypoints swapped."""
        return output[:, flip].flip(-1)

    def picture(self, output: Float[Tensor, "n k h w"]) -> Float[Tensor, "n k h w"]:
        """The probability of each cell divided by that of the most probable one."""
        logits = output.detach().float().nan_to_num(-MAX_LOGIT, MAX_LOGIT, -MAX_LOGIT).clamp(-MAX_LOGIT, MAX_LOGIT)
        return (logits - logits.amax(dim=(-2, -1), keepdim=True)).exp()

    def _replace_nonfinite(
        self, maps: Float[Tensor, "n k h w"], share: Float[Tensor, "n k 2"], value: Float[Tensor, "n k"]
    ) -> tuple[Float[Tensor, "n k 2"], Float[Tensor, "n k"]]:
        """Positions as shares of the box, and values; replaced by those of the highest cell where a map is not finite."""
        if is_traced() or maps.sum().isfinite():
            return share, value
        bad = ~maps.isfinite().flatten(2).all(dim=2)
        index, value[bad] = argmax_rows(maps[bad].flatten(1))
        width, height = self.cells[1], self.cells[0]
        share[bad] = (self._cell(index) + 0.5) / share.new_tensor((width, height))
        return share, value

    def _cell(self, index: Int64[Tensor, " n"]) -> Int64[Tensor, "n 2"]:
        """Column and row (x, y) of cells whose index is counted row by row."""
        return torch.stack((index % self.cells[1], index.div(self.cells[1], rounding_mode="floor")), dim=-1)

    def _shares(self, maps: Float[Tensor, "n k h w"], index: Int64[Tensor, " m"]) -> Float[Tensor, "n k"]:
        """The probability of a cell under a softmax over all cells, or of the cells around it, as `score` says."""
        each = maps.flatten(0, 1)
        whole = each.flatten(1).logsumexp(dim=1)
        if self.score in ("share", "probability"):
            top = each.flatten(1).gather(1, index[:, None]).squeeze(1)
            return (top - whole).exp().view(maps.shape[:2])
        near, _, there = gather_windows(each, self._cell(index), 2)
        return ((near - whole[:, None]).exp() * there).sum(dim=1).clamp(max=1).view(maps.shape[:2])
