"""A network that needs no training: it answers where an image is red and where it is green."""

import torch
import torch.nn.functional as F
from torch import nn

from poise.codecs.udp import UDPGaussian
from poise.models.card import Card
from poise.models.top_down import TopDown
from poise.skeletons import Skeleton
from poise.structures import Architecture, Preprocess

EYES = Skeleton(
    "dots", ("red_dot", "green_dot"), mirror=(("red_dot", "red_dot"), ("green_dot", "green_dot")), sigmas=(0.1, 0.1)
)


class Eyes(nn.Module):
    """Maps of redness and greenness, a fourth of the view's size; what training changes is a factor."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Identity()
        self.head = nn.Conv2d(2, 2, 1)
        with torch.no_grad():
            self.head.weight.copy_(torch.eye(2)[..., None, None])
            self.head.bias.zero_()

    def forward(self, images):
        red, green, blue = images.unbind(1)
        return self.head(F.avg_pool2d(torch.stack((red - blue, green - blue), dim=1).clamp(min=0) / 4, 4))


def eyes(size=(64, 64)):
    codec = UDPGaussian(size=size, cells=(size[0] // 4, size[1] // 4), keypoints=2)
    return TopDown(Eyes(), codec, Preprocess(), EYES, Card("eyes", Architecture("eyes:Eyes", {})))
