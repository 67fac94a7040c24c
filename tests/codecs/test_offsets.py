"""Disks and vectors: UDP's and G-RMI's codecs, and the vote."""

import math
from dataclasses import replace

import pytest
import torch

from poise.codecs.grmi import GRMI
from poise.codecs.offsets import blurred_at, near_disks
from poise.codecs.udp_offset import UDPOffset
from poise.decoding.blur import iterate_blurred
from poise.decoding.hough import cast_votes

SIZE, CELLS = (256, 192), (64, 48)


def places(count=30, *, seed=0):
    room = torch.tensor([191.0, 255.0]) - 80
    return 40 + room * torch.rand(count, 3, 2, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("kind", [UDPOffset, GRMI])
@pytest.mark.parametrize(("reading", "cells"), [("cell", 1.0), ("offset", 0.05), ("votes", 1e-3)])
def test_every_reading_finds_a_clean_answer(kind, reading, cells):
    codec = kind(SIZE, CELLS, 3, reading=reading)
    xy = places()
    off = (codec.decode(codec.encode(xy)).xy - xy).abs().max() / max(codec.grid.scale)
    assert off <= cells
    assert off <= codec.tolerance / max(codec.grid.scale)


@pytest.mark.parametrize("radius", [3.0, 3.5, 4.0, 6.0])
@pytest.mark.parametrize("blur", [1, 5, 7, 9])
def test_the_tolerance_covers_the_blur_that_reaches_beyond_the_disk(radius, blur):
    codec = UDPOffset(SIZE, CELLS, 3, radius=radius, offset_blur=blur)
    xy = places(100)
    assert (codec.decode(codec.encode(xy)).xy - xy).abs().max() <= codec.tolerance


def test_the_disk_of_grmi_grows_with_the_view():
    paper = GRMI((353, 257), (353, 257), 3)
    assert paper.disk_radius == pytest.approx(25)
    small = GRMI(SIZE, CELLS, 3)
    pixels = small.disk_radius * math.sqrt(math.prod(small.grid.scale))
    assert pixels == pytest.approx(25 * math.sqrt(256 * 192 / (353 * 257)))
    assert (small.encode(places())[:, ::3] > 0).float().sum(dim=(-2, -1)).mean() == pytest.approx(
        math.pi * small.disk_radius**2, rel=0.05
    )


def test_votes_are_shared_by_the_four_cells_around_their_end():
    weight, arrows = torch.zeros(1, 4, 5), torch.zeros(1, 2, 4, 5)
    weight[0, 1, 1], arrows[0, :, 1, 1] = 0.8, torch.tensor([1.25, 0.5])
    votes = cast_votes(weight, arrows, unit=1.0)
    expected = torch.zeros(4, 5)
    expected[1:3, 2], expected[1:3, 3] = 0.3, 0.1
    assert torch.allclose(votes.accumulate(weight.shape)[0], expected)
    assert votes.votes_at(torch.tensor([[2.25, 1.5]])).item() == pytest.approx(0.8)
    assert votes.mean_around(torch.tensor([[2.0, 1.0]])).tolist() == [[2.25, 1.5]]


def test_votes_are_the_papers_sum_over_all_cells():
    generator = torch.Generator().manual_seed(0)
    weight, arrows = torch.rand(2, 6, 5, generator=generator), 3 * torch.randn(2, 2, 6, 5, generator=generator)
    weight = weight.where(weight > 0.1, 0)
    y, x = torch.meshgrid(torch.arange(6.0), torch.arange(5.0), indexing="ij")
    end = arrows + torch.stack((x, y))
    expected = torch.zeros(2, 6, 5)
    for row in range(6):
        for column in range(5):
            kernel = (1 - (end[:, 0] - column).abs()).clamp(min=0) * (1 - (end[:, 1] - row).abs()).clamp(min=0)
            expected[:, row, column] = (kernel * weight).sum(dim=(-2, -1))
    assert torch.allclose(cast_votes(weight, arrows, unit=1.0).accumulate(weight.shape), expected, atol=1e-5)


def test_votes_find_the_keypoint_where_single_vectors_are_noisy():
    codec = GRMI(SIZE, CELLS, 3)
    xy = places(60)
    output = codec.encode(xy)
    noise = torch.randn(60, 3, 3, *CELLS, generator=torch.Generator().manual_seed(1))
    noise[:, :, 0] = 0
    output = output + 0.8 * noise.flatten(1, 2)
    votes, single = (
        (part.decode(output).xy - xy).norm(dim=-1).mean() for part in (codec, replace(codec, reading="offset", offset_blur=1))
    )
    assert votes < 0.5 * single


def test_the_score_of_grmi_is_the_share_of_the_disk_that_votes():
    codec = GRMI(SIZE, CELLS, 3)
    xy = places()
    output = codec.encode(xy)
    assert codec.decode(output).score.mean().item() == pytest.approx(1, abs=0.02)
    output[:, ::3] = output[:, ::3].where(output[:, ::3] < 0, 0)  # inside the disk it is not sure
    assert codec.decode(output).score.mean().item() == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("kind", [UDPOffset, GRMI])
def test_vectors_outside_the_disk_make_no_loss(kind):
    codec = kind(SIZE, CELLS, 3)
    xy, visible = places(4), torch.full((4, 3), 2)
    output = codec.encode(xy).requires_grad_()
    clean = codec.loss(output, xy, visible)
    changed = output.detach().unflatten(1, (3, 3)).clone()
    disk = changed[:, :, :1] > 0
    changed[:, :, 1:] += ~disk
    assert torch.equal(codec.loss(changed.flatten(1, 2), xy, visible), clean)
    changed[:, :, 1:] += disk
    assert codec.loss(changed.flatten(1, 2), xy, visible) > clean


def test_the_loss_of_udp_is_that_of_whole_targets():
    codec = UDPOffset(SIZE, CELLS, 3)
    xy, visible = places(4), torch.tensor([[2, 1, 0], [2, 2, 2], [0, 0, 2], [1, 1, 1]])
    output = torch.randn(4, 9, *CELLS, generator=torch.Generator().manual_seed(0))
    known = (visible > 0)[..., None, None]
    heat, dx, dy = (part * known for part in codec.encode(xy).unflatten(1, (3, 3)).unbind(2))
    o_heat, o_dx, o_dy = output.unflatten(1, (3, 3)).unbind(2)
    whole = 0.5 * (((o_heat - heat) * known) ** 2 + (heat * (o_dx - dx)) ** 2 + (heat * (o_dy - dy)) ** 2).mean()
    assert torch.allclose(codec.loss(output, xy, visible), whole)


def test_the_loss_of_grmi_is_the_papers():
    codec = GRMI(SIZE, CELLS, 3)
    xy, visible = places(4), torch.full((4, 3), 2)
    output = 2 * torch.randn(4, 9, *CELLS, generator=torch.Generator().manual_seed(0))
    true = codec.encode(xy).unflatten(1, (3, 3))
    disk = (true[:, :, 0] > 0).float()
    answer = output.unflatten(1, (3, 3))
    logistic = torch.nn.functional.binary_cross_entropy_with_logits(answer[:, :, 0], disk)
    length = (answer[:, :, 1:] - true[:, :, 1:]).norm(dim=2)
    huber = (torch.where(length < 1, 0.5 * length**2, length - 0.5) * disk).mean()
    assert torch.allclose(codec.loss(output, xy, visible), 4 * logistic + huber)


def test_vectors_of_grmi_may_be_learnt_by_l1_and_sums_divided_in_three_ways():
    xy, visible = places(4), torch.full((4, 3), 2)
    output = 2 * torch.randn(4, 9, *CELLS, generator=torch.Generator().manual_seed(0))
    codec = GRMI(SIZE, CELLS, 3, distance="l1", disk_weight=0.0)
    true = codec.encode(xy).unflatten(1, (3, 3))
    disk = (true[:, :, 0] > 0).float()
    error = ((output.unflatten(1, (3, 3))[:, :, 1:] - true[:, :, 1:]).abs() * disk[:, :, None]).sum(dim=(2, 3, 4))
    cells = CELLS[0] * CELLS[1]
    assert torch.allclose(codec.loss(output, xy, visible), error.mean() / cells)
    disks = replace(codec, reduction="disk")
    assert torch.allclose(disks.loss(output, xy, visible), (error / disk.sum(dim=(2, 3))).mean())
    total = replace(codec, reduction="sum")
    assert torch.allclose(total.loss(output, xy, visible), error.sum(dim=1).mean())
    whole = [replace(one, disk_weight=4.0).loss(output, xy, visible) for one in (codec, total)]
    assert torch.allclose(whole[0] * cells * 3, whole[1])


@pytest.mark.parametrize("kind", [UDPOffset, GRMI])
def test_joint_weights_and_hard_keypoints_change_the_loss(kind):
    xy, visible = places(4), torch.full((4, 3), 2)
    output = torch.randn(4, 9, *CELLS, generator=torch.Generator().manual_seed(0))
    plain = kind(SIZE, CELLS, 3)
    assert replace(plain, joint_weights=(2.0, 1.0, 1.0)).loss(output, xy, visible) > plain.loss(output, xy, visible)
    hardest = [replace(plain, ohkm=n).loss(output, xy, visible) for n in (1, 2, 3)]
    assert hardest[0] > hardest[1] > hardest[2]
    assert torch.allclose(hardest[2], plain.loss(output, xy, visible))


def test_the_gradient_of_what_is_near_the_disks_is_right():
    codec = GRMI((40, 32), (10, 8), 2)
    output = torch.randn(2, 6, 10, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)
    disks = codec.disks(
        torch.tensor([[[3.0, 5.0], [30.0, 20.0]], [[-9.0, 39.0], [16.0, 1.0]]]), torch.ones(2, 2, dtype=torch.bool)
    )
    assert torch.autograd.gradcheck(lambda maps: near_disks(maps, disks), output)


def test_vectors_are_smoothed_as_the_whole_map_would_be():
    maps = torch.randn(6, 2, 11, 9, generator=torch.Generator().manual_seed(0))
    cells = torch.tensor([[0, 0], [8, 10], [4, 5], [1, 9], [7, 0], [3, 3]])
    smoothed = (
        smooth.permute(2, 0, 1) for part in maps.unbind(1) for _, smooth in iterate_blurred(part.contiguous(), 7, "mirror")
    )
    whole = torch.stack([smooth.clone() for smooth in smoothed], dim=1)
    n = torch.arange(6)
    assert torch.allclose(blurred_at(maps, cells, 7), whole[n, :, cells[:, 1], cells[:, 0]], atol=1e-5)


@pytest.mark.parametrize("kind", [UDPOffset, GRMI])
def test_a_disk_without_extent_is_refused(kind):
    with pytest.raises(ValueError, match="radius above 0"):
        kind(SIZE, CELLS, 3, radius=0.0)
    with pytest.raises(ValueError, match="2 joint weights were given for 3"):
        kind(SIZE, CELLS, 3, joint_weights=(1.0, 2.0))


@pytest.mark.parametrize("blurs", [{"heat_blur": 4}, {"offset_blur": 0}, {"offset_blur": 6}])
def test_blurs_without_a_middle_are_refused(blurs):
    with pytest.raises(ValueError, match="odd blurs"):
        UDPOffset((64, 48), (16, 12), 5, **blurs)


def test_disks_are_read_without_a_blur_too():
    codec = UDPOffset((256, 192), (64, 48), 5, heat_blur=1, offset_blur=1)
    xy = 60 + 70 * torch.rand(3, 5, 2, generator=torch.Generator().manual_seed(0))
    assert (codec.decode(codec.encode(xy)).xy - xy).abs().max() <= codec.tolerance


def test_many_views_are_voted_on_some_at_a_time_and_alike():
    codec = GRMI((64, 48), (16, 12), 17)
    output = torch.randn(61, 51, 16, 12, generator=torch.Generator().manual_seed(1))
    many, few = codec.decode(output), codec.decode(output[30:])
    torch.testing.assert_close(many.xy[30:], few.xy)
    torch.testing.assert_close(many.score[30:], few.score)
