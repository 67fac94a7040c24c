import re

import pytest

from poise.viz.curves import bars, chart, legend, ticks


@pytest.mark.parametrize("values", [[0.0, 1.0], [3.2, 3.9], [-5.0, 1e4], [1e-6, 2e-6], [7.0], []])
def test_ticks_are_few_and_span_the_values(values):
    found = ticks(values)
    assert 2 <= len(found) <= 8
    assert all(found[0] - 1e-9 <= v <= found[-1] + 1e-9 for v in values)


def test_places_of_whole_numbers_have_ticks_without_fractions():
    assert ticks([1.0, 2.0], whole=True) == [1, 2]
    assert all(tick == round(tick) for tick in ticks([1.0, 13.0], whole=True))


def test_long_numbers_at_the_axis_have_room():
    text = chart([1.0, 2.0], [[0.002005, 0.002035]])
    margin = float(re.search(r"margin-left:([\d.]+)rem", text)[1])
    longest = max(len(number) for number in re.findall(r'class="up"[^>]*>([^<]+)<', text))
    assert margin >= 0.45 * longest + 0.5


def test_a_line_lies_where_its_values_are():
    text = chart([0.0, 1.0], [[0.0, 0.5]], xlim=(0.0, 1.0), ylim=(0.0, 1.0))
    assert re.findall(r'<polyline points="([^"]*)"', text) == ["0.0,100.0 100.0,50.0"]
    assert 'd="M0.0 100.0h0M100.0 50.0h0"' in text


def test_axes_that_are_given_do_not_follow_the_values():
    text = chart([0.4, 0.5], [[0.1, 0.2]], xlim=(0.0, 1.0), ylim=(0.0, 1.0))
    for side in ("across", "up"):
        assert re.findall(f'class="{side}"[^>]*>([^<]+)<', text) == ["0", "0.2", "0.4", "0.6", "0.8", "1"]


def test_a_bar_is_as_long_as_its_parts():
    text = bars({"a": [1.0, 0.0, 3.0], "b": [-1.0, 0.0, 0.0]}, ["one", "two"], longest=4.0, colours=[2, 1, 0])
    assert re.findall(r"width:([\d.]+)%;background:var\(--c(\d)\)", text) == [("25.00", "2"), ("75.00", "0")]
    assert "one" in text
    assert "two" in text


def test_one_colour_needs_no_words():
    assert "<i" not in legend("loss", ["training"])
    assert legend("loss", ["training", "validation"]).count("<i") == 2
