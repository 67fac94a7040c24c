"""One cell of the box for each keypoint, chosen by cross-entropy over all cells (Mask R-CNN, arXiv 1703.06870, section 5)."""

from dataclasses import dataclass
from typing import Literal, final, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from poise.codecs.roi import RoICodec, ScoreKind, check_answer
from poise.decoding.blur import blur_maps
from poise.decoding.cubic import bicubic_argmax, bicubic_argmax_exhaustive
from poise.decoding.gaussian_fit import fit_gaussian, gather_windows
from poise.decoding.subpixel import argmax_rows, check_method, dark_blur_kernel
from poise.errors import InputError, unknown
from poise.geometry import Boxes
from poise.structures import Points

SURE = 40.0
"""How much higher the logit of the keypoint's cell is than those beside it, where the head is without fault."""

LOUD = 1e4
"""Logits are taken to be at most this far from 0."""

LONGEST = 2**14
"""Pixels a side of the map a box becomes at most; positions in wider boxes are as much coarser."""

Score = Literal["logit", "share", "probability", "mass"]
"""`logit`: the resized map at its peak, as in the release; any number, and lower in boxes of fewer pixels than cells, for these
miss the peak. `share`: the exponential of that over the sum of the exponentials of all cells, as in Detectron2; a peak between
cells may have more than 1, and one that the pixels of a small box miss nearly 0. `probability`: the share of the highest cell
under a softmax over all cells, half for a head that wavers between two neighbours. `mass`: the share of the cells up to 2 away
from it each way, which says whether the keypoint is about there.
These two may be multiplied with the score of a box, the others only once they are calibrated."""


Reading = Literal["peak", "blurred"]
"""`peak`: the highest pixel of the map made as large as its box, as in the release. `blurred`: where the probabilities of all
cells, blurred by Gaussians, are highest; a head that is unsure between many cells then answers with the middle of the likeliest
region, as one that has learnt Gaussians by squared errors does, and not with the cell that happens to stand out."""

BLUR = dark_blur_kernel(3.0)
"""Cells a side of that blur, for Gaussians of 3 cells."""


