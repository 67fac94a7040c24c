"""One rule for views of every kind: where nobody knows what a mirror exchanges, nothing is mirrored."""

import pytest
import torch

from poise.scenes import Canvas
from poise.skeletons import Skeleton
from poise.structures import Key, Labels, Preprocess, Sample
from poise.transforms.detector_crop import DetectorCrop
from poise.transforms.detector_jitter import DetectorAugmentation
from poise.transforms.jitter import Augmentation
from poise.transforms.person_crop import PersonCrop
from poise.transforms.scene_crop import SceneCrop
from poise.transforms.scene_jitter import SceneAugmentation

NUMBERED = Skeleton("numbered", ("hip1", "hip2"), sigmas=(0.1, 0.1))
KNOWN = NUMBERED.with_mirror((("hip1", "hip2"),))


def sample() -> Sample:
    """Two hips beside each other, in the right half of an image."""
    labels = Labels.of(torch.tensor([[[60.0, 40.0], [80.0, 40.0]]]), torch.full((1, 2), 2), torch.tensor([[50.0, 10, 95, 70]]))
    return Sample(torch.zeros(3, 80, 100, dtype=torch.uint8), labels, Key("hips"))


def crops(skeleton: Skeleton) -> list:
    plain = {"scale_range": (1.0, 1.0), "rotation": 0.0, "stretch": 0.0, "translation": 0.0, "shake_probability": 0.0}
    scenes = SceneAugmentation(flip=1.0, min_area=0.0, scale_of="view", **plain)
    person = PersonCrop((64, 64), Preprocess(), skeleton, Augmentation(flip=1.0, scale=0.0, rotation=0.0))
    repeated = PersonCrop((64, 64), Preprocess(), skeleton, Augmentation(scale=0.0, rotation=0.0, repeat=("flip",)))
    detector = DetectorCrop(Canvas(side=64, fit="short", most=128), skeleton, DetectorAugmentation(sides=(64,), flip=1.0))
    mosaic = detector.mosaic
    return [
        lambda chance: person(sample(), 0, chance),
        lambda chance: repeated(sample(), 0, chance, repeat_mode="flip"),
        lambda chance: SceneCrop((64, 64), Canvas(side=64), skeleton, scenes)(sample(), chance),
        lambda chance: detector(sample(), chance),
        lambda chance: mosaic([sample()] * 4, (0.5, 0.5), chance),
    ]


@pytest.mark.parametrize("kind", range(5), ids=["person", "repeated person", "scene", "detector", "mosaic"])
def test_a_view_is_mirrored_only_where_pairs_are_known(kind):
    found = {}
    for skeleton in (NUMBERED, KNOWN):
        view = crops(skeleton)[kind](torch.Generator().manual_seed(0))
        xy = (view.labels.xy if hasattr(view.labels, "xy") else view.xy)[0]
        determinant = float(torch.linalg.det(view.warp[:2, :2]))
        found[skeleton] = determinant
        assert xy[0, 0] < xy[1, 0], "the first hip stays on the left: in a mirrored view the two are exchanged"
    assert found[NUMBERED] > 0 > found[KNOWN]
