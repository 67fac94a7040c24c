"""The highest pixel of resized maps, against PyTorch's resizing."""

import pytest
import torch
import torch.nn.functional as F

from poise.decoding.cubic import bicubic_argmax, bicubic_argmax_exhaustive

SIZES = torch.tensor([[100, 200], [55, 59], [201, 34], [1, 1], [56, 56], [24, 392], [17, 3], [9, 500]])
"""Width and height."""


def resized(maps, lengths):
    """Every map made as large as its box, its highest pixel and the value there."""
    places, values = [], []
    for some, (width, height) in zip(maps, lengths.tolist(), strict=True):
        pixels = F.interpolate(some[None], (height, width), mode="bicubic", align_corners=False)[0].flatten(1)
        value, index = pixels.max(dim=1)
        places.append(torch.stack((index % width, index // width), dim=1))
        values.append(value)
    return torch.stack(places), torch.stack(values)


def drawn(kind, cells):
    maps = torch.randn(len(SIZES), 15, *cells, generator=torch.Generator().manual_seed(0))
    match kind:
        case "smooth":
            return F.avg_pool2d(maps, 5, 1, 2)
        case "steps":
            return F.avg_pool2d(maps, 5, 1, 2).round(decimals=1)
        case "large":
            return 1e4 * maps - 3e4
    return maps


@pytest.mark.parametrize("search", [bicubic_argmax, bicubic_argmax_exhaustive])
@pytest.mark.parametrize("cells", [(56, 56), (64, 48), (5, 7), (1, 1)])
@pytest.mark.parametrize("kind", ["noise", "smooth", "steps", "large"])
def test_the_highest_pixel_is_that_of_the_resized_map(kind, cells, search):
    maps = drawn(kind, cells)
    places, values = search(maps, SIZES)
    expected, highest = resized(maps, SIZES)
    torch.testing.assert_close(values, highest, rtol=1e-5, atol=1e-5 * maps.abs().max().item())
    if cells == (1, 1):
        return  # every pixel is equally high
    same = (places == expected).all(dim=-1).float().mean()
    assert same >= (0.999 if kind != "steps" else 0.98)  # steps: rounding decides between equals


def test_the_first_of_equal_pixels_is_taken():
    maps = torch.zeros(2, 3, 8, 8)
    for search in (bicubic_argmax, bicubic_argmax_exhaustive):
        places, values = search(maps, torch.tensor([[20, 30], [4, 4]]))
        assert (places == 0).all()
        assert (values == 0).all()


def test_maps_that_are_not_contiguous_are_read_as_others():
    maps = drawn("smooth", (64, 48))
    other = maps.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
    assert torch.equal(bicubic_argmax(other, SIZES)[0], bicubic_argmax(maps, SIZES)[0])


def test_very_wide_boxes_need_little_memory():
    maps = drawn("smooth", (56, 56))[:1, :2]
    places, values = bicubic_argmax(maps, torch.tensor([[16000, 16000]]))
    coarse, near = bicubic_argmax(maps, torch.tensor([[1600, 1600]]))
    assert ((places - 10 * coarse).abs() <= 30).all()
    assert torch.allclose(values, near, rtol=1e-3)
