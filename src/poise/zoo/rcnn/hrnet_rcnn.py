"""Detectors on HRNet (arXiv 1908.07919, section 4: HRNetV2p), as HRNet-MaskRCNN-Benchmark has them, and with keypoints."""

from poise.zoo.family import Family
from poise.zoo.rcnn.backbones import PYRAMID_WORDS
from poise.zoo.rcnn.keypoint_rcnn import build
from poise.zoo.rcnn.keys import PYRAMID, duplicates, heads_order, keys
from poise.zoo.rcnn.name_grammar import detector_pattern

PAGE = "https://github.com/HRNet/HRNet-MaskRCNN-Benchmark"

BACKBONE = rf"hrnet(?:v2p?)?_?w\d+(?:_(?:fpn|hrfpn|plain))?(?:_(?:avg|average|max)(?:pool)?)?{PYRAMID_WORDS}"
"""HRNets with their necks, in names: HRFPN, which shrinks by averages or maxima; FPN; "plain" for the finest branch alone.

Without a neck it is HRFPN in the release's detectors and in HRNetV2p, else plain.
"""

FAMILY = Family(
    paper="detectors on HRNet (arXiv 1908.07919) and their backbones",
    form=(
        "[maskrcnn_]{keypoint_rcnn,faster_rcnn,mask_rcnn,rpn}_hrnet_w{18,32,40,48}[_{hrfpn,hrfpn_max,fpn,plain}][_HEIGHTxWIDTH]"
    ),
    pattern=detector_pattern(BACKBONE),
    build=build,
    networks={},
    keys=keys((("neck.reduction_conv.0.", "neck.join."), ("neck.fpn_conv.", "neck.output."), *PYRAMID)),
    order=heads_order,
    duplicates=duplicates,
)
