"""A network of one's own."""

from torch import nn

from poise.nn.base import Backbone, Head, Network


class Strided(Backbone):
    strides, multiple = (4,), 4

    def __init__(self, width):
        super().__init__()
        self.channels = (width,)
        self.layers = nn.Sequential(nn.Conv2d(3, width, 7, 4, 3), nn.BatchNorm2d(width), nn.ReLU())

    def forward(self, images):
        return [self.layers(images)]


class Last(Head):
    def __init__(self, width, channels):
        super().__init__()
        self.final = nn.Conv2d(width, channels, 1)

    def forward(self, features):
        return self.final(features[-1])


def my_network(width: int, channels: int) -> Network:
    return Network(Strided(width), Last(width, channels))


class Whole(nn.Module):
    """One class, no builder."""

    def __init__(self, channels):
        super().__init__()
        self.only = nn.Conv2d(3, channels, 7, 4, 3)

    def forward(self, images):
        return self.only(images)


def unannotated(channels):
    return Whole(channels)


def not_a_network(channels: int) -> int:
    return channels


def inner():
    def network(channels: int) -> Whole:
        return Whole(channels)

    return network
