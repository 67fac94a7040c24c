"""Species of four-legged animals: proportions, fur patterns and colours."""

from dataclasses import dataclass
from typing import final

from poise.data.figures.texture import Colour


@final
@dataclass(frozen=True)
class Species:
    """A species; lengths are in units of the length of the trunk.

    Attributes:
        leg: Height of the trunk's axis above the ground.
        girth: Radius of the chest.
        limb: Radius of the lower legs.
        neck: Length of the neck.
        carriage: Mean angle of the neck above the trunk, degrees.
        skull: Radius of the head.
        muzzle: Distance from the centre of the skull to the nose.
        ear: Length of the ears.
        flop: Whether the ears hang down.
        tail: Length of the tail.
        tail_carriage: Mean angle of the tail above the trunk, degrees.
        bush: Radius of the end of the tail.
        mane: Whether it has a mane.
        horns: Length of the horns; 0 for none.
        paws: Radius of the feet divided by that of the lower legs.
        hooves: Whether it has hooves; such an animal does not sit.
        patterns: Names of its fur patterns (`texture.fur`), one of which is chosen at random.
        palette: Pairs of colours of ground and pattern, one of which is chosen at random.
    """

    leg: float
    girth: float
    limb: float
    neck: float
    carriage: float
    skull: float
    muzzle: float
    ear: float
    flop: bool
    tail: float
    tail_carriage: float
    bush: float
    mane: bool
    horns: float
    paws: float
    hooves: bool
    patterns: tuple[str, ...]
    palette: tuple[tuple[Colour, Colour], ...]


BROWN, BLACK, WHITE = (112.0, 70.0, 40.0), (34.0, 30.0, 30.0), (232.0, 226.0, 214.0)
TAN, GREY, RUST = (186.0, 146.0, 96.0), (128.0, 124.0, 120.0), (176.0, 92.0, 42.0)

SPECIES = {
    "horse": Species(
        leg=0.98, girth=0.25, limb=0.042, neck=0.52, carriage=48.0, skull=0.115, muzzle=0.34,
        ear=0.12, flop=False, tail=0.62, tail_carriage=-62.0, bush=0.05, mane=True, horns=0.0, paws=1.35, hooves=True,
        patterns=("plain", "plain", "patches"),
        palette=((BROWN, WHITE), (BLACK, WHITE), (GREY, WHITE), (RUST, WHITE), (WHITE, BROWN)),
    ),
    "zebra": Species(
        leg=0.9, girth=0.25, limb=0.042, neck=0.44, carriage=45.0, skull=0.115, muzzle=0.32,
        ear=0.13, flop=False, tail=0.5, tail_carriage=-65.0, bush=0.025, mane=True, horns=0.0, paws=1.35, hooves=True,
        patterns=("stripes",),
        palette=((WHITE, BLACK),),
    ),
    "cow": Species(
        leg=0.8, girth=0.29, limb=0.046, neck=0.34, carriage=20.0, skull=0.13, muzzle=0.3,
        ear=0.15, flop=True, tail=0.6, tail_carriage=-75.0, bush=0.025, mane=False, horns=0.15, paws=1.4, hooves=True,
        patterns=("patches", "patches", "plain"),
        palette=((WHITE, BLACK), (WHITE, BROWN), (RUST, WHITE), (BLACK, WHITE), (TAN, BROWN)),
    ),
    "dog": Species(
        leg=0.76, girth=0.21, limb=0.042, neck=0.3, carriage=46.0, skull=0.115, muzzle=0.23,
        ear=0.14, flop=False, tail=0.45, tail_carriage=25.0, bush=0.035, mane=False, horns=0.0, paws=1.35, hooves=False,
        patterns=("plain", "patches", "spots"),
        palette=((BROWN, WHITE), (BLACK, TAN), (TAN, WHITE), (WHITE, BLACK), (GREY, WHITE), (RUST, WHITE)),
    ),
    "hound": Species(
        leg=0.68, girth=0.2, limb=0.042, neck=0.28, carriage=42.0, skull=0.11, muzzle=0.24,
        ear=0.19, flop=True, tail=0.5, tail_carriage=40.0, bush=0.025, mane=False, horns=0.0, paws=1.4, hooves=False,
        patterns=("patches", "plain"),
        palette=((WHITE, BROWN), (TAN, WHITE), (BROWN, BLACK), (BLACK, TAN)),
    ),
    "cat": Species(
        leg=0.62, girth=0.18, limb=0.042, neck=0.2, carriage=38.0, skull=0.12, muzzle=0.145,
        ear=0.12, flop=False, tail=0.75, tail_carriage=30.0, bush=0.028, mane=False, horns=0.0, paws=1.25, hooves=False,
        patterns=("stripes", "plain", "patches"),
        palette=((GREY, BLACK), (RUST, TAN), (BLACK, GREY), (WHITE, GREY), (TAN, BROWN)),
    ),
    "leopard": Species(
        leg=0.66, girth=0.21, limb=0.05, neck=0.26, carriage=22.0, skull=0.125, muzzle=0.17,
        ear=0.08, flop=False, tail=0.75, tail_carriage=-20.0, bush=0.03, mane=False, horns=0.0, paws=1.35, hooves=False,
        patterns=("spots", "stripes"),
        palette=((TAN, BLACK), (RUST, BLACK)),
    ),
    "sheep": Species(
        leg=0.68, girth=0.3, limb=0.036, neck=0.26, carriage=32.0, skull=0.1, muzzle=0.21,
        ear=0.12, flop=True, tail=0.16, tail_carriage=-60.0, bush=0.05, mane=False, horns=0.0, paws=1.3, hooves=True,
        patterns=("plain",),
        palette=((WHITE, WHITE), (GREY, WHITE), (BLACK, GREY)),
    ),
    "deer": Species(
        leg=0.98, girth=0.2, limb=0.03, neck=0.46, carriage=56.0, skull=0.09, muzzle=0.24,
        ear=0.15, flop=False, tail=0.16, tail_carriage=-30.0, bush=0.03, mane=False, horns=0.22, paws=1.3, hooves=True,
        patterns=("plain", "spots"),
        palette=((RUST, WHITE), (BROWN, TAN), (TAN, WHITE)),
    ),
    "giraffe": Species(
        leg=1.25, girth=0.25, limb=0.045, neck=1.05, carriage=60.0, skull=0.1, muzzle=0.26,
        ear=0.12, flop=False, tail=0.5, tail_carriage=-70.0, bush=0.02, mane=True, horns=0.09, paws=1.3, hooves=True,
        patterns=("patches",),
        palette=((TAN, BROWN), (WHITE, RUST)),
    ),
}  # fmt: skip
