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
from poise.data.digest import Digest
from poise.errors import CheckpointError, WriteError
from poise.models.adapted import LAYER, add_adaptation
from poise.models.base import TrainableModel
from poise.weights.checkpoint import compare
from poise.weights.checksum import checksum
from poise.weights.model_file import read_weights
from poise.writing import atomic_file

CHECKSUM = "sha256"
"""Key of the checksum in the progress of a run; states of older versions have none."""


@final
class AtomicIO(TorchCheckpointIO):
    """Lightning's checkpoint files, written atomically and with a checksum: as a draft, flushed to the disk, then renamed."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write a checkpoint; an interruption, a crash or a full disk leaves the last good one.

        Raises:
            WriteError: The disk is full, or the folder cannot be written.
        """
        try:
            with atomic_file(path) as file:
                torch.save(_with_checksum(checkpoint), file)
                file.flush()
                os.fsync(file.fileno())
        except (OSError, RuntimeError) as error:  # torch reports a full disk as RuntimeError
            raise WriteError(
                f"the state of the run cannot be written to {path} ({error}); the last good one is kept"
            ) from error


def _with_checksum(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """A checkpoint of a run with the checksum of everything else in it."""
    if "poise" not in checkpoint:
        return dict(checkpoint)
    progress = {name: value for name, value in checkpoint["poise"].items() if name != CHECKSUM}
    bare = {**checkpoint, "poise": progress}
    return bare | {"poise": progress | {CHECKSUM: checksum(bare)}}


PARTS = ("epoch", "batch", "elapsed", "scores", "plan")
"""Keys of the progress of a run that a checkpoint must have."""


def check_state(path: Path) -> tuple[Path, dict[str, Any]]:
    """The path of a run's checkpoint and the progress of the run in it.

    Args:
        path: Folder of a run, or its `last.ckpt`.

    Raises:
        CheckpointError: There is no checkpoint, or it cannot be read, is damaged, or lacks something.
    """
    if not path.exists():
        raise CheckpointError(f"there is no {path}; --resume wants the folder of a run")
    state = path / "checkpoints" / "last.ckpt" if path.is_dir() else path
    if not state.is_file():
        raise CheckpointError(f"{path} holds no saved state: {state} does not exist; --resume wants the folder of a run")
    try:
        whole = torch.load(state, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # whatever damaged bytes lead to
        raise CheckpointError(
            f"{state} cannot be read ({type(error).__name__}: {first_line(error)}); it may be cut short: {ANEW}"
        ) from error
    if not isinstance(whole, dict) or not isinstance(whole.get("poise"), dict):
        raise CheckpointError(f"{state} is not the state of a poise run; --resume wants the folder of a run")
    progress: dict[str, Any] = whole["poise"]
    if progress.get(CHECKSUM) not in (None, _with_checksum(whole)["poise"][CHECKSUM]):
        raise CheckpointError(f"{state} is damaged: its checksum is not that of its content; {ANEW}")
    missing = [part for part in PARTS if part not in progress]
    if missing:
        raise CheckpointError(
            f"{state} does not say {', '.join(missing)}: it was saved by another version of poise; go on with that one, or "
            "begin anew with --start and the model file of the run"
        )
    wrong = _wrong_part(whole)
    if wrong:
        raise CheckpointError(f"{state} is not a whole state of a run: {wrong}; {ANEW}")
    return state, progress


ANEW = "take a copy of it, or begin anew with another --out and --start and the model file of the run"
"""Advice where a state cannot be used."""


def first_line(error: Exception) -> str:
    """The first line of an error of somebody else's, 200 letters at most."""
    return (str(error).splitlines() or [""])[0][:200]


def _wrong_part(whole: Mapping[str, Any]) -> str:
    """Description of the wrong value in a state; "" where there is none."""
    progress, weights = whole["poise"], whole.get("state_dict")
    if not isinstance(weights, dict) or not all(isinstance(value, torch.Tensor) for value in weights.values()):
        return "it has no weights by name (state_dict)"
    if not isinstance(whole.get("optimizer_states"), list) or not whole["optimizer_states"]:
        return "it has no state of the optimizer (optimizer_states)"
    callbacks = whole.get("callbacks")
    if not isinstance(callbacks, dict) or not {"Keeper", "Journal"} <= set(callbacks):
        return "it has no best scores or no metrics (callbacks)"
    lost = [
        name for name, kind in (("loops", dict), ("epoch", int), ("global_step", int)) if not isinstance(whole.get(name), kind)
    ]
    if lost:
        return f"it has no {lost[0]}"
    return _wrong_progress(progress)


def _wrong_progress(progress: Mapping[str, Any]) -> str:
    """Description of the wrong value in the progress of a run; "" where there is none."""
    kinds: Mapping[str, Any] = {"epoch": int, "batch": int, "elapsed": int | float, "scores": dict, "plan": dict}
    optional: Mapping[str, Any] = {"rate": int | float, "steps": int, "model": dict, "data": dict, "task": dict}
    for name, kind in (*kinds.items(), *((n, k) for n, k in optional.items() if n in progress)):
        value = progress[name]
        if not isinstance(value, kind) or isinstance(value, bool):
            return f"its {name} is {type(value).__name__} {str(value)[:40]!r}"
        if isinstance(value, int | float) and not 0 <= value < float("inf"):
            return f"its {name} is {value}"
    return ""


def identity(model: TrainableModel) -> dict[str, Any]:
    """Architecture and codecs of a model as plain values, by which a resumed run is compared with its recipe."""
    own = {} if model.codec is None else {"codec": to_plain(model.codec)}
    codecs = own | {"deep": [to_plain(codec) for codec in model.deep]}
    plain: dict[str, Any] = json.loads(json.dumps({"network": asdict(model.card.architecture)} | codecs))
    return plain


def add_layers(progress: Mapping[str, Any], model: TrainableModel) -> None:
    """Give the model of a recipe the layers that it had got from the model its run started from.

    Args:
        progress: Progress of the run (`check_state`).
        model: Model of the recipe.
    """
    network = progress.get("model", {}).get("network", {})
    if isinstance(network, dict) and network.get("adaptation"):
        add_adaptation(model)


def check_same(progress: Mapping[str, Any], model: TrainableModel, folder: Path) -> None:
    """Refuse to resume a run with another network or codec.

    Args:
        progress: Progress of the run (`check_state`).
        model: Model of the recipe.
        folder: Folder of the run.

    Raises:
        CheckpointError: They differ; the message lists the differences.
    """
    try:
        then, now = _flat(renamed(progress.get("model", {}))), _flat(identity(model))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(f"the state of the run in {folder} does not say what it trained ({error!r}); {ANEW}") from error
    others = [name for name in then if name in now and then[name] != now[name]]
    if others:
        says = ", ".join(f"{name} {then[name]!r} (this recipe: {now[name]!r})" for name in others[:3])
        more = f", and {len(others) - 3} more" if len(others) > 3 else ""
        raise CheckpointError(
            f"the run in {folder} was trained with {says}{more}; give the recipe the flags it had then, or begin anew with "
            f"another --out and --start {folder / 'model.safetensors'}"
        )


def check_data(progress: Mapping[str, Any], data: Mapping[str, Any], folder: Path) -> None:
    """Refuse to resume a run on other data than it has learnt from, by their checksums.

    Args:
        progress: Progress of the run (`check_state`); states of older versions do not know their data.
        data: Checksums of the data now (`provenance.checksums`).
        folder: Folder of the run.

    Raises:
        CheckpointError: They differ; the message says how.
    """
    for name in dict.fromkeys(("train", "val", *data)):
        what = {"train": "training", "val": "validation"}.get(name, name)
        then, now = (values.get(name) for values in (progress.get("data", data), data))
        changes = _changes(then, now)
        if changes:
            raise CheckpointError(
                f"the {what} data of the run in {folder} have changed since its state was saved: {'; '.join(changes)}; give it "
                f"the data it had, or begin anew with another --out and --start {folder / 'model.safetensors'}"
            )


def _changes(then: Any, now: Any) -> list[str]:
    """How data differ, by their checksums as plain values; None is no data."""
    if then is None or now is None:
        return [] if then is now else [f"there were {'none' if then is None else 'some'}"]
    if not isinstance(then, dict):
        raise CheckpointError(f"the checksums of the data are {str(then)[:40]!r}, which is none; {ANEW}")
    return Digest.from_plain(then).changes(Digest.from_plain(now))


def load_best(model: TrainableModel, file: Path) -> None:
    """Load the weights of a run's model file into its model.

    Raises:
        CheckpointError: The file is missing or damaged, or of another network.
    """
    weights = read_weights(file)
    if any(name.startswith(LAYER) for name in weights):
        add_adaptation(model)
    difference = compare(model.network.state_dict(), weights)
    if difference:
        raise CheckpointError(f"{file} is of another network than that of the run: {difference}; put the run's own file back")
    model.network.load_state_dict(weights, strict=False)


def load_fitting(model: TrainableModel, before: TrainableModel) -> None:
    """Copy the weights of another network of the same keypoints that have the same name and shape.

    Args:
        model: Gets them.
        before: Has them.
    """
    given, needed = before.network.state_dict(), model.network.state_dict()
    fits = {name: value for name, value in given.items() if name in needed and needed[name].shape == value.shape}
    model.network.load_state_dict(fits, strict=False)


def _flat(values: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Nested values with dotted names."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        found |= _flat(value, f"{before}{name}.") if isinstance(value, dict) else {f"{before}{name}": value}
    return found
