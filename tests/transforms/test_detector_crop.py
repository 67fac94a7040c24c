"""Views for detectors: sizes, people's boxes, what is not learnt, four images in one view."""

from dataclasses import replace

import pytest
import torch

from poise.errors import InputError
from poise.geometry import apply, invert
from poise.models.views.scene import grown
from poise.scenes import Canvas, SceneBatch
from poise.skeletons import COCO17
from poise.structures import Key, Labels, Sample
from poise.transforms.detector_crop import DetectorCrop
from poise.transforms.detector_jitter import RELEASE_SIDES, DetectorAugmentation
from poise.transforms.drop import Cutout

CANVAS = Canvas(side=100, fit="short", most=160, multiple=32)


def sample(size=(80, 120), *, boxes=((20.0, 10.0, 60.0, 70.0),), labelled=True, crowd=None, seed=0):
    chance = torch.Generator().manual_seed(seed)
    box = torch.tensor(boxes)
    share = torch.rand(len(box), 17, 2, generator=chance) * 0.8 + 0.1
    xy = box[:, None, :2] + share * (box[:, 2:] - box[:, :2])[:, None]
    labels = Labels.of(xy, torch.full((len(box), 17), 2 if labelled else 0), box)
    if crowd is not None:
        labels = replace(labels, crowd=torch.tensor(crowd))
    image = torch.randint(0, 256, (*size, 3), generator=chance, dtype=torch.uint8).permute(2, 0, 1)
    return Sample(image, labels, Key("one.png", seed))


def cutter(canvas=CANVAS, **options):
    plain = {"sides": (100,), "max_side": 160, "flip": 0.0}
    return DetectorCrop(canvas, COCO17, DetectorAugmentation(**plain | options))


def cut(found, *, seed=0, of=None):
    return found(of or sample(), torch.Generator().manual_seed(seed))


def test_the_short_side_is_drawn_and_the_long_one_limited():
    sizes = {tuple(cut(cutter(sides=(60, 80)), seed=seed).ignore.shape) for seed in range(20)}
    assert sizes == {(60, 90), (80, 120)}
    assert cut(cutter(sides=(120,))).ignore.shape == (107, 160)
    release = replace(CANVAS, rule="torchvision")
    assert cut(cutter(release, sides=(80,))).ignore.shape == (80, 120)
    assert DetectorAugmentation().sides == RELEASE_SIDES == tuple(range(640, 801, 32))


