"""Train, save, load, predict: the whole way, on drawn people, in a few seconds.

Far too few steps for a good model; `poise demo` takes two minutes and gets there. Writes train_and_predict/ (the run, a model
file) and prediction.png into the current folder.
"""

from pathlib import Path

from PIL import Image

import poise
from poise import zoo
from poise.data.figures import FigureDataset
from poise.models.require import require_pose
from poise.training.fit import fit
from poise.training.recipe import Optimizer, Recipe
from poise.transforms.jitter import Augmentation
from poise.viz.draw import draw_people


def main() -> None:
    recipe = Recipe(
        name="example",
        model=require_pose(zoo.build("poise_t_coco_192x160")),
        train=FigureDataset(32, seed=1),
        val=FigureDataset(8, seed=2),  # another seed: other drawings
        epochs=1,
        batch=8,
        augmentation=Augmentation(scale=0.2, rotation=20.0),
        optimizer=Optimizer(rate=1e-3),
    )
    result = fit(recipe, out=Path("train_and_predict"), seed=0, workers=0)
    print({name: round(value, 3) for name, value in result.metrics.items()})

    model = require_pose(poise.load(result.file))  # one file: weights, skeleton, codec, preprocessing
    sample = FigureDataset(1, seed=3)[0]
    pixels = sample.image.permute(1, 2, 0).numpy()
    poses = poise.predict(model, pixels, boxes=sample.labels.boxes)
    picture = draw_people(pixels, poses.xy, poses.score, model.skeleton, boxes=poses.boxes, min_score=0.0)
    Image.fromarray(picture).save("prediction.png")
    print(f"{len(poses)} person, {poses.xy.shape[1]} keypoints, in pixels of the image; prediction.png shows them")


if __name__ == "__main__":
    main()
