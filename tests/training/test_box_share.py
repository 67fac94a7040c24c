"""How much of their images the boxes cover that a model learns from."""

import io
import json

import pytest
import torch
from rich.console import Console
from safetensors import safe_open

from poise.errors import ImageError
from poise.training.box_share import box_share
from poise.training.fit import fit

HERE = {"device": "cpu", "precision": "fp32", "workers": 0}


def test_the_share_is_the_median_and_damaged_images_do_not_matter(tiny, monkeypatch):
    dots = tiny.Dots(5)
    assert box_share(dots) == pytest.approx((63 / 64) ** 2, abs=1e-4)
    image = tiny.Dots.image

    def sometimes(self, index):
        if index % 2:
            raise ImageError("damaged")
        return torch.nn.functional.pad(image(self, index), (0, 192, 0, 192))

    monkeypatch.setattr(tiny.Dots, "image", sometimes)
    assert box_share(dots) == pytest.approx((63 / 256) ** 2, abs=1e-4)
    assert box_share(tiny.Dots(0)) is None


def test_the_file_of_a_trained_model_knows_it(tiny, tmp_path):
    result = fit(tiny.recipe(), out=tmp_path, steps=1, console=Console(quiet=True, file=io.StringIO()), **HERE)
    with safe_open(result.file, framework="pt") as file:
        assert json.loads(file.metadata()["poise"])["card"]["box_share"] == pytest.approx(0.969, abs=1e-3)
    assert result.model.card.learnt_whole_images
