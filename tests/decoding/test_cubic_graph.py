"""The argmax of resized maps in graphs is that of the search, for maps of any kind and boxes of any size."""

import pytest
import torch

from poise.decoding.cubic import bicubic_argmax
from poise.decoding.cubic_graph import bicubic_argmax_of_gaps


def maps_of(kind, generator):
    if kind == "noise":
        return torch.randn(6, 5, 20, 14, generator=generator)
    y, x = torch.arange(20.0)[:, None], torch.arange(14.0)
    middle = torch.rand(6, 5, 2, 1, 1, generator=generator) * torch.tensor((13.0, 19.0))[:, None, None]
    wide = {"peak": 1.5, "smooth": 6.0}[kind]
    return torch.exp(-((x - middle[:, :, 0]) ** 2 + (y - middle[:, :, 1]) ** 2) / (2 * wide**2))


@pytest.mark.parametrize("kind", ["noise", "peak", "smooth"])
@pytest.mark.parametrize("longest", [3, 30, 400])
def test_the_highest_pixel_is_found(kind, longest):
    generator = torch.Generator().manual_seed(longest)
    maps = maps_of(kind, generator)
    lengths = torch.randint(1, longest + 1, (6, 2), generator=generator)
    (found, value), (right, highest) = (search(maps, lengths) for search in (bicubic_argmax_of_gaps, bicubic_argmax))
    torch.testing.assert_close(value, highest, atol=1e-4, rtol=0)
    same = (found == right).all(dim=-1)
    assert same.float().mean() > 0.95  # two pixels may be equally high, to within rounding
