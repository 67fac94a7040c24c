"""BlazePose's landmarks, decoded from the network's numbers and moved by its heatmaps (MediaPipe 0.10.21)."""

import torch
from jaxtyping import Float
from torch import Tensor

KERNEL = 7
"""Side of the window on the heatmaps, cells, as the graph declares it. MediaPipe's Python package drops that option as it loads
the graph, and runs with 9, the calculator's own default; results then differ by up to 6 pixels."""

SHIPPED_KERNEL = 9
"""What MediaPipe's Python package runs with."""

MIN_PEAK = 0.5
"""Probability that a heatmap has to reach in the window; else the landmark stays where the regression says."""


def decode_landmarks(numbers: Float[Tensor, "b n"], *, side: int) -> Float[Tensor, "b k 5"]:
    """x, y, z as shares of the view's side, visibility and presence as probabilities.

    Args:
        numbers: x, y, z in pixels of the view, logits of visibility and presence, of each landmark.
        side: Of the view, pixels.
    """
    rows = numbers.reshape(len(numbers), -1, 5)
    return torch.cat((rows[..., :3] / side, rows[..., 3:].sigmoid()), dim=-1)


def refined(xy: Float[Tensor, "*b 2"], heatmaps: Float[Tensor, "*b h w"], *, kernel: int = KERNEL) -> Float[Tensor, "*b 2"]:
    """Positions moved to the centre of mass of their heatmaps around them.

    The centre is that of the cells' indices, without half a cell, in a window around the cell that the position lies in
    (truncated), as far as it is inside the map. Positions whose cell is outside the map, and those where no cell of the window
    reaches a probability of 0.5, stay. The result jumps where either changes.

    Args:
        xy: Positions, shares of the view's sides.
        heatmaps: Logits; nan counts as a probability of 0.
        kernel: Side of the window, cells, odd; 7 as the graph declares it, 9 as MediaPipe's Python package runs.
    """
    high, wide = heatmaps.shape[-2:]
    sides = xy.new_tensor((wide, high))
    at = xy.nan_to_num(-1, -1, -1) * sides
    cell = torch.where(at < 0, at.ceil(), at.floor())  # truncated; ONNX's exporter does not know `trunc`
    inside = ((cell >= 0) & (cell < sides)).all(dim=-1)
    near = cell[..., None] + torch.arange(-(kernel // 2), kernel // 2 + 1, device=xy.device)
    there = (near >= 0) & (near < sides[:, None])
    x, y = near.clamp(min=0).minimum(sides[:, None] - 1).unbind(dim=-2)
    index = (y[..., :, None] * wide + x[..., None, :]).long().flatten(-2)
    mass = heatmaps.flatten(-2).gather(-1, index).sigmoid().nan_to_num(0)
    mass = mass.reshape(*mass.shape[:-1], kernel, kernel) * (there[..., 1, :, None] & there[..., 0, None, :])
    whole = mass.sum(dim=(-2, -1))
    centre = [(mass.sum(dim=axis) * along).sum(dim=-1) / whole for axis, along in ((-2, x), (-1, y))]
    moves = inside & (mass.amax(dim=(-2, -1)) >= MIN_PEAK)
    return torch.where(moves[..., None], torch.stack(centre, dim=-1) / sides, xy)
