"""The laws of `codecs/base.py`, for every codec of the folder, at several sizes."""

import json

import pytest
import torch

from poise.codecs.base import codec_types, from_plain, to_plain

SIZES = {
    "256x192": ((256, 192), (64, 48)),
    "odd": ((253, 187), (61, 45)),
    "square": ((128, 128), (32, 32)),
    "wide": ((100, 260), (25, 65)),
    "full-resolution": ((40, 52), (40, 52)),
}
FLIP = torch.tensor([0, 2, 1, 4, 3])
MARGIN = 10
"""Cells between the keypoints and the border, where every codec has all its neighbours."""


@pytest.fixture(params=codec_types())
def kind(request):
    return codec_types()[request.param]


@pytest.fixture(params=SIZES)
def codec(kind, request):
    size, cells = SIZES[request.param]
    return kind(size, cells, len(FLIP))


@pytest.fixture
def xy(codec):
    margin = MARGIN * torch.tensor(codec.grid.scale)
    room = torch.tensor([codec.size[1] - 1.0, codec.size[0] - 1.0]) - 2 * margin
    return margin + room.clamp(min=0) * torch.rand(12, len(FLIP), 2, generator=torch.Generator().manual_seed(0))


def mirrored(codec, xy):
    return torch.stack((codec.size[1] - 1 - xy[..., 0], xy[..., 1]), dim=-1)[:, FLIP]


def everywhere(xy):
    return torch.full(xy.shape[:2], 2, dtype=torch.int64)


def test_what_was_encoded_is_decoded(codec, xy):
    allowed = codec.exceptions.get(1, codec.tolerance)
    assert (codec.decode(codec.encode(xy)).xy - xy).abs().max() <= allowed


def test_the_highest_value_is_the_score(codec, xy):
    output = codec.encode(xy)
    assert torch.equal(codec.decode(output).score, output.amax(dim=(-2, -1)))


def test_unflipping_twice_changes_nothing(codec):
    output = torch.rand(3, codec.channels, *codec.cells, generator=torch.Generator().manual_seed(1))
    twice = codec.unflip(codec.unflip(output, FLIP), FLIP)
    changed = (twice != output).float().mean()
    assert changed <= codec.exceptions.get(2, 0.0) + 1e-6


def test_a_mirrored_view_gives_the_same_keypoints(codec, xy):
    found = codec.decode(codec.unflip(codec.encode(mirrored(codec, xy)), FLIP)).xy
    allowed = codec.exceptions.get(3, codec.tolerance)
    assert (found - xy).abs().max() <= allowed


@pytest.mark.parametrize("law", [2, 3])
def test_an_exception_is_declared_only_where_a_law_is_broken(codec, xy, law):
    if law not in codec.exceptions:
        return
    if law == 2:
        output = torch.rand(3, codec.channels, *codec.cells, generator=torch.Generator().manual_seed(1))
        broken = (codec.unflip(codec.unflip(output, FLIP), FLIP) != output).float().mean().item()
        assert broken == pytest.approx(codec.exceptions[2], rel=0.05)
    else:
        found = codec.decode(codec.unflip(codec.encode(mirrored(codec, xy)), FLIP)).xy
        assert codec.tolerance < (found - xy).abs().max() <= codec.exceptions[3]


@pytest.mark.parametrize("shift", [(0, 1), (0, -1), (1, 0), (-1, 0), (2, 2)])
def test_a_shifted_output_has_a_higher_loss(codec, xy, shift):
    output = codec.encode(xy)
    true = codec.loss(output, xy, everywhere(xy))
    assert true < codec.loss(output.roll(shift, dims=(-2, -1)), xy, everywhere(xy))
    assert true < 1e-10


