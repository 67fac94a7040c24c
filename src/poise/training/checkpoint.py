"""Checkpoints of a run: atomic writing, reading, comparison with a recipe."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, final

import torch
from lightning.fabric.plugins import TorchCheckpointIO

from poise.codecs.registry import renamed, to_plain
from poise.errors import CheckpointError, WriteError
from poise.models.base import PoseModel


@final
class AtomicIO(TorchCheckpointIO):
    """Lightning's checkpoint files, written atomically: to a temporary file, flushed to the disk, then renamed."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write a checkpoint; an interruption, a crash or a full disk leaves the last good one.

        Raises:
            WriteError: The disk is full, or the folder cannot be written.
        """
        target = Path(path)
        beside = target.with_name(f".{target.name}.part")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with beside.open("wb") as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(target)
        except (OSError, RuntimeError) as error:  # torch reports a full disk as RuntimeError
            beside.unlink(missing_ok=True)
            raise WriteError(
                f"the state of the run cannot be written to {target} ({error}); the last good one is kept"
            ) from error


PARTS = ("epoch", "batch", "elapsed", "scores", "plan")
"""Keys of the progress of a run that a checkpoint must have."""


def check_state(path: Path) -> tuple[Path, dict[str, Any]]:
    """The path of a run's checkpoint and the progress of the run in it.

    Args:
        path: Folder of a run, or its `last.ckpt`.

    Raises:
        CheckpointError: There is no checkpoint, or it cannot be read.
    """
    if not path.exists():
        raise CheckpointError(f"there is no {path}; --resume wants the folder of a run")
    state = path / "checkpoints" / "last.ckpt" if path.is_dir() else path
    if not state.is_file():
        raise CheckpointError(f"{path} holds no saved state: {state} does not exist; --resume wants the folder of a run")
    try:
        whole = torch.load(state, map_location="cpu", weights_only=True, mmap=True)
    except (OSError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise CheckpointError(f"{state} cannot be read ({error}); it may be cut short") from error
    if "poise" not in whole:
        raise CheckpointError(f"{state} is not the state of a poise run; --resume wants the folder of a run")
    missing = [part for part in PARTS if part not in whole["poise"]]
    if missing:
        raise CheckpointError(
            f"{state} does not say {', '.join(missing)}: it was saved by another version of poise; go on with that one, or "
            "begin anew with --start and the model file of the run"
        )
    return state, whole["poise"]


def identity(model: PoseModel) -> dict[str, Any]:
    """Architecture and codecs of a model as plain values, by which a resumed run is compared with its recipe."""
    codecs = {"codec": to_plain(model.codec), "deep": [to_plain(codec) for codec in model.deep]}
    plain: dict[str, Any] = json.loads(json.dumps({"network": asdict(model.card.architecture)} | codecs))
    return plain


def check_same(progress: Mapping[str, Any], model: PoseModel, folder: Path) -> None:
    """Refuse to resume a run with another network or codec.

    Args:
        progress: Progress of the run (`check_state`).
        model: Model of the recipe.
        folder: Folder of the run.

    Raises:
        CheckpointError: They differ; the message lists the differences.
    """
    then, now = _flat(renamed(progress.get("model", {}))), _flat(identity(model))
    others = [name for name in then if name in now and then[name] != now[name]]
    if others:
        says = ", ".join(f"{name} {then[name]!r} (this recipe: {now[name]!r})" for name in others[:3])
        more = f", and {len(others) - 3} more" if len(others) > 3 else ""
        raise CheckpointError(
            f"the run in {folder} was trained with {says}{more}; give the recipe the flags it had then, or begin anew with "
            f"another --out and --start {folder / 'model.safetensors'}"
        )


def _flat(values: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Nested values with dotted names."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        found |= _flat(value, f"{before}{name}.") if isinstance(value, dict) else {f"{before}{name}": value}
    return found
