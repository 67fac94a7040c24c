"""Looks: what drawn images have in common beside what they show.

Two looks of one species are two domains with the same labels: the source and the target of an experiment on adaptation. A look
is a value; `dataclasses.replace` varies it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Literal, final, get_args

from poise.data.figures.pelt import Coats
from poise.data.figures.view import Views
from poise.errors import InputError, unknown

Background = Literal["landscape", "room", "blur", "noise", "gradient", "shapes", "folder"]
"""Backgrounds; "folder" are images of `Look.folder`."""
Shadow = Literal["ellipse", "cast"]
"""Shadows on the ground: an ellipse under the body, or the shadow that the light casts."""


@final
@dataclass(frozen=True, kw_only=True)
class Look:
    """How drawings look. The defaults are those of `FigureDataset` without a look.

    Attributes:
        coats: Coats of animals: "natural", "any" or "random" (`pelt.Coats`); without effect on people.
        views: Cameras that animals are seen by; without effect on people.
        backgrounds: Names of backgrounds and how often each is drawn; the numbers need not add up to 1.
        folder: Folder of images for the background "folder", with its subfolders.
        clutter: Fewest and most objects in the background, apart from "noise", "gradient" and "folder".
        occluders: How often 0, 1, 2, ... objects stand in front of a figure.
        strands: Chance of grass or poles in front of a figure.
        riders: Whether some horses have a rider.
        shadow: Shadows on the ground: "ellipse" or "cast".
        shadows: Chance of a shadow.
        ambient: Least and greatest brightness of surfaces that the light does not reach.
        exposure: Standard deviation of the logarithm of the exposure.
        tint: Standard deviation of the factors on red, green and blue.
        contrast: Least and greatest contrast.
        blur: Chance of a blur of the lens, and its least and greatest standard deviation, pixels.
        motion: Chance of motion blur, and its greatest length as a share of the longer side.
        noise: Chance of noise of the sensor, and its greatest standard deviation, 0 to 255.
        jpeg: Chance of the traces of a JPEG file, and the least quality, 1 to 100.
    """

    coats: str = "natural"
    views: Views = field(default_factory=Views)
    backgrounds: tuple[tuple[str, float], ...] = (("landscape", 0.45), ("room", 0.3), ("blur", 0.25))
    folder: Path | None = None
    clutter: tuple[int, int] = (2, 9)
    occluders: tuple[float, ...] = (0.68, 0.24, 0.08)
    strands: float = 0.0
    riders: bool = False
    shadow: str = "ellipse"
    shadows: float = 0.7
    ambient: tuple[float, float] = (0.35, 0.75)
    exposure: float = 0.18
    tint: float = 0.05
    contrast: tuple[float, float] = (0.65, 1.2)
    blur: tuple[float, float, float] = (0.4, 0.4, 1.1)
    motion: tuple[float, float] = (0.0, 0.0)
    noise: tuple[float, float] = (0.7, 9.0)
    jpeg: tuple[float, int] = (0.0, 30)

    def __post_init__(self) -> None:
        self._check_names()
        for name in ("strands", "shadows"):
            _check_chance(name, getattr(self, name))
        for name in ("blur", "motion", "noise", "jpeg"):
            _check_chance(name, getattr(self, name)[0])
        if not 0 <= self.clutter[0] <= self.clutter[1] <= 100:
            raise InputError(f"found clutter {self.clutter}; give the fewest and the most objects, 0 to 100")
        if not self.occluders or min(self.occluders) < 0 or sum(self.occluders) <= 0:
            raise InputError(f"found occluders {self.occluders}; give how often there are 0, 1, 2, ... of them, not all 0")
        if not 1 <= self.jpeg[1] <= 100:
            raise InputError(f"found a JPEG quality of {self.jpeg[1]}; give 1 to 100")

    def _check_names(self) -> None:
        for name, weight in self.backgrounds:
            if name not in get_args(Background):
                raise unknown("background", name, get_args(Background))
            if not weight >= 0:
                raise InputError(f"found a weight of {weight} for background {name}; give 0 or more")
        if not sum(weight for _, weight in self.backgrounds):
            raise InputError("found no background with a weight above 0; give one at least")
        if self.coats not in get_args(Coats):
            raise unknown("kind of coat", self.coats, get_args(Coats))
        if self.shadow not in get_args(Shadow):
            raise unknown("kind of shadow", self.shadow, get_args(Shadow))
        if any(name == "folder" and weight for name, weight in self.backgrounds) and self.folder is None:
            raise InputError("found the background 'folder' without a folder; name the folder of images")

    def with_folder(self, folder: Path, *, share: float = 0.7) -> "Look":
        """The look with images of a folder behind the figures.

        Args:
            folder: The folder.
            share: How often its images are drawn rather than the other backgrounds of the look.
        """
        if not 0 < share <= 1:
            raise InputError(f"found a share of {share} of images of {folder}; give more than 0, at most 1")
        others = tuple((name, weight) for name, weight in self.backgrounds if name != "folder")
        total = sum(weight for _, weight in others)
        rest = tuple((name, (1 - share) * weight / total) for name, weight in others) if total and share < 1 else ()
        return replace(self, folder=folder, backgrounds=(("folder", share), *rest))


def _check_chance(name: str, chance: float) -> None:
    if not 0 <= chance <= 1:
        raise InputError(f"found a chance of {chance} for {name}; give 0 to 1")


_EVERYWHERE = Views(around=0.4, spread=38.0, tilt=10.0, tilt_spread=12.0, roll=7.0, near=2.2, far=9.0)
_ALL: tuple[tuple[str, float], ...] = (
    ("landscape", 0.42), ("room", 0.12), ("blur", 0.12), ("noise", 0.1), ("gradient", 0.1), ("shapes", 0.14),
)  # fmt: skip

LOOKS: Mapping[str, Look] = MappingProxyType(
    {
        "default": Look(),
        "plain": Look(
            views=Views(around=0.1, spread=22.0, tilt=6.0, tilt_spread=4.0, roll=2.0, near=5.0, far=9.0),
            backgrounds=(("gradient", 1.0),), clutter=(0, 0), occluders=(1.0,), ambient=(0.5, 0.7), exposure=0.08, tint=0.02,
            contrast=(0.9, 1.1), blur=(0.0, 0.0, 0.0), noise=(0.0, 0.0),
        ),
        "textured": Look(
            coats="random", views=_EVERYWHERE, backgrounds=_ALL, occluders=(0.7, 0.2, 0.1), shadow="cast",
            exposure=0.25, tint=0.1, noise=(0.5, 6.0),
        ),
        "wild": Look(
            coats="natural", views=_EVERYWHERE, backgrounds=_ALL, occluders=(0.6, 0.28, 0.12), strands=0.35, riders=True,
            shadow="cast", ambient=(0.3, 0.75), exposure=0.24, tint=0.08, contrast=(0.65, 1.25), blur=(0.5, 0.5, 1.8),
            motion=(0.25, 0.035), noise=(0.6, 8.0), jpeg=(0.6, 25),
        ),
        "everything": Look(
            coats="any", views=_EVERYWHERE, backgrounds=_ALL, occluders=(0.6, 0.28, 0.12), strands=0.35, riders=True,
            shadow="cast", ambient=(0.3, 0.75), exposure=0.24, tint=0.1, contrast=(0.65, 1.25), blur=(0.5, 0.5, 1.8),
            motion=(0.2, 0.03), noise=(0.6, 8.0), jpeg=(0.5, 30),
        ),
    }
)  # fmt: skip
"""Named looks.

"plain": natural coats before a gradient, from the side, without faults of a camera. "textured": random textures on the body, as
in published synthetic animals, any background and camera. "wild": natural coats as in the video of an amateur. "everything": as
"wild", with any colours.
"""


def named_look(name: str) -> Look:
    """A look of `LOOKS`.

    Raises:
        UnknownName: There is no such look.
    """
    if name not in LOOKS:
        raise unknown("look", name, LOOKS)
    return LOOKS[name]
