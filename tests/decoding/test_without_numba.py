"""Where numba is not installed tensor operations, arrays and plain loops give what the compiled loops give."""

import sys

import numpy as np
import pytest
import torch

from poise import machine
from poise.codecs import label_kernel, label_tensors
from poise.codecs.guiding_offsets import _backend
from poise.decoding.blur import blur_maps, blurred_at, blurred_extremes, blurred_peaks
from poise.decoding.cubic import bicubic_argmax
from poise.decoding.grouping import select_limbs
from poise.decoding.peaks import fast_peaks
from poise.metrics.matches import Matches


@pytest.fixture
def both(monkeypatch):
    """What a call gives with compiled loops, and without numba."""

    def call(function):
        with_loops = function()
        monkeypatch.setitem(sys.modules, "numba", None)
        _forget()
        without = function()
        assert not machine.compiles()
        monkeypatch.undo()
        _forget()
        return with_loops, without

    yield call
    _forget()


def _forget():
    machine.compiles.cache_clear()
    machine.compiled.cache_clear()


def drawn(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("border", ["zeros", "mirror"])
@pytest.mark.parametrize("size", [3, 7, 11])
def test_blurred_maps_and_their_values_are_the_same(both, border, size):
    maps, index = drawn(20, 16, 12), torch.arange(20)[:, None] * 3 % 192
    loops, tensors = both(
        lambda: (
            blur_maps(maps, size, border),
            *blurred_at(maps, index, size, border),
            *blurred_extremes(maps, size, border),
        )
    )
    for one, other in zip(loops, tensors, strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=0)


def test_peaks_of_blurred_maps_are_the_same(both):
    maps = drawn(9, 20, 16, seed=1)
    (cells, values), (others, as_high) = both(lambda: blurred_peaks(maps, 7, "zeros", count=2, margin=3))
    assert torch.equal(cells, others)
    torch.testing.assert_close(values, as_high, atol=1e-6, rtol=0)


def test_the_highest_pixel_of_resized_maps_is_the_same(both):
    maps, lengths = drawn(3, 5, 14, 14, seed=2), torch.tensor([[40, 31], [9, 70], [14, 14]])
    (cells, values), (others, as_high) = both(lambda: bicubic_argmax(maps, lengths))
    assert torch.equal(cells, others)
    torch.testing.assert_close(values, as_high, atol=1e-5, rtol=0)


def test_peaks_of_upsampled_maps_are_the_same(both):
    maps = torch.nn.functional.interpolate(drawn(2, 3, 6, 6, seed=3), size=(24, 24), mode="bicubic").clamp(min=0)
    loops, tensors = both(lambda: fast_peaks(maps, top=6, stride=4, threshold=0.3))
    assert (loops.score > 0).any()
    torch.testing.assert_close(loops.score, tensors.score, atol=1e-5, rtol=0)
    assert torch.equal(loops.xy, tensors.xy)
    none = both(lambda: fast_peaks(maps, top=6, stride=4, threshold=9.0))
    assert torch.equal(none[0].xy, none[1].xy)


def test_labels_of_whole_images_are_drawn_by_tensors(both):
    assert both(lambda: _backend(torch.zeros(1))) == (label_kernel, label_tensors)


def test_limbs_are_chosen_by_the_same_loops(both):
    score, peak = drawn(4, 9, seed=4).numpy(), torch.randint(0, 4, (4, 9, 2)).numpy()
    loops, plain = both(lambda: select_limbs(peak, score, score > 0.3))
    for one, other in zip(loops, plain, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("results", [0, 1, 60])
def test_resampled_precision_and_recall_are_the_same_to_the_bit(both, results):
    rng = np.random.default_rng(results)
    outcome = rng.integers(0, 3, (10, results), dtype=np.int8)
    found = Matches(outcome, rng.integers(0, 8, results), rng.integers(0, 4, 8))
    counts = np.concatenate((rng.integers(0, 3, (20, 8)), np.zeros((1, 8), np.int64)))
    for one, other in zip(*both(lambda: found.resampled(counts)), strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_numba_would_bring_is_said_once(both, capsys):
    maps = drawn(2, 8, 8)
    both(lambda: [blur_maps(maps, 3, "zeros") for _ in range(3)])
    (said,) = capsys.readouterr().err.splitlines()
    assert "pip install 'poise[fast]'" in said
    assert "slower" in said
