"""The names of loggers, without Lightning: a name that nothing has is told at once."""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec

from poise.errors import MissingExtra, unknown

TENSORBOARD = "tensorboard"

PACKAGES: Mapping[str, str] = {
    TENSORBOARD: "tensorboard",
    "csv": "csv",
    "wandb": "wandb",
    "mlflow": "mlflow",
    "comet": "comet_ml",
}
"""The package that each logger needs."""


def check_logger_names(names: Sequence[str]) -> None:
    """Refuse names of loggers that cannot be made; `module:function` is not imported.

    Args:
        names: Names of loggers.

    Raises:
        UnknownName: There is no logger of that name.
        MissingExtra: Its package is not installed.
    """
    for name in names:
        if ":" in name:
            continue
        if name not in PACKAGES:
            raise unknown("logger", name, [*PACKAGES, "module:function of your own"])
        if find_spec(PACKAGES[name]) is None:
            raise MissingExtra(f"the logger {name} needs a package that is not installed: pip install {PACKAGES[name]}")
