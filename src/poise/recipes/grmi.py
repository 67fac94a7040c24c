"""G-RMI (Papandreou et al.; CVPR 2017; arXiv 1701.01779): disks, vectors and votes, on its own network or another."""

from pathlib import Path

from poise.models.require import require_top_down
from poise.recipes.base import Recipe
from poise.recipes.coco import BASELINE_STEPS, BASELINE_VIEWS, check2017, on_coco
from poise.zoo.find import build


def grmi(
    *,
    data: Path,
    network: str = "grmi_101",
    size: tuple[int, int] = (353, 257),
    pretrained: bool = True,
) -> Recipe:
    """Disk maps and vectors, read by Hough voting, on COCO: 140 epochs of Adam.

    For example:

        poise train grmi --data coco --out runs/grmi
        poise train grmi --data coco --network grmi_101_x2 --codec-set distance=l1 reduction=disk --out runs/grmi-l1
        poise train grmi --data coco --network poseresnet_101 --size 352 256 --out runs/grmi-baseline

    The paper reports AP 0.649 on test-dev with a ResNet-101 of stride 8, views of 353x257, its own detector and its own
    scoring; it published no code, so the schedule is that of Simple Baselines here and no score is promised. No practitioner's
    figures are known. The disk's radius is 25 pixels of 353x257 and grows with the view. The cost: dilation makes the network
    about four times as expensive as Simple Baselines' at that size, and maps of the view's own size take much memory of a GPU;
    `grmi_101_x2` has a cell for every 4 pixels, as the other networks.

    Args:
        data: Folder of COCO 2017, as its archives unpack.
        network: A network of the zoo, its name without data set and size; `grmi_101` is the paper's, with its maps resized to
            the size of the view.
        size: Height and width of the views.
        pretrained: Start the backbone from ImageNet weights.
    """
    check2017(data)
    return on_coco(
        "grmi",
        require_top_down(build(f"{network}_coco_{size[0]}x{size[1]}", codec="GRMI", pretrained=pretrained)),
        data,
        epochs=140,
        batch=128,
        augmentation=BASELINE_VIEWS,
        schedule=BASELINE_STEPS,
        notes="schedule of Simple Baselines; the paper's is not public",
    )
