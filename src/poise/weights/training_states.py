"""What trainers keep beside the weights of a checkpoint: names that are known, and what stands for each while it is read."""

from collections import OrderedDict
from typing import Any

KEPT_BY_TRAINERS: tuple[str, ...] = (
    "argparse.Namespace",
    "types.SimpleNamespace",
    "collections.defaultdict",
    *(f"{builtins}.{name}" for builtins in ("builtins", "__builtin__") for name in ("getattr", "frozenset", "set", "range")),
    *(f"{builtins}.{name}" for builtins in ("builtins", "__builtin__") for name in ("slice", "dict", "list", "complex")),
    *(f"{module}.{name}" for module in ("pathlib", "pathlib._local") for name in ("PosixPath", "WindowsPath", "Path")),
    *(f"{module}.Pure{name}Path" for module in ("pathlib", "pathlib._local") for name in ("Posix", "Windows")),
    *(f"datetime.{name}" for name in ("datetime", "timedelta", "date", "timezone")),
    *(f"numpy.random._pickle.__{name}_ctor" for name in ("randomstate", "bit_generator", "generator")),
    "numpy.str_",
    *(f"numpy.dtypes.{name}DType" for name in ("Str", "Object", "Complex128", "Int8", "Int16", "UInt8", "UInt16", "UInt32")),
    "yacs.config.CfgNode",
    "fvcore.common.config.CfgNode",
    "detectron2.config.config.CfgNode",
    "easydict.EasyDict",
    "addict.addict.Dict",
    "mmcv.utils.config.ConfigDict",
    "mmengine.config.config.ConfigDict",
    *(f"mmengine.logging.{name}" for name in ("history_buffer.HistoryBuffer", "message_hub.MessageHub")),
    *(f"omegaconf.{name}" for name in ("dictconfig.DictConfig", "listconfig.ListConfig", "nodes.AnyNode")),
    *(f"omegaconf.base.{name}" for name in ("ContainerMetadata", "Metadata")),
    "typing.Any",
    *(f"{package}.utilities.parsing.AttributeDict" for package in ("pytorch_lightning", "lightning.pytorch")),
    "lightning_fabric.utilities.data.AttributeDict",
    "lightning.fabric.utilities.data.AttributeDict",
)
"""What trainers keep beside their weights, by what files call it; `Aside` stands for each."""


class Aside:
    """In place of what trainers keep beside their weights (settings, counters, paths): nothing of it is called.

    What is made is a plain dictionary, which torch's reader fills like any other.
    """

    def __new__(cls, *_: Any, **__: Any) -> "OrderedDict[Any, Any]":  # type: ignore[misc]  # of purpose no `Aside`
        """An empty dictionary, whatever the file says."""
        return OrderedDict()


def listed(*_: Any) -> list[Any]:
    """In place of `collections.deque`: a list, which torch's reader fills."""
    return []


BESIDE: tuple[tuple[Any, str], ...] = ((listed, "collections.deque"), *((Aside, name) for name in KEPT_BY_TRAINERS))
"""Stand-ins of what trainers keep, which `torch.load` is told to take of training states."""
