"""A configuration file of another trainer as the words of a command of poise."""

from collections.abc import Sequence
from pathlib import Path

from poise.errors import InputError
from poise.recipes.config_mmpose import read_mmpose
from poise.recipes.config_papers import read_papers
from poise.recipes.config_read import read_config
from poise.recipes.config_values import Reading, with_overrides


def command_of(path: Path, overrides: Sequence[str] = ()) -> Reading:
    """The words of `poise train` that a file asks for, and what was made of each of its lines.

    Args:
        path: A `.yaml` of the papers' code (HRNet, Simple Baselines, DARK, UDP, LPN) or a `.py` of MMPose.
        overrides: `KEY value` pairs, in place of the file's values.

    Raises:
        InputError: The file is neither, or asks for what cannot be.
        ReadError: It cannot be read.
        MissingExtra: PyYAML is missing.
    """
    reading = Reading(with_overrides(read_config(path), overrides))
    if "MODEL.NAME" in reading.values:
        read_papers(reading)
    elif any(name.startswith("model.backbone") for name in reading.values):
        read_mmpose(reading)
    else:
        raise InputError(f"{path.name} has neither MODEL.NAME, as the papers' files have, nor model.backbone, as MMPose's")
    return reading
