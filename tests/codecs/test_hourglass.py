"""The stacked hourglass' labels and loss beyond the laws."""

import pytest
import torch

from poise.codecs.hourglass import Hourglass

SIZE, CELLS = (64, 96), (16, 24)


@pytest.fixture(params=["gaussian", "cauchy"])
def codec(request):
    return Hourglass(SIZE, CELLS, 3, label=request.param)


@pytest.fixture
def xy():
    return torch.tensor([[[40.0, 21.0], [3.0, 2.0], [-20.0, 30.0]]])


def test_a_label_stands_on_the_cell_the_keypoint_lies_in(codec, xy):
    maps = codec.encode(xy)[0]
    assert maps[0, 5, 10] == 1
    assert maps[1, 0, 0] == 1
    assert (maps[0, :, :7] == 0).all()  # cut off at 3 sigma
    assert (maps[0, :, 14:] == 0).all()
    assert (maps[2] == 0).all()


def test_a_cauchy_label_has_heavier_tails(xy):
    gaussian, cauchy = (Hourglass(SIZE, CELLS, 3, label=label).encode(xy)[0, 0, 5] for label in ("gaussian", "cauchy"))
    assert cauchy[13] == pytest.approx(10**-1.5)
    assert cauchy[13] > 2 * gaussian[13]


def test_the_loss_is_half_the_weighted_mean_square(codec, xy):
    output = torch.randn(1, 3, *CELLS, generator=torch.Generator().manual_seed(0))
    expected = ((output - codec.encode(xy))[:, :1].square().sum() / (2 * 3 * 16 * 24)).item()
    visible = torch.tensor([[1, 0, 2]])  # the last one is out of reach
    assert codec.loss(output, xy, visible).item() == pytest.approx(expected, rel=1e-5)
    heavier = Hourglass(SIZE, CELLS, 3, label=codec.label, weight=3.0)
    assert heavier.loss(output, xy, visible).item() == pytest.approx(3 * expected, rel=1e-5)
    hardest = Hourglass(SIZE, CELLS, 3, label=codec.label, ohkm=1)
    assert hardest.loss(output, xy, visible).item() == pytest.approx(3 * expected, rel=1e-5)


def test_cells_next_to_the_border_are_read_between_cells_too():
    codec = Hourglass(SIZE, CELLS, 1)
    maps = torch.zeros(1, 1, *CELLS)
    maps[0, 0, 1, 1], maps[0, 0, 1, 2], maps[0, 0, 0, 1] = 1.0, 0.5, 0.25
    assert codec.grid.to_cells(codec.decode(maps).xy).flatten().tolist() == [1.25, 0.75]
    empty = codec.decode(torch.zeros(1, 1, *CELLS))
    assert codec.grid.to_cells(empty.xy).flatten().tolist() == [-1, -1]
    assert empty.score == 0


def test_a_loss_without_weight_is_refused():
    with pytest.raises(ValueError, match="weight above 0"):
        Hourglass(SIZE, CELLS, 3, weight=0.0)
