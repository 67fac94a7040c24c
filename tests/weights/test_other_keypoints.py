import pytest
import torch

from poise.errors import InputError, SkeletonMismatch
from poise.models.adapted import add_adaptation, is_adapted
from poise.skeletons import COCO17, QUADRUPED
from poise.skeletons.mapping import KeypointMap
from poise.weights.model_file import check_kept
from poise.weights.other_keypoints import with_keypoints
from poise.zoo import build

ALIKE = KeypointMap(analogies=True)


@pytest.mark.parametrize(
    ("name", "codec"),
    [("poise_t_coco_64x64", None), ("poise_t_coco_64x64", "SimCC"), ("poise_t_coco_64x64", "UDPOffset"),
     ("hourglass_2stack_b1_17j_64x64", None), ("cpn_50_coco_64x64", None), ("mspn_1stg_coco_64x64", None)],
)  # fmt: skip
def test_any_top_down_model_of_people_becomes_one_of_animals(name, codec):
    torch.manual_seed(0)
    start = build(name, codec=codec)
    model, carried = with_keypoints(start, QUADRUPED, mapping=ALIKE)
    assert carried.renamed["left_front_paw"] == "left_wrist"
    assert model.codec.keypoints == len(QUADRUPED)
    check_kept(model)
    view = torch.randn(2, 3, 64, 64)
    was, now = start.eval().outputs(view)[0], model.eval().outputs(view)[0]  # later ones read the first one
    width = start.codec.channels // 17
    old, new = COCO17.index("left_wrist") * width, QUADRUPED.index("left_front_paw") * width
    torch.testing.assert_close(now[:, new : new + width], was[:, old : old + width], rtol=1e-3, atol=1e-4)


def test_the_domain_adaptation_layer_comes_along():
    start = build("poise_t_coco_64x64")
    add_adaptation(start)
    assert is_adapted(with_keypoints(start, QUADRUPED, mapping=ALIKE)[0])


def test_a_model_of_these_keypoints_stays_itself():
    start = build("poise_t_coco_64x64")
    assert with_keypoints(start, COCO17) == (start, None)
    with pytest.raises(SkeletonMismatch, match="no further keypoint"):
        with_keypoints(start, COCO17, mapping=ALIKE)


def test_other_kinds_of_models_are_refused():
    with pytest.raises(InputError, match="take a top-down model"):
        with_keypoints(build("poise_scene_t_coco_64x64"), QUADRUPED, mapping=ALIKE)
