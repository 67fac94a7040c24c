"""A golden network: its weights and inputs by rule, its outputs as stored.

Every weight is drawn by a generator whose seed is the checksum of the weight's official name, so a checkpoint needs no file:
counters are 0, running means 0.1 N, running variances 0.5 + U, biases 0.1 N, `eps` 1e-5, other vectors 1 + 0.1 N, and weights
of more axes N sqrt(2 / fan in), times the file's own scale.
"""

import hashlib
import json
import re
import zlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from poise.scenes import Scenes

LEAST_TOLERANCE = 2e-5


def drawn(key: str, shape: tuple[int, ...], scale: float) -> Tensor:
    """The weight of a name."""
    rng = np.random.default_rng(zlib.crc32(key.encode()))
    if key.endswith("num_batches_tracked"):
        return torch.zeros(shape, dtype=torch.int64)
    if key.endswith(("running_mean", ".bias")):
        value = 0.1 * rng.standard_normal(shape)
    elif key.endswith("running_var"):
        value = 0.5 + rng.random(shape)
    elif key.endswith(".eps"):  # a constant that one release keeps among the weights
        value = np.full(shape, 1e-5)
    elif len(shape) == 1:
        value = 1 + 0.1 * rng.standard_normal(shape)
    else:
        value = rng.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:])) * scale
    return torch.from_numpy(np.asarray(value, np.float32))


def _is_scaled(key: str, shape: tuple[int, ...]) -> bool:
    """Whether the scale of a file is for this weight."""
    return len(shape) != 1 and not key.endswith(("running_mean", ".bias", "running_var", ".eps", "num_batches_tracked"))


@lru_cache(maxsize=1)
def _unscaled(keys: tuple[tuple[str, tuple[int, ...]], ...]) -> dict[str, Tensor]:
    """The checkpoint of a scale of 1; files of the same network follow one another, and differ in scale."""
    return {key: drawn(key, shape, 1.0) for key, shape in keys}


def by_rule(state: Mapping[str, Tensor], *, scale: float) -> dict[str, Tensor]:
    """Weights for a network that has others of the same names and shapes."""
    return {key: drawn(key, tuple(value.shape), scale) for key, value in state.items()}


def digest(keys: Mapping[str, tuple[int, ...]]) -> str:
    """A checksum of names and shapes, in order; small copies keep it in place of the list."""
    return hashlib.sha256(json.dumps([[name, list(shape)] for name, shape in keys.items()]).encode()).hexdigest()


class Replay:
    """One file, with or without the list of weights."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.stem = path.name.removesuffix(".json")
        self.meta: dict[str, Any] = json.loads(path.read_text())

    @property
    def name(self) -> str:
        """Of the model: the stem without what tells of the weights, whose scale the file itself holds, too."""
        return re.sub(r"_ws[0-9.]+$", "", self.stem)

    @property
    def keys(self) -> dict[str, tuple[int, ...]] | None:
        """Names and shapes of the weights; None if neither this file nor the one it refers to lists them."""
        listed = self.meta.get("keys")
        elsewhere = self.path.parent / self.meta.get("keys_in", "none")
        if listed is None and elsewhere.is_file():
            listed = json.loads(elsewhere.read_text()).get("keys")
        return None if listed is None else {key: tuple(shape) for key, shape, *_ in listed}

    def weights(self, keys: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
        """The checkpoint."""
        scale = self.meta["ndim2_weight_extra_scale"]
        drawn_once = _unscaled(tuple(keys.items()))
        return {key: value * scale if _is_scaled(key, keys[key]) else value.clone() for key, value in drawn_once.items()}

    def inputs(self) -> list[Tensor]:
        """What the network was given."""
        shapes = self.meta["input_shapes"]
        return [torch.from_numpy(np.random.default_rng(i).standard_normal(s).astype(np.float32)) for i, s in enumerate(shapes)]

    @property
    def multiply_adds(self) -> int:
        """Of one view; where the file counts matrix products too (LPN's attention has some), with them."""
        counted: int | None = self.meta.get("flop_counter_flops_batch")
        layers: int = self.meta["macs_per_image"]
        return layers if counted is None else counted // (2 * self.meta["input_shapes"][0][0])

    @property
    def tolerance(self) -> float:
        """Share of each output's largest value: what the index suggests, ten times what rounding costs, and at least 2e-5."""
        index = self.path.with_name("index.json")
        rows = json.loads(index.read_text()) if index.is_file() else [self.meta | {"file": self.path.name}]
        found = [row.get("suggested_rtol_of_absmax", 0.0) for row in rows if row["file"] == self.path.name]
        rounding = [10 * row["max_abs_err_over_absmax"] for row in self.meta.get("fp32_vs_fp64", ()) if isinstance(row, dict)]
        return max(LEAST_TOLERANCE, *found, *rounding)

    def errors(self, answers: list[Tensor]) -> list[float]:
        """For each output the largest error, as a share of its largest value; 0 of an output for no boxes at all."""
        with np.load(self.path.with_name(self.stem + ".npz")) as stored:
            expected = [(spec, stored[spec["name"]].ravel()) for spec in self.meta["outputs"]]
        assert [list(a.shape) for a in answers] == [spec["shape"] for spec, _ in expected]
        return [
            float(np.abs(values - answer.numpy().ravel()[:: spec["stride"]]).max(initial=0) / (spec["absmax"] or 1))
            for (spec, values), answer in zip(expected, answers, strict=True)
        ]


def flat(answer: Any) -> list[Tensor]:
    """A tensor, a list or a dictionary of them, flattened in order."""
    if isinstance(answer, Tensor):
        return [answer]
    return [tensor for part in (answer.values() if isinstance(answer, dict) else answer) for tensor in flat(part)]


def one_view(xy: torch.Tensor, visible: torch.Tensor, size: tuple[int, int]) -> Scenes:
    """People of one view of that size (h, w), large enough to be learnt; keypoints in pixels."""
    low, high = xy.amin(dim=1), xy.amax(dim=1)
    return Scenes(
        xy=xy.float(),
        visible=visible.long(),
        boxes=torch.cat((low, high), dim=1).float(),
        extent=torch.full((len(xy),), 1e3),
        scene=torch.zeros(len(xy), dtype=torch.int64),
        ignore=torch.zeros(1, *size, dtype=torch.bool),
    )
