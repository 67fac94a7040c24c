"""Keypoint R-CNN on COCO, as its releases train it: maskrcnn-benchmark's on ResNet-50-FPN, and HRNet's on HRFPN."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

from poise.errors import InputError
from poise.models.base import TrainableModel
from poise.models.require import require_box_finder, require_keypoint_detector
from poise.recipes.base import Optimizer, Recipe, Schedule
from poise.recipes.coco import check2017, keypoints2017
from poise.recipes.dropping import Dropping, dropped
from poise.recipes.fields import set_words
from poise.recipes.ranges import check_count
from poise.scenes import Canvas
from poise.transforms.detector_jitter import DetectorAugmentation
from poise.zoo.find import build
from poise.zoo.rcnn.presets import SIZE

BOX_AP = "coco-val2017/box AP"
KEYPOINT_AP = "coco-val2017/AP"
"""Names of expected scores: short side 800, without the flip test."""

NETWORK = "keypoint_rcnn_r50_fpn"
"""Network of the releases, whose stem and stage 1 are frozen: `FREEZE`."""

BATCH = 16
ITERATIONS = 90_000
MILESTONES = (60_000, 80_000)
RATE = 0.02
FREEZE = 2
FCOS_RATE = 0.01
"""Of FCOS's release and CenterMask2's, for batches of 16."""

RESNET_STILL = (
    ("backbone.body.conv1", "backbone.body.bn1"),
    ("backbone.body.layer1",),
    ("backbone.body.layer2",),
    ("backbone.body.layer3",),
    ("backbone.body.layer4",),
)
"""Parts of a ResNet in the order in which they are frozen: its stem, then its stages."""


def as_large(views: DetectorAugmentation, canvas: Canvas) -> DetectorAugmentation:
    """The release's augmentation, for images of 800 pixels, scaled to the input size of a model."""
    sides = tuple(round(side * canvas.side / min(SIZE)) for side in views.sides)
    return replace(views, sides=sides, max_side=canvas.most or 2 * canvas.side)


def keypoint_rcnn(
    *,
    data: Path,
    network: str = NETWORK,
    pretrained: bool = True,
    iterations: int = ITERATIONS,
    milestones: tuple[int, ...] = MILESTONES,
    rate: float = RATE,
    freeze: int = FREEZE,
    codec: str | None = None,
    codec_set: list[str] | None = None,
    detecting_set: list[str] | None = None,
    rotation: float = 0.0,
    turn: float = 0.0,
    crop: float = 0.0,
    mosaic: float = 0.0,
    drop: Dropping | None = None,
    empty: bool = False,
) -> Recipe:
    """Keypoint R-CNN on ResNet-50-FPN, the 1x schedule of maskrcnn-benchmark: boxes and keypoints of COCO's people at once.

    For example:

        poise train keypoint_rcnn --data coco --devices 8 --out runs/keypoint-rcnn

    Expected on COCO val2017: box AP 0.537, keypoint AP 0.643 (model zoo of maskrcnn-benchmark; short side 800, no flip test).
    A practitioner's HRNet with one cell by cross-entropy was at 0.295 and 0.343, with Gaussians weighted 2000 to 3000 times at
    0.286 to 0.289 and 0.372 to 0.390. The cost: 90,000 steps of 16 images of 800 pixels, 1.44 million of them.

    The release starts from Caffe's ImageNet weights, which torchvision has not: ours starts from torchvision's, reads RGB, and
    strides in the middle of a bottleneck. `--network maskrcnn_keypoint_rcnn_r50_fpn --no-pretrained --start FILE` is its own.

    Args:
        data: Folder of COCO 2017, as its archives unpack.
        network: Name of a detector with keypoints.
        pretrained: Start the backbone from ImageNet weights.
        iterations: Steps of 16 images.
        milestones: Steps after which the learning rate is divided by 10.
        rate: Learning rate for batches of 16.
        freeze: Number of frozen ResNet stages, the stem first; 2 in the release, the stem and stage 1.
        codec: Another codec in the boxes than one cell by cross-entropy, by the name of its class, such as `UDPGaussian`.
        codec_set: Fields of the codec, such as `weight=6000`.
        detecting_set: Fields of the detector's configuration, such as `learning.copies=2` (APDI as we read it),
            `learning.truth=false` or
            `weights.keypoints=0.5`.
        rotation: Largest rotation of a view, degrees; 0 in the release.
        turn: Probability of a further rotation by 180 degrees.
        crop: Probability of a random crop of the image.
        mosaic: Probability of four images in one view.
        drop: Drop information from views (AID).
        empty: Train on images without people too, and on those whose people have no labelled keypoints; the releases leave
            them out.

    Raises:
        ReadError: The folder lacks images or annotations.
        InputError: The network is no whole detector with keypoints, or has no such stages; or a number that cannot be.
        UnknownName: There is no such network or codec.
    """
    check2017(data)
    model = require_keypoint_detector(build(network, pretrained=pretrained, codec=codec))
    views = DetectorAugmentation(rotation=rotation, turn=turn, crop=crop, mosaic=mosaic)
    usual = (network, iterations, milestones, rate, freeze) == (NETWORK, ITERATIONS, MILESTONES, RATE, FREEZE)
    other = codec or codec_set or detecting_set or drop or empty
    published = usual and pretrained and not other and views == DetectorAugmentation()
    return detector_on_coco(
        "keypoint_rcnn",
        model,
        data,
        dropped(as_large(views, model.preprocess), drop),
        iterations=iterations,
        milestones=milestones,
        rate=rate,
        still=still(model, freeze),
        codec_set=codec_set,
        detecting_set=detecting_set,
        empty=empty,
        expected={BOX_AP: 0.537, KEYPOINT_AP: 0.643} if published else None,
    )


