"""ViTPose and ViTPose++ by name, under the three names that their weights have."""

import re

import pytest
import torch

from poise import zoo
from poise.codecs.udp import UDPGaussian
from poise.errors import CheckpointError, InputError, UnknownName
from poise.skeletons import ANIMAL18
from poise.weights.model_file import load, save
from poise.zoo.find import releases
from poise.zoo.importing import import_release, official_state
from poise.zoo.vitpose import network

PLAIN = "vitpose_s_simple_coco_64x32"
PLUS = "vitpose_plus_s_ap10k_64x32"


def built(name, **options):
    with torch.device("meta"):
        return zoo.build(name, **options)


NAMES = {
    "vitpose_b": ("coco17", (256, 192), 768, False, (0,)),
    "vitpose_mmpose_base_coco17_256x192": ("coco17", (256, 192), 768, False, (0,)),
    "vitpose_mmpose_huge_simple_coco17_256x192": ("coco17", (256, 192), 1280, True, (0,)),
    "vitpose_hf_base_classic_256x192": ("coco17", (256, 192), 768, False, (0,)),
    "vitpose_hf_plus_base_256x192": ("coco17", (256, 192), 768, False, (0, 3, 5)),
    "vitpose_hf_plus_small_256x192": ("coco17", (256, 192), 384, False, (0, 5)),
    "vitpose_plus_l": ("coco17", (256, 192), 1024, False, (0,)),
    "vitpose_plus_b_ap10k": ("ap10k17", (256, 192), 768, False, (3,)),
    "vitpose_plus_b_apt36k_256x192": ("ap10k17", (256, 192), 768, False, (4,)),
    "vitpose_plus_h_wholebody133": ("wholebody133", (256, 192), 1280, False, (5,)),
    "vitpose_s_simple_mpii_256x256": ("mpii16", (256, 256), 384, True, (0,)),
}


@pytest.mark.parametrize(("name", "expected"), NAMES.items())
def test_a_name_says_size_head_keypoints_expert_and_views(name, expected):
    model = built(name)
    head, backbone = model.network.head, model.network.backbone
    assert (model.skeleton.name, model.codec.size, backbone.channels[0]) == expected[:3]
    assert (head.final.kernel_size == (3, 3), backbone.experts) == expected[3:]
    assert isinstance(model.codec, UDPGaussian)
    assert (model.preprocess.crop, model.preprocess.channels) == ("udp", "rgb")
    assert backbone.ln1.eps == (1e-12 if "hf" in name else 1e-6)


def hub_names(state):
    """A checkpoint as transformers names it: query, key and value apart, and a position that is added to all others."""
    pairs = (
        (r"^backbone\.pos_embed$", "backbone.embeddings.position_embeddings"),
        (r"^backbone\.patch_embed\.", "backbone.embeddings.patch_embeddings."),
        (r"^backbone\.ln1\.", "backbone.layernorm."),
        (r"layers\.(\d+)\.ln1", r"encoder.layer.\1.layernorm_before"),
        (r"layers\.(\d+)\.ln2", r"encoder.layer.\1.layernorm_after"),
        (r"layers\.(\d+)\.ffn\.layers\.0\.0", r"encoder.layer.\1.mlp.fc1"),
        (r"layers\.(\d+)\.ffn\.layers\.1", r"encoder.layer.\1.mlp.fc2"),
        (r"layers\.(\d+)\.ffn\.experts", r"encoder.layer.\1.mlp.experts"),
        (r"layers\.(\d+)\.attn\.proj", r"encoder.layer.\1.attention.output.dense"),
        (r"^head\.final_layer", "head.conv"),
        (r"^head\.deconv_layers\.0", "head.deconv1"),
        (r"^head\.deconv_layers\.1", "head.batchnorm1"),
        (r"^head\.deconv_layers\.3", "head.deconv2"),
        (r"^head\.deconv_layers\.4", "head.batchnorm2"),
    )
    named = {}
    for key, value in with_class_position(state).items():
        for pattern, new in pairs:
            key = re.sub(pattern, new, key)
        found = re.fullmatch(r"backbone\.layers\.(\d+)\.attn\.qkv\.(\w+)", key)
        thirds = dict(zip(("query", "key", "value"), value.chunk(3), strict=True)) if found else {}
        named |= {f"backbone.encoder.layer.{found[1]}.attention.attention.{n}.{found[2]}": v for n, v in thirds.items()}
        named |= {} if found else {key: value}
    return named


