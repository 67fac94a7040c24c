"""How many people an untrained detector proposes a box for: why labelled boxes join the proposals in training.

    python benchmarks/proposals.py --people 100

Runs torchvision's Keypoint R-CNN with random weights (seed 0), images of 224 pixels on the shorter side, over every other image
of `$POISE_DATA/coco-subset`.
"""

import os
from pathlib import Path

import torch
import tyro
from rich.console import Console
from torchvision.models.detection import keypointrcnn_resnet50_fpn
from torchvision.ops import box_iou

from poise.data.coco import CocoDataset


@torch.inference_mode()
def main(*, people: int = 100, overlap: float = 0.5) -> None:
    """Count until so many people were seen, and print."""
    folder = Path(os.environ["POISE_DATA"]) / "coco-subset"
    dataset = CocoDataset(folder / "annotations" / "person_keypoints_train2017.json", folder / "images")
    torch.manual_seed(0)
    model = keypointrcnn_resnet50_fpn(weights=None, weights_backbone=None, min_size=224, max_size=400).eval()
    seen = met = proposals = useful = 0
    for index in range(0, len(dataset), 2):
        labels = dataset.labels(index)
        wanted = labels.boxes[~labels.crowd & (labels.visible > 0).any(dim=1)].float()
        if not len(wanted) or seen >= people:
            continue
        image = dataset.image(index).float() / 255
        images, _ = model.transform([image])
        boxes = model.rpn(images, model.backbone(images.tensors))[0][0]
        iou = box_iou(wanted * (images.image_sizes[0][0] / image.shape[1]), boxes)
        seen, proposals = seen + len(wanted), proposals + len(boxes)
        met += int((iou.amax(dim=1) >= overlap).sum())
        useful += int((iou.amax(dim=0) >= overlap).sum())
    Console().print(f"{seen} people, {met} of them met by a proposal; {useful} of {proposals} proposals meet one")


if __name__ == "__main__":
    tyro.cli(main)
