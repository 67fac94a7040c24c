"""The small model of four-legged animals that drawings and adaptation give: both trainings, one after the other.

    python benchmarks/animals.py --target "$POISE_DATA/animal-frames/frames.json" --out runs/animals

It is `poise train drawn_animals`, then `poise adapt cc-ssl` from its model: docs/results.md has the commands and the score.
OUT/source has the model of the drawings alone, OUT/adapted the adapted one. What is done is not done again, and a run that was
interrupted goes on.
"""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import tyro


@dataclass(frozen=True)
class Setting:
    """What is learnt.

    Attributes:
        target: Unlabelled frames: a folder, a frames.json or a COCO file.
        out: Folder of both runs.
        seed: Seed of both.
        images: Drawings that the first training learns from; the second has half as many.
        epochs: Epochs of the first training; the second has twice as many.
        views: Drawings, and frames, in an epoch of the second training.
    """

    target: Path
    out: Path
    seed: int = 0
    images: int = 4000
    epochs: int = 12
    views: int = 960


def run(setting: Setting, name: str, *words: str) -> Path:
    """A training of poise in its folder; gives its model."""
    folder = setting.out / name
    if (folder / "done").exists():
        return folder / "model.safetensors"
    begun = (folder / "checkpoints" / "last.ckpt").exists()
    place = ["--resume" if begun else "--out", str(folder)]
    subprocess.run([sys.executable, "-m", "poise", *words, "--seed", str(setting.seed), *place], check=True)
    (folder / "done").touch()
    return folder / "model.safetensors"


def main(setting: Setting) -> None:
    count, epochs = str(setting.images), str(setting.epochs)
    source = run(setting, "source", "train", "drawn_animals", "--images", count, "--epochs", epochs)
    data = ("--source", "drawn_animals", "--source-set", f"images={setting.images // 2}", "--target", str(setting.target))
    steps = ("--epochs", str(2 * setting.epochs), "--every", "4", "--epoch-views", str(setting.views))
    print(run(setting, "adapted", "adapt", "cc-ssl", *data, *steps, "--start", str(source)))


if __name__ == "__main__":
    main(tyro.cli(Setting))
