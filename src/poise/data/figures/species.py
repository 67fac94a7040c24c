"""Species of four-legged animals: proportions, fur patterns and colours."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal, final

import numpy as np

from poise.data.figures.texture import Colour

Ears = Literal["up", "side", "hang"]
"""How ears stand: like a horse's, like a cow's, or like a hound's."""
Horns = Literal["none", "out", "up", "curl", "antlers"]
"""Shape of horns: none, a cow's, a goat's, a ram's, or a deer's."""


@final
@dataclass(frozen=True, kw_only=True)
class Species:
    """A species; lengths are in units of the length of the trunk, from the point of the shoulder to the rump.

    Attributes:
        height: Height of the withers above the ground.
        depth: Half the height of the chest.
        width: Width of the chest divided by its height.
        tuck: Height of the belly before the hind legs divided by that of the chest.
        limb: Radius of the cannon bones.
        carpus: Height of the front knee above the ground, as a share of that of the elbow.
        hock: Height of the hock above the ground, as a share of that of the trunk's axis.
        fetlock: Height of the fetlock above the ground, as a share of that of the elbow; of paws, that of the ball.
        foot: Radius of hoof or paw divided by that of the cannon bone.
        hooves: Whether it has hooves; such an animal does not sit, and folds its front legs when it lies.
        neck: Length of the neck.
        carriage: Mean angle of the neck above the horizon, degrees.
        sag: How far the middle of the neck hangs below its chord, as a share of its length; negative for an arch.
        crest: Radius of the neck at the head divided by that of the head.
        skull: Radius of the head.
        muzzle: Distance from the centre of the head to the nose.
        snout: Radius of the end of the muzzle divided by that of the head.
        nod: Mean angle of the face below the horizon, degrees.
        ear: Length of the ears.
        ears: How they stand.
        tail: Length of the tail.
        tail_carriage: Mean angle of the tail above the horizon, degrees.
        bush: Radius of the end of the tail.
        mane: Length of the mane; 0 for none.
        horns: Shape of the horns.
        horn: Length of the horns.
        humps: Numbers of humps that occur.
        trunk: Length of an elephant's trunk; 0 for none.
        patterns: Names of its fur patterns (`texture.fur`), one of which is chosen at random.
        palette: Pairs of colours of ground and pattern, one of which is chosen at random.
        pale: Chance of a pale belly and muzzle.
        points: Chance of dark legs and mane.
        socks: Chance of white socks.
        rider: Chance of a rider where a look has riders.
        variety: Standard deviation of the lengths of individuals, as a share.
    """

    height: float
    depth: float
    width: float = 0.72
    tuck: float = 0.92
    limb: float
    carpus: float = 0.44
    hock: float = 0.44
    fetlock: float = 0.14
    foot: float = 1.5
    hooves: bool = True
    neck: float
    carriage: float
    sag: float = 0.0
    crest: float = 0.85
    skull: float
    muzzle: float
    snout: float = 0.6
    nod: float = 30.0
    ear: float
    ears: Ears = "up"
    tail: float
    tail_carriage: float
    bush: float = 0.025
    mane: float = 0.0
    horns: Horns = "none"
    horn: float = 0.0
    humps: tuple[int, ...] = (0,)
    trunk: float = 0.0
    patterns: tuple[str, ...]
    palette: tuple[tuple[Colour, Colour], ...]
    pale: float = 0.3
    points: float = 0.0
    socks: float = 0.0
    rider: float = 0.0
    variety: float = 0.07

    @property
    def axis(self) -> float:
        """Height of the trunk's axis above the ground when it stands."""
        return self.height - 0.95 * self.depth

    def varied(self, rng: np.random.Generator) -> "Species":
        """An individual: lengths are multiplied by random factors."""
        names = ("height", "depth", "limb", "neck", "skull", "muzzle", "ear", "tail", "bush", "horn", "mane")
        factors = np.clip(rng.normal(1, self.variety, len(names)), 0.75, 1.3).tolist()
        lengths = {name: getattr(self, name) * factor for name, factor in zip(names, factors, strict=True)}
        lengths["muzzle"] *= 0.5 + 0.5 * lengths["skull"] / self.skull
        lengths["height"] = max(lengths["height"], 1.7 * lengths["depth"])
        return replace(self, **lengths, humps=(self.humps[int(rng.integers(len(self.humps)))],))


BROWN, BLACK, WHITE = (112.0, 70.0, 40.0), (34.0, 30.0, 30.0), (232.0, 226.0, 214.0)
TAN, GREY, RUST, CREAM = (186.0, 146.0, 96.0), (128.0, 124.0, 120.0), (176.0, 92.0, 42.0), (222.0, 196.0, 156.0)
BAY, ORANGE = (124.0, 66.0, 32.0), (206.0, 124.0, 48.0)

