import math
from dataclasses import fields, replace

import pytest
import torch

from poise.errors import InputError
from poise.skeletons import COCO17
from poise.structures import Key, Labels, Preprocess, Sample
from poise.transforms.crop import box_frame
from poise.transforms.detector_jitter import DetectorAugmentation
from poise.transforms.drop import Cutout
from poise.transforms.jitter import SUPER, Augmentation, Draw
from poise.transforms.paint import Paint
from poise.transforms.person_crop import PersonCrop
from poise.transforms.scene_jitter import SceneAugmentation

STILL = {"scale": 0.0, "rotation": 0.0, "flip": 0.0}
MSPN = Augmentation(
    scale_range=(0.6, 1.0),
    rotation=45.0,
    rotation_law="uniform",
    rotation_probability=0.5,
    sides=(1.05, 1.05),
    extents=(0.6, 0.8),
    half_body=0.3,
    half_body_joints=3,
    half_body_upper=(*COCO17.upper, "left_hip", "right_hip"),
)
CPN = Augmentation(
    scale_range=(0.7, 1.35),
    max_scale=1.25,
    rotation=45.0,
    rotation_law="uniform",
    gain=0.2,
    repeat=("plain", "flip", "turn", "turn"),
)


def chance(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def draws(augmentation: Augmentation, count: int = 400, **options) -> list[Draw]:
    generator = chance(0)
    return [augmentation.draw(generator, **options) for _ in range(count)]


def grey(value: int = 100) -> Sample:
    image = torch.full((200, 200, 3), value, dtype=torch.uint8).permute(2, 0, 1)
    xy = torch.rand(1, 17, 2, generator=chance(1), dtype=torch.float64) * 80 + 60
    return Sample(image, Labels.of(xy, torch.full((1, 17), 2), torch.tensor([[50.0, 40.0, 150.0, 160.0]])), Key("grey"))


def test_mspns_laws_are_those_of_its_release():
    found = draws(MSPN)
    scales = [d.scale for d in found]
    assert 0.6 <= min(scales) < 0.63
    assert 0.97 < max(scales) <= 1.0
    turned = [d.degrees for d in found if d.degrees]
    assert 0.42 < len(turned) / len(found) < 0.58
    assert 42 < max(map(abs, turned)) <= 45
    assert 0.23 < sum(d.half_body for d in found) / len(found) < 0.37
    width, height = zip(*(d.grow for d in found), strict=True)
    assert 0.55 < max(width) <= 0.6
    assert 0.75 < max(height) <= 0.8
    assert min(width + height) >= 0


def test_mspns_box_grows_at_random_before_its_aspect_is_fixed():
    cut = Preprocess(crop="mspn", padding=1.0, sides=(1.09, 1.135))
    cutter = PersonCrop((256, 192), cut, COCO17, MSPN)
    labels = grey().labels
    draw = Draw(scale=1.0, degrees=0.0, flip=False, shift=(0.0, 0.0), half_body=False, prefer_upper=False, grow=(0.3, 0.4))
    warp, _ = cutter.random_warps(draw, labels, width=200)
    wide, high = 100 * 1.05 * 1.3, 120 * 1.05 * 1.4
    assert warp[0, 0].item() == pytest.approx(192 / max(wide, 0.75 * high))
    tested = box_frame(cut, labels.boxes[0], size=(256, 192))
    assert tested.extent[0] == pytest.approx(100 * 1.09)


def test_mspns_half_body_counts_the_hips_as_upper():
    labels = grey().labels
    legs = torch.tensor([n.endswith(("knee", "ankle")) for n in COCO17.keypoints])
    cut = Preprocess(crop="mspn", padding=1.0)
    draw = Draw(scale=1.0, degrees=0.0, flip=False, shift=(0.0, 0.0), half_body=True, prefer_upper=False)
    warp, _ = PersonCrop((64, 48), cut, COCO17, MSPN).random_warps(draw, labels, width=200)
    low, high = labels.xy[0, legs].amin(dim=0), labels.xy[0, legs].amax(dim=0)
    middle = warp[:2, :2] @ ((low + high) / 2) + warp[:2, 2]
    assert torch.allclose(middle, torch.tensor([24.0, 32.0], dtype=torch.float64), atol=1e-4)


def test_cpn_never_shows_more_than_it_had_cropped():
    scales = [d.scale for d in draws(CPN)]
    assert 0.7 <= min(scales) < 0.73
    assert max(scales) == 1.25
    assert 0.1 < sum(s == 1.25 for s in scales) / len(scales) < 0.21  # 0.1 of 0.65


def test_cpns_people_come_plain_mirrored_and_turned_twice():
    assert all(d.degrees == 0 and not d.flip for d in draws(CPN, repeat_mode="plain"))
    assert all(d.degrees == 0 and d.flip for d in draws(CPN, repeat_mode="flip"))
    turned = draws(CPN, repeat_mode="turn")
    assert all(d.degrees != 0 and not d.flip for d in turned)
    assert 42 < max(abs(d.degrees) for d in turned) <= 45
    assert 0.4 < sum(d.degrees > 0 for d in turned) / len(turned) < 0.6


def test_gains_brighten_each_channel_by_itself():
    cutter = PersonCrop(
        (32, 32), Preprocess(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)), COCO17, Augmentation(**STILL, gain=0.2)
    )
    views = torch.stack([cutter(grey(), 0, chance(seed)).image for seed in range(60)])
    middle = views[:, :, 16, 16] * 255
    assert middle.min() >= 79.9
    assert middle.max() <= 120.1
    assert middle.std(dim=0).min() > 5
    assert (middle[:, 0] - middle[:, 1]).abs().max() > 10