def test_an_unlabelled_keypoint_sends_no_gradient(codec, xy):
    output = torch.randn(len(xy), codec.channels, *codec.cells, generator=torch.Generator().manual_seed(2)).requires_grad_()
    visible = everywhere(xy)
    visible[:, 1], visible[0] = 0, 0
    codec.loss(output, xy.masked_fill((visible == 0)[..., None], torch.nan), visible).backward()
    assert output.grad.isfinite().all()
    assert (output.grad[:, 1] == 0).all()
    assert (output.grad[0] == 0).all()
    assert (output.grad[1, 0] != 0).any()


def test_codecs_survive_a_model_file(codec):
    assert from_plain(json.loads(json.dumps(to_plain(codec)))) == codec


def test_pictures_are_between_0_and_1(codec, xy):
    picture = codec.picture(codec.encode(xy) * 3 - 1)
    assert picture.shape == (len(xy), codec.keypoints, *codec.cells)
    assert picture.min() >= 0
    assert picture.max() <= 1


def test_decoding_works_in_float32_whatever_comes_in(codec, xy):
    half = codec.encode(xy).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = codec.decode(half)
    assert found.xy.dtype == found.score.dtype == torch.float32
    assert torch.equal(found.xy, codec.decode(half.float()).xy)


def test_the_memory_format_of_the_output_does_not_matter(codec, xy):
    output = codec.encode(xy)
    other = output.contiguous(memory_format=torch.channels_last)
    assert torch.equal(codec.decode(other).xy, codec.decode(output).xy)
    assert torch.allclose(codec.loss(other, xy + 1, everywhere(xy)), codec.loss(output, xy + 1, everywhere(xy)))


def test_one_view_is_decoded_as_it_is_among_many(codec, xy):
    output = codec.encode(xy) + 0.01 * torch.rand(len(xy), codec.channels, *codec.cells)
    many = codec.decode(output)
    alone = codec.decode(output[7:8])
    assert torch.allclose(alone.xy[0], many.xy[7], atol=1e-4)
    assert codec.decode(output[:0]).xy.shape == (0, codec.keypoints, 2)


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf, 0.0, -1.0])
def test_degenerate_maps_give_a_finite_place_and_score(codec, value):
    output = torch.full((1, codec.channels, *codec.cells), value)
    found = codec.decode(output)
    assert found.xy.isfinite().all()
    assert found.score.isfinite().all()


@pytest.mark.parametrize("value", [torch.nan, -torch.inf])
def test_cells_that_are_not_numbers_are_passed_over(codec, xy, value):
    output = codec.encode(xy)
    corner = codec.cells[0] - 1
    best = output.flatten(2).argmax(dim=-1)
    output[:, :, corner, 0] = value
    found = codec.grid.to_cells(codec.decode(output).xy)
    assert (found - torch.stack((best % codec.cells[1], best // codec.cells[1]), dim=-1)).abs().max() <= 1


@pytest.mark.parametrize("views", [0, 1, 3])
@pytest.mark.parametrize("cells", [(1, 1), (1, 4), (3, 1), (2, 2), (5, 3)])
def test_maps_smaller_than_any_bump_are_encoded_and_decoded(kind, cells, views):
    codec = kind((9, 7), cells, len(FLIP))
    xy = torch.rand(views, len(FLIP), 2, generator=torch.Generator().manual_seed(3)) * 7
    output = codec.encode(xy)
    assert output.shape == (views, codec.channels, *cells)
    for values in (output, output * torch.nan, output.new_full(output.shape, torch.inf)):
        found = codec.decode(codec.unflip(values, FLIP))
        assert found.xy.shape == (views, len(FLIP), 2)
        assert found.xy.isfinite().all()
        assert found.score.isfinite().all()
    learnt = output.clone().requires_grad_()
    codec.loss(learnt, xy + 1, everywhere(xy)).backward()
    assert learnt.grad.isfinite().all()


def test_a_plain_map_of_the_wrong_size_is_refused(codec):
    with pytest.raises(ValueError, match="network must be built for this codec"):
        codec.decode(torch.zeros(1, codec.channels, codec.cells[0] + 1, codec.cells[1]))
