"""G-RMI (Papandreou et al.; CVPR 2017; arXiv 1701.01779): disks, vectors and votes, on the networks of this zoo."""

from pathlib import Path

from poise.models.base import require_top_down
from poise.recipes.base import Recipe
from poise.recipes.coco import BASELINE_STEPS, BASELINE_VIEWS, check2017, on_coco
from poise.zoo.find import build


def grmi(
    *,
    data: Path,
    network: str = "poseresnet_101",
    size: tuple[int, int] = (352, 256),
    pretrained: bool = True,
) -> Recipe:
    """Disk maps and vectors, read by Hough voting, on COCO: 140 epochs of Adam.

    For example:

        poise train grmi --data coco --out runs/grmi

    The paper reports AP 0.649 on test-dev with a ResNet-101 of stride 8, views of 353x257, its own detector and its own
    scoring; it published no code, so network and schedule are those of Simple Baselines here and no score is promised. No
    practitioner's figures are known. The disk's radius is 25 pixels of 353x257 and grows with the view; 352x256 are the
    nearest sizes the network takes. The cost is Simple Baselines' at that size: four GPUs of 32 people.

    Args:
        data: Folder of COCO 2017, as its archives unpack.
        network: A network of the zoo, its name without data set and size.
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
        notes="schedule and views of Simple Baselines; the paper's are not public",
    )
