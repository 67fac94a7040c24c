import pytest
import torch

from poise.geometry import apply, invert
from poise.scenes import Canvas
from poise.transforms.canvas import canvas_layout
from poise.transforms.scales import scaled_views, shrink_layout

SIZES = [(427, 640), (640, 427), (1, 1), (3, 900), (333, 333)]


@pytest.mark.parametrize("place", ["corner", "middle"])
@pytest.mark.parametrize("multiple", [32, 128])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("factor", [0.5, 0.75, 1 / 3, 0.9])
def test_cells_of_a_smaller_view_lie_on_those_of_the_largest(size, factor, multiple, place):
    canvas = Canvas(multiple=multiple, place=place)
    full = canvas_layout(canvas, size)
    small = shrink_layout(full, factor, multiple=multiple, stride=4)
    assert all(side % multiple == 0 for side in small.layout.size)
    points = torch.rand(50, 2, generator=torch.Generator().manual_seed(0)).double() * torch.tensor([size[1], size[0]])
    large = (apply(full.warp, points) + 0.5) / 4
    seen = (apply(small.layout.warp, points) + 0.5) / 4
    growth = torch.tensor([small.cells[1] / (small.layout.size[1] // 4), small.cells[0] / (small.layout.size[0] // 4)])
    assert torch.allclose(seen * growth, large, atol=1e-9)
    zoom = apply(small.layout.warp @ invert(full.warp), torch.tensor([[0.0, 0.0], [100.0, 100.0]]).double())
    assert torch.allclose((zoom[1] - zoom[0]) / 100, torch.full((2,), factor).double(), rtol=0.1)


@pytest.mark.parametrize("size", SIZES)
def test_the_whole_image_is_in_every_view(size):
    canvas = Canvas(scales=(0.5, 1.0, 0.8), place="middle")
    full = canvas_layout(canvas, size)
    corners = torch.tensor([[0.0, 0.0], [size[1] - 1.0, size[0] - 1.0]]).double()
    for scale in canvas.scales:
        layout = shrink_layout(full, scale, multiple=128, stride=4).layout
        seen = apply(layout.warp, corners)
        assert (seen > -0.5 - 1e-6).all()
        assert (seen < torch.tensor([layout.size[1], layout.size[0]]) - 0.5 + 1e-6).all()


def test_one_size_is_the_canvas_alone():
    image = torch.zeros(3, 120, 160, dtype=torch.uint8)
    canvas = Canvas(side=320, multiple=32)
    found = scaled_views(image, canvas, stride=4)
    assert [tuple(view.shape) for view in found.views] == [(3, 256, 320)]
    assert found.cells == [(64, 80)] == [found.full_cells]
    assert torch.equal(found.warp, canvas_layout(canvas, (120, 160)).warp)
