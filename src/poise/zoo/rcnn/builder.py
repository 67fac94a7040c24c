"""Builders of two-stage detectors from typed arguments: `keypoint_rcnn` and `faster_rcnn`.

The names of releases (`name_grammar.py`) are read into arguments of these.
"""

from dataclasses import asdict
from typing import cast, get_args

from poise.codecs.base import InstanceCodec
from poise.codecs.roi import RoICodec
from poise.dims import Size
from poise.errors import InputError
from poise.models.box_detector import BoxDetector
from poise.models.card import Card
from poise.models.keypoint_rcnn import KeypointRCNN
from poise.models.rcnn_config import RCNNConfig
from poise.nn.frozen import Norm
from poise.nn.heads.roi import MAP_CELLS
from poise.nn.necks.base import BackboneWithNeck
from poise.nn.necks.hrfpn import Pooling
from poise.nn.rcnn import RCNN
from poise.skeletons import COCO17, Skeleton
from poise.structures import Architecture
from poise.zoo.rcnn.backbones import BackboneSpec, Pyramid
from poise.zoo.rcnn.bodies import NeckName, load_imagenet
from poise.zoo.rcnn.heads import MIN_CLASSES, Heads, build_network
from poise.zoo.rcnn.presets import PRESETS, SIZE, assemble_keypoint_rcnn, canvas_for, config_for
from poise.zoo.rcnn.roi_codecs import adapted, roi_codec
from poise.zoo.rcnn.variants import VariantName, variant_of

COCO_CLASSES = 81
"""Classes of COCO with the background."""

COCO_CLASSES_WITH_GAPS = 91
"""Classes of COCO by its category ids, eleven of which are unused, with the background, as in torchvision."""


def keypoint_rcnn(
    backbone: str | BackboneSpec = "resnet50",
    *,
    neck: NeckName | None = None,
    hrfpn_pooling: Pooling | None = None,
    pyramid: Pyramid | None = None,
    variant: VariantName = "poise",
    norm: Norm | None = None,
    skeleton: Skeleton = COCO17,
    codec: str | InstanceCodec | RoICodec | None = None,
    maps: Size | None = None,
    classes: int = 2,
    masks: bool = False,
    shared_features: bool = False,
    convolutions: int = 8,
    width: int = 512,
    box_width: int = 1024,
    size: Size = SIZE,
    pretrained: bool = False,
    config: RCNNConfig | None = None,
    name: str | None = None,
) -> KeypointRCNN:
    """A Keypoint R-CNN (arXiv 1703.06870, section 5) with random weights: boxes of people, and keypoints in each.

    Args:
        backbone: `resnet50` (18, 34, 50, 101, 152), `resnext101_32x8d`, `hrnet_w32` (any width), `timm_NAME` for a backbone
            of timm, or a small one (`BackboneSpec.body`).
        neck: Neck on the backbone: "fpn"; for ResNets also "c4" and "c5", for HRNets "hrfpn" and "plain". By default
            HRFPN for HRNets and FPN for all others.
        hrfpn_pooling: Pooling by which an HRFPN shrinks its maps; "average" by default.
        pyramid: Options of an FPN: its channels, P3 to P7 in RetinaNet's two ways, norm and ReLU of its convolutions.
        variant: The code base whose anchors, proposals, strides, preprocessing and scores the detector has: "maskrcnn",
            "hrnet", "torchvision", "detectron2", or ours.
        norm: Batch norms of the backbone, if other than the variant's.
        skeleton: The keypoints.
        codec: Codec of the keypoint head: the class of a codec (`UDPGaussian`), a codec for views of one person, which is
            adapted to boxes with its `roi_weight`, or one for boxes. By default one cell by cross-entropy, as in the paper.
        maps: Cells of the keypoint head's maps (h, w), 4 or more a side; 56x56 by default. A codec that is given has its
            own.
        classes: Classes of the box head, with the background; people are class 1 (`RCNNConfig.person`).
        masks: Whether there is a mask head too.
        shared_features: Whether the keypoint head reads the features of the box head.
        convolutions: Number of convolutions of the keypoint head.
        width: Channels of these convolutions.
        box_width: Channels of the box head's fully connected layers.
        size: Length of the short side of images, and largest length of the long side, pixels.
        pretrained: Load ImageNet weights of torchvision or timm into the backbone.
        config: Configuration of post-processing and training; by default as the variant does.
        name: Name of the model; by default made of the variant and the backbone.

    Raises:
        UnknownName: There is no such backbone, variant or codec.
        InputError: Arguments that do not go together, or a number that cannot be.
        ReadError: The ImageNet weights cannot be had.
    """
    spec = _backbone(backbone, neck, hrfpn_pooling, pyramid)
    variant_of(variant)  # refused before anything is built
    _check_norm(norm)
    _check_size(size)
    _check_counts(classes=classes, convolutions=convolutions, width=width, box_width=box_width)
    head_codec = made_codec(codec, maps, skeleton, variant)
    heads = Heads(
        classes=classes,
        channels=head_codec.channels,
        cells=head_codec.cells,
        convolutions=convolutions,
        width=width,
        shared=shared_features,
        masks=masks,
        features=box_width,
    )
    network, architecture = rcnn_network(spec, variant, heads, norm=norm, pretrained=pretrained)
    preset = PRESETS[variant]
    return assemble_keypoint_rcnn(
        name or _name("keypoint_rcnn", spec, variant),
        architecture,
        network,
        codec=head_codec,
        canvas=canvas_for(preset, cast(BackboneWithNeck, network.backbone), size),
        skeleton=skeleton,
        config=config or config_for(preset, head_codec),
    )


