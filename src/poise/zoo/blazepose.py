"""BlazePose as MediaPipe publishes it (arXiv 2006.10204): the detector, and landmark networks lite, full and heavy.

`blazepose_full` is a model with its detector, which finds and aligns everybody in a photograph; `blazepose_landmark_full` and
`blazepose_detector` are the two networks by themselves, each with one official file.
"""

from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor, nn

from poise.codecs.blaze_landmarks import BlazeLandmarks
from poise.errors import CheckpointError, InputError, unknown
from poise.models.base import Model
from poise.models.blaze_detector import BlazeDetector
from poise.models.blazepose import BlazePose, BlazePreprocess
from poise.models.card import Card
from poise.nn.blaze.detector import DetectorNet
from poise.nn.blaze.landmark import LANDMARKS, SIDE, SIZES, LandmarkNet
from poise.skeletons import Skeleton
from poise.skeletons.blazepose import BLAZEPOSE33, BLAZEPOSE39
from poise.structures import Architecture, Normalization
from poise.weights.release import Member, Release
from poise.zoo.family import BuildRequest, Family
from poise.zoo.imagenet import refuse_pretrained

PAGE = "https://ai.google.dev/edge/mediapipe/solutions/vision/pose_landmarker"
FOLDER = "https://storage.googleapis.com/mediapipe-assets/"
LICENCE = "Apache-2.0 (code and weights of MediaPipe)"
HALF = (0.5, 0.5, 0.5)

PACKAGE = "mediapipe==0.10.21"
"""The version of MediaPipe's Python package that holds the detector and `full`."""

WHEEL = ("--python-version", "3.11", "--platform", "manylinux_2_28_x86_64")
WHEEL_SHA256 = "05dc4a9e593655a79558d05d6227d31018c2537a4bd3362b51e230cf22aecfe3"
"""One of its wheels, and the checksum of it; the files are the same in all of them."""


def landmark_network(variant: str, landmarks: int = LANDMARKS, detector: bool = False) -> LandmarkNet:
    """A landmark network with random weights.

    Args:
        variant: "lite", "full" or "heavy".
        landmarks: How many landmarks it finds.
        detector: Whether a detector stands beside it.

    Raises:
        UnknownName: Another variant.
    """
    if variant not in SIZES:
        raise unknown("variant of BlazePose", variant, SIZES)
    return LandmarkNet(SIZES[variant], landmarks, detector=DetectorNet() if detector else None)


def detector_network() -> DetectorNet:
    """The detector's network with random weights."""
    return DetectorNet()


