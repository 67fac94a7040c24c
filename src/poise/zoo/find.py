"""Finds models by name: every file of this folder, and of those in it, that has a FAMILY is part of the zoo.

So is every such file of a package that the user has named (`poise.plugins`).
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from itertools import chain
from typing import Any

from poise.models.base import Model
from poise.plugins import modules, named
from poise.skeletons import Skeleton
from poise.weights.release import Release
from poise.weights.zoo_names import unknown_model
from poise.zoo.family import BuildRequest, Family


def families() -> Mapping[str, Family]:
    """The families of the zoo, by the name of their file, and those of named packages, by the whole name of their module.

    Raises:
        InputError: A module of a named package cannot be imported.
    """
    theirs = {module.__name__: vars(module).get("FAMILY") for module in chain.from_iterable(map(modules, named()))}
    return {**_own_families(), **{name: family for name, family in theirs.items() if isinstance(family, Family)}}


@cache
def _own_families() -> Mapping[str, Family]:
    found = {module.__name__.rpartition(".")[2]: module for module in modules(__package__)}
    return {name: module.FAMILY for name, module in sorted(found.items()) if hasattr(module, "FAMILY")}


def networks() -> Mapping[str, Callable[..., Any]]:
    """The builders that files may call without a package being named: those of the zoo's own families, `file:function`."""
    return {f"{file}:{name}": made for file, family in _own_families().items() for name, made in family.networks.items()}


def releases() -> Mapping[str, Release]:
    """Every model worth listing, by name; `build` also makes other sizes of them."""
    return {release.name: release for family in families().values() for release in family.releases}


def names() -> list[str]:
    """The names of every model worth listing; `build` also makes other sizes of them."""
    return list(releases())


def family_of(name: str) -> Family:
    """The family a name belongs to.

    Raises:
        UnknownName: To none; the message gives the nearest names.
    """
    for family in families().values():
        if family.match(name) is not None:
            return family
    raise unknown_model(name, names(), [family.form for family in families().values()])


def build(name: str, *, skeleton: Skeleton | None = None, pretrained: bool = False, codec: str | None = None) -> Model:
    """The model of a name, with the initial weights of its paper.

    Args:
        name: Such as `hrnet_w32_coco_256x192`; any size the network can take, listed by `names()` or not.
        skeleton: Other keypoints than those of the name.
        pretrained: Start the backbone from ImageNet weights, which are downloaded where torch or timm does not have them.
        codec: Another codec than the paper's, by the name of its class (`UDPOffset`); views are then cut as it expects.
            Networks that find people by themselves have codecs of their own, and the others none of those.

    Raises:
        UnknownName: No family has such a name, or there is no such codec.
        InputError: A size, depth or width the network cannot take.
        ReadError: The ImageNet weights cannot be had.
    """
    return family_of(name).build(replace(build_request(name), skeleton=skeleton, pretrained=pretrained, codec=codec))


def build_request(name: str) -> BuildRequest:
    """A name taken apart.

    Raises:
        UnknownName: No family has such a name.
    """
    return BuildRequest(name, family_of(name).match(name) or {})
