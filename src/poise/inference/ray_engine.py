"""Work on many machines by Ray Data: workers are started once with what they need, and do one item after the other.

A worker that dies is started again, and its item is done again (Ray Data's actors are restarted without end).
"""

import os
import pickle
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any, TypeVar, final

from poise.errors import InputError, MissingExtra, PoiseError
from poise.inference.request import ImagePoses, ImageRequest, Skipped
from poise.inference.settings import InferenceSettings
from poise.inference.stream import stream_poses
from poise.models.base import PoseModel
from poise.plugins import named, use_plugin

Item = TypeVar("Item")
Result = TypeVar("Result")

CHUNK = 64
"""Images of an item of `stream_on_ray`."""


@final
@dataclass(frozen=True)
class RayCluster:
    """Where workers run.

    Attributes:
        address: Of a cluster that runs ("auto", "ray://host:10001", "host:6379"); None starts one on this machine.
        actors: Workers at most; None for as many as there are cores (or GPUs).
        gpus: GPUs of a worker; each also has a core.
    """

    address: str | None = None
    actors: int | None = None
    gpus: float = 0.0

    def map(self, make: Callable[[], Callable[[Item], Result]], items: Sequence[Item]) -> Iterator[Result]:
        """The result of each item, as they come.

        Args:
            make: Called once in each worker; gives what is called with each item. Both are pickled.
            items: What is worked on.

        Raises:
            MissingExtra: Ray is not installed.
            InputError: The cluster cannot be reached.
            PoiseError: A worker raised it.
        """
        if not items:
            return
        ray = require_ray()
        begun = self._start(ray)
        try:
            shared = ray.put(pickle.dumps(make))
            most = self.actors or max(int(ray.cluster_resources().get("GPU" if self.gpus else "CPU", 1)), 1)
            rows = [{"item": pickle.dumps(item)} for item in items]
            done = ray.data.from_items(rows, override_num_blocks=len(rows)).map(
                _Worker,
                fn_constructor_args=([shared],),
                compute=ray.data.ActorPoolStrategy(min_size=1, max_size=min(most, len(rows))),
                num_cpus=1,
                num_gpus=self.gpus or None,
            )
            for row in done.iter_rows():
                result = pickle.loads(row["result"])
                if isinstance(result, PoiseError):
                    raise result
                yield result
        finally:
            if begun:
                ray.shutdown()

    def _start(self, ray: Any) -> bool:
        """Connect; whether this call did."""
        if ray.is_initialized():
            return False
        self._check_reachable()
        variables = {name: value for name, value in os.environ.items() if name.startswith("POISE_")}
        variables[PLUGINS] = ",".join(named())
        try:
            ray.init(
                address=self.address,
                runtime_env={"env_vars": variables},
                log_to_driver=False,
                logging_level="ERROR",
                **({} if self.address or os.environ.get("RAY_ADDRESS") else {"include_dashboard": False}),
            )
        except Exception as error:  # Ray raises its own, those of gRPC and of the operating system
            why = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            raise InputError(f"Ray cannot be reached at {self.address or 'this machine'} ({why}); check --address") from error
        ray.data.DataContext.get_current().enable_progress_bars = False
        return True

    def _check_reachable(self) -> None:
        """Refuse an address at which nobody answers, which Ray would call for minutes.

        Raises:
            InputError: Nobody answers.
        """
        host, _, port = (self.address or "").rpartition("://")[2].rpartition(":")
        if not host or not port.isdigit():
            return
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_TIMEOUT).close()
        except (OSError, OverflowError) as error:
            raise InputError(f"Ray cannot be reached at {self.address} ({error}); check --address") from error


CONNECT_TIMEOUT = 10
"""Seconds that a cluster has to answer."""

PLUGINS = "POISE_WORKER_PLUGINS"
"""Environment variable that tells a worker which packages the user has named."""


class _Worker:
    """A worker of Ray's."""

    def __init__(self, shared: list[Any]) -> None:
        import ray

        for name in filter(None, os.environ.get(PLUGINS, "").split(",")):
            use_plugin(name)
        self.work = pickle.loads(ray.get(shared[0]))()

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        try:
            result = self.work(pickle.loads(row["item"]))
        except PoiseError as error:
            result = error
        return {"result": pickle.dumps(result)}


def require_ray() -> Any:
    """Ray with Ray Data.

    Raises:
        MissingExtra: It is not installed.
    """
    if find_spec("ray") is None or find_spec("pyarrow") is None:
        raise MissingExtra("--engine ray needs Ray and pyarrow, which are not installed: pip install 'poise[ray]'")
    import ray
    import ray.data

    return ray


@final
@dataclass(frozen=True, eq=False)
class _Streaming:
    """Poses of some of the images of a list that every worker has.

    Attributes:
        model: The model.
        requests: All images.
        settings: How it is run.
        codecs: What decodes.
    """

    model: PoseModel
    requests: Sequence[ImageRequest]
    settings: InferenceSettings
    codecs: Sequence[Any]

    def __call__(self) -> Callable[[range], tuple[int, list[list[ImagePoses]], list[Skipped]]]:
        """Answers the images of some places of the list."""
        return self.found

    def found(self, places: range) -> tuple[int, list[list[ImagePoses]], list[Skipped]]:
        """First place, the poses of each image as each codec reads them, and the images that were left out."""
        skipped: list[Skipped] = []
        requests = [self.requests[place] for place in places]
        settings = replace(self.settings, pixels="dropped")
        return places.start, list(stream_poses(self.model, requests, settings, codecs=self.codecs, skipped=skipped)), skipped


def stream_on_ray(
    cluster: RayCluster,
    model: PoseModel,
    requests: Sequence[ImageRequest],
    settings: InferenceSettings,
    *,
    codecs: Sequence[Any],
    skipped: list[Skipped],
) -> Iterable[list[ImagePoses]]:
    """As `stream.stream_poses`, on a cluster; pixels are dropped, and images come back in any order.

    Args:
        cluster: Where.
        model: The model, which every worker gets once.
        requests: All images, which every worker gets once, and reads by itself: paths must be the same there.
        settings: How the model is run.
        codecs: Codecs that differ from the model's in decoding only.
        skipped: Receives the images that cannot be read.
    """
    places = [range(at, min(at + CHUNK, len(requests))) for at in range(0, len(requests), CHUNK)]
    for _, found, lost in cluster.map(_Streaming(model, list(requests), settings, list(codecs)), places):
        skipped += lost
        yield from found