_HORSE = Species(
    height=1.0, depth=0.225, width=0.7, tuck=0.86, limb=0.03, carpus=0.46, hock=0.5, fetlock=0.15, foot=1.55,
    neck=0.44, carriage=40.0, sag=-0.06, crest=1.2, skull=0.1, muzzle=0.33, snout=0.58, nod=45.0, ear=0.1,
    tail=0.6, tail_carriage=-62.0, bush=0.06, mane=0.13,
    patterns=("plain", "plain", "plain", "patches"),
    palette=((BAY, WHITE), (BROWN, WHITE), (BLACK, WHITE), (GREY, WHITE), (RUST, WHITE), (WHITE, BROWN), (CREAM, WHITE)),
    points=0.5, socks=0.35, rider=0.4,
)  # fmt: skip
_DOG = Species(
    height=0.92, depth=0.2, width=0.66, tuck=0.7, limb=0.034, carpus=0.3, hock=0.34, fetlock=0.09, foot=1.5, hooves=False,
    neck=0.26, carriage=42.0, crest=0.85, skull=0.115, muzzle=0.24, snout=0.42, nod=14.0, ear=0.13,
    tail=0.45, tail_carriage=20.0, bush=0.035,
    patterns=("plain", "plain", "patches", "spots"),
    palette=((BROWN, WHITE), (BLACK, TAN), (TAN, WHITE), (WHITE, BLACK), (GREY, WHITE), (RUST, WHITE), (CREAM, WHITE)),
    pale=0.45, socks=0.25, variety=0.13,
)  # fmt: skip
_CAT = Species(
    height=0.72, depth=0.17, width=0.72, tuck=0.86, limb=0.036, carpus=0.28, hock=0.33, fetlock=0.09, foot=1.4, hooves=False,
    neck=0.18, carriage=34.0, crest=0.8, skull=0.115, muzzle=0.145, snout=0.45, nod=12.0, ear=0.1,
    tail=0.75, tail_carriage=20.0, bush=0.03,
    patterns=("stripes", "plain", "patches"),
    palette=((GREY, BLACK), (RUST, TAN), (BLACK, GREY), (WHITE, GREY), (TAN, BROWN)),
    pale=0.5, socks=0.3,
)  # fmt: skip
_TIGER = replace(
    _CAT, height=0.68, depth=0.19, width=0.72, limb=0.044, foot=1.55, neck=0.24, carriage=16.0, crest=0.95, skull=0.125,
    muzzle=0.175, snout=0.6, nod=18.0, ear=0.055, tail=0.72, tail_carriage=-42.0, bush=0.034,
    patterns=("stripes",), palette=((ORANGE, BLACK), (RUST, BLACK), (TAN, BLACK), (WHITE, BLACK)), pale=0.9, socks=0.1,
)  # fmt: skip
_COW = Species(
    height=0.86, depth=0.26, width=0.74, tuck=0.95, limb=0.034, carpus=0.44, hock=0.46, fetlock=0.14, foot=1.5,
    neck=0.34, carriage=10.0, crest=0.95, skull=0.115, muzzle=0.29, snout=0.66, nod=38.0, ear=0.13, ears="side",
    tail=0.62, tail_carriage=-80.0, bush=0.03, horns="out", horn=0.14,
    patterns=("patches", "patches", "plain"),
    palette=((WHITE, BLACK), (WHITE, BROWN), (WHITE, RUST), (RUST, WHITE), (BLACK, WHITE), (TAN, BROWN), (CREAM, WHITE)),
    pale=0.3, socks=0.3,
)  # fmt: skip
_DEER = Species(
    height=0.98, depth=0.18, width=0.66, tuck=0.86, limb=0.022, carpus=0.46, hock=0.48, fetlock=0.13, foot=1.4,
    neck=0.42, carriage=54.0, crest=0.85, skull=0.082, muzzle=0.22, snout=0.5, nod=28.0, ear=0.13,
    tail=0.14, tail_carriage=-40.0, bush=0.03, horns="antlers", horn=0.3,
    patterns=("plain", "plain", "spots"), palette=((RUST, WHITE), (BROWN, TAN), (TAN, WHITE)), pale=0.5,
)  # fmt: skip
_SHEEP = Species(
    height=0.78, depth=0.24, width=0.86, tuck=1.0, limb=0.028, carpus=0.42, hock=0.42, fetlock=0.13, foot=1.4,
    neck=0.24, carriage=32.0, crest=1.0, skull=0.095, muzzle=0.2, snout=0.56, nod=26.0, ear=0.1, ears="side",
    tail=0.16, tail_carriage=-65.0, bush=0.05, patterns=("plain",), palette=((WHITE, WHITE), (GREY, WHITE), (BLACK, GREY)),
    points=0.4,
)  # fmt: skip

