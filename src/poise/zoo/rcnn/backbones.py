"""Backbones of detectors with the necks on them: by their parts, and by the name that releases give both."""

import re
from dataclasses import dataclass
from typing import cast, final, get_args

from poise.errors import InputError, UnknownName
from poise.nn.frozen import replace_norms
from poise.nn.necks.base import BackboneWithNeck, pyramid_levels
from poise.nn.necks.fpn import FPN, Ending, PyramidNorm
from poise.nn.necks.hrfpn import HRFPN, Pooling
from poise.zoo.rcnn.bodies import SMALL, SUCH, NeckName, build_body, necks_of
from poise.zoo.rcnn.variants import Variant

PYRAMID_WORDS = r"(?:_(?:c5p6p7|p5p6p7|gn|bn|relu|\d+wide))*"
"""Options of a pyramid in names, as a regular expression (`Pyramid.parse`)."""

PYRAMID = rf"(?P<pyramid>{PYRAMID_WORDS})"

RESNET_NAME = re.compile(
    r"(?:(?:r|resnet)_?(?P<depth>\d+)|x_?(?P<deep>\d+)_(?P<groups>\d+)x(?P<wide>\d+)d)_?(?P<neck>fpn|c4|c5)" + PYRAMID
)
HRNET_NAME = re.compile(
    r"hrnet(?:(?P<before>v2p)|v2)?_?w(?P<width>\d+)(?:_(?P<neck>hrfpn|fpn|plain))?(?:_(?P<pooling>avg|average|max)(?:pool)?)?"
    + PYRAMID
)
OTHER_NAME = re.compile(rf"(?P<body>timm_.+?|{SMALL})_fpn" + PYRAMID)

USUAL_WIDTH = 256
"""Channels of a pyramid in all releases."""


@final
@dataclass(frozen=True)
class Pyramid:
    """Options of an FPN; of an HRFPN the width alone.

    Attributes:
        width: Channels of its maps.
        ending: How it goes on above its coarsest map; "c5" and "p5" are RetinaNet's P3 to P7.
        norm: Norm after each of its convolutions.
        relu: Whether a ReLU follows each of its convolutions.

    Raises:
        InputError: Less than one channel.
    """

    width: int = USUAL_WIDTH
    ending: Ending = "pool"
    norm: PyramidNorm | None = None
    relu: bool = False

    def __post_init__(self) -> None:
        """Check width and words."""
        if self.width < 1 or self.ending not in get_args(Ending) or self.norm not in (None, *get_args(PyramidNorm)):
            raise InputError(
                f"a pyramid has 1 and more channels, the ending {' or '.join(get_args(Ending))}, and the norm "
                f"{' or '.join(get_args(PyramidNorm))} or none; found {self.width}, {self.ending!r} and {self.norm!r}"
            )

    @classmethod
    def parse(cls, words: str) -> "Pyramid":
        """From the words of a name, each after a `_`.

        >>> Pyramid.parse("_c5p6p7_gn_64wide")
        Pyramid(width=64, ending='c5', norm='group', relu=False)
        """
        said = words.split("_")[1:]
        widths = [int(word.removesuffix("wide")) for word in said if word.endswith("wide")]
        ending: Ending = "c5" if "c5p6p7" in said else "p5" if "p5p6p7" in said else "pool"
        norm: PyramidNorm | None = "group" if "gn" in said else "batch" if "bn" in said else None
        return cls(widths[-1] if widths else USUAL_WIDTH, ending, norm, "relu" in said)

    @property
    def words(self) -> str:
        """The words of a name that `parse` reads; none for that of the releases.

        >>> Pyramid(ending="p5", relu=True).words
        '_p5p6p7_relu'
        """
        ending = "" if self.ending == "pool" else f"_{self.ending}p6p7"
        norm = {None: "", "group": "_gn", "batch": "_bn"}[self.norm]
        wide = "" if self.width == USUAL_WIDTH else f"_{self.width}wide"
        return f"{ending}{norm}{'_relu' if self.relu else ''}{wide}"


