"""Packages that only training needs, looked for before anything heavy is imported."""

import importlib.util

from poise.errors import MissingExtra

TRAIN_EXTRA = ("lightning", "tensorboard", "timm")
"""Packages that come with the extra of that name."""

NEEDED = TRAIN_EXTRA[:2]
"""Those of them without which nothing is trained; timm is for backbones of its own."""


def require_training() -> None:
    """Refuse to train without the packages for it.

    Raises:
        MissingExtra: One is not installed.
    """
    for name in NEEDED:
        if importlib.util.find_spec(name) is None:
            raise MissingExtra(missing_package(name))


def missing_package(name: str) -> str:
    """Message about a package that is not installed."""
    return f"the package {name!r} is not installed; it comes with: pip install 'poise[train]'"
