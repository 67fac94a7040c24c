import pytest
import torch
from torch import nn

from poise.models.pictures import png
from poise.models.views.person import PersonViews
from poise.training.logging import summary
from poise.training.module import update_average
from poise.training.trainer import has_unused_parameters
from poise.transforms.person_crop import PersonCrop


def test_an_average_follows_weights_and_statistics_and_copies_counters():
    average, model = nn.BatchNorm2d(2), nn.BatchNorm2d(2)
    with torch.no_grad():
        model.weight.fill_(3.0)
        model.running_mean.fill_(10.0)
        model.num_batches_tracked.fill_(7)
    update_average(average, model, decay=0.9)
    torch.testing.assert_close(average.weight.detach(), torch.full((2,), 1.2))
    torch.testing.assert_close(average.running_mean, torch.ones(2))
    assert int(average.num_batches_tracked) == 7


def test_a_picture_has_four_rows_and_a_column_per_view(tiny):
    recipe = tiny.recipe()
    model = recipe.model.eval()
    views = PersonViews(recipe.train, PersonCrop((64, 64), model.preprocess, model.skeleton), seed=0)
    picture = model.picture(views.collate([views[(0, i)] for i in range(3)]).batch)
    assert picture.shape == (4 * (64 + 22), 3 * 64, 3), "each row below its caption"
    assert png(picture).startswith(b"\x89PNG")


def test_weights_that_take_no_part_are_found(tiny):
    recipe = tiny.recipe()
    assert not has_unused_parameters(recipe)
    recipe.model.network.spare = nn.Linear(1, 1)
    assert has_unused_parameters(recipe)


def test_the_summary_counts_parameters_of_every_part(tiny):
    model = tiny.recipe().model
    table = summary(model, (64, 64))
    cells = [[str(cell) for cell in column.cells] for column in table.columns]
    assert cells[0][:2] == ["backbone", "  0"]
    assert cells[3][-1] == f"{sum(p.numel() for p in model.network.parameters()):,}"
    multiply_adds = 32 * 32 * 16 * 75 + 16 * 16 * 16 * 144 + 16 * 16 * 2 * 144
    assert cells[4][-1] == f"{multiply_adds / 1e6:,.0f} M"


@pytest.mark.parametrize("decay", [0.0, 0.5])
def test_without_memory_the_average_is_the_model(decay):
    average, model = nn.Linear(2, 2), nn.Linear(2, 2)
    before = average.weight.detach().clone()
    update_average(average, model, decay=decay)
    torch.testing.assert_close(average.weight.detach(), decay * before + (1 - decay) * model.weight.detach())
