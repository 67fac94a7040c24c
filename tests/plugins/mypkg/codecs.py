"""Codecs of one's own: one for each contract."""

from dataclasses import dataclass, field

from poise.codecs.offset_guided import OffsetGuided
from poise.codecs.one_hot import OneHot
from poise.codecs.udp import UDPGaussian


@dataclass(frozen=True)
class Reading:
    sharp: bool = True


@dataclass(frozen=True)
class MyCodec(UDPGaussian):
    power: float = 1.0
    way: Reading = field(default_factory=Reading)


@dataclass(frozen=True)
class MyCells(OneHot):
    power: float = 1.0


@dataclass(frozen=True)
class MyScenes(OffsetGuided):
    power: float = 1.0


@dataclass(frozen=True)
class Gaussian(UDPGaussian):
    """Called as one of poise's is."""