def keypoint_rcnn_hrnet(
    *,
    data: Path,
    width: Literal[18, 32, 40, 48] = 32,
    pretrained: bool = True,
    iterations: int = ITERATIONS,
    milestones: tuple[int, ...] = MILESTONES,
    rate: float = RATE,
    sides: tuple[int, ...] = (800,),
    codec: str | None = None,
    codec_set: list[str] | None = None,
    detecting_set: list[str] | None = None,
    rotation: float = 0.0,
    turn: float = 0.0,
    crop: float = 0.0,
    mosaic: float = 0.0,
    drop: Dropping | None = None,
    empty: bool = False,
) -> Recipe:
    """Keypoint R-CNN on HRNet with HRFPN, trained as HRNet's release trains its detectors.

    For example:

        poise train keypoint_rcnn_hrnet --data coco --devices 8 --out runs/keypoint-rcnn-hrnet

    No score is published for its keypoints. The release's Faster R-CNN is with W32 at box AP 0.396 over COCO's 80 classes (1x;
    0.409 in 180,000 steps). A practitioner's runs with HRNet were at box AP 0.284 and keypoint AP 0.466, later ones on equal
    terms at 0.295 and 0.343, and with Gaussians 3000 times weighted at 0.289 and 0.390. The cost: 90,000 steps of 16 images of
    800 pixels, eight GPUs.

    Args:
        data: Folder of COCO 2017, as its archives unpack.
        width: Channels of HRNet's finest branch: 18, 32, 40 or 48 in the release. Others are built by name, by --network of
            keypoint_rcnn.
        pretrained: Start the backbone from ImageNet weights.
        iterations: Steps of 16 images; the release has 180,000 (2x) too.
        milestones: Steps after which the learning rate is divided by 10; 150,000 and 170,000 in 2x.
        rate: Learning rate for batches of 16.
        sides: Short sides of views, pixels; one is drawn for each view.
        codec: Another codec in the boxes than one cell by cross-entropy, by the name of its class.
        codec_set: Fields of the codec, such as `weight=6000`.
        detecting_set: Fields of the detector's configuration, such as `learning.copies=2` (APDI as we read it).
        rotation: Largest rotation of a view, degrees; 0 in the release.
        turn: Probability of a further rotation by 180 degrees.
        crop: Probability of a random crop of the image.
        mosaic: Probability of four images in one view.
        drop: Drop information from views (AID).
        empty: Train on images without people too, and on those whose people have no labelled keypoints; the releases leave
            them out.

    Raises:
        ReadError: The folder lacks images or annotations.
        InputError: A number that cannot be.
        UnknownName: There is no such codec.
    """
    check2017(data)
    model = require_keypoint_detector(build(f"keypoint_rcnn_hrnet_w{width}_hrfpn", pretrained=pretrained, codec=codec))
    views = DetectorAugmentation(sides=sides, rotation=rotation, turn=turn, crop=crop, mosaic=mosaic)
    return detector_on_coco(
        "keypoint_rcnn_hrnet",
        model,
        data,
        dropped(views, drop),
        iterations=iterations,
        milestones=milestones,
        rate=rate,
        still=(),
        codec_set=codec_set,
        detecting_set=detecting_set,
        empty=empty,
    )


