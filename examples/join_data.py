"""Two data sets with different keypoints, trained together: joined by name, what is missing is not labelled.

Draws people (17 keypoints) and animals (20), joins them, and shows that a keypoint nobody labelled gets no gradient.
Prints what it found; nothing is written.
"""

import torch

from poise import zoo
from poise.data.combined import CombinedDataset
from poise.data.figures import FigureDataset
from poise.models.require import require_top_down
from poise.structures import Batch
from poise.transforms.person_crop import PersonCrop


def main() -> None:
    people, animals = FigureDataset(4, seed=1), FigureDataset(4, kind="animals", seed=1)
    both = CombinedDataset([people, animals])
    shared = set(people.skeleton.keypoints) & set(animals.skeleton.keypoints)
    print(f"{len(people.skeleton)} + {len(animals.skeleton)} keypoints, {len(shared)} shared: {len(both.skeleton)} in all")

    model = require_top_down(zoo.build("poise_t_coco_192x160", skeleton=both.skeleton))
    crop = PersonCrop(model.codec.size, model.preprocess, model.skeleton)
    batch = Batch.of([crop(both[index], person) for index, person in both.people()])

    output = model(batch.images).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(model.codec.loss(output, batch.xy, batch.visible), output)
    pushed = gradient.abs().amax(dim=(-2, -1)) > 0  # views, keypoints
    for start, name in ((0, "people"), (len(people), "animals")):
        rows = slice(start, start + 4)
        taught = [k for k, any_ in zip(both.skeleton.keypoints, pushed[rows].any(dim=0).tolist(), strict=True) if any_]
        print(f"{name} teach {len(taught)} keypoints, such as {', '.join(taught[-3:])}")
    assert not bool(pushed[batch.visible == 0].any()), "what is not labelled sends no gradient"


if __name__ == "__main__":
    main()
