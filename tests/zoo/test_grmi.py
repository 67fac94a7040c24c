"""G-RMI's own network: stride 8 by dilation, as torchvision's dilated ResNet, and maps resized to the view."""

import pytest
import torch
from torchvision.models import resnet50

from poise import zoo
from poise.codecs.grmi import GRMI
from poise.errors import InputError
from poise.nn.backbones.resnet import ResNet, dilate
from poise.structures import Batch
from poise.weights.model_file import load, save
from poise.zoo.grmi import cells_of, grmi


@torch.no_grad()
def test_the_backbone_computes_what_torchvisions_dilated_one_does():
    torch.manual_seed(0)
    theirs = resnet50(weights=None, replace_stride_with_dilation=[False, True, True]).eval()
    ours = dilate(ResNet(50)).eval()
    ours.load_state_dict({key: value for key, value in theirs.state_dict().items() if not key.startswith("fc.")})
    image = torch.randn(1, 3, 65, 49, generator=torch.Generator().manual_seed(1))
    x = theirs.maxpool(theirs.relu(theirs.bn1(theirs.conv1(image))))
    expected = theirs.layer4(theirs.layer3(theirs.layer2(theirs.layer1(x))))
    found = ours(image)[-1]
    assert found.shape[-2:] == (9, 7)
    assert torch.allclose(found, expected, atol=1e-4)
    assert ours.strides == (4, 8, 8, 8)


def test_the_papers_network_has_maps_of_the_views_size():
    with torch.device("meta"):
        model = zoo.build("grmi_101_coco_353x257")
    assert (model.codec.size, model.codec.cells) == ((353, 257), (353, 257))
    assert model.codec.disk_radius == 25
    assert type(model.codec) is GRMI
    assert cells_of((353, 257), 1) == (45, 33)
    assert cells_of((353, 257), 2) == (89, 65)


@pytest.mark.parametrize("factor", [1, 2, 8])
def test_corner_cells_stay_on_corner_pixels_whatever_the_factor(factor, tmp_path):
    torch.manual_seed(0)
    model = grmi(18, size=(65, 49), factor=factor).eval()
    views = torch.randn(2, 3, 65, 49, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        output = model(views)
    assert output.shape == (2, 51, 8 * factor + 1, 6 * factor + 1)
    plain = grmi(18, size=(65, 49), factor=1).eval()
    plain.network.load_state_dict(model.network.state_dict())
    with torch.no_grad():
        assert torch.allclose(output[..., ::factor, ::factor], plain(views), atol=1e-4)
    if factor == 1:
        return  # in views as small as these a disk is smaller than a cell of stride 8
    xy = 5 + torch.rand(2, 17, 2) * torch.tensor([38.0, 54.0])
    assert (model.codec.decode(model.codec.encode(xy)).xy - xy).abs().max() < max(0.02, 8 / factor / 100)
    again = load(save(model, tmp_path / "m.safetensors"))
    with torch.no_grad():
        assert torch.equal(again.eval()(views), output)


def test_it_learns():
    torch.manual_seed(0)
    model = grmi(18, size=(65, 49), factor=2)
    chance = torch.Generator().manual_seed(0)
    batch = Batch(
        images=torch.randn(2, 3, 65, 49, generator=chance),
        xy=8 + 30 * torch.rand(2, 17, 2, generator=chance),
        visible=torch.full((2, 17), 2),
        warps=torch.eye(3).expand(2, 3, 3),
    )
    rule = torch.optim.Adam(model.parameters(), lr=1e-3)
    lost = []
    for _ in range(4):
        loss = model.loss(batch)
        rule.zero_grad()
        loss.backward()
        rule.step()
        lost.append(float(loss.detach()))
    assert lost[-1] < 0.9 * lost[0]


@pytest.mark.parametrize(("size", "says"), [((352, 256), "a multiple of 8 plus 1"), ((9, 257), "such as 353x257")])
def test_views_whose_corners_have_no_cells_are_refused(size, says):
    with pytest.raises(InputError, match=says):
        grmi(18, size=size)


def test_stages_that_cannot_be_dilated_are_refused():
    with pytest.raises(InputError, match="1 to 3 stages"):
        dilate(ResNet(18), 4)