def original_names(state, head="keypoint_head."):
    pairs = (
        (r"^backbone\.patch_embed\.projection", "backbone.patch_embed.proj"),
        (r"^backbone\.ln1\.", "backbone.last_norm."),
        (r"layers\.(\d+)\.ln([12])", r"blocks.\1.norm\2"),
        (r"layers\.(\d+)\.ffn\.layers\.0\.0", r"blocks.\1.mlp.fc1"),
        (r"layers\.(\d+)\.ffn\.layers\.1", r"blocks.\1.mlp.fc2"),
        (r"layers\.(\d+)\.ffn\.experts", r"blocks.\1.mlp.experts"),
        (r"backbone\.layers\.(\d+)\.attn", r"backbone.blocks.\1.attn"),
        (r"^head\.", head),
    )
    named = with_class_position(state)
    for pattern, new in pairs:
        named = {re.sub(pattern, new, key): value for key, value in named.items()}
    return named


def with_class_position(state):
    """A first position that is not zero, and the others less it."""
    positions = state["backbone.pos_embed"]
    first = torch.full_like(positions[:, :1], 0.25)
    return state | {"backbone.pos_embed": torch.cat((first, positions - first), dim=1)}


@pytest.mark.parametrize("form", [hub_names, original_names], ids=["transformers", "original"])
@pytest.mark.parametrize("name", [PLAIN, PLUS], ids=["simple", "experts"])
def test_weights_under_every_name_are_the_same_weights(name, form):
    torch.manual_seed(0)
    state = official_state(zoo.build(name), name)
    found = official_state(import_release(name, form(state)), name)
    assert found.keys() == state.keys()
    assert all(torch.allclose(found[key], value, atol=1e-6) for key, value in state.items())


def test_of_several_heads_that_of_the_models_expert_is_taken():
    torch.manual_seed(0)
    state = official_state(zoo.build(PLUS), PLUS)
    people = {
        key.replace("head.", "keypoint_head."): torch.zeros_like(v) for key, v in state.items() if key.startswith("head.")
    }
    given = original_names(state, "associate_keypoint_heads.2.") | people
    found = official_state(import_release(PLUS, given), PLUS)
    assert torch.equal(found["head.final_layer.weight"], state["head.final_layer.weight"])


def test_a_layer_without_its_keys_is_told():
    state = hub_names(official_state(zoo.build(PLAIN), PLAIN))
    del state["backbone.encoder.layer.3.attention.attention.key.weight"]
    with pytest.raises(CheckpointError, match=r"lacks query, key or value of backbone.layers.3.attn.qkv.weight"):
        import_release(PLAIN, state)


def test_an_expert_answers_by_its_own_part_of_each_block():
    torch.manual_seed(0)
    both = network("s", 17, 64, 32, experts=(0, 3)).eval()
    alone = network("s", 17, 64, 32, experts=(3,)).eval()
    alone.load_state_dict(both.state_dict())
    views = torch.randn(1, 3, 64, 32)
    with torch.no_grad():
        first, second = both.backbone(views)
        assert torch.allclose(alone.backbone(views)[0], second, atol=1e-5)
        assert not torch.allclose(first, second, atol=1e-3)
        assert torch.equal(torch.stack(both(views)), torch.stack([both.head([one]) for one in (first, second)]))


def test_it_learns_from_every_weight_and_comes_back_from_its_file(tmp_path):
    torch.manual_seed(0)
    model = zoo.build(PLAIN, skeleton=ANIMAL18)
    views = torch.randn(2, 3, 64, 32)
    model.train().outputs(views)[0].square().mean().backward()
    assert all(weight.grad is not None for weight in model.parameters())
    again = load(save(model.eval(), tmp_path / "model.safetensors"))
    with torch.no_grad():
        assert torch.equal(again(views), model(views))


def test_what_no_expert_is_for_and_what_there_is_not_is_refused():
    with pytest.raises(InputError, match=r"ViTPose\+\+ has experts for coco, .*, not for 'lapa'"):
        built("vitpose_plus_b_lapa")
    with pytest.raises(UnknownName, match=r"vitpose"):
        built("vitpose_q")
    with pytest.raises(InputError, match=r"ViTPose-b takes views .* multiples of 16"):
        built("vitpose_b_250x192")


def test_published_files_have_address_terms_and_score():
    rows = [row for row in releases().values() if row.name.startswith("vitpose_")]
    assert len(rows) == 18
    assert all(row.url.endswith((row.file, "model.safetensors")) and row.scores for row in rows)
    assert releases()["vitpose_b"].sha256 == "216eae50"
    assert len({row.url for row in rows}) == len(rows)
