"""What `compare.py` trains, and in which ways each trained model is read.

All trainings share network, people, augmentation, optimizer and number of epochs; a `Way` says what is its own.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from poise.codecs.base import InstanceCodec
from poise.codecs.dark import Dark
from poise.codecs.decoders import read_as
from poise.codecs.gaussian import Gaussian
from poise.codecs.grmi import GRMI
from poise.codecs.megvii import Megvii
from poise.codecs.offsets import OffsetCodec
from poise.codecs.simcc import SimCC
from poise.codecs.soft_argmax import SoftArgmax
from poise.codecs.udp import UDPGaussian
from poise.codecs.udp_offset import UDPOffset
from poise.data.base import Dataset
from poise.models.top_down import TopDown
from poise.skeletons import Skeleton
from poise.structures import CropRule, Preprocess
from poise.training.recipe import Optimizer, Recipe, Schedule
from poise.transforms.drop import drop_by_name
from poise.transforms.jitter import Augmentation
from poise.zoo.lpn import lpn
from poise.zoo.plain import plain

SIZE, CELLS = (128, 96), (32, 24)
EPOCHS = 18
"""LPN, whose depthwise convolutions are slow on a CPU, sees the people four times in the same minutes."""

SIGMA = 1.5
"""Cells, of every Gaussian. The releases take 1 at 128x96 and 2 at 256x192."""

PLAIN = Augmentation(scale=0.3, rotation=40.0, colour=0.3)
ADAMW = Optimizer("adamw", rate=2e-3, decay=0.01)
CPN_ADAM = Optimizer("adam", rate=2e-3, decay=1e-5, spare=False)
"""As CPN's release decays: a pull on every weight that is part of the gradient, before Adam divides by its size."""

Readings = Mapping[str, tuple[InstanceCodec, bool]]
"""By name: the codec that reads, and whether the answer is averaged with that for the mirrored view."""


def small(codec: InstanceCodec, crop: CropRule, skeleton: Skeleton) -> TopDown:
    return plain("t", skeleton=skeleton, size=SIZE, codec=codec, preprocess=replace(Preprocess(), crop=crop))


def light(codec: InstanceCodec, crop: CropRule, skeleton: Skeleton) -> TopDown:
    return lpn(50, skeleton=skeleton, size=SIZE, codec=codec, preprocess=replace(Preprocess(), crop=crop))


def usual(codec: InstanceCodec) -> Readings:
    """The codec's own reading, without and with the flip test."""
    return {"no flip": (codec, False), "flip": (codec, True)}


def every(codec: InstanceCodec) -> Readings:
    """All readings of one map per keypoint, with the flip test."""
    names = ("cell", "quarter", "dark", "udp", "fit3", "fit5", "soft", "centre")
    return dict(usual(codec)) | {name: (read_as(codec, name), True) for name in names}


def flips(codec: InstanceCodec) -> Readings:
    """All readings, and what may be done about the mirrored view's maps; also of UDP's codec, which is one of these."""
    if isinstance(codec, UDPGaussian):
        alike = Gaussian(codec.size, codec.cells, codec.keypoints, codec.sigma, exact=True, lattice="cornered", reading="udp")
    else:
        assert isinstance(codec, Gaussian)
        alike = codec
    return dict(every(codec)) | {
        "unshifted": (replace(alike, shift_flipped=False), True),
        "shifted": (replace(alike, shift_flipped=True), True),
        "compensated": (replace(alike, shift_flipped=True, compensate=True), True),
    }


def offsets(codec: InstanceCodec) -> Readings:
    """Of disks and vectors; the releases' blurs are meant for maps of twice this height, so half of them are tried too."""
    assert isinstance(codec, OffsetCodec)
    narrow = replace(codec, heat_blur=7, offset_blur=3)
    names = ("cell", "offset", "votes")
    blurred = {name: (read_as(codec, name), True) for name in names}
    return dict(usual(codec)) | blurred | {f"{name}, half the blur": (read_as(narrow, name), True) for name in names}


