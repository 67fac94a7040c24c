"""RTMO's dynamic coordinate classifier (arXiv 2312.07526, section 3.2): bins that are laid over the box of each person.

The weights are named as in RTMO's release.
"""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from poise.nn.gated_attention import ChannelScale, GatedAttention

FEATURES = 128
"""Values of a keypoint's features and of a bin's encoding."""

BINS = (192, 256)
"""Bins along x and y."""

PADDING = 1.25
"""Factor by which boxes grow before bins are laid over them."""

WAVE = 300.0
"""Longest wavelength of the encoding of bins, over 2 pi, pixels."""

LIMIT = 5e4
"""Logits are clamped to this."""


@final
class DynamicCoordinates(nn.Module):
    """The keypoints of a person from the pose vector of a cell, as the mean over bins of the person's box.

    Args:
        pose: Values of a pose vector.
        keypoints: Number of keypoints.
    """

    def __init__(self, pose: int, keypoints: int) -> None:
        super().__init__()
        self.keypoints = keypoints
        self.pos_enc = nn.Parameter(torch.zeros(keypoints, FEATURES))
        nn.init.trunc_normal_(self.pos_enc, std=0.02)
        self.gau = GatedAttention(FEATURES, 2 * FEATURES, FEATURES)
        self.pose_to_kpts = nn.Sequential(nn.Linear(pose, FEATURES * keypoints), nn.BatchNorm1d(FEATURES * keypoints))
        self.x_fc = nn.Linear(FEATURES, FEATURES)
        self.y_fc = nn.Linear(FEATURES, FEATURES)
        self.sigma_fc = nn.Sequential(nn.Linear(pose, keypoints), nn.Sigmoid(), ChannelScale(0, 0.1))

    def forward(
        self, poses: Float[Tensor, "n c"], boxes: Float[Tensor, "n 4"], priors: Float[Tensor, "n 2"]
    ) -> Float[Tensor, "n k 2"]:
        """Positions of the keypoints, pixels of the view.

        Args:
            poses: Pose vectors.
            boxes: x0 y0 x1 y1, pixels of the view.
            priors: Centre of the cell of each pose, pixels of the view.
        """
        places = self.bins(boxes)
        heats = self.heatmaps(poses, places, priors)
        return torch.stack([(heat * at[:, None]).sum(dim=-1) for heat, at in zip(heats, places, strict=True)], dim=-1)

    def bins(self, boxes: Float[Tensor, "n 4"]) -> tuple[Float[Tensor, "n _"], Float[Tensor, "n _"]]:
        """Positions of the bins of each box along x and along y, pixels of the view."""
        centre, size = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) * PADDING
        shares = [torch.linspace(-0.5, 0.5, count, device=boxes.device, dtype=boxes.dtype) for count in BINS]
        x, y = (share * size[:, axis, None] + centre[:, axis, None] for axis, share in enumerate(shares))
        return x, y

    def heatmaps(
        self,
        poses: Float[Tensor, "n c"],
        places: tuple[Float[Tensor, "n _"], Float[Tensor, "n _"]],
        priors: Float[Tensor, "n 2"],
    ) -> list[Float[Tensor, "n k _"]]:
        """The probability of each bin, for each keypoint, along x and along y.

        Args:
            poses: Pose vectors.
            places: Positions of the bins (`bins`).
            priors: Centre of the cell of each pose.
        """
        return [softmax(logits) for logits in self.logits(poses, places, priors)]

    def logits(
        self,
        poses: Float[Tensor, "n c"],
        places: tuple[Float[Tensor, "n _"], Float[Tensor, "n _"]],
        priors: Float[Tensor, "n 2"],
    ) -> list[Float[Tensor, "n k _"]]:
        """The products of keypoints and bins; arguments as of `heatmaps`."""
        found = self.pose_to_kpts(poses).reshape(-1, self.keypoints, FEATURES)
        features = self.gau(found, self.pos_enc)
        near = [at - priors[:, axis, None] for axis, at in enumerate(places)]
        codes = [layer(encoded(at)) for layer, at in zip((self.x_fc, self.y_fc), near, strict=True)]
        return [features @ code.transpose(1, 2) for code in codes]


def encoded(at: Float[Tensor, "n i"]) -> Float[Tensor, "n i 128"]:
    """Cosines and sines of positions (pixels) at 64 wavelengths."""
    half = FEATURES // 2
    waves = WAVE ** (torch.arange(half, device=at.device, dtype=at.dtype) / half)
    angles = at[..., None] / waves
    return torch.cat((angles.cos(), angles.sin()), dim=-1)


def softmax(logits: Float[Tensor, "n k i"]) -> Float[Tensor, "n k i"]:
    """Probabilities; logits are clamped first, as in the release."""
    return logits.clamp(-LIMIT, LIMIT).softmax(dim=-1)