def test_axes_are_stretched_and_sheared_about_the_middle():
    bending = Augmentation(**STILL, rotation_probability=1.0, stretch=0.5, shear=20.0)
    cutter = PersonCrop((101, 101), Preprocess(), COCO17, bending)
    plain = PersonCrop((101, 101), Preprocess(), COCO17)(grey(), 0)
    for seed in range(10):
        view = cutter(grey(), 0, chance(seed))
        bent = view.warp @ torch.linalg.inv(plain.warp)
        middle = torch.tensor([50.0, 50.0, 1.0], dtype=torch.float64)
        assert torch.allclose(bent @ middle, middle, atol=1e-9)
        assert abs(math.degrees(math.atan(bent[0, 1] / bent[1, 1]))) <= 20 + 1e-6
        assert 0.5 <= bent[0, 0] <= 1.5
        assert 0.5 <= bent[1, 1] <= 1.5


OPTIONS = [
    {"scale_range": (0.6, 1.0)},
    {"rotation_law": "uniform"},
    {"extents": (0.6, 0.8)},
    {"gain": 0.2},
    {"stretch": 0.5, "shear": 20.0},
    {"drop": Cutout()},
    {"paint": Paint()},
    {"colour": 0.3},
    {"half_body": 1.0},
]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: next(iter(o)))
def test_no_option_changes_the_random_choices_of_another(options):
    plain, other = Augmentation(), Augmentation(**options)
    first, second = chance(7), chance(7)
    for _ in range(3):
        a, b = plain.draw(first), other.draw(second)
        assert (a.flip, a.prefer_upper, a.seed, a.tint) == (b.flip, b.prefer_upper, b.seed, b.tint)
    assert torch.equal(torch.rand(4, generator=first), torch.rand(4, generator=second))


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: next(iter(o)))
def test_the_same_seed_gives_the_same_view_and_another_seed_another(options):
    cutter = PersonCrop((48, 36), Preprocess(), COCO17, Augmentation(**options))
    first, again, other = (cutter(grey(), 0, chance(seed)) for seed in (4, 4, 5))
    assert torch.equal(first.image, again.image)
    assert torch.equal(first.warp, again.warp)
    assert not torch.equal(first.warp, other.warp)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"half_body": 1.2}, "half_body is a probability, 0 to 1, not 1.2"),
        ({"rotation_probability": -0.1}, "rotation_probability is a probability"),
        ({"gain": 1.0}, "gain is a share"),
        ({"scale_range": (1.2, 0.8)}, "scale_range goes from"),
        ({"max_scale": 0.0}, "max_scale is a factor above 0"),
        ({"sides": (1.0, 0.0)}, "sides are factors above 0"),
        ({"extents": (-0.1, 0.0)}, "extents are shares"),
        ({"shear": 60.0}, "shear is in degrees, 0 to below 45"),
        ({"rotation_law": "gauss"}, "rotation_law is normal or uniform, not 'gauss'"),
        ({"repeat": ("plain", "spin")}, "repeat takes plain, flip, turn, not spin"),
    ],
)
def test_impossible_settings_are_refused_in_a_sentence(options, sentence):
    wrong = Augmentation()
    wrong.__dict__.update(options)  # the tests' type checks would otherwise speak before our own
    with pytest.raises(InputError, match=sentence):
        wrong.__post_init__()


def test_an_upper_body_of_unknown_keypoints_is_refused():
    with pytest.raises(InputError, match="half_body_upper names left_hoof, which skeleton 'coco17' does not have"):
        PersonCrop((48, 36), Preprocess(), COCO17, Augmentation(half_body_upper=("nose", "left_hoof")))


def animal(seed: int, augmentation: Augmentation, *, size=(64, 64)):
    image = torch.full((90, 120, 3), 100, dtype=torch.uint8)
    image[30:60, 40:80] = 200
    xy = torch.tensor([[[40.0, 30.0], [79.0, 30.0], [79.0, 59.0], [40.0, 59.0], *[[60.0, 45.0]] * 13]])
    labels = Labels.of(xy, torch.full((1, 17), 2), torch.tensor([[40.0, 30.0, 80.0, 60.0]]))
    crop = PersonCrop(size, Preprocess(crop="hourglass", padding=1.25, mean=(0.0,) * 3, std=(1.0,) * 3), COCO17, augmentation)
    return crop(Sample(image.permute(2, 0, 1), labels, Key("a.png")), 0, chance(seed))


