"""CPN, MSPN and RSN: networks with several answers, each with its own codec."""

import pytest
import torch
import torchvision

from poise import zoo
from poise.codecs.udp_offset import UDPOffset
from poise.errors import CheckpointError, InputError, UnknownName
from poise.models.losses import total_loss
from poise.nn.backbones.mspn import mspn as mspn_body
from poise.skeletons import COCO17, LSP14
from poise.structures import Batch
from poise.weights.model_file import load, save
from poise.weights.transfer import transfer_rows
from poise.zoo.cpn import cpn
from poise.zoo.imagenet import resnet_as_mspn
from poise.zoo.importing import official_state
from poise.zoo.mspn import mspn
from poise.zoo.rsn import BODIES, rsn

SIZE = (64, 96)
CELLS = (16, 24)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def batch_of(model, count=2):
    generator = torch.Generator().manual_seed(1)
    h, w = model.codec.size
    return Batch(
        images=torch.randn(count, 3, h, w, generator=generator),
        xy=torch.rand(count, model.codec.keypoints, 2, generator=generator) * torch.tensor([w - 1.0, h - 1.0]),
        visible=torch.full((count, model.codec.keypoints), 2),
        warps=torch.eye(3).expand(count, 3, 3),
    )


@pytest.mark.parametrize(
    ("made", "answers"),
    [(lambda: cpn(50, size=SIZE), 5), (lambda: mspn(2, size=SIZE), 8), (lambda: rsn("rsn18", size=SIZE), 4)],
    ids=["cpn", "mspn", "rsn"],
)
def test_every_answer_is_compared_and_every_weight_learns_from_one(made, answers):
    model = made()
    outputs = model.outputs(batch_of(model).images)
    assert [tuple(output.shape) for output in outputs] == [(2, 17, *CELLS)] * answers
    assert len(model.deep) == answers - 1
    total_loss(model.compared(outputs, batch_of(model))).backward()
    assert [name for name, weight in model.network.named_parameters() if weight.grad is None] == []


def test_the_last_answer_is_the_one_that_is_read():
    model = rsn("res18", size=SIZE).eval()
    images = batch_of(model).images
    with torch.no_grad():
        assert torch.equal(model(images), model.outputs(images)[-1])
        assert model.predict(images, flip=True).xy.isfinite().all()


