"""Subpixel refinement: from the highest cell of a heatmap to a position between the cells.

Every method is a pure function of maps (n h w), their highest cells (x, y) and the values there, and returns positions in
cells. A codec has a method of its own; `MapCodec.reading` names another, so that a trained model can be decoded by any of them.
"""

from typing import Literal, get_args

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from poise.decoding.gaussian_fit import centre_of_mass, fit_gaussian
from poise.decoding.taylor import dark_taylor_step, hf_udp_taylor_step, mmpose_udp_taylor_step, udp_taylor_step
from poise.errors import unknown
from poise.machine import is_traced

SubpixelMethod = Literal[
    "cell", "quarter", "quarter-mmpose", "dark", "udp", "udp-mmpose", "udp-hf", "fit3", "fit5", "soft", "centre"
]
"""`cell`: the highest cell. `quarter`: a quarter offset towards the higher neighbour (HRNet's; `quarter-mmpose` as MMPose
treats the border). `dark`, `udp`, `udp-mmpose`, `udp-hf`: the Taylor step of DARK, of UDP, of MMPose's UDP and of transformers'
ViTPose. `fit3`, `fit5`: a Gaussian fitted to 3x3 or 5x5 cells. `soft`: soft-argmax (LPN). `centre`: the centre of mass
of 5x5 cells.
"""

SOFT_ARGMAX_BETA = 160.0
"""Factor on the maps before LPN's soft-argmax."""


def refine(
    method: SubpixelMethod,
    maps: Float[Tensor, "n h w"],
    cells: Int64[Tensor, "n 2"],
    score: Float[Tensor, " n"],
    *,
    sigma: float,
) -> Float[Tensor, "n 2"]:
    """Positions (x, y) in cells by one of the methods.

    Args:
        method: The method.
        maps: Heatmaps.
        cells: The highest cell (x, y) of each map.
        score: The value of that cell.
        sigma: Deviation of the Gaussians, cells: the size of DARK's blur.
    """
    match method:
        case "cell":
            return cells.to(maps)
        case "quarter":
            return quarter_offset(maps, cells, cells)
        case "quarter-mmpose":
            return quarter_offset(maps, cells, cells, border="each axis")
        case "dark":
            return cells + dark_taylor_step(maps, cells, score, kernel=dark_blur_kernel(sigma))
        case "udp":
            return cells + udp_taylor_step(maps, cells, score)
        case "udp-mmpose":
            return cells + mmpose_udp_taylor_step(maps, cells, score)
        case "udp-hf":
            return cells + hf_udp_taylor_step(maps, cells)
        case "fit3" | "fit5":
            return fit_gaussian(maps, cells, reach=1 if method == "fit3" else 2)
        case "soft":
            return soft_argmax(maps, beta=SOFT_ARGMAX_BETA)
        case "centre":
            return centre_of_mass(maps, cells, reach=2)


def rounding_error(method: SubpixelMethod | None) -> float:
    """Largest error, cells, of a method on a noiseless Gaussian centred on the keypoint; None is an exact method."""
    return 0.001 if method in (None, "dark", "udp", "udp-mmpose", "udp-hf", "fit3", "fit5") else 0.5


def check_method(method: str | None, known: tuple[str, ...] = get_args(SubpixelMethod)) -> None:
    """Refuse an unknown method of refinement.

    Args:
        method: Name of a method, or None.
        known: Names of the methods that the codec has.

    Raises:
        UnknownName: The message lists the known ones.
    """
    if method is not None and method not in known:
        raise unknown("reading", method, known)


def argmax_cells(maps: Float[Tensor, "n h w"]) -> tuple[Int64[Tensor, "n 2"], Float[Tensor, " n"]]:
    """The first highest cell (x, y) of each map and its value; cell (0, 0) if the value is not above 0.

    NaNs are skipped for the cell; the value is then NaN.
    """
    index, score = argmax_rows(maps.flatten(1))
    index = index.masked_fill(score <= 0, 0)
    width = maps.shape[-1]
    return torch.stack((index % width, index.div(width, rounding_mode="floor")), dim=-1), score


