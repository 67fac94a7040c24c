"""Make the pictures of README and docs: drawn figures with labels, and, given a model file, what it finds on new drawings.

Run it as: python scripts/pictures.py [MODEL]
"""

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import poise
from poise.data.figures import FigureDataset
from poise.viz.draw import contact_sheet, draw_people

Pixels = NDArray[np.uint8]
FOLDER = Path(__file__).resolve().parent.parent / "docs" / "pictures"


def main() -> None:
    """Write figures.jpg, and predictions.jpg where there is a model."""
    people, animals = FigureDataset(4, per_image=(1, 2), seed=20), FigureDataset(4, kind="animals", seed=20)
    pictures = []
    for dataset in (people, animals):
        for index in range(len(dataset)):
            sample = dataset[index]
            pixels, labels = sample.image.permute(1, 2, 0).numpy(), sample.labels
            pictures.append(draw_people(pixels, labels.xy, labels.visible, dataset.skeleton) if index % 2 else pixels)
    FOLDER.mkdir(parents=True, exist_ok=True)
    save(contact_sheet(pictures, 4), "figures.jpg")
    if len(sys.argv) > 1:
        save(contact_sheet(predicted(sys.argv[1]), 4), "predictions.jpg")


def predicted(file: str) -> list[Pixels]:
    """Eight drawings the model has not seen, with what it finds in the labelled boxes."""
    model = poise.load(file)
    pictures = []
    for sample in map(FigureDataset(8, seed=987_654).__getitem__, range(8)):
        pixels = sample.image.permute(1, 2, 0).numpy()
        poses = poise.predict(model, pixels, boxes=sample.labels.boxes)
        pictures.append(draw_people(pixels, poses.xy, poses.score, model.skeleton))
    return pictures


def save(pixels: Pixels, name: str) -> None:
    """A JPEG small enough for a repository."""
    Image.fromarray(pixels).save(FOLDER / name, quality=82, optimize=True)


if __name__ == "__main__":
    main()