SPECIES: Mapping[str, Species] = MappingProxyType({
    "horse": _HORSE,
    "zebra": replace(
        _HORSE, height=0.92, neck=0.44, skull=0.1, muzzle=0.3, ear=0.12, tail=0.5, bush=0.025, mane=0.06,
        patterns=("stripes",), palette=((WHITE, BLACK),), points=0.0, socks=0.0, pale=0.1, rider=0.0,
    ),
    "cow": _COW,
    "dog": _DOG,
    "hound": replace(
        _DOG, height=0.8, depth=0.19, limb=0.034, neck=0.25, skull=0.11, muzzle=0.25, snout=0.5, ear=0.17, ears="hang",
        tail=0.48, tail_carriage=30.0, bush=0.06, patterns=("patches", "plain", "plain"),
        palette=((WHITE, BROWN), (TAN, WHITE), (BROWN, BLACK), (BLACK, TAN), (CREAM, WHITE)),
    ),
    "cat": _CAT,
    "tiger": _TIGER,
    "leopard": replace(_TIGER, muzzle=0.165, limb=0.04, tail=0.8, patterns=("spots",), palette=((TAN, BLACK), (CREAM, BLACK))),
    "lion": replace(
        _TIGER, mane=0.1, bush=0.04, patterns=("plain",), palette=((TAN, BROWN), (CREAM, BROWN)), points=0.6,
    ),
    "sheep": _SHEEP,
    "goat": replace(
        _SHEEP, height=0.84, depth=0.2, width=0.72, neck=0.28, carriage=44.0, skull=0.088, ear=0.12, tail=0.14,
        tail_carriage=40.0, horns="up", horn=0.16, patterns=("plain", "patches"),
        palette=((WHITE, BROWN), (BROWN, BLACK), (BLACK, WHITE), (TAN, WHITE)),
    ),
    "deer": _DEER,
    "giraffe": replace(
        _DEER, height=1.45, depth=0.26, limb=0.035, neck=1.1, carriage=60.0, skull=0.095, muzzle=0.28, ear=0.12, tail=0.5,
        tail_carriage=-75.0, bush=0.025, mane=0.05, horns="up", horn=0.08, patterns=("patches",),
        palette=((TAN, BROWN), (WHITE, RUST), (CREAM, BROWN)), pale=0.0,
    ),
    "camel": Species(
        height=1.14, depth=0.26, width=0.7, tuck=0.84, limb=0.036, carpus=0.47, hock=0.48, fetlock=0.1, foot=1.9,
        neck=0.6, carriage=24.0, sag=0.3, crest=0.95, skull=0.088, muzzle=0.24, snout=0.62, nod=8.0, ear=0.06,
        tail=0.36, tail_carriage=-75.0, bush=0.025, humps=(1, 2, 2),
        patterns=("plain",), palette=((TAN, BROWN), (CREAM, BROWN), (BROWN, BLACK), (WHITE, TAN)), points=0.3,
    ),
    "bear": Species(
        height=0.82, depth=0.26, width=0.8, tuck=1.0, limb=0.06, carpus=0.26, hock=0.26, fetlock=0.07, foot=1.45, hooves=False,
        neck=0.24, carriage=10.0, crest=1.1, skull=0.13, muzzle=0.23, snout=0.45, nod=18.0, ear=0.055,
        tail=0.06, tail_carriage=-30.0, bush=0.03,
        patterns=("plain",), palette=((BROWN, BLACK), (BLACK, TAN), (WHITE, CREAM), (TAN, BROWN)), pale=0.15, points=0.4,
    ),
    "elephant": Species(
        height=1.05, depth=0.32, width=0.78, tuck=0.95, limb=0.082, carpus=0.42, hock=0.36, fetlock=0.1, foot=1.15,
        neck=0.2, carriage=16.0, crest=1.0, skull=0.17, muzzle=0.22, snout=0.5, nod=40.0, ear=0.3, ears="hang",
        tail=0.4, tail_carriage=-78.0, bush=0.015, trunk=0.75,
        patterns=("plain",), palette=((GREY, GREY), (BROWN, GREY)), pale=0.1,
    ),
})  # fmt: skip
"""The species that are drawn, by name."""
