"""Mask R-CNN and Faster R-CNN on COCO's people, as maskrcnn-benchmark's release trains its detectors: boxes and masks alone."""

from pathlib import Path

from poise.errors import InputError
from poise.models.require import require_trainable
from poise.recipes.base import Recipe
from poise.recipes.coco import check2017
from poise.recipes.dropping import Dropping, dropped
from poise.recipes.keypoint_rcnn import FREEZE, ITERATIONS, MILESTONES, RATE, as_large, detector_on_coco, still
from poise.transforms.detector_jitter import DetectorAugmentation
from poise.zoo.find import build

NETWORK = "mask_rcnn_r50_fpn_2cls"
"""Background and people."""


def mask_rcnn(
    *,
    data: Path,
    network: str = NETWORK,
    pretrained: bool = True,
    iterations: int = ITERATIONS,
    milestones: tuple[int, ...] = MILESTONES,
    rate: float = RATE,
    freeze: int = FREEZE,
    detecting_set: list[str] | None = None,
    rotation: float = 0.0,
    turn: float = 0.0,
    crop: float = 0.0,
    mosaic: float = 0.0,
    drop: Dropping | None = None,
    empty: bool = False,
) -> Recipe:
    """Mask R-CNN on ResNet-50-FPN, the 1x schedule of maskrcnn-benchmark: boxes and masks of COCO's people, without keypoints.

    For example:

        poise train mask_rcnn --data coco --devices 8 --out runs/mask-rcnn
        poise train mask_rcnn --data coco --network faster_rcnn_hrnet_w32_hrfpn_2cls --freeze 0 --out runs/boxes

    No score is published for people alone; over COCO's 80 classes torchvision's Mask R-CNN is at box AP 0.379 and mask AP
    0.346. No practitioner's figures are known. The cost: 90,000 steps of 16 images of 800 pixels, 1.44 million of them.

    Args:
        data: Folder of COCO 2017, as its archives unpack.
        network: Name of a detector without keypoints: a Mask R-CNN, or a Faster R-CNN, which learns boxes alone.
        pretrained: Start the backbone from ImageNet weights.
        iterations: Steps of 16 images.
        milestones: Steps after which the learning rate is divided by 10.
        rate: Learning rate for batches of 16.
        freeze: Number of frozen ResNet stages, the stem first; 0 for other backbones.
        detecting_set: Fields of the detector's configuration, such as `weights.masks=2` or `nms=0.6`.
        rotation: Largest rotation of a view, degrees; 0 in the release.
        turn: Probability of a further rotation by 180 degrees.
        crop: Probability of a random crop of the image.
        mosaic: Probability of four images in one view.
        drop: Drop information from views (AID).
        empty: Train on images without people too, and on those whose people have no labelled keypoints.

    Raises:
        ReadError: The folder lacks images or annotations.
        InputError: The network is no whole detector, finds keypoints, or has no such stages; or a number that cannot be.
        UnknownName: There is no such network.
    """
    check2017(data)
    model = require_trainable(build(network, pretrained=pretrained))
    if model.codec is not None:
        raise InputError(
            f"{network!r} finds keypoints, and poise train mask_rcnn learns boxes and masks alone; take {NETWORK}, or "
            "train it by poise train keypoint_rcnn"
        )
    views = DetectorAugmentation(rotation=rotation, turn=turn, crop=crop, mosaic=mosaic)
    return detector_on_coco(
        "mask_rcnn",
        model,
        data,
        dropped(as_large(views, model.preprocess), drop),
        iterations=iterations,
        milestones=milestones,
        rate=rate,
        still=still(model, freeze),
        codec_set=None,
        detecting_set=detecting_set,
        empty=empty,
        best="mask AP" if "mask AP" in model.val_scores else "box AP",
    )
