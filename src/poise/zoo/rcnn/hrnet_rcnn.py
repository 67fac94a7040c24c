"""Detectors on HRNet (arXiv 1908.07919, section 4: HRNetV2p), as HRNet-MaskRCNN-Benchmark has them, and with keypoints."""

from poise.zoo.family import Family
from poise.zoo.rcnn.keypoint_rcnn import build, forms
from poise.zoo.rcnn.keys import heads_order, keys, twice

PAGE = "https://github.com/HRNet/HRNet-MaskRCNN-Benchmark"

TRUNK = r"hrnet(?:v2p?)?_?w\d+(?:_(?:fpn|hrfpn|plain))?(?:_(?:avg|average|max)(?:pool)?)?"
"""HRFPN shrinks by averages or maxima; FPN adds from branch to branch; of a plain one the finest branch is read alone. Without
either word it is HRFPN in the release's detectors and in HRNetV2p, else plain."""

FAMILY = Family(
    paper="detectors on HRNet (arXiv 1908.07919) and their trunks",
    form=(
        "[maskrcnn_]{keypoint_rcnn,faster_rcnn,mask_rcnn,rpn}_hrnet_w{18,32,40,48}[_{hrfpn,hrfpn_max,fpn,plain}][_HEIGHTxWIDTH]"
    ),
    pattern=forms(TRUNK),
    build=build,
    networks={},
    keys=keys((("neck.reduction_conv.0.", "neck.join."), ("neck.fpn_conv.", "neck.output."))),
    order=heads_order,
    twice=twice,
)