@dataclass(frozen=True)
class Way:
    """One training.

    Attributes:
        name: Of its folder.
        codec: For so many keypoints.
        crop: How views are cut.
        readings: How the trained model is read.
        build: Which network.
        augmentation: Chances of a view.
        optimizer: What moves the weights.
        clip: Largest norm of the gradient.
        epochs: Passes through the people.
        start: The way whose trained model of the same seed this one starts from.
    """

    name: str
    codec: Callable[[int], InstanceCodec]
    crop: CropRule
    readings: Callable[[InstanceCodec], Readings] = usual
    build: Callable[[InstanceCodec, CropRule, Skeleton], TopDown] = small
    augmentation: Augmentation = field(default=PLAIN)
    optimizer: Optimizer = field(default=ADAMW)
    clip: float | None = 1.0
    epochs: int = EPOCHS
    start: str | None = None

    def recipe(self, people: Dataset) -> Recipe:
        """The training, on these people."""
        return Recipe(
            name=f"compare, {self.name}",
            model=self.build(self.codec(len(people.skeleton)), self.crop, people.skeleton),
            train=people,
            val=None,
            epochs=self.epochs,
            batch=32,
            augmentation=self.augmentation,
            optimizer=self.optimizer,
            schedule=Schedule("cosine", warmup_steps=200),
            average=0.995,
            clip=self.clip,
        )


def gaussian(k: int) -> Gaussian:
    return Gaussian(SIZE, CELLS, k, SIGMA)


def udp(k: int) -> UDPGaussian:
    return UDPGaussian(SIZE, CELLS, k, SIGMA)


def _high(height: float, weight: float, decay: float) -> Way:
    """A label of some height, its loss times some weight, Adam with some decay; trained half as long."""
    return Way(
        f"height{height:g}_weight{weight:.3g}_decay{decay:g}",
        lambda k: Megvii(SIZE, CELLS, k, height=height, weight=weight, kernel=7),
        "hrnet",
        optimizer=replace(CPN_ADAM, decay=decay),
        clip=None,
        epochs=EPOCHS // 2,
    )


CODECS = (
    Way("gaussian", gaussian, "hrnet", readings=flips),
    Way("dark", lambda k: Dark(SIZE, CELLS, k, SIGMA, kernel=5), "dark", readings=every),
    Way("udp", udp, "udp", readings=flips),
    Way("udp_offset", lambda k: UDPOffset(SIZE, CELLS, k, radius=3.0), "udp", readings=offsets),
    Way("grmi", lambda k: GRMI(SIZE, CELLS, k), "udp", readings=offsets),
    Way("simcc", lambda k: SimCC(SIZE, CELLS, k), "udp"),
)
"""The codecs, each with its release's crop."""

STEPS = (
    Way("rounded_on_corners", lambda k: Gaussian(SIZE, CELLS, k, SIGMA, lattice="cornered"), "udp", readings=flips),
    Way("exact_on_strides", lambda k: Gaussian(SIZE, CELLS, k, SIGMA, exact=True, reading="udp"), "hrnet", readings=flips),
)
"""With "gaussian" and "udp" the four corners of UDP's ablation: how views are cut, and where Gaussians stand and are read."""

MORE = (
    Way("ohkm", lambda k: replace(udp(k), ohkm=8), "udp"),
    Way("udp_again", udp, "udp", start="udp"),
    Way("udp_dropped", udp, "udp", start="udp", augmentation=replace(PLAIN, drop=drop_by_name("cutout"))),
    Way("lpn0", lambda k: SoftArgmax(SIZE, CELLS, k, SIGMA), "hrnet", build=light, epochs=4),
    Way("lpn1", lambda k: SoftArgmax(SIZE, CELLS, k, SIGMA), "hrnet", build=light, epochs=4, start="lpn0"),
)
"""Options of a loss, of views and of a schedule; "again" is the second phase without what the other one adds."""

HEIGHTS = tuple(
    _high(*options)
    for options in (
        (1.0, 1.0, 1e-5), (1.0, 255.0**2, 1e-5), (255.0, 1.0, 1e-5), (255.0, 255.0**-2, 1e-5),
        (1.0, 1.0, 0.0), (16.0, 1.0, 1e-5),
    )
)  # fmt: skip
"""Label height against weight of the loss, with CPN's decay."""

WAYS = {way.name: way for way in (*CODECS, *STEPS, *MORE, *HEIGHTS)}