def test_the_super_augmentation_draws_from_the_ranges_of_its_release():
    drawn = draws(SUPER)
    bent = [one for one in drawn if one.refit]
    assert 0.4 < len(bent) / len(drawn) < 0.6
    assert all(
        one.stretch == (1, 1) and one.shear == (0, 0) and one.degrees == 0 and one.fill is None
        for one in drawn
        if not one.refit
    )
    assert max(abs(one.degrees) for one in bent) <= 30
    assert max(abs(value) for one in bent for value in one.shear) <= 20
    stretches = [value for one in bent for value in one.stretch]
    assert 0.5 <= min(stretches) < 0.55
    assert 1.45 < max(stretches) <= 1.5
    assert len({one.fill for one in bent}) > 50
    assert all(0 <= one.fill <= 255 for one in bent)
    assert all(one.scale == 1 for one in drawn)
    assert max(abs(value) for one in drawn for value in one.shift) <= 0.05


def test_a_bent_animal_is_framed_anew():
    changed = replace(SUPER, paint=None, translation=0.0, rotation_probability=1.0)
    for seed in range(30):
        view = animal(seed, changed)
        corners = view.labels.xy[0]
        low, high = corners.amin(dim=0), corners.amax(dim=0)
        assert torch.allclose((low + high) / 2, torch.tensor([32.0, 32.0]), atol=1.5)
        assert float((high - low).max()) == pytest.approx(64 / 1.25, abs=1.5)
        inside = corners.mean(dim=0).round().long()
        assert float(view.image[0, inside[1], inside[0]]) == pytest.approx(200 / 255, abs=0.02)


def test_outside_the_image_a_bent_view_has_one_grey():
    changed = replace(SUPER, paint=None, rotation_probability=1.0, refit=False)
    edges = {float(animal(seed, replace(changed, scale_range=(3.0, 3.0))).image[:, 0, 0].mean()) for seed in range(12)}
    assert len(edges) > 6


def test_truncated_changes_are_normal_ones_within_one_deviation_and_shifts_are_rarer():
    views = Augmentation(scale=0.4, rotation=80.0, truncated=True, translation=0.16, translation_probability=0.3)
    draws = [views.draw(chance(seed)) for seed in range(2000)]
    each = torch.tensor([[(d.scale - 1) / 0.4, d.degrees / 80, d.shift[0] / 0.16, d.shift[1] / 0.16] for d in draws])
    assert each.abs().max() <= 1
    moved = [each[:, 0], each[:, 1][each[:, 1] != 0], *each[:, 2:][each[:, 2] != 0].T]
    assert [len(part) / 2000 for part in moved] == pytest.approx([1, 0.6, 0.3, 0.3], abs=0.03)
    deviation = math.sqrt(1 - 2 * math.exp(-0.5) / math.sqrt(2 * math.pi) / math.erf(math.sqrt(0.5)))  # of that law
    assert [float(part.std()) for part in moved] == pytest.approx([deviation] * 4, abs=0.04)


def test_hue_goes_round_and_each_step_is_left_out_of_half_of_the_views():
    labels = Labels.of(torch.full((1, 17, 2), 8.0), torch.full((1, 17), 2), torch.tensor([[0.0, 0.0, 15.0, 15.0]]))
    image = torch.zeros(3, 16, 16, dtype=torch.uint8)
    image[0], image[2] = 200, 20  # nearly red, with a hue a little below 180
    crop = PersonCrop((16, 16), Preprocess(), COCO17, Augmentation(**STILL, hsv=(8.0, 0.0, 0.0)))
    found = [crop(Sample(image, labels, Key("a", 1)), 0, chance(seed)).image[:, 8, 8] for seed in range(40)]
    pixels = [(view * torch.tensor((0.229, 0.224, 0.225)) + torch.tensor((0.485, 0.456, 0.406))) * 255 for view in found]
    same = [bool((p.round() == torch.tensor((200.0, 0.0, 20.0))).all()) for p in pixels]
    assert 10 < sum(same) < 34
    assert any(p[1] > 5 > p[2] for p in pixels), "past red to yellow"
    assert any(p[2] > 25 for p in pixels), "and to blue"


@pytest.mark.parametrize("kind", [Augmentation, SceneAugmentation, DetectorAugmentation])
def test_no_number_of_an_augmentation_is_nan_or_infinite(kind):
    defaults = {one.name: getattr(kind(), one.name) for one in fields(kind)}
    of_floats = {name for name, v in defaults.items() if isinstance(v, tuple) and v and type(v[0]) is float}
    amounts = {name: v for name, v in defaults.items() if isinstance(v, float) or name in of_floats}
    assert len(amounts) > 5
    for name, value in amounts.items():
        for odd in (math.nan, math.inf):
            with pytest.raises(InputError, match=f"augmentation: {name}"):
                kind(**{name: (odd, *value[1:]) if isinstance(value, tuple) else odd})