def blazepose(
    variant: str = "full",
    *,
    skeleton: Skeleton = BLAZEPOSE33,
    detector: bool = True,
    codec: BlazeLandmarks | None = None,
    name: str | None = None,
) -> BlazePose:
    """A BlazePose with random weights.

    Args:
        variant: "lite", "full" or "heavy".
        skeleton: The keypoints; of `blazepose33` the network has the release's 39 landmarks, of others its own.
        detector: Whether the official detector finds and aligns people.
        codec: How the network's numbers are read and learnt; the release's reading by default.
        name: Name of the model.

    Raises:
        UnknownName: Another variant.
        InputError: A codec for other keypoints.
    """
    landmarks = LANDMARKS if skeleton in (BLAZEPOSE33, BLAZEPOSE39) else len(skeleton)
    values = {"variant": variant, "landmarks": landmarks, "detector": detector}
    network = landmark_network(variant, landmarks, detector)
    codec = codec or BlazeLandmarks((SIDE, SIDE), (SIDE // 4, SIDE // 4), len(skeleton))
    preprocess = BlazePreprocess(crop="mspn", mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), flip_test=False)
    card = Card(name or f"blazepose_{variant}", Architecture("blazepose:landmark_network", values), "of whoever trains it")
    return BlazePose(network, codec, preprocess, skeleton, card)


def blaze_detector(name: str = "blazepose_detector") -> BlazeDetector:
    """The detector with random weights.

    Args:
        name: Name of the model.
    """
    card = Card(name, Architecture("blazepose:detector_network", {}), "of whoever trains it")
    return BlazeDetector(detector_network(), Normalization(mean=HALF, std=HALF), card)


def build(request: BuildRequest) -> Model:
    """The model of a name such as `blazepose_full`, `blazepose_landmark_full` or `blazepose_detector`."""
    refuse_pretrained(request.pretrained, "BlazePose")
    if request.codec not in (None, "BlazeLandmarks"):
        raise InputError(
            f"{request.name} gives numbers and heatmaps that BlazeLandmarks alone reads; leave out the codec {request.codec!r}"
        )
    if request.parts["detector"]:
        return blaze_detector(request.name)
    return blazepose(
        request.parts["variant"],
        skeleton=request.skeleton or BLAZEPOSE33,
        detector=not request.parts["alone"],
        name=request.name,
    )


def numbered(model: Model, weights: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """The weights of a `.tflite` (`weights.tflite_file`) under our names; others as they are.

    Args:
        model: Says which convolution comes when.
        weights: By number of the convolution.

    Raises:
        CheckpointError: The file has another number of convolutions.
    """
    if "000.weight" not in weights:
        return weights
    network = model.network
    if getattr(network, "detector", None) is not None:
        raise CheckpointError(
            f"{model.card.name!r} is two official files, of its detector and of its landmarks: get both with "
            f"`poise get {model.card.name}`; a single one is blazepose_detector or a blazepose_landmark_..."
        )
    layers = network.release_order()
    if 2 * len(layers) != len(weights):
        raise CheckpointError(
            f"the file has {len(weights) // 2} convolutions and {model.card.name!r} has {len(layers)}; {_likely(weights)}"
        )
    names = {layer: name for name, layer in network.named_modules()}
    return {
        f"{names[layer]}.{part}": weights[f"{i:03}.{part}"] for i, layer in enumerate(layers) for part in ("weight", "bias")
    }


def _likely(weights: Mapping[str, Tensor]) -> str:
    """Which official file it is, by the number of its convolutions."""
    known = {73: "detector", 88: "landmark_lite", 96: "landmark_full", 198: "landmark_heavy"}
    found = known.get(len(weights) // 2)
    return f"by that it is one of 'blazepose_{found}'" if found else "it is none of the files that are known here"


def joined(name: str, landmarks: nn.Module, detector: nn.Module) -> BlazePose:
    """The model with its detector, out of the two networks by themselves.

    Args:
        name: Such as `blazepose_full`.
        landmarks: Of `blazepose_landmark_full`.
        detector: Of `blazepose_detector`.
    """
    match = FAMILY.match(name) or {}
    model = blazepose(match["variant"], name=name)
    state = landmarks.state_dict() | {f"detector.{key}": value for key, value in detector.state_dict().items()}
    model.network.load_state_dict(state)
    model.preprocess = replace(model.preprocess, passes=2)
    model.card = replace(model.card, licence=LICENCE, notes="MediaPipe's detector and landmark network")
    return model.eval()


def _file(name: str, sha256: str, *, folder: str, packed: bool) -> Release:
    file = {"blazepose_detector": "pose_detection"}.get(name, name.replace("blaze", "")) + ".tflite"
    member = Member(PACKAGE, f"mediapipe/modules/{folder}/{file}", WHEEL, WHEEL_SHA256) if packed else None
    url = FOLDER + file
    return Release(name, file=file, page=PAGE, folder=FOLDER, url=url, sha256=sha256, licence=LICENCE, member=member)


FILES = (
    _file(
        "blazepose_detector", "9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c", folder="pose_detection",
        packed=True,
    ),
    _file(
        "blazepose_landmark_lite", "f17bfbecadb61c3be1baa8b8d851cc6619c870a87167b32848ad20db306b9d61", folder="pose_landmark",
        packed=False,
    ),
    _file(
        "blazepose_landmark_full", "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f", folder="pose_landmark",
        packed=True,
    ),
    _file(
        "blazepose_landmark_heavy", "59e42d71bcd44cbdbabc419f0ff76686595fd265419566bd4009ef703ea8e1fe", folder="pose_landmark",
        packed=False,
    ),
)  # fmt: skip
"""Each official file, and the network that it is."""

FAMILY = Family(
    paper="BlazePose (arXiv 2006.10204), as MediaPipe publishes it",
    form="blazepose_{lite,full,heavy}, blazepose_landmark_{lite,full,heavy}, blazepose_detector",
    pattern=r"blazepose_(?:(?P<detector>detector)|(?P<alone>landmark_)?(?P<variant>lite|full|heavy))",
    build=build,
    networks={"landmark_network": landmark_network, "detector_network": detector_network},
    releases=(
        *(Release(f"blazepose_{variant}", page=PAGE, licence=LICENCE) for variant in SIZES),
        *FILES,
    ),
    keys=(("", ""),),
    rename=numbered,
)
