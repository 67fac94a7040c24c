"""Numbers that the flags of recipes may be; those of views, losses and runs are checked where they are used."""

from typing import cast

from poise.dims import Size
from poise.errors import InputError
from poise.models.base import PoseModel
from poise.nn.base import Backbone, check_size


def check_count(flag: str, value: int, *, minimum: int = 1) -> None:
    """Refuse a number of things that cannot be.

    Raises:
        InputError: It is below `minimum`.
    """
    if value < minimum:
        raise InputError(f"{flag} is a whole number, {minimum} or more; found {value}")


def check_share(flag: str, value: float) -> None:
    """Refuse a share that cannot be.

    Raises:
        InputError: It is not from 0 to below 1.
    """
    if not 0 <= value < 1:
        raise InputError(f"{flag} is a share, 0 to below 1; found {value:g}")


def check_positive(flag: str, value: float) -> None:
    """Refuse a number that must be above 0.

    Raises:
        InputError: It is not.
    """
    if not value > 0:
        raise InputError(f"{flag} is a number above 0; found {value:g}")


def check_run(*, epochs: int, rate: float) -> None:
    """Refuse a run that cannot be before anything is drawn for it.

    Raises:
        InputError: No epochs, or no learning rate.
    """
    check_count("--epochs", epochs)
    check_positive("--rate", rate)


def check_views(model: PoseModel, size: Size) -> None:
    """Refuse views (h, w) of whole images that a network cannot take.

    Raises:
        InputError: A side is no positive multiple of what the network needs.
    """
    check_size(size, cast(Backbone, model.network.backbone).multiple, model.card.name)
