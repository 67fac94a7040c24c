import pytest
import torch

from poise.errors import InputError, UnknownName
from poise.skeletons import COCO17
from poise.structures import Key, Labels, Preprocess, Sample
from poise.transforms.drop import Cutout, GridMask, HideAndSeek, RandomErasing, drop_by_name
from poise.transforms.jitter import Augmentation
from poise.transforms.person_crop import PersonCrop

NAMES = ["cutout", "random_erasing", "hide_and_seek", "grid_mask"]
SIZES = [(256, 192), (64, 48), (96, 128), (33, 57)]


def sure(name: str):
    """The way of that name, sparing nobody."""
    return {
        "cutout": Cutout(),
        "random_erasing": RandomErasing(probability=1.0),
        "hide_and_seek": HideAndSeek(),
        "grid_mask": GridMask(probability=1.0),
    }[name]


def chance(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def sample() -> Sample:
    image = torch.randint(0, 256, (120, 160, 3), generator=chance(0), dtype=torch.uint8).permute(2, 0, 1)
    xy = torch.rand(1, 17, 2, generator=chance(1), dtype=torch.float64) * 80 + 30
    return Sample(image, Labels.of(xy, torch.full((1, 17), 2), torch.tensor([[30.0, 20.0, 110.0, 110.0]])), Key("noise"))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", NAMES)
def test_a_share_of_the_view_is_dropped_and_the_rest_is_left_as_it_is(name, size):
    drop, shares = sure(name), []
    for seed in range(40):
        view = torch.rand(3, *size, generator=chance(seed)) + 1
        holes = drop.draw(size, chance(seed))
        dropped = holes.apply(view, Preprocess())
        assert torch.equal(dropped[:, ~holes.mask], view[:, ~holes.mask])
        assert not torch.equal(dropped, view) or not holes.mask.any()
        shares.append(holes.mask.double().mean().item())
    least, most = {
        "cutout": (0.05, 0.4),
        "random_erasing": (0.1, 0.3),
        "hide_and_seek": (0.25, 0.55),
        "grid_mask": (0.08, 0.24),
    }[name]
    assert least < sum(shares) / len(shares) < most
    assert max(shares) < 0.9


@pytest.mark.parametrize("name", ["cutout", "hide_and_seek", "grid_mask"])
def test_what_is_dropped_is_the_mean_colour(name):
    holes = sure(name).draw((64, 48), chance(3))
    view = torch.ones(3, 64, 48)
    assert (holes.apply(view, Preprocess())[:, holes.mask] == 0).all()


def test_erased_rectangles_are_full_of_noise_as_images_have_it():
    preprocess = Preprocess()
    holes = RandomErasing(probability=1.0, area=(0.3, 0.4)).draw((128, 96), chance(0))
    filled = holes.apply(torch.zeros(3, 128, 96), preprocess)[:, holes.mask]
    assert 0.29 < holes.mask.double().mean() < 0.41
    rows, columns = holes.mask.any(dim=1).sum(), holes.mask.any(dim=0).sum()
    assert int(rows * columns) == int(holes.mask.sum())  # one rectangle
    mean, std = torch.tensor(preprocess.mean), torch.tensor(preprocess.std)
    values = filled * std[:, None] + mean[:, None]
    assert values.min() > -1e-5
    assert values.max() < 1 + 1e-5
    assert (values.mean(dim=1) - 0.5).abs().max() < 0.02


def test_a_cut_out_ellipse_and_a_cut_out_box_have_their_sizes():
    for shape, share in (("ellipse", 3.1416), ("box", 4.0)):
        drop = Cutout(shape=shape, radius=(0.1, 0.1))
        whole = [int(drop.draw((200, 100), chance(s)).mask.sum()) for s in range(30)]
        assert max(whole) == pytest.approx(share * 10**2, rel=0.1)


def test_grid_squares_repeat_at_their_distance():
    mask = GridMask(probability=1.0, unit=(0.5, 0.5), keep=0.6).draw((120, 80), chance(2)).mask
    assert torch.equal(mask[:80, :40], mask[40:, 40:])
    assert mask.double().mean() == pytest.approx(0.4**2, abs=0.02)


@pytest.mark.parametrize("name", NAMES)
def test_some_views_are_left_unchanged(name):
    drop = type(drop_by_name(name))(probability=0.3)
    lost = sum(bool(drop.draw((64, 48), chance(seed)).mask.any()) for seed in range(400))
    assert 60 < lost < 160


@pytest.mark.parametrize("name", NAMES)
def test_dropping_changes_no_label_no_warp_and_no_other_random_choice(name):
    plain = Augmentation(colour=0.2, half_body=0.5)
    dropping = Augmentation(colour=0.2, half_body=0.5, drop=sure(name))
    for seed in range(6):
        with_all = PersonCrop((64, 48), Preprocess(), COCO17, plain)(sample(), 0, chance(seed))
        without = PersonCrop((64, 48), Preprocess(), COCO17, dropping)(sample(), 0, chance(seed))
        again = PersonCrop((64, 48), Preprocess(), COCO17, dropping)(sample(), 0, chance(seed))
        assert torch.equal(with_all.warp, without.warp)
        assert torch.equal(with_all.labels.xy, without.labels.xy)
        assert torch.equal(with_all.labels.visible, without.labels.visible)
        assert torch.equal(again.image, without.image)
        same = (with_all.image == without.image).all(dim=0)
        assert same.any()


def test_ways_of_dropping_have_names():
    assert [drop_by_name(name).name for name in NAMES] == NAMES
    with pytest.raises(UnknownName, match=r"no way of dropping 'cutuot'; did you mean 'cutout'\?"):
        drop_by_name("cutuot")


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Cutout(radius=(0.4, 0.6)), "a hole of 1.2 of the view's shorter side is a hole larger than the view"),
        (lambda: Cutout(radius=(0.4, 0.2)), r"radius goes from a number above 0 to one not smaller, not \(0.4, 0.2\)"),
        (lambda: Cutout(patches=0), "patches is 1 or more, not 0"),
        (lambda: Cutout(probability=1.5), "cutout: probability is 0 to 1, not 1.5"),
        (lambda: RandomErasing(area=(0.1, 1.2)), "larger than the view"),
        (lambda: RandomErasing(ratio=0.0), "ratio"),
        (lambda: HideAndSeek(tiles=(0.2, 1.4)), "a tile of 1.4 .* larger than the view"),
        (lambda: HideAndSeek(tiles=()), "tiles are shares"),
        (lambda: HideAndSeek(hide=-0.1), "hide is 0 to 1, not -0.1"),
        (lambda: GridMask(unit=(0.5, 4.0)), "a square of 1.6 .* larger than the view"),
        (lambda: GridMask(keep=2.0), "keep is 0 to 1, not 2"),
    ],
)
def test_impossible_settings_are_refused_in_a_sentence(make, sentence):
    with pytest.raises(InputError, match=sentence):
        make()
