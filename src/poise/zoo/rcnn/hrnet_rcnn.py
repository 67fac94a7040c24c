"""Detectors on HRNet (arXiv 1908.07919, section 4: HRNetV2p), as HRNet-MaskRCNN-Benchmark has them, and with keypoints."""

from poise.weights.release import Release
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

BOX_AP = {
    18: (0.360, 0.384),
    32: (0.396, 0.409, 0.414, 0.416),
    40: (0.404, 0.414),
    48: (0.413, 0.418),
}
"""Box AP of the release's Faster R-CNNs over COCO's 80 classes, by width: after its schedules 1x, 2x, 3x, 4x."""

RELEASES = tuple(
    Release(
        f"maskrcnn_hr_faster_rcnn_hrnet_w{width}_hrfpn",
        page=PAGE,
        licence="MIT (code)",
        scores={f"coco-val2017/box AP {times}x": ap for times, ap in enumerate(found, start=1)},
    )
    for width, found in BOX_AP.items()
)
"""Published detectors of boxes alone."""

FAMILY = Family(
    paper="detectors on HRNet (arXiv 1908.07919) and their backbones",
    form=(
        "[maskrcnn_]{keypoint_rcnn,faster_rcnn,mask_rcnn,rpn}_hrnet_w{18,32,40,48}[_{hrfpn,hrfpn_max,fpn,plain}][_HEIGHTxWIDTH]"
    ),
    pattern=detector_pattern(BACKBONE),
    build=build,
    networks={},
    releases=RELEASES,
    keys=keys((("neck.reduction_conv.0.", "neck.join."), ("neck.fpn_conv.", "neck.output."), *PYRAMID)),
    order=heads_order,
    duplicates=duplicates,
)
