import pytest
import torch

from poise.errors import ImageError, InputError
from poise.models.views.base import AnyViews, TimedView, mixed_seed
from poise.models.views.person import PersonViews
from poise.structures import Labels, Preprocess
from poise.training.data import ResumableSampler, SwitchedViews, loader, passes_of, repeats_of, val_every_of
from poise.training.recipe import LastPart
from poise.transforms.jitter import Augmentation
from poise.transforms.person_crop import PersonCrop


class Words(AnyViews):
    """A word in place of every view."""

    def __init__(self, word: str, count: int) -> None:
        self.word, self.count = word, count

    def __len__(self):
        return self.count

    def __getitem__(self, where):
        return TimedView(self.word, where[1], 0.0, 0.0)

    def collate(self, cuts):
        raise NotImplementedError


def rows(order: ResumableSampler) -> list[int]:
    return [row for batch in order for _, row in batch]


def test_an_epoch_shows_everybody_once_and_no_two_epochs_are_alike():
    order = ResumableSampler(12, 4, seed=3)
    first = rows(order)
    order.set_epoch(1)
    second = rows(order)
    assert sorted(first) == sorted(second) == list(range(12))
    assert first != second


def test_processes_share_every_batch():
    whole = ResumableSampler(24, 8, seed=3)
    parts = [ResumableSampler(24, 4, seed=3, rank=r, world=2) for r in (0, 1)]
    for batch, *shares in zip(whole, *parts, strict=True):
        assert sorted(batch) == sorted(shares[0] + shares[1])


@pytest.mark.parametrize(("count", "batch", "repeats"), [(12, 4, 1), (10, 4, 1), (3, 8, 1), (12, 4, 3)])
def test_views_change_with_the_epoch_at_which_the_last_part_of_a_run_begins(count, batch, repeats):
    order = ResumableSampler(count, batch, seed=0, repeats=repeats)
    begin = LastPart(0.4, None).begin(5) * passes_of(repeats, count=count, batch=batch)
    views = SwitchedViews(Words("before", count), Words("after", count), begin=begin)
    assert len(views) == count
    for epoch in range(5):
        order.set_epoch(epoch)
        assert {views[where].view for own in order for where in own} == {"before" if epoch < 3 else "after"}


def test_an_epoch_can_begin_in_its_middle_and_only_that_epoch_does():
    straight, resumed = ResumableSampler(40, 4, seed=0), ResumableSampler(40, 4, seed=0)
    straight.set_epoch(2)
    resumed.begin(2, 6)
    assert list(resumed) == list(straight)[6:]
    resumed.set_epoch(3)
    assert len(list(resumed)) == len(resumed) == 10


def test_validation_shows_everybody_in_order_however_many_processes_share_it():
    assert rows(ResumableSampler(7, 3, seed=None)) == list(range(7))
    parts = [rows(ResumableSampler(7, 3, seed=None, rank=r, world=2)) for r in (0, 1)]
    assert sorted(parts[0] + parts[1]) == list(range(7))


def test_fewer_people_than_a_batch_come_again():
    shown = rows(ResumableSampler(3, 8, seed=0))
    assert sorted(shown.count(who) for who in range(3)) == [2, 3, 3]


def test_seeds_are_mixed_without_collisions():
    seeds = {mixed_seed(s, e, i) for s in range(4) for e in range(20) for i in range(50)}
    assert len(seeds) == 4000
    assert all(0 <= s < 2**63 for s in seeds)


@pytest.fixture
def views(tiny):
    cutter = PersonCrop((64, 64), Preprocess(), tiny.DOTS, Augmentation())
    return PersonViews(tiny.Dots(6), cutter, seed=5)


def test_a_view_depends_on_seed_epoch_and_place_alone(views):
    again = views[(1, 2)].view.image
    assert torch.equal(views[(1, 2)].view.image, again)
    assert not torch.equal(views[(2, 2)].view.image, again)
    assert not torch.equal(views[(1, 3)].view.image, again)


def test_a_parcel_is_channels_last_and_knows_its_people(views):
    parcel = views.collate([views[(0, 4)], views[(0, 1)]])
    assert parcel.indices == (4, 1)
    assert parcel.batch.images.is_contiguous(memory_format=torch.channels_last)
    assert parcel.read > 0
    assert parcel.warp > 0
    assert parcel.to("cpu").indices == (4, 1)


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # on a machine of one core
def test_workers_give_the_same_parcels(views):
    alone = list(loader(views, ResumableSampler(6, 2, seed=1), workers=0, pin=False))
    helped = list(loader(views, ResumableSampler(6, 2, seed=1), workers=2, pin=False))
    for a, b in zip(alone, helped, strict=True):
        assert a.indices == b.indices
        assert torch.equal(a.batch.images, b.batch.images)