def test_every_step_on_one_batch_makes_the_loss_smaller():
    torch.manual_seed(0)
    model = rsn("rsn18", size=(64, 64))
    batch = batch_of(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    losses = []
    for _ in range(8):
        optimizer.zero_grad()
        loss = model.loss(batch)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses == sorted(losses, reverse=True)  # slowly: the norms behind the maps have far to go to a height of 255
    assert losses[-1] < 0.98 * losses[0]


@pytest.mark.parametrize(
    ("name", "kernels"),
    [
        ("cpn_50_coco_256x192", [15, 11, 9, 7, 7]),
        ("cpn_50_coco_256x256", [15, 11, 9, 7, 7]),
        ("cpn_101_coco_384x288", [23, 17, 13, 9, 9]),
        ("mspn_1stg_coco_256x192", [11, 9, 7, 5]),
        ("mspn_3stg_coco_256x192", [15, 11, 9, 7, 15, 11, 9, 7, 11, 9, 7, 5]),
        ("rsn_rsn18_coco_256x192", [11, 9, 7, 5]),
    ],
)
def test_labels_get_narrower_and_the_hardest_keypoints_count_where_the_releases_say(name, kernels):
    with torch.device("meta"):
        model = zoo.build(name)
    codecs = [*model.deep, model.codec]
    assert [codec.kernel for codec in codecs] == kernels
    assert {codec.height for codec in codecs} == {255.0}
    hard = [codec.ohkm for codec in codecs]
    steps = 5 if name.startswith("cpn") else 4
    assert hard == [8 if number % steps == steps - 1 else None for number in range(len(kernels))]
    assert {codec.weight for codec in codecs if codec.ohkm is None} == {0.5 if name.startswith("cpn") else 0.25}


def test_views_are_cut_and_maps_read_as_in_the_releases():
    with torch.device("meta"):
        first, coco, mpii = (
            zoo.build(f"{n}") for n in ("cpn_50_coco_256x192", "mspn_1stg_coco_256x192", "rsn_rsn18_mpii_256x256")
        )
    assert (first.preprocess.crop, first.preprocess.channels, first.preprocess.std) == ("cpn", "rgb", (1, 1, 1))
    assert (first.codec.reading, first.codec.blur) == ("cpn", 21)
    assert (coco.preprocess.crop, coco.preprocess.channels, coco.preprocess.sides) == ("mspn", "bgr", (1.09, 1.135))
    assert (mpii.preprocess.sides, coco.codec.blur, mpii.codec.blur) == ((1.25, 1.25), 5, 9)


@pytest.mark.parametrize("make", [cpn, mspn, rsn])
def test_another_codec_is_that_of_every_answer(make):
    codec = UDPOffset(size=SIZE, cells=CELLS, keypoints=17)
    with torch.device("meta"):
        model = make(size=SIZE, codec=codec)
        outputs = model.outputs(torch.zeros(1, 3, *SIZE))
    assert set(model.deep) == {codec}
    assert len(outputs) == len(model.deep) + 1
    assert {output.shape[1] for output in outputs} == {51}
    assert model.preprocess.crop == "udp"


def test_a_codec_of_vectors_reads_the_last_answer_alone():
    with torch.device("meta"):
        model = zoo.build("rsn_res18_coco_64x96", codec="SimCC")
        outputs = model.outputs(torch.zeros(1, 3, *SIZE))
    assert model.deep == ()
    assert [tuple(output.shape) for output in outputs] == [(1, 17, sum(model.codec.vectors))]


@pytest.mark.parametrize("name", ["cpn_50_coco", "mspn_2stg_coco", "rsn_rsn18_mpii"])
def test_a_size_the_network_cannot_take_is_answered_with_near_ones(name):
    with pytest.raises(InputError, match="256x192 or 256x224"):
        zoo.build(f"{name}_256x200")


def test_another_number_of_stages_or_kind_is_refused():
    with pytest.raises(InputError, match="1 to 4 stages, not 5"):
        zoo.build("mspn_5stg_coco_256x192")
    with pytest.raises(UnknownName, match="rsn18"):
        rsn("rsn17")
    with pytest.raises(UnknownName, match="rsn_rsn18"):
        zoo.build("rsn_rsn17_coco_256x192")
    with pytest.raises(UnknownName, match="mpii"):
        mspn(1, data="lsp")
    with pytest.raises(InputError, match="50, 101"):
        zoo.build("cpn_51_coco_256x192")
    with pytest.raises(InputError, match="--no-pretrained"):
        zoo.build("rsn_rsn18_coco_256x192", pretrained=True)


def checkpoint_of(name):
    """Zeros under the official names."""
    with torch.device("meta"):
        state = official_state(zoo.build(name), name)
    return {key: torch.zeros((), dtype=value.dtype).expand(value.shape) for key, value in state.items()}


def test_a_checkpoint_of_another_number_of_stages_or_depth_is_refused():
    two, deep = checkpoint_of("mspn_2stg_coco_64x96"), checkpoint_of("cpn_101_coco_64x96")
    with pytest.raises(CheckpointError, match=r"\d+ unexpected: .*stage0\.upsample"):
        zoo.import_release("mspn_1stg_coco_64x96", two)
    with pytest.raises(CheckpointError, match=r"\d+ unexpected: resnet\.layer3"):
        zoo.import_release("cpn_50_coco_64x96", deep)


def test_every_weight_of_resnet50_starts_the_encoder_of_every_stage():
    stages = 2
    resnet = torchvision.models.resnet50().state_dict()
    body = mspn_body(stages)
    own = {key: value.clone() for key, value in body.state_dict().items()}
    body.load_state_dict(resnet_as_mspn(resnet, own))
    found = body.state_dict()
    assert torch.equal(found["top.conv.conv.weight"], resnet["conv1.weight"])
    for stage in range(stages):
        encoder = f"stages.{stage}.downsample."
        assert torch.equal(found[encoder + "layer3.5.conv_bn_relu2.bn.weight"], resnet["layer3.5.bn2.weight"])
        assert torch.equal(found[encoder + "layer2.0.downsample.conv.weight"], resnet["layer2.0.downsample.0.weight"])
        assert not found[encoder + "layer1.0.conv_bn_relu1.conv.bias"].any()
        matched = [key for key in found if key.startswith(encoder) and not key.endswith("conv.bias")]
        assert len(matched) == sum(key.startswith("layer") for key in resnet)
    assert all(torch.equal(found[key], own[key]) for key in own if ".upsample." in key)


@pytest.mark.parametrize("make", [cpn, rsn], ids=["cpn", "rsn"])
def test_other_keypoints_take_over_the_rows_both_know_of_every_answer(make):
    start, target = make(size=SIZE), make(size=SIZE, skeleton=LSP14)
    carried = transfer_rows(start, target)
    assert set(carried.kept) == set(COCO17.keypoints) & set(LSP14.keypoints)
    assert carried.layers == ()
    old, new = start.network.state_dict(), target.network.state_dict()
    rows = [key for key in new if ".final." in key and key.endswith("conv.weight")]
    assert len(rows) == len(start.deep) + 1
    name = carried.kept[0]
    assert all(torch.equal(old[key][COCO17.index(name)], new[key][LSP14.index(name)]) for key in rows)


def test_a_model_file_keeps_the_codec_of_every_answer(tmp_path):
    model = rsn("res18", size=SIZE).eval()
    again = load(save(model, tmp_path / "model.safetensors"))
    assert (again.deep, again.codec, again.preprocess) == (model.deep, model.codec, model.preprocess)
    images = batch_of(model, 1).images
    with torch.no_grad():
        assert torch.equal(again(images), model(images))


def test_the_networks_of_the_release_differ_in_blocks_or_stages():
    with torch.device("meta"):
        sizes = {kind: sum(p.numel() for p in rsn(kind).network.parameters()) for kind in BODIES}
    assert sizes == {"res18": 8_558_924, "rsn18": 9_159_072, "4xrsn18": 38_456_256}