def faster_rcnn(
    backbone: str | BackboneSpec = "resnet50",
    *,
    neck: NeckName | None = None,
    hrfpn_pooling: Pooling | None = None,
    pyramid: Pyramid | None = None,
    variant: VariantName = "poise",
    norm: Norm | None = None,
    classes: int | None = None,
    masks: bool = False,
    shared_features: bool = False,
    box_width: int = 1024,
    size: Size = SIZE,
    pretrained: bool = False,
    config: RCNNConfig | None = None,
    name: str | None = None,
) -> BoxDetector:
    """A Faster R-CNN (arXiv 1506.01497), or a Mask R-CNN whose boxes alone are read, with random weights.

    Args:
        backbone: `resnet50` (18, 34, 50, 101, 152), `resnext101_32x8d`, `hrnet_w32` (any width), or `timm_NAME`.
        neck: "fpn", "c4", "c5", "hrfpn" or "plain"; by default HRFPN for HRNets and FPN for all others.
        hrfpn_pooling: Pooling by which an HRFPN shrinks its maps; "average" by default.
        pyramid: Options of an FPN: its channels, P3 to P7 in RetinaNet's two ways, norm and ReLU of its convolutions.
        variant: The code base the detector follows: "maskrcnn", "hrnet", "torchvision", "detectron2", or ours.
        norm: Batch norms of the backbone, if other ones than the variant's.
        classes: Classes of the box head, with the background; by default COCO's, 81, or 91 as torchvision counts them.
            People are class 1 (`RCNNConfig.person`).
        masks: Whether there is a mask head.
        shared_features: Whether the mask head reads the features of the box head; that of the neck "c4" always does.
        box_width: Channels of the box head's fully connected layers.
        size: Length of the short side of images, and largest length of the long side, pixels.
        pretrained: Load ImageNet weights of torchvision or timm into the backbone.
        config: Configuration of post-processing; by default as the variant does.
        name: Name of the model; by default made of the variant and the backbone.

    Raises:
        UnknownName: There is no such backbone or variant.
        InputError: Arguments that do not go together, or a number that cannot be.
        ReadError: The ImageNet weights cannot be had.
    """
    spec = _backbone(backbone, neck, hrfpn_pooling, pyramid)
    variant_of(variant)
    _check_norm(norm)
    _check_size(size)
    many = coco_classes(variant) if classes is None else classes
    _check_counts(classes=many, box_width=box_width)
    heads = Heads(classes=many, channels=0, masks=masks, shared=shared_features, features=box_width)
    network, architecture = rcnn_network(spec, variant, heads, norm=norm, pretrained=pretrained)
    preset = PRESETS[variant]
    card = Card(
        name or _name("mask_rcnn" if masks else "faster_rcnn", spec, variant), architecture, licence="of whoever trains it"
    )
    canvas = canvas_for(preset, cast(BackboneWithNeck, network.backbone), size)
    return BoxDetector(network, canvas, card, config or config_for(preset, None))


