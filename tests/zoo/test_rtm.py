"""RTMPose, DWPose's students and RTMW by name: what they build, whose files they are, what is read of them."""

import pytest
import torch

from poise import zoo
from poise.codecs.simcc import SimCC
from poise.errors import InputError, UnknownName
from poise.models.top_down import TopDown
from poise.nn.heads.heatmap import DeconvHead
from poise.skeletons import ANIMAL18
from poise.weights.model_file import load, save
from poise.weights.transfer import transfer
from poise.zoo.find import family_of, releases
from poise.zoo.importing import import_checkpoint, official_state


def built(name, **options):
    with torch.device("meta"):
        return zoo.build(name, **options)


NAMES = {
    "rtmpose_m": ("coco17", (256, 192)),
    "rtmpose_m_coco17_256x192": ("coco17", (256, 192)),
    "rtmpose_x_384x288": ("coco17", (384, 288)),
    "rtmpose_t_aic_coco": ("coco17", (256, 192)),
    "rtmpose_l_wholebody_384x288": ("wholebody133", (384, 288)),
    "rtmpose_s_halpe26": ("halpe26", (256, 192)),
    "rtmpose_m_face106_256x256": ("lapa106", (256, 256)),
    "rtmpose_m_face68": ("face68", (256, 256)),
    "rtmpose_m_wflw": ("wflw98", (256, 256)),
    "rtmpose_m_hand21": ("hand21", (256, 256)),
    "rtmpose_m_hand5": ("hand21", (256, 256)),
    "rtmpose_m_ap10k": ("ap10k17", (256, 256)),
    "rtmpose_m_mpii": ("mpii16", (256, 256)),
    "rtmpose_m_crowdpose": ("crowdpose14", (256, 192)),
    "rtmpose_s_quadruped39": ("superanimal_quadruped39", (256, 256)),
    "rtmpose_x_body7_384x288": ("coco17", (384, 288)),
    "dwpose_l_384x288": ("wholebody133", (384, 288)),
    "rtmw_l": ("wholebody133", (256, 192)),
    "rtmw_x_384x288": ("wholebody133", (384, 288)),
    "rtmw_s_halpe26_128x96": ("halpe26", (128, 96)),
}