def test_data_without_people_is_refused(tiny, monkeypatch):
    monkeypatch.setattr(
        tiny.Dots,
        "labels",
        lambda self, i: Labels.of(torch.zeros(1, 2, 2), torch.zeros(1, 2, dtype=torch.int64), torch.ones(1, 4)),
    )
    with pytest.raises(InputError, match="none of the 6 images"):
        PersonViews(tiny.Dots(6), PersonCrop((64, 64), Preprocess(), tiny.DOTS), seed=0)


def test_unreadable_images_in_a_row_stop_the_run(views, tiny, monkeypatch):
    def image(self, index):
        raise ImageError(f"dots-{index}.png is gone")

    monkeypatch.setattr(tiny.Dots, "image", image)
    with pytest.raises(ImageError, match=r"6 images in a row.*dots-2\.png is gone"):
        views[(0, 2)]


def test_a_broken_image_of_many_people_does_not_stop_the_run(views, tiny, monkeypatch):
    read = tiny.Dots.image

    def image(self, index):
        if index == 2:
            raise ImageError("dots-2.png is cut")
        return read(self, index)

    monkeypatch.setattr(tiny.Dots, "image", image)
    views.people = [(2, 0)] * 30 + [(3, 0)]
    found = views[(0, 5)]
    assert found.index == 30
    assert found.bad == ("dots-2.png is cut",), "it is read and told once"


def test_people_off_the_middle_can_be_left_out(tiny):
    cutter = PersonCrop((64, 64), Preprocess(), tiny.DOTS)
    dots = tiny.Dots(2000)
    everybody, chosen = PersonViews(dots, cutter, seed=0), PersonViews(dots, cutter, seed=0, select=True)
    off = {p for p in everybody.people if p not in chosen.people}
    assert 0 < len(chosen) < len(everybody) == 2000
    distance = {p: (dots.labels(p[0]).xy[0].mean(dim=0) - 31.5).norm().item() for p in everybody.people}
    assert max(distance[p] for p in chosen.people) <= min(distance[p] for p in off)


def test_people_who_are_repeated_come_once_in_each_way(tiny):
    ways = ("plain", "flip", "turn", "turn")
    cutter = PersonCrop((64, 64), Preprocess(), tiny.DOTS, Augmentation(repeat=ways))
    views = PersonViews(tiny.Dots(6), cutter, seed=5)
    assert len(views) == 24
    for person in range(6):
        cuts = [views[(0, person + 6 * copy)].view for copy in range(4)]
        assert {cut.key.image_id for cut in cuts} == {person}
        assert [bool(cut.warp[:2, :2].det() < 0) for cut in cuts] == [False, True, False, False]
        assert [abs(cut.warp[0, 1].item()) > 1e-9 for cut in cuts] == [False, False, True, True]
        assert not torch.equal(cuts[2].warp, cuts[3].warp)


def test_few_people_come_several_times_in_an_epoch_each_time_with_other_chances():
    order = ResumableSampler(5, 4, seed=0, repeats=6)
    shown = [one for batch in order for one in batch]
    assert len(order) == 6
    assert len(shown) == 24 == len(set(shown)), "no view is cut twice with the same chances"
    counts = [sum(view == who for _, view in shown) for who in range(5)]
    assert set(counts) <= {4, 5}
    order.set_epoch(1)
    assert set(shown).isdisjoint(one for batch in order for one in batch)
    parts = [ResumableSampler(5, 2, seed=0, rank=r, world=2, repeats=6) for r in (0, 1)]
    order.set_epoch(0)
    for batch, *shares in zip(order, *parts, strict=True):
        assert sorted(batch) == sorted(shares[0] + shares[1])


@pytest.mark.parametrize(
    ("repeats", "count", "batch", "wanted"),
    [(None, 12, 32, 10), (None, 122, 32, 4), (None, 320, 32, 1), (1, 12, 32, 1), (3, 5, 2, 3)],
)
def test_a_recipe_that_leaves_repeats_open_gets_epochs_of_ten_steps(repeats, count, batch, wanted):
    assert repeats_of(repeats, count=count, batch=batch) == wanted


@pytest.mark.parametrize(
    ("asked", "steps", "epochs", "wanted"),
    [
        (None, 50, 100, 1),
        (None, 10, 100, 5),
        (None, 1, 100, 10),
        (None, 1, 1000, 50),
        (None, 1, 9, 1),
        (3, 187, 9, 3),
        (1, 1, 100, 1),
    ],
)
def test_short_epochs_are_validated_so_rarely_that_fifty_steps_lie_between_but_ten_times_a_run(asked, steps, epochs, wanted):
    assert val_every_of(asked, steps=steps, epochs=epochs) == wanted
