"""DARK (Zhang, Zhu, Dai, Ye, Zhu; CVPR 2020; arXiv 1910.06278): unrounded Gaussians and a Taylor step, for known networks."""

from poise.codecs.base import InstanceCodec
from poise.codecs.dark import Dark
from poise.codecs.maps import usual_sigma
from poise.models.top_down import TopDown
from poise.structures import Preprocess
from poise.weights.release import Release
from poise.zoo.assemble import STRIDE, heatmap_preprocess, preprocess_for, requested_codec
from poise.zoo.family import DATA, BuildRequest, Family
from poise.zoo.hourglass import KEYS, hourglass
from poise.zoo.hrnet import hrnet
from poise.zoo.imagenet import refuse_pretrained
from poise.zoo.official_files import official
from poise.zoo.simple_baselines import poseresnet

PAGE = "https://github.com/ilovepose/DarkPose"
LICENCE = (
    "none named by the release, its code is HRNet's (MIT); the weights come from ImageNet and COCO or MPII images, whose own "
    "terms hold (MPII: non-commercial research)"
)


def dark_codec(request: BuildRequest) -> Dark:
    """The release's codec for a name; sigmas and blurs are those of its configuration files."""
    size = request.size
    small = min(size) < 160
    wide = small and request.parts["stacks"] == "8"
    narrow = small and not request.parts["stacks"] and request.parts["width"] != "48"
    return Dark(
        size=size,
        cells=(size[0] // STRIDE, size[1] // STRIDE),
        keypoints=len(request.keypoints),
        sigma=2.0 if wide else usual_sigma(size),
        kernel=3 if narrow else 11,
    )


def build(request: BuildRequest) -> TopDown:
    """The model of a name such as `darkpose_hrnet_w32_coco_128x96`; HRNet takes RGB, the other networks BGR."""
    codec = requested_codec(request) or dark_codec(request)
    preprocess = preprocess_for(codec, heatmap_preprocess("rgb" if request.parts["width"] else "bgr"))
    if request.parts["stacks"]:
        return _hourglass(request, codec, preprocess)
    if request.parts["depth"]:
        return poseresnet(
            int(request.parts["depth"]),
            skeleton=request.keypoints,
            size=request.size,
            codec=codec,
            preprocess=preprocess,
            pretrained=request.pretrained,
            name=request.name,
        )
    return hrnet(
        int(request.parts["width"]),
        skeleton=request.keypoints,
        size=request.size,
        codec=codec,
        preprocess=preprocess,
        pretrained=request.pretrained,
        name=request.name,
    )


def _hourglass(request: BuildRequest, codec: InstanceCodec, preprocess: Preprocess) -> TopDown:
    refuse_pretrained(request.pretrained, "stacked hourglasses")
    stacks = int(request.parts["stacks"])
    return hourglass(
        stacks, skeleton=request.keypoints, size=request.size, codec=codec, preprocess=preprocess, name=request.name
    )


def _release(network: str, data: str, shape: str, **scores: float) -> Release:
    names = {"AP": "coco-val2017/AP", "half": "mpii-val/PCKh@0.5", "tenth": "mpii-val/PCKh@0.1"}
    found = {names[key]: value for key, value in scores.items()}
    return Release(f"darkpose_{network}_{data}_{shape}", page=PAGE, licence=LICENCE, scores=found)


FAMILY = Family(
    paper="DARK (arXiv 1910.06278)",
    form="darkpose_{hrnet_{w32,w48},hourglass{4,8},poseresnet_{50,101,152}}_{coco,mpii,SKELETON}_HEIGHTxWIDTH",
    pattern=(
        r"darkpose_(?:hrnet_w(?P<width>\d+)|hourglass(?P<stacks>\d+)|poseresnet_(?P<depth>\d+))"
        rf"_{DATA}_(?P<size>\d+x\d+)"
    ),
    build=build,
    networks={},
    # README of the release: AP on COCO val2017 with boxes of a detector of person AP 56.4; PCKh on MPII val. Flip test.
    releases=(
        _release("hourglass4", "coco", "128x96", AP=0.696),
        _release("hourglass8", "coco", "128x96", AP=0.708),
        _release("poseresnet_50", "coco", "128x96", AP=0.626),
        _release("poseresnet_101", "coco", "128x96", AP=0.632),
        _release("poseresnet_152", "coco", "128x96", AP=0.631),
        _release("hrnet_w32", "coco", "128x96", AP=0.707),
        _release("hrnet_w32", "coco", "256x192", AP=0.756),
        _release("hrnet_w32", "coco", "384x288", AP=0.766),
        _release("hrnet_w48", "coco", "128x96", AP=0.719),
        _release("hrnet_w48", "coco", "384x288", AP=0.768),
        _release("hrnet_w32", "mpii", "256x256", half=0.906, tenth=0.420),
        *official("darkpose_"),
    ),
    keys=(
        ("deconv_layers.", "head.layers."),
        *((f"final_layer.{kind}", f"head.final.{kind}") for kind in ("weight", "bias")),
        *KEYS,
        ("", "backbone."),
    ),
)
