"""Labels in windows by loops and by tensors: the same to the bit."""

import pytest
import torch

from poise.codecs import label_kernel, label_tensors

CELLS = (9, 12)


def windows(seed, *, people=4, kinds=3, side=5, views=2):
    """Windows that overlap, reach over the border, lie outside; some with vectors of the same length."""
    made = torch.Generator().manual_seed(seed)
    scene = torch.randint(0, views, (people,), generator=made).sort().values
    first = torch.randint(-4, 11, (people, kinds, 1, 2), generator=made)
    cell = first + torch.arange(side)[:, None]
    limit = torch.tensor(CELLS[::-1])
    inside = (cell >= 0) & (cell < limit) & (torch.rand(cell.shape, generator=made) < 0.9)
    ahead = torch.randint(-3, 4, cell.shape, generator=made) / 2
    return scene, cell.clamp(min=0).minimum(limit - 1), inside, ahead


@pytest.mark.parametrize("seed", range(8))
def test_gaussians_of_both_are_the_same(seed):
    scene, index, inside, ahead = windows(seed)
    sides = torch.exp(-ahead.square()) * inside
    labelled = torch.rand(index.shape[:2], generator=torch.Generator().manual_seed(seed)) < 0.7
    channel = scene[:, None] * 4 + torch.arange(3)
    before = torch.rand(2, 4, *CELLS, generator=torch.Generator().manual_seed(seed)) / 5
    loops, tensors = before.clone(), before.clone()
    for by, maps in ((label_kernel, loops), (label_tensors, tensors)):
        by.draw(maps, channel, labelled, index, sides, clip=0.1)
    assert torch.equal(loops, tensors)
    assert (loops != before).any()
    assert torch.equal(loops[:, 3], before[:, 3])


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("each", [1, 3])
def test_both_keep_the_same_vectors_and_write_them_alike(seed, each):
    scene, index, inside, ahead = windows(seed)
    maps = scene[:, None] * each + torch.arange(3) % each
    loops, tensors = (
        by.shortest(maps, index, inside, ahead, count=2 * each, cells=CELLS) for by in (label_kernel, label_tensors)
    )
    for one, other in zip(loops, tensors, strict=True):
        assert torch.equal(one, other)
    cell, vector, counts = loops
    assert counts.any()
    place = (maps[..., None] * CELLS[0] * CELLS[1] + cell)[counts]
    assert len(place.unique()) == len(place)  # one vector in a cell
    into = [torch.zeros(2, each + 1, *CELLS) for _ in range(2)]
    at = (scene[:, None] * (each + 1) + torch.arange(3) % each)[..., None] * CELLS[0] * CELLS[1] + cell
    for by, target in zip((label_kernel, label_tensors), into, strict=True):
        by.put(target, at, vector[..., :1], counts)
    assert torch.equal(*into)
    assert into[0].any()


def test_without_anybody_nothing_is_drawn():
    _, index, inside, ahead = windows(0)
    none = [part[:0] for part in (index, inside, ahead)]
    maps = torch.zeros(2, 3, *CELLS)
    for by in (label_kernel, label_tensors):
        channel = torch.zeros(0, 3, dtype=torch.int64)
        by.draw(maps, channel, channel > 0, none[0], none[2], clip=0.1)
        cell, vector, counts = by.shortest(channel, *none, count=6, cells=CELLS)
        by.put(maps, cell, vector, counts)
        assert counts.shape == (0, 3, 25)
    assert not maps.any()
