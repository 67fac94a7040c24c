"""Flags of many machines."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from poise.cli.options.types import Name, Number
from poise.errors import InputError, unknown

if TYPE_CHECKING:
    from poise.inference.ray_engine import RayCluster

ENGINES = ("ray",)
"""What `--engine` may be."""


@dataclass(frozen=True, kw_only=True)
class EngineOptions:
    """Work on many machines.

    Attributes:
        engine: ray runs workers on a cluster, or on all cores of this machine (poise[ray]); each holds the model ready.
        address: Address of a Ray cluster, such as auto or ray://head:10001; without it Ray starts on this machine.
        actors: Workers, at most; by default one for each core, or each GPU.
    """

    engine: Name = None
    address: Name = None
    actors: Number = None

    def check(self) -> None:
        """Refuse what would change nothing, and engines that do not exist.

        Raises:
            UnknownName: There is no such engine.
            InputError: A flag of an engine is given without one.
        """
        if self.engine is not None and self.engine not in ENGINES:
            raise unknown("engine", self.engine, ENGINES)
        if self.engine is None and (self.address is not None or self.actors is not None):
            raise InputError(f"--{'address' if self.address is not None else 'actors'} belongs to --engine ray; add that")

    def cluster(self, device: str | None) -> "RayCluster | None":
        """The cluster; None without an engine.

        Args:
            device: Value of `--device`; "cuda" gives each worker a GPU.

        Raises:
            MissingExtra: Ray is not installed.
        """
        if self.engine is None:
            return None
        from poise.inference.ray_engine import RayCluster, require_ray

        require_ray()
        return RayCluster(self.address, self.actors, 1.0 if (device or "").startswith("cuda") else 0.0)
