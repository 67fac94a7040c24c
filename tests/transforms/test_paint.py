import numpy as np
import pytest
import torch

from poise.errors import InputError
from poise.skeletons import COCO17
from poise.structures import Key, Labels, Preprocess, Sample
from poise.transforms.jitter import Augmentation
from poise.transforms.paint import Paint, PaintDraw
from poise.transforms.person_crop import PersonCrop

GREY = np.full((64, 48, 3), 110, np.uint8)


def coats(paint: Paint, count: int = 200) -> list[PaintDraw]:
    generator = torch.Generator().manual_seed(0)
    return [paint.draw((8, 6), generator) for _ in range(count)]


def test_noise_blur_and_contrast_come_each_in_half_of_the_views_in_any_order():
    drawn = coats(Paint())
    for name in ("noise", "blur", "contrast"):
        assert 70 < sum(getattr(coat, name) is not None for coat in drawn) < 130
    assert len({coat.order for coat in drawn}) == 6
    blurs = [coat.blur for coat in drawn if coat.blur is not None]
    assert 1 <= min(blurs) < 1.3
    assert 4.7 < max(blurs) <= 5
    factors = [coat.contrast for coat in drawn if coat.contrast is not None]
    assert min(map(min, factors)) >= 0.5
    assert max(map(max, factors)) <= 2.0
    assert 0.3 < sum(len(set(f)) == 1 for f in factors) / len(factors) < 0.7
    noises = [coat.noise for coat in drawn if coat.noise is not None]
    assert np.concatenate([n.ravel() for n in noises]).std() == pytest.approx(127.5, rel=0.05)
    assert 0.3 < sum((n[..., 0] == n[..., 1]).all() for n in noises) / len(noises) < 0.7


def test_each_layer_does_what_it_says():
    edge = GREY.copy()
    edge[:, 24:] = 210
    blurred = PaintDraw(None, 2.0, None, (0, 1, 2)).apply(edge)
    assert 100 < blurred[32, 22, 0].astype(int) + 0 < 160
    assert (blurred[:, :12] == 110).all()
    harder = PaintDraw(None, None, (2.0, 1.0, 0.5), (2, 1, 0)).apply(GREY)
    assert harder[0, 0].tolist() == [92, 110, 119]
    noisy = PaintDraw(np.full((64, 48, 3), 200.0, np.float32), None, None, (0, 1, 2)).apply(GREY)
    assert (noisy == 255).all()
    assert np.array_equal(PaintDraw(None, None, None, (0, 1, 2)).apply(GREY), GREY)


def test_paint_changes_pixels_alone_and_the_same_seed_paints_the_same():
    image = torch.randint(0, 256, (90, 90, 3), dtype=torch.uint8).permute(2, 0, 1)
    labels = Labels.of(torch.rand(1, 17, 2) * 60, torch.full((1, 17), 2), torch.tensor([[10.0, 10.0, 80.0, 80.0]]))
    sample = Sample(image, labels, Key("noise"))
    plain, spoilt = (
        PersonCrop((64, 48), Preprocess(), COCO17, Augmentation(paint=paint)) for paint in (None, Paint(probability=1.0))
    )
    a, b, again = (c(sample, 0, torch.Generator().manual_seed(3)) for c in (plain, spoilt, spoilt))
    assert torch.equal(a.warp, b.warp)
    assert torch.equal(a.labels.xy, b.labels.xy)
    assert not torch.equal(a.image, b.image)
    assert torch.equal(b.image, again.image)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"probability": 2.0}, "probability is a probability, 0 to 1, not 2"),
        ({"blur": (3.0, 1.0)}, "blur goes from"),
        ({"contrast": (0.0, 1.0)}, "contrast goes from"),
        ({"noise": -1.0}, "noise is a share"),
    ],
)
def test_impossible_settings_are_refused(options, sentence):
    with pytest.raises(InputError, match=sentence):
        Paint(**options)