def rcnn_network(
    backbone: BackboneSpec, variant: VariantName, heads: Heads, *, norm: Norm | None, pretrained: bool
) -> tuple[RCNN, Architecture]:
    """The network of a detector, and the architecture that a model file stores.

    Args:
        backbone: Backbone with its neck.
        variant: The code base.
        heads: Heads of the detector.
        norm: Batch norms of the backbone, if other than the variant's.
        pretrained: Load ImageNet weights into the backbone.

    Raises:
        InputError: Sizes that cannot be, features to share that there are not, or ImageNet weights that do not exist.
        ReadError: The ImageNet weights cannot be had.
    """
    network = build_network(backbone, variant_of(variant, norm), heads)
    if pretrained:
        load_imagenet(cast(BackboneWithNeck, network.backbone).body, backbone.body, variant)
    arguments = {"trunk": backbone.name, "variant": variant, "heads": asdict(heads), "norm": norm}
    return network, Architecture("keypoint_rcnn:network", arguments)


def coco_classes(variant: VariantName) -> int:
    """Number of COCO classes in a code base, with the background."""
    return COCO_CLASSES_WITH_GAPS if variant == "torchvision" else COCO_CLASSES


def _backbone(
    backbone: str | BackboneSpec, neck: NeckName | None, pooling: Pooling | None, pyramid: Pyramid | None
) -> BackboneSpec:
    if isinstance(backbone, str):
        return BackboneSpec.of(backbone, neck, pooling, pyramid)
    if (neck, pooling, pyramid) != (None, None, None):
        raise InputError(f"the backbone {backbone.name!r} says its neck already; leave out neck, hrfpn_pooling and pyramid")
    return backbone


def made_codec(
    codec: str | InstanceCodec | RoICodec | None, maps: Size | None, skeleton: Skeleton, variant: VariantName = "poise"
) -> RoICodec:
    """The codec of the keypoint head; one that is given says how many cells and keypoints it has.

    Args:
        codec: The class of a codec, a codec for views of one person or one for boxes; None for one cell by cross-entropy.
        maps: Cells of the maps (h, w).
        skeleton: The keypoints.
        variant: The code base, which says how one cell is scored.

    Raises:
        UnknownName: There is no such codec.
        InputError: Its maps or keypoints are others.
    """
    if codec is None or isinstance(codec, str):
        return roi_codec(codec, maps or MAP_CELLS, len(skeleton), score=PRESETS[variant].score)
    head_codec = adapted(codec) if isinstance(codec, InstanceCodec) else codec
    if maps is not None and maps != head_codec.cells:
        raise InputError(f"the codec has maps of {head_codec.cells} cells, and {maps} are asked for; leave out maps")
    if head_codec.keypoints != len(skeleton):
        raise InputError(
            f"the codec has {head_codec.keypoints} keypoints, and the skeleton {skeleton.name!r} has {len(skeleton)}; they "
            "must be the same"
        )
    return head_codec


def _name(detector: str, backbone: BackboneSpec, variant: VariantName) -> str:
    """The name of a model, spelled as releases spell theirs."""
    prefix = {"poise": "", "hrnet": "hrnet_maskrcnn_"}.get(variant, f"{variant}_")
    return f"{prefix}{detector}_{backbone.name}"


def _check_norm(norm: str | None) -> None:
    if norm is not None and norm not in get_args(Norm):
        raise InputError(f"norm is {' or '.join(get_args(Norm))}, or None for that of the variant; found {norm!r}")


def _check_size(size: Size) -> None:
    if len(size) != 2 or min(size) < 1:
        raise InputError(f"size is the pixels of the short side and of the long side at most, such as {SIZE}; found {size}")


def _check_counts(*, classes: int, box_width: int, convolutions: int = 1, width: int = 1) -> None:
    if classes < MIN_CLASSES:
        raise InputError(f"a box head has {MIN_CLASSES} classes or more, of which the background is one; found {classes}")
    for name, count in (("box_width", box_width), ("convolutions", convolutions), ("width", width)):
        if count < 1:
            raise InputError(f"{name} of a detector is at least 1, not {count}")