@final
@dataclass(frozen=True)
class OneHot(RoICodec):
    """The cell a keypoint lies in, learnt as one class of h x w.

    Attributes:
        score: What says how sure a keypoint is.
        reading: Where in its map a keypoint is.
        search: Pixels are made where the highest can be ("bounded"), or all of them ("whole"), as in the release. Both give
            the same, the first in a hundredth of the time; on other devices than the processor all are made.
    """

    score: Score = "logit"
    search: Literal["bounded", "whole"] = "bounded"
    reading: Reading = "peak"

    def __post_init__(self) -> None:
        """Refuse scores, searches and readings there are not."""
        super().__post_init__()
        if self.score not in get_args(Score):
            raise unknown("score", self.score, get_args(Score))
        check_method(self.reading, get_args(Reading))
        if self.search not in ("bounded", "whole"):
            raise InputError(f"OneHot searches 'bounded' or 'whole', found {self.search!r}")

    @property
    def channels(self) -> int:
        """One map per keypoint."""
        return self.keypoints

    @property
    def tolerance(self) -> float:
        """Half a cell, for the label says which one; a third more in the outermost, where resized maps are highest outside."""
        return 0.5 + 1 / 3

    @property
    def pixel_tolerance(self) -> float:
        """Half a pixel, for maps are read at whole ones."""
        return 0.5 + 1e-3

    @property
    def score_kind(self) -> ScoreKind:
        """As `score` says."""
        return "logit" if self.score in ("logit", "share") else "probability"

    def encode(self, xy: Float[Tensor, "n k 2"], boxes: Boxes) -> Float[Tensor, "n k h w"]:
        """Logits that fall with the distance from the keypoint's cell; 0 everywhere where the keypoint is not in the box."""
        index, valid = self.targets(xy, torch.ones(xy.shape[:2], dtype=torch.int64, device=xy.device), boxes)
        height, width = self.cells
        row, column = (torch.arange(length, device=xy.device) for length in (height, width))
        dy = row - index.div(width, rounding_mode="floor")[..., None]
        dx = column - (index % width)[..., None]
        distance = (dy.square()[..., :, None] + dx.square()[..., None, :]).float().sqrt()
        return SURE * (1 - distance) * valid[..., None, None]

    def targets(
        self, xy: Float[Tensor, "n k 2"], visible: Int64[Tensor, "n k"], boxes: Boxes
    ) -> tuple[Int64[Tensor, "n k"], Bool[Tensor, "n k"]]:
        """The cell of each keypoint, counted row after row, and whether it has one; else cell 0.

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
        """Cross-entropy, averaged over the labelled keypoints inside their boxes; 0 if there is none.

        Raises:
            InputError: The output is not of this codec's size.
        """
        check_answer(self, output)
        index, valid = self.targets(xy, visible, boxes)
        some = valid.flatten().nonzero().squeeze(1)
        logits = output.flatten(0, 1).flatten(1).index_select(0, some).float()
        return F.cross_entropy(logits, index.flatten()[some], reduction="sum") / max(len(some), 1)

    def decode(self, output: Float[Tensor, "n k h w"], boxes: Boxes) -> Points:
        """Where each keypoint is, as `reading` says, and its score.

        For `peak` maps are resized (bicubic) to the whole pixels that hold their box; boxes narrower or lower than a pixel are
        then taken to be of one pixel.

        Raises:
            InputError: The output is not of this codec's size.
        """
        check_answer(self, output)
        maps = output.detach().float()
        corner, sides = boxes[:, :2].float(), (boxes[:, 2:] - boxes[:, :2]).float()
        with torch.autocast(maps.device.type, enabled=False):
            if self.reading == "peak":
                sides = sides.clamp(min=1)
                share, score = self._highest(maps, sides)
            else:
                sides = torch.where(sides > 0, sides, 1)
                share, score = self._likeliest(maps)
        return Points(share * sides[:, None] + corner[:, None], score.nan_to_num(0, 0, 0))

    def _highest(
        self, maps: Float[Tensor, "n k h w"], sides: Float[Tensor, "n 2"]
    ) -> tuple[Float[Tensor, "n k 2"], Float[Tensor, "n k"]]:
        """The highest pixel of each resized map, as a share of the box, and its score."""
        lengths = sides.nan_to_num(1, LONGEST).clamp(max=LONGEST).ceil().long()
        found, value = (bicubic_argmax if self.search == "bounded" else bicubic_argmax_exhaustive)(maps, lengths)
        share, value = self._mended(maps, (found + 0.5) / lengths[:, None], value)
        if self.score == "logit":
            return share, value
        if self.score == "share":
            return share, (value - maps.flatten(2).logsumexp(dim=2)).exp()
        return share, self._shares(maps, argmax_rows(maps.flatten(0, 1).flatten(1))[0])

    def _likeliest(self, maps: Float[Tensor, "n k h w"]) -> tuple[Float[Tensor, "n k 2"], Float[Tensor, "n k"]]:
        """Where the blurred probabilities are highest, as a share of the box, and the score there."""
        each = maps.nan_to_num(-LOUD, LOUD, -LOUD).clamp(-LOUD, LOUD).flatten(0, 1)
        likely = each.flatten(1).softmax(dim=1).view(each.shape)
        smooth = blur_maps(likely, BLUR, "zeros")
        index, _ = argmax_rows(smooth.flatten(1))
        middle = fit_gaussian(smooth, self._cell(index), reach=1).view(*maps.shape[:2], 2)
        share = (middle + 0.5) / middle.new_tensor((self.cells[1], self.cells[0]))
        if self.score == "logit":
            return share, each.flatten(1).gather(1, index[:, None]).view(maps.shape[:2])
        return share, self._shares(maps, index)

    def unflip(self, output: Float[Tensor, "n k h w"], flip: Int64[Tensor, " k"]) -> Float[Tensor, "n k h w"]:
        """Columns reversed, left and right keypoints swapped."""
        return output[:, flip].flip(-1)

    def picture(self, output: Float[Tensor, "n k h w"]) -> Float[Tensor, "n k h w"]:
        """The probability of each cell beside that of the likeliest."""
        logits = output.detach().float().nan_to_num(-LOUD, LOUD, -LOUD).clamp(-LOUD, LOUD)
        return (logits - logits.amax(dim=(-2, -1), keepdim=True)).exp()

    def _mended(
        self, maps: Float[Tensor, "n k h w"], share: Float[Tensor, "n k 2"], value: Float[Tensor, "n k"]
    ) -> tuple[Float[Tensor, "n k 2"], Float[Tensor, "n k"]]:
        """Places as shares of the box, and values there: those of the highest cell where a map is not finite."""
        if maps.sum().isfinite():
            return share, value
        bad = ~maps.isfinite().flatten(2).all(dim=2)
        index, value[bad] = argmax_rows(maps[bad].flatten(1))
        width, height = self.cells[1], self.cells[0]
        share[bad] = (self._cell(index) + 0.5) / share.new_tensor((width, height))
        return share, value

    def _cell(self, index: Int64[Tensor, " n"]) -> Int64[Tensor, "n 2"]:
        """Where cells are (x, y) that are counted row after row."""
        return torch.stack((index % self.cells[1], index.div(self.cells[1], rounding_mode="floor")), dim=-1)

    def _shares(self, maps: Float[Tensor, "n k h w"], index: Int64[Tensor, " m"]) -> Float[Tensor, "n k"]:
        """What a softmax over all cells leaves to one, counted row after row, or to the cells around it."""
        each = maps.flatten(0, 1)
        whole = each.flatten(1).logsumexp(dim=1)
        if self.score in ("share", "probability"):
            top = each.flatten(1).gather(1, index[:, None]).squeeze(1)
            return (top - whole).exp().view(maps.shape[:2])
        near, _, there = gather_windows(each, self._cell(index), 2)
        return ((near - whole[:, None]).exp() * there).sum(dim=1).clamp(max=1).view(maps.shape[:2])