def keypoint_fcos(
    *,
    data: Path,
    network: str = "keypoint_fcos_r50_fpn",
    pretrained: bool = True,
    iterations: int = ITERATIONS,
    milestones: tuple[int, ...] = MILESTONES,
    rate: float = FCOS_RATE,
    freeze: int = FREEZE,
    codec: str | None = None,
    codec_set: list[str] | None = None,
    detecting_set: list[str] | None = None,
    rotation: float = 0.0,
    turn: float = 0.0,
    crop: float = 0.0,
    mosaic: float = 0.0,
    drop: Dropping | None = None,
    empty: bool = False,
) -> Recipe:
    """A one-stage detector with keypoints in CenterMask2's manner: FCOS's boxes, and keypoints by a branch with attention.

    For example:

        poise train keypoint_fcos --data coco --devices 8 --out runs/keypoint-fcos
        poise train keypoint_fcos --data coco --network keypoint_fcos_hrnet_w32_hrfpn --freeze 0 --out runs/fcos-hrnet

    No score is published for its keypoints; CenterMask's paper has masks (ResNet-50: mask AP 0.329, box AP 0.376 in 12 epochs)
    and a practitioner wanted its keypoints without a figure. The cost: 90,000 steps of 16 images of 800 pixels, eight GPUs.

    Args:
        data: Folder of COCO 2017, as its archives unpack.
        network: Name of a detector, `keypoint_fcos_TRUNK`.
        pretrained: Start the backbone from ImageNet weights.
        iterations: Steps of 16 images.
        milestones: Steps after which the learning rate is divided by 10.
        rate: Learning rate for batches of 16.
        freeze: Number of frozen ResNet stages, the stem first; 0 for other backbones.
        codec: Another codec in the boxes than one cell by cross-entropy, by the name of its class.
        codec_set: Fields of the codec, such as `weight=6000`.
        detecting_set: Fields of the detector's configuration, such as `nms=0.5` or `weights.keypoints=0.5`.
        rotation: Largest rotation of a view, degrees.
        turn: Probability of a further rotation by 180 degrees.
        crop: Probability of a random crop of the image.
        mosaic: Probability of four images in one view.
        drop: Drop information from views (AID).
        empty: Train on images without people too, and on those whose people have no labelled keypoints.

    Raises:
        ReadError: The folder lacks images or annotations.
        InputError: The network is no whole detector with keypoints, or has no such stages; or a number that cannot be.
        UnknownName: There is no such network or codec.
    """
    made = keypoint_rcnn(
        data=data,
        network=network,
        pretrained=pretrained,
        iterations=iterations,
        milestones=milestones,
        rate=rate,
        freeze=freeze,
        codec=codec,
        codec_set=codec_set,
        detecting_set=detecting_set,
        rotation=rotation,
        turn=turn,
        crop=crop,
        mosaic=mosaic,
        drop=drop,
        empty=empty,
    )
    return replace(made, name="keypoint_fcos")


def still(model: TrainableModel, stages: int) -> tuple[str, ...]:
    """Names of the first parts of a ResNet, its stem first, which are frozen.

    Raises:
        InputError: The backbone has no such stages.
    """
    if not 0 <= stages <= len(RESNET_STILL):
        raise InputError(f"0 to {len(RESNET_STILL)} stages of a backbone can be frozen, its stem first; not {stages}")
    names = tuple(name for stage in RESNET_STILL[:stages] for name in stage)
    parts = dict(model.network.named_modules())
    missing = [name for name in names if name not in parts]
    if missing:
        raise InputError(
            f"the backbone of {model.card.name!r} is no ResNet, it has no {', '.join(missing)}; give --freeze 0, and "
            "all of it is trained"
        )
    return names


def detector_on_coco(
    name: str,
    model: TrainableModel,
    data: Path,
    views: DetectorAugmentation,
    *,
    iterations: int,
    milestones: tuple[int, ...],
    rate: float,
    still: tuple[str, ...],
    codec_set: list[str] | None,
    detecting_set: list[str] | None,
    empty: bool,
    expected: dict[str, float] | None = None,
    best: str = "AP",
) -> Recipe:
    """SGD with momentum over so many steps, converted to epochs, on images with people, or on all."""
    check_count("--iterations", iterations)
    check_count("each of --milestones", min(milestones, default=1))
    set_words(require_box_finder(model), codec=codec_set or (), config=detecting_set or ())
    train, val = keypoints2017(data, "train2017"), keypoints2017(data, "val2017")
    images = len(train) if empty else len({image for image, _ in train.people()})
    epochs = max(1, round(iterations * BATCH / max(1, images)))
    return Recipe(
        name=name,
        model=model,
        train=train,
        val=val,
        epochs=epochs,
        batch=BATCH,
        augmentation=views,
        optimizer=Optimizer("sgd", rate=rate, decay=1e-4, bias=2.0),
        schedule=Schedule(
            "steps",
            milestones=tuple(epochs * step / iterations for step in milestones),
            warmup_steps=500,
            warmup_start=1 / 3,
        ),
        best=best,
        still=still,
        empty=empty,
        expected=expected or {},
        notes="2 images on each of 8 GPUs in the releases",
    )