@final
@dataclass(frozen=True)
class BackboneSpec:
    """A backbone and the neck on it.

    Attributes:
        body: `resnet50`, `resnext101_32x8d`, `hrnet_w32` with any depth or width, `timm_NAME` for a backbone of timm, or one of
            the small ones: `cspnext_m`, `poise_s`, `litehrnet18`, `lpn50`, `mobilenetv2`.
        neck: Neck on the backbone.
        pooling: Pooling by which an HRFPN shrinks its maps.
        spelling: Name in a release, if it differs from `name`.
        pyramid: Options of an FPN; of an HRFPN its width.

    Raises:
        UnknownName: There is no such backbone.
        InputError: It cannot have that neck, pooling without an HRFPN, or options of a pyramid without one.
    """

    body: str
    neck: NeckName
    pooling: Pooling | None = None
    spelling: str | None = None
    pyramid: Pyramid = Pyramid()

    def __post_init__(self) -> None:
        """Check that body, neck, pooling and pyramid go together."""
        if self.neck not in necks_of(self.body):
            raise InputError(f"{self.body} takes the neck {' or '.join(necks_of(self.body))}, not {self.neck!r}")
        if self.pooling is not None and (self.neck != "hrfpn" or self.pooling not in get_args(Pooling)):
            raise InputError(
                f"pooling is how the neck hrfpn shrinks maps, {' or '.join(get_args(Pooling))}; found {self.pooling!r} for the "
                f"neck {self.neck}"
            )
        own = Pyramid(self.pyramid.width) if self.neck == "hrfpn" else self.pyramid if self.neck == "fpn" else Pyramid()
        if self.pyramid != own:
            raise InputError(
                f"ending, norm and ReLU are of the neck fpn, and channels of fpn and hrfpn; found {self.pyramid.words[1:]!r} "
                f"for the neck {self.neck}"
            )

    @classmethod
    def of(
        cls, body: str, neck: NeckName | None = None, pooling: Pooling | None = None, pyramid: Pyramid | None = None
    ) -> "BackboneSpec":
        """A backbone with the default neck of its body unless one is given: HRFPN for HRNets, FPN for others.

        Raises:
            UnknownName: There is no such backbone.
            InputError: It cannot have that neck, pooling or pyramid.
        """
        return cls(body, neck or necks_of(body)[0], pooling, pyramid=pyramid or Pyramid())

    @classmethod
    def parse(cls, name: str) -> "BackboneSpec":
        """From the name of body and neck in releases and model files.

        Args:
            name: `r50_fpn`, `r101_c4`, `r50_c5`, `x101_32x8d_fpn`, `hrnet_w32_hrfpn`, `hrnet_w32_hrfpn_max`, `hrnet_w32_fpn`,
                `hrnet_w32_plain` (so is `hrnet_w32`, as files of earlier versions say), `timm_NAME_fpn`, `poise_s_fpn` and so
                on. Behind it options of the pyramid: `c5p6p7` or `p5p6p7` for RetinaNet's P3 to P7, `gn`, `bn`, `relu`,
                `64wide`.

        Raises:
            UnknownName: There is no backbone of that name.
            InputError: Options that do not go together.
        """
        if found := RESNET_NAME.fullmatch(name):
            depth = found["depth"]
            body = f"resnet{depth}" if depth else f"resnext{found['deep']}_{found['groups']}x{found['wide']}d"
            return cls(body, cast(NeckName, found["neck"]), spelling=name, pyramid=Pyramid.parse(found["pyramid"]))
        if found := HRNET_NAME.fullmatch(name):
            neck = found["neck"] or "plain"
            if neck == "hrfpn" or not found["pooling"]:
                pooling: Pooling | None = {"max": "max", None: None}.get(found["pooling"], "average")
                body, pyramid = f"hrnet_w{found['width']}", Pyramid.parse(found["pyramid"])
                return cls(body, cast(NeckName, neck), pooling, name, pyramid)
        if found := OTHER_NAME.fullmatch(name):
            return cls(found["body"], "fpn", spelling=name, pyramid=Pyramid.parse(found["pyramid"]))
        raise UnknownName(
            f"there is no backbone {name!r}; there are r50_fpn, r50_c4, r50_c5, x101_32x8d_fpn, hrnet_w32_hrfpn, "
            f"hrnet_w32_hrfpn_max, hrnet_w32_fpn, hrnet_w32_plain, and _fpn on others of {SUCH}; options of an FPN "
            "behind it: _c5p6p7 or _p5p6p7, _gn or _bn, _relu, _64wide"
        )

    @property
    def name(self) -> str:
        """The whole as releases and model files write it, such as `r50_fpn`.

        >>> BackboneSpec.of("resnet50").name, BackboneSpec.of("hrnet_w32", pooling="max").name
        ('r50_fpn', 'hrnet_w32_hrfpn_max')
        """
        if self.spelling:
            return self.spelling
        body = re.sub(r"^resne(x)?t(?=\d)", lambda m: m[1] or "r", self.body)
        return f"{body}_{self.neck}" + ("_max" if self.pooling == "max" else "") + self.pyramid.words

    def build(self, variant: Variant, *, coarser: bool = True, finest: int = 4) -> BackboneWithNeck:
        """Both, with random weights.

        Args:
            variant: Code base of the detector.
            coarser: Whether a pyramid has coarser maps than the backbone.
            finest: Stride of the finest map of an FPN that goes on by pooling, where the backbone has a finer one.

        Raises:
            InputError: A depth or width that cannot be, P3 to P7 on a backbone without maps of strides 8 and more, or an HRFPN
                from another stride than its backbone's.
        """
        body = build_body(self.body, self.neck, variant)
        replace_norms(body, variant.norm)
        if self.neck not in ("fpn", "hrfpn"):
            return BackboneWithNeck(body, keep=(len(body.channels) - 1,))
        keep = pyramid_levels(body.strides)
        channels, strides = tuple(body.channels[i] for i in keep), tuple(body.strides[i] for i in keep)
        if self.neck == "hrfpn":
            if finest != strides[0]:
                raise InputError(f"an HRFPN begins at the stride {strides[0]} of its backbone, not at {finest}")
            maps = len(keep) + coarser
            neck = HRFPN(channels, strides, self.pyramid.width, maps=maps, pooling=self.pooling or "average")
            return BackboneWithNeck(body, neck, keep=keep)
        return BackboneWithNeck(body, self._fpn(channels, strides, coarser=coarser, finest=finest), keep=keep)

    def _fpn(self, channels: tuple[int, ...], strides: tuple[int, ...], *, coarser: bool, finest: int) -> FPN:
        own = self.pyramid
        retina = own.ending != "pool"
        first = sum(stride < (8 if retina else finest) for stride in strides)
        if first == len(strides):
            raise InputError(f"{self.body} has no map of stride 8 or more, from which a pyramid goes on; take another one")
        extra = int(coarser)
        return FPN(channels, strides, own.width, extra=extra, ending=own.ending, norm=own.norm, relu=own.relu, first=first)
