from dataclasses import fields, replace

import pytest
import torch

from poise.errors import InputError
from poise.transforms.scene_jitter import SceneAugmentation


def draws(options: SceneAugmentation, count: int = 2000) -> list:
    generator = torch.Generator().manual_seed(0)
    return [options.draw(generator) for _ in range(count)]


def test_the_defaults_draw_what_the_release_draws():
    found = draws(SceneAugmentation())
    scale = torch.tensor([d.scale for d in found])
    assert 0.5 <= scale.min() < 0.52
    assert 1.98 < scale.max() <= 2.0
    assert scale.mean() == pytest.approx(1.25, abs=0.03)
    assert 44 < max(d.degrees for d in found) <= 45
    assert -45 <= min(d.degrees for d in found) < -44
    assert {d.flip for d in found} == {True, False}
    assert max(abs(s - 1) for d in found for s in d.stretch) == pytest.approx(0.05, abs=1e-3)
    assert max(abs(s) for d in found for s in d.shift) * 512 == pytest.approx(150, abs=1)
    shares = {name: sum(bool(getattr(d, name)) for d in found) / len(found) for name in ("flip", "shaken", "grey", "hsv")}
    assert shares == pytest.approx({"flip": 0.5, "shaken": 0.2, "grey": 0.02, "hsv": 0.2}, abs=0.035)


def test_tints_are_whole_steps_up_to_the_largest_and_reach_both_ends():
    found = torch.tensor([d.hsv for d in draws(SceneAugmentation(hsv=(2, 1, 0), hsv_probability=1.0))])
    assert found.amin(dim=0).tolist() == [-2, -1, 0]
    assert found.amax(dim=0).tolist() == [2, 1, 0]


def test_options_do_not_change_each_others_random_choices():
    plain = SceneAugmentation()
    for change in ({"flip": 0.0}, {"grey": 1.0}, {"colour": 0.5}, {"hsv_probability": 0.0}, {"scale_range": (1.0, 1.0)}):
        a, b = draws(plain, 5), draws(replace(plain, **change), 5)
        assert [d.seed for d in a] == [d.seed for d in b]
        touched = {"flip", "grey", "hsv", "scale"}
        for one, other in zip(a, b, strict=True):
            assert all(getattr(one, f.name) == getattr(other, f.name) for f in fields(one) if f.name not in touched)


@pytest.mark.parametrize(
    "wrong",
    [
        {"flip": 1.5},
        {"shake_probability": -0.1},
        {"stretch": 1.0},
        {"translation": -0.1},
        {"scale_range": (0.0, 1.0)},
        {"scale_range": (2.0, 1.0)},
        {"rotation": -1.0},
        {"shake": (1.0, 0.0)},
        {"hsv": (-1, 0, 0)},
        {"min_area": -1.0},
    ],
)
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(InputError):
        SceneAugmentation(**wrong)