@pytest.mark.parametrize(("name", "expected"), NAMES.items())
def test_a_name_says_size_keypoints_and_views_and_may_leave_the_last_two_out(name, expected):
    model = built(name)
    assert (model.skeleton.name, model.codec.size) == expected
    assert type(model) is TopDown
    assert model.codec.cells == tuple(side // 32 for side in expected[1])
    assert model.codec.sigmas in {(4.9, 5.66), (6.0, 6.93), (5.66, 5.66), (3.46, 4.0)}
    assert (model.codec.beta, model.codec.label_beta) == ((1.0 if name.startswith("rtmw") else 10.0), 10.0)


def test_the_face_counts_half_in_the_whole_bodys_loss_of_rtmw_alone():
    weights = built("rtmw_m").codec.joint_weights
    assert [weights.count(0.5), weights.count(1.0)] == [68, 65]
    assert set(weights[23:91]) == {0.5}
    assert built("rtmpose_m_wholebody").codec.joint_weights is None
    assert built("rtmw_m_face68").codec.joint_weights is None


def test_every_published_file_has_its_address_its_first_digits_and_its_terms():
    every = [r for r in releases().values() if r.name.startswith(("rtmpose_", "dwpose_", "rtmw_"))]
    rows = [row for row in every if row.file.endswith(".pth")]
    assert len(rows) == 53
    assert [row.file for row in every if row not in rows] == ["superanimal_quadruped_rtmpose_s.pt", "rtmpose-x_simcc-body7.pt"]
    without = [row.name for row in rows if row.sha256 is None]
    assert sorted(without) == ["rtmw_l", "rtmw_l_384x288", "rtmw_m"]  # their files' names hold none
    for row in rows:
        assert row.url.startswith("https://download.openmmlab.com/mmpose/v1/projects/rtm")
        assert row.url.endswith(f"/{row.file}")
        assert row.sha256 is None or f"-{row.sha256}" in row.file
        assert "Apache-2.0" in row.licence
        assert row.scores
        assert all(0 < score < 1 for score in row.scores.values())
        size = "x".join(map(str, built(row.name).codec.size))
        assert size in row.file
    assert releases()["rtmpose_m"].scores["coco-val2017/AP"] == 0.749
    assert releases()["rtmpose_m"].sha256 == "e48f03d0"


@pytest.mark.parametrize("name", ["rtmpose_t_coco_64x64", "rtmw_t_halpe26_64x64"])
def test_a_checkpoint_of_openmmlab_is_taken_under_its_own_names(name, tmp_path):
    state = official_state(zoo.build(name), name)
    found = import_checkpoint(name, {"meta": {"epoch": 420}, "state_dict": state, "message_hub": {}})
    assert "official checkpoint" in found.description
    again = official_state(load(save(found.model, tmp_path / "model.safetensors")), name)
    assert all(torch.equal(again[key], value) for key, value in state.items())


def test_a_file_of_deeplabcut_is_the_same_network_under_other_names_and_shows_the_box_alone():
    name = "rtmpose_s_quadruped39"
    own = official_state(zoo.build(name), name)
    given = {key.replace(".bn.", ".norm.").replace("head.", "heads.bodypart.", 1): value for key, value in own.items()}
    assert given.keys() != own.keys()
    found = import_checkpoint(name, {"model": given, "metadata": {"epoch": 200}}).model
    assert all(torch.equal(value, own[key]) for key, value in official_state(found, name).items())
    assert (found.preprocess.padding, zoo.build("rtmpose_t_coco_64x64").preprocess.padding) == (1.0, 1.25)


def test_a_network_answers_vectors_one_by_one_and_its_model_both_in_one():
    torch.manual_seed(0)
    model, views = zoo.build("rtmpose_t_coco_64x96").eval(), torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        x, y = model.network(views)
        assert torch.equal(model(views), torch.cat((x, y), dim=-1))
    assert (x.shape, y.shape) == ((2, 17, 192), (2, 17, 128))


def test_another_keypoint_type_than_bins_takes_maps_of_stride_4_from_the_same_backbone():
    model = built("rtmpose_s_coco_64x64", codec="Gaussian")
    assert isinstance(model.network.head, DeconvHead)
    assert model.codec.cells == (16, 16)
    with pytest.raises(InputError, match="for SimCC alone; Gaussian fits RTMPose"):
        built("rtmw_m", codec="Gaussian")


def test_strange_sizes_letters_and_keypoints_are_refused_in_one_sentence():
    with pytest.raises(InputError, match=r"RTMPose-m takes views .* multiples of 32, not 250x192"):
        built("rtmpose_m_250x192")
    with pytest.raises(UnknownName, match="rtmpose_"):
        built("rtmpose_q")
    with pytest.raises(UnknownName, match="no skeleton 'fingers'"):
        built("rtmpose_m_fingers")


def test_rows_of_kept_keypoints_are_copied_and_all_else_of_the_head_is_shared():
    torch.manual_seed(0)
    start, target = zoo.build("rtmpose_t_coco_64x64"), zoo.build("rtmpose_t_coco_64x64", skeleton=ANIMAL18)
    kept = transfer(start, target)
    assert "left_eye" in kept.kept
    old, new = start.network.head, target.network.head
    assert torch.equal(new.final.weight[ANIMAL18.keypoints.index("left_eye")], old.final.weight[1])
    assert torch.equal(new.bins.gau.uv.weight, old.bins.gau.uv.weight)
    assert not kept.layers


@pytest.mark.parametrize("name", ["rtmpose_t_coco_64x64", "rtmw_t_halpe26_64x64"])
def test_a_bar_of_views_gives_points_and_every_weight_learns(name):
    torch.manual_seed(0)
    model = zoo.build(name)
    images = torch.randn(2, 3, 64, 64)
    points = model.eval().predict(images, flip=True)
    assert points.xy.shape == (2, len(model.skeleton), 2)
    output = model.train().outputs(images)[0]
    xy = torch.rand(2, len(model.skeleton), 2) * 60
    model.codec.loss(output, xy, torch.full(xy.shape[:2], 2)).backward()
    assert all(weight.grad is not None and weight.grad.any() for weight in model.parameters())


def test_names_are_of_one_family_each():
    for name in NAMES:
        assert family_of(name).match(name) is not None
    assert family_of("dwpose_l") is family_of("rtmpose_m")


def test_what_stands_for_bins_is_simcc():
    assert isinstance(built("rtmpose_m", codec="SimCC").codec, SimCC)
    assert built("rtmpose_m", codec="SimCC").codec == built("rtmpose_m").codec