@pytest.mark.parametrize("rule", ["unbiased", "torchvision"])
@pytest.mark.parametrize("options", [{}, {"flip": 1.0}, {"rotation": 180.0}, {"turn": 1.0}, {"crop": 1.0, "crop_share": 0.6}])
def test_keypoints_go_where_the_warp_says_and_so_do_pixels(rule, options):
    view = cut(cutter(replace(CANVAS, rule=rule), **options), seed=3)
    labels = sample().labels
    xy = labels.xy[:, COCO17.flip] if options.get("flip") else labels.xy
    torch.testing.assert_close(view.labels.xy, apply(view.warp, xy))
    # What is drawn at a pixel in the middle of the view is what was in the sample there.
    height, width = view.ignore.shape
    spot = torch.tensor([[width // 2, height // 2]], dtype=torch.float64)
    half = 0.5 if rule == "torchvision" else 0.0
    x, y = (apply(invert(view.warp), spot + half) - half)[0].tolist()
    patch = sample().image[:, int(y) : int(y) + 2, int(x) : int(x) + 2].float() / 255
    u, v = x - int(x), y - int(y)
    wanted = torch.einsum("chw,h,w->c", patch, torch.tensor([1 - v, v]), torch.tensor([1 - u, u]))
    mean, std = torch.tensor(CANVAS.mean), torch.tensor(CANVAS.std)
    found = view.image[:, height // 2, width // 2] * std + mean
    assert (found - wanted).abs().max() < 0.04


def test_half_a_turn_moves_boxes_to_the_other_corner():
    view = cut(cutter(turn=1.0, sides=(80,)))
    torch.testing.assert_close(view.labels.boxes, torch.tensor([[59.0, 9.0, 99.0, 69.0]]))


def test_an_image_that_lies_on_its_side_gets_a_view_that_does():
    found = cutter(rotation=180.0)
    shapes = {}
    for seed in range(40):
        degrees = found.augmentation.draw(torch.Generator().manual_seed(seed)).degrees
        shapes.setdefault(45 < abs(degrees) < 135, set()).add(tuple(cut(found, seed=seed).ignore.shape))
    assert shapes == {False: {(100, 150)}, True: {(150, 100)}}


def test_boxes_are_clipped_to_the_crop_and_people_hardly_inside_are_not_trained_on():
    found = cutter(crop=1.0, crop_share=0.2, min_visible=0.4)
    kinds = set()
    for seed in range(60):
        view = cut(found, seed=seed)
        height, width = view.ignore.shape
        edge = torch.tensor([width - 1.0, height - 1.0])
        boxes = view.labels.boxes
        assert (boxes[:, :2] >= 0).all()
        assert (boxes[:, 2:] <= edge).all()
        inside = ((view.labels.xy > -0.5) & (view.labels.xy < edge + 0.5)).all(-1)
        assert torch.equal(view.labels.visible > 0, inside)
        kinds.add((len(boxes), bool(view.ignore.any())))
    assert kinds == {(1, False), (0, True), (0, False)}


def test_crowds_are_ignored_and_people_without_keypoints_are_boxes():
    two = ((20.0, 10.0, 60.0, 70.0), (70.0, 10.0, 110.0, 70.0))
    view = cut(cutter(sides=(80,)), of=sample(boxes=two, crowd=[False, True]))
    assert len(view.labels) == 1
    assert view.ignore[40, 90]
    assert not view.ignore[40, 40]
    view = cut(cutter(sides=(80,)), of=sample(boxes=two, labelled=False))
    assert len(view.labels) == 2
    assert not view.labels.visible.any()
    assert not view.ignore.any()


def test_a_crowd_under_somebody_without_keypoints_stays_ignored():
    two = ((20.0, 10.0, 60.0, 70.0), (40.0, 10.0, 110.0, 70.0))
    view = cut(cutter(sides=(80,)), of=sample(boxes=two, labelled=False, crowd=[False, True]))
    assert len(view.labels) == 1
    assert view.ignore[40, 50]
    assert view.ignore[40, 90]
    assert not view.ignore[40, 30]


def test_an_image_without_people_has_a_view():
    nobody = sample()
    nobody = replace(nobody, labels=nobody.labels.select(slice(0, 0)))
    view = cut(cutter(rotation=90.0, flip=1.0), of=nobody)
    assert len(view.labels) == 0
    assert view.labels.boxes.shape == (0, 4)


def test_the_four_images_of_a_mosaic_meet_at_the_given_point_each_at_half_its_size():
    found = cutter(mosaic=1.0, drop=Cutout(probability=0.0))
    four = [sample(seed=n) for n in range(4)]
    view = found.mosaic(four, (0.4, 0.5), torch.Generator().manual_seed(0))
    assert view.ignore.shape == (100, 150)
    assert view.key == four[0].key
    left, above = round(0.4 * 150), 50
    middles = (view.labels.boxes[:, :2] + view.labels.boxes[:, 2:]) / 2
    where = (middles[:, 0] > left).long() + 2 * (middles[:, 1] > above).long()
    assert where.tolist() == sorted(where.tolist())
    assert set(where.tolist()) <= {0, 1, 2, 3}
    assert len(where) > 2
    whole = (view.labels.boxes[:, 2:] - view.labels.boxes[:, :2]).amax(dim=0)
    assert (whole <= torch.tensor([40.0, 60.0]) * 50 / 80 + 1).all()
    seen = (view.labels.visible > 0)[..., None]
    boxes = view.labels.boxes[:, None]
    assert ((view.labels.xy >= boxes[..., :2] - 1) | ~seen).all()
    assert ((view.labels.xy <= boxes[..., 2:] + 1) | ~seen).all()


def test_keypoints_that_one_of_four_images_does_not_label_are_not_known():
    four = [sample(seed=n) for n in range(4)]
    known = torch.ones(17, dtype=torch.bool)
    known[5] = False
    four[2] = replace(four[2], known=known)
    view = cutter(mosaic=1.0).mosaic(four, (0.5, 0.5), torch.Generator().manual_seed(0))
    assert torch.equal(view.known, known)


def outlined(*, seed=0, size=(80, 120)):
    """Two ellipses, one red and one green, on black; with their masks, and a crowd between them."""
    boxes = torch.tensor([[10.0, 8.0, 50.0, 70.0], [0.0, 0.0, 120.0, 80.0], [64.0, 10.0, 112.0, 66.0]])
    y, x = torch.meshgrid(torch.arange(size[0]), torch.arange(size[1]), indexing="ij")
    middle, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2
    off = (torch.stack((x, y), dim=-1)[None] - middle[:, None, None]) / half[:, None, None]
    masks = off.square().sum(dim=-1) <= 1
    image = torch.zeros(*size, 3, dtype=torch.uint8)
    image[masks[0], 0] = 255
    image[masks[2], 1] = 255
    own = sample(size, boxes=boxes.tolist(), crowd=[False, True, False], seed=seed)
    return replace(own, image=image.permute(2, 0, 1), masks=masks)


@pytest.mark.parametrize("rule", ["unbiased", "torchvision"])
@pytest.mark.parametrize(
    "options", [{}, {"flip": 1.0}, {"rotation": 45.0}, {"turn": 1.0}, {"crop": 1.0, "crop_share": 0.6}, {"mosaic": 1.0}]
)
def test_masks_are_where_the_picture_shows_people(rule, options):
    plain = replace(CANVAS, rule=rule, fill=(0.0, 0.0, 0.0), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    found = cutter(plain, **options)
    for seed in range(3):
        chance = torch.Generator().manual_seed(seed)
        if "mosaic" in options:
            view = found.mosaic([outlined(seed=n) for n in range(4)], (0.4, 0.55), chance)
            assert len(view.labels) > 4
        else:
            view = found(outlined(), chance)
            assert len(view.labels) == 2
        assert view.masks.shape == (len(view.labels), *view.ignore.shape)
        together = torch.zeros(2, *view.ignore.shape, dtype=torch.bool)
        for n, (own, box) in enumerate(zip(view.masks, view.labels.boxes, strict=True)):
            rows, columns = own.nonzero(as_tuple=True)
            around = torch.stack((columns.min(), rows.min(), columns.max(), rows.max()))
            assert "rotation" in options or ((around - box).abs() <= 2).all()
            colour = int(view.image[1][own].mean() > 0.5)
            assert colour == n % 2
            together[colour] |= own
        for seen, own in zip(view.image[:2] > 0.5, together, strict=True):
            assert (seen & own).sum() >= 0.97 * (seen | own).sum()


def test_masks_of_a_batch_follow_its_people_and_are_not_made_up():
    found = cutter()
    views = [
        found.test_view(outlined()),
        found.test_view(replace(outlined(), labels=outlined().labels.select(slice(0, 0)), masks=outlined().masks[:0])),
    ]
    batch = SceneBatch.of([grown(view, (128, 192)) for view in (*views, views[0])])
    assert batch.scenes.masks.shape == (4, 128, 192)
    assert batch.scenes.scene.tolist() == [0, 0, 2, 2]
    assert torch.equal(batch.scenes.masks[:2], batch.scenes.masks[2:])
    assert batch.first(2).scenes.masks.shape == (2, 128, 192)
    without = found.test_view(sample())
    assert without.masks is None
    assert SceneBatch.of([without]).scenes.masks is None


def test_the_test_view_is_letterboxed_and_knows_where_the_image_ends():
    view = cutter().test_view(sample())
    assert view.ignore.shape == (128, 160)
    assert view.content_size == (100, 150)
    torch.testing.assert_close(view.labels.boxes, sample().labels.boxes * 99 / 79)


def test_the_same_number_of_random_numbers_is_drawn_whatever_the_options():
    ends = []
    for options in ({}, {"crop": 1.0, "rotation": 30.0, "grey": 0.5, "colour": 0.3}):
        chance = torch.Generator().manual_seed(0)
        DetectorAugmentation(**options).draw(chance)
        ends.append(torch.rand((), generator=chance))
    assert ends[0] == ends[1]


@pytest.mark.parametrize(
    "wrong",
    [{"mosaic": 1.5}, {"rotation": 200.0}, {"sides": ()}, {"sides": (0,)}, {"max_side": 0}, {"crop": 0.5, "crop_share": 0.0}],
)
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(InputError, match="augmentation"):
        DetectorAugmentation(**wrong)


@pytest.mark.parametrize(("flip", "expected"), [(0.0, [40.0, 20.0, 119.0, 139.0]), (1.0, [121.0, 20.0, 200.0, 139.0])])
def test_maskrcnns_boxes_are_trained_from_first_to_last_pixel(flip, expected):
    """20 to 59 of 120 pixels are 40 to 118 of 240, and 121 to 199 in the mirrored view; boxes end a pixel on."""
    release = replace(CANVAS, rule="pillow")
    view = cut(cutter(release, sides=(160,), max_side=None, flip=flip, rotation=0.0))
    assert view.labels.boxes.tolist() == [expected]
    tested = cutter(replace(release, side=160, most=None)).test_view(sample())
    assert tested.labels.boxes.tolist() == [[40.0, 20.0, 119.0, 139.0]]
