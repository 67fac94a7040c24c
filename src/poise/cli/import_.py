"""`poise import`: an official checkpoint as a model file of poise."""

from pathlib import Path
from typing import Annotated

import tyro


def run(
    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")],
    checkpoint: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="CHECKPOINT")],
    /,
    *,
    out: Annotated[Path, tyro.conf.arg(metavar="FILE")],
) -> int:
    """Turn an official checkpoint into a model file.

    For example: poise import hrnet_w32_coco_256x192 pose_hrnet_w32_256x192.pth --out hrnet_w32.safetensors

    Args:
        name: Of the model, as `poise zoo` lists it.
        checkpoint: The file of the authors (.pth, .pth.tar). Code in it is not run.
        out: Model file to write, ending in .safetensors.
    """
    from rich.console import Console

    from poise.zoo.checkpoint import import_release, read_checkpoint
    from poise.zoo.file import save
    from poise.zoo.find import family_of

    family_of(name)  # a wrong name is told before the file is read
    model = import_release(name, read_checkpoint(checkpoint))
    save(model, out)
    Console().print(f"wrote {out}: {name}, {len(model.skeleton)} keypoints, licence: {model.card.licence}", soft_wrap=True)
    return 0
