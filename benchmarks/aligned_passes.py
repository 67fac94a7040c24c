"""Where models of aligned views lose: in the first, upright view of a box, or in the aligned one.

    python benchmarks/aligned.py --out runs/aligned --sets drawn --only base dropped "circle, not turned"
    python benchmarks/aligned_passes.py --out runs/aligned/drawn

pck@0.1 of the box's longer side, of the keypoints of people with all keypoints of the alignment: in views that the labels
align, as in training, and in the first views of a prediction.
"""

from pathlib import Path

import torch
import tyro
from torch import Tensor

from poise.evaluation.eval_set import EvalSet
from poise.geometry import Warp, apply, invert
from poise.models.aligned import AlignedTopDown
from poise.models.require import require_top_down
from poise.skeletons.alignment import CENTRE
from poise.transforms.person_crop import PersonCrop
from poise.weights.model_file import load


@torch.no_grad()
def measure(model: AlignedTopDown, eval_set: EvalSet) -> tuple[float, float]:
    """Pck@0.1 in views by labels and in first views."""
    crop = PersonCrop(model.codec.size, model.preprocess, model.skeleton)
    hits: list[list[Tensor]] = [[], []]
    axis = [i for group in model.preprocess.axis.indices(eval_set.skeleton) for i in group]
    for index in range(len(eval_set.dataset)):
        labels = eval_set.dataset.labels(index)
        image = eval_set.dataset.image(index)
        for xy, visible, box in zip(labels.xy, labels.visible, labels.boxes, strict=True):
            if not bool((visible[axis] > 0).all()):
                continue
            by_labels = crop.crop_frame(image, model.label_frame(*with_alignment(model, xy, visible), box))
            for found, view in zip(hits, (by_labels, model.first_crop(crop, image, box)), strict=True):
                found.append(hit(model, *view, xy, box)[visible > 0])
    by_labels_share, first_share = (torch.cat(found).double().mean().item() for found in hits)
    return by_labels_share, first_share


def with_alignment(model: AlignedTopDown, xy: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
    """Labels of the body with places for alignment keypoints that the model may have."""
    more = len(model.skeleton) - len(xy)
    return torch.cat((xy, xy.new_zeros(more, 2))), torch.cat((visible, visible.new_zeros(more)))


def hit(model: AlignedTopDown, view: Tensor, warp: Warp, xy: Tensor, box: Tensor) -> Tensor:
    """Whether each keypoint is found."""
    points = model.codec.decode(model.output(view[None], flip=False)).xy[0, : len(xy)]
    away = (apply(invert(warp.double()), points.double()) - xy.double()).norm(dim=1)
    found: Tensor = away <= 0.1 * (box[2:] - box[:2]).max()
    return found


def main(out: Path) -> None:
    """Measure every row that is there.

    Args:
        out: Folder of a set of `benchmarks/aligned.py`.
    """
    torch.set_num_threads(1)
    print("| row | aligned by labels | first view |\n|---|---|---|")
    for file in sorted(out.glob("*/model.safetensors")):
        model = require_top_down(load(file))
        if isinstance(model, AlignedTopDown) and CENTRE in model.skeleton.keypoints:
            test = out / "data" / "test"
            eval_set = EvalSet.of_file(test / "turned.json", test / "images", skeleton=model.skeleton)
            print(f"| {file.parent.name} | " + " | ".join(f"{share:.3f}" for share in measure(model, eval_set)) + " |")


if __name__ == "__main__":
    tyro.cli(main)