def argmax_rows(rows: Float[Tensor, "n i"]) -> tuple[Int64[Tensor, " n"], Float[Tensor, " n"]]:
    """Index and value of the first maximum of each row; NaNs are skipped for the index, the value is then NaN."""
    index = _argmax(rows)
    height = rows.gather(1, index[:, None]).squeeze(1)
    if not height.sum().isfinite():
        index = _argmax(rows.nan_to_num(-torch.inf, torch.inf, -torch.inf))
    return index, height


def _argmax(rows: Tensor) -> Tensor:
    # NumPy's is vectorised: ten times as fast on a CPU.
    return rows.argmax(dim=1) if rows.device.type != "cpu" or is_traced() else torch.from_numpy(rows.numpy().argmax(axis=1))


def quarter_offset(
    maps: Float[Tensor, "n h w"],
    cells: Int64[Tensor, "n 2"],
    start: Float[Tensor, "n 2"] | Int64[Tensor, "n 2"],
    *,
    border: Literal["both axes", "each axis", "outermost"] = "both axes",
) -> Float[Tensor, "n 2"]:
    """`start` plus a quarter of a cell towards the higher neighbour of `cells`, on each axis.

    Args:
        maps: Heatmaps.
        cells: The highest cell (x, y) of each map.
        start: Positions (x, y), cells, to be refined.
        border: Cells to which nothing is added: "both axes", if either coordinate is 0, 1 or the last (HRNet's release);
            "each axis", on an axis with coordinate 0, 1 or the last, or if the other coordinate is 0 (MMPose); "outermost", if
            either coordinate is 0 or the last (stacked hourglass).
    """
    height, width = maps.shape[-2:]
    inside = (cells > int(border != "outermost")) & (cells < cells.new_tensor((width - 1, height - 1)))
    moves = inside & (cells > 0).flip(-1) if border == "each axis" else inside.all(dim=-1, keepdim=True)
    step = moves[..., None] * cells.new_tensor(((1, -1), (width, -width)))
    index = cells[:, :1] + cells[:, 1:] * width + step.flatten(1)
    after, before = maps.flatten(1).gather(1, index).view(-1, 2, 2).unbind(-1)
    return start + 0.25 * (after - before).sign()


def dark_blur_kernel(sigma: float) -> int:
    """Side of DARK's blur, cells, for Gaussians of `sigma` cells: 11 for 2, 17 for 3, as releases of DARK have it."""
    return max(3, 2 * round(3 * sigma) - 1)


NEGLIGIBLE_EXPONENT = 25.0
"""Cells whose softmax weight is below exp(-25) of the largest are skipped: 4000 of them move the mean by 1e-5 cells."""


def soft_argmax(maps: Float[Tensor, "n h w"], *, beta: float) -> Float[Tensor, "n 2"]:
    """The mean cell (x, y) of each map under softmax(beta * map) (LPN, arXiv 1911.10346); NaN where there is none.

    Only blocks of rows with a value near the highest are computed.

    Args:
        maps: Heatmaps.
        beta: Factor on the maps before the softmax.
    """
    count, height, width = maps.shape
    if is_traced():
        share = (maps.flatten(1) * beta).softmax(dim=1)
        y, x = (torch.arange(length, device=maps.device, dtype=maps.dtype) for length in (height, width))
        cells = torch.stack((x.expand(height, -1), y[:, None].expand(-1, width)), dim=-1)
        return share @ cells.flatten(0, 1)
    rows = max(n for n in (1, 2, 3, 4) if height % n == 0)
    blocks = maps.reshape(-1, rows * width)
    high = blocks.amax(dim=-1).view(count, height // rows)
    top = high.amax(dim=1)
    some = (high > (top - NEGLIGIBLE_EXPONENT / beta)[:, None]).flatten().nonzero().squeeze(1)
    n, block = some.div(height // rows, rounding_mode="floor"), some % (height // rows)
    powers = (blocks.index_select(0, some) - top.index_select(0, n)[:, None]) * beta
    share = powers.clamp(min=-80).exp().view(-1, rows, width)  # denormal numbers are slow
    mass = share.sum(dim=-1)
    y = block[:, None] * rows + torch.arange(rows, device=maps.device)
    x = share.sum(dim=1) @ torch.arange(width, device=maps.device, dtype=maps.dtype)
    sums = maps.new_zeros(count, 3).index_add_(0, n, torch.stack((x, (mass * y).sum(dim=1), mass.sum(dim=1)), dim=1))
    return sums[:, :2] / sums[:, 2:]
