"""The laws of `codecs/roi.py`, for every codec of the folder and every codec for views of one person inside a box."""

import json
import math

import pytest
import torch

from poise.codecs.base import InstanceCodec
from poise.codecs.registry import codec_from_plain, codec_types, roi_codec_types, to_plain
from poise.codecs.roi import RoICodec, has_labelled_keypoint, within
from poise.codecs.roi_adapter import RoIAdapter
from poise.errors import InputError, UnknownName
from poise.skeletons import COCO17

FLIP = torch.tensor([0, 2, 1, 4, 3])
CELLS = {"56x56": (56, 56), "64x48": (64, 48), "odd": (31, 45)}
VIEW = 640
"""Width of the view the boxes are in, pixels."""

MARGIN = 10
"""Cells between the keypoints and the border of the box, where every codec has all its neighbours."""

BOXES = torch.tensor(
    [
        [10.0, 20.0, 110.0, 220.0],
        [5.5, 3.25, 60.1, 61.9],
        [-30.25, -7.5, 300.7, 33.3],
        [30.0, 40.0, 86.0, 96.0],
        [7.0, 9.0, 30.5, 900.25],
        [600.0, 2.0, 623.0, 23.0],
        [0.0, 0.0, 2.5, 4.0],
        [50.0, 50.0, 50.4, 50.2],
    ]
)
"""Large, small, wide, tall, of as many pixels as cells, beyond the view, and smaller than a pixel."""

OWN = {
    "OneHot": {},
    "OneHot-whole": {"search": "whole"},
    "OneHot-probability": {"score": "probability"},
    "OneHot-share": {"score": "share"},
    "OneHot-mass": {"score": "mass"},
    "OneHot-blurred": {"score": "mass", "reading": "blurred"},
}


def instance(name, cells, stride):
    return codec_types()[name]((stride * cells[0], stride * cells[1]), cells, len(FLIP))


def forms():
    """How the codec of each form is made for its cells."""
    own = {name: lambda cells, n=name: roi_codec_types()[n.split("-")[0]](cells, len(FLIP), **OWN[n]) for name in OWN}
    tight = {
        f"RoIAdapter-{name}": lambda cells, n=name: RoIAdapter.of(instance(n, cells, 1), weight=1000.0)
        for name in codec_types()
    }
    others = {
        "RoIAdapter-Dark-stride": lambda cells: RoIAdapter.of(instance("Dark", cells, 4), weight=40.0, height=255.0),
        "RoIAdapter-Gaussian-stride": lambda cells: RoIAdapter.of(instance("Gaussian", cells, 4), height=10.0),
        "RoIAdapter-UDPOffset-stride": lambda cells: RoIAdapter.of(instance("UDPOffset", cells, 4), weight=2000.0),
    }
    return own | tight | others


def is_telling(form, cells):
    """Whether a form with so many cells shows what others do not; of codecs for views, `test_laws.py` shows most."""
    own = not form.startswith("RoIAdapter")
    return cells == "odd" or (own and cells == "56x56") or not has_home(form)


def has_home(form):
    """Whether the form is of a codec of poise, not of a package of one's own."""
    kinds = roi_codec_types() | codec_types()
    return all(kinds[part].__module__.startswith("poise.") for part in form.split("-") if part in kinds)


def sized(form, cells):
    marks = () if is_telling(form, cells) else pytest.mark.exhaustive
    return pytest.param((form, cells), id=f"{form}-{cells}", marks=marks)


@pytest.fixture(params=[sized(form, cells) for form in forms() for cells in CELLS])
def codec(request):
    form, cells = request.param
    return forms()[form](CELLS[cells])


@pytest.fixture
def boxes():
    return BOXES


@pytest.fixture
def xy(codec, boxes):
    return places(codec, boxes, seed=0)


def sides(boxes):
    return (boxes[:, 2:] - boxes[:, :2])[:, None]


def cell(codec, boxes):
    """Pixels a cell, (x, y), of each box."""
    return sides(boxes) / torch.tensor([codec.cells[1], codec.cells[0]])


def places(codec, boxes, *, seed, margin=MARGIN):
    """Keypoints in every box, away from its border."""
    edge = margin / torch.tensor([codec.cells[1], codec.cells[0]])
    share = torch.rand(len(boxes), len(FLIP), 2, generator=torch.Generator().manual_seed(seed))
    return boxes[:, None, :2] + (edge + (1 - 2 * edge) * share) * sides(boxes)


def mirrored(xy, boxes):
    """Keypoints and boxes in the mirrored view."""
    other = torch.stack((VIEW - 1 - xy[..., 0], xy[..., 1]), dim=-1)[:, FLIP]
    return other, torch.stack((VIEW - 1 - boxes[:, 2], boxes[:, 1], VIEW - 1 - boxes[:, 0], boxes[:, 3]), dim=1)


def everywhere(xy):
    return torch.full(xy.shape[:2], 2, dtype=torch.int64)


def shape(codec):
    return (codec.keypoints, sum(codec.vectors)) if codec.vectors else (codec.channels, *codec.cells)


def noise(codec, count, *, seed):
    return torch.randn(count, *shape(codec), generator=torch.Generator().manual_seed(seed))


def beyond(codec, found, xy, boxes):
    """How many cells further off than `pixel_tolerance` the worst keypoint is."""
    return (((found - xy).abs() - codec.pixel_tolerance).clamp(min=0) / cell(codec, boxes)).max().item()


def off_after_decoding(codec, xy, boxes):
    """Law 1."""
    return beyond(codec, codec.decode(codec.encode(xy, boxes), boxes).xy, xy, boxes)


def changed_by_unflipping_twice(codec, xy, boxes):
    """Law 2."""
    output = noise(codec, 3, seed=1)
    return ((codec.unflip(codec.unflip(output, FLIP), FLIP) - output).abs() > 1e-6).float().mean().item()


def off_after_mirroring(codec, xy, boxes):
    """Law 3."""
    found = codec.decode(codec.unflip(codec.encode(*mirrored(xy, boxes)), FLIP), boxes).xy
    return beyond(codec, found, xy, boxes)


def loss_without_fault(codec, xy, boxes):
    """Law 4."""
    return codec.loss(codec.encode(xy, boxes), xy, everywhere(xy), boxes).item()


def gradients(codec, xy, boxes):
    """Of a loss in which box 0 and every box's keypoint 1 are not labelled and every keypoint 2 is outside of its box."""
    output = noise(codec, len(xy), seed=2).requires_grad_()
    visible, moved = everywhere(xy), xy.clone()
    visible[:, 1], visible[0] = 0, 0
    moved[:, 2] = boxes[:, 2:] + 1
    without_loss = visible == 0
    without_loss[:, 2] = True
    codec.loss(output, moved.masked_fill((visible == 0)[..., None], torch.nan), visible, boxes).backward()
    return output.grad.unflatten(1, (codec.keypoints, -1)).flatten(2), without_loss


def without_loss_but_gradient(codec, xy, boxes):
    """Law 5: the share of keypoints."""
    gradient, without_loss = gradients(codec, xy, boxes)
    return (gradient[without_loss] != 0).any(dim=-1).float().mean().item()


LAWS = {
    1: (off_after_decoding, lambda codec: codec.tolerance),
    2: (changed_by_unflipping_twice, lambda codec: 1e-6),
    3: (off_after_mirroring, lambda codec: codec.tolerance),
    4: (loss_without_fault, lambda codec: 1e-6),
    5: (without_loss_but_gradient, lambda codec: 0.0),
}


def test_laws_are_kept_but_for_the_declared_exceptions(codec, xy, boxes):
    for law, (distance, allowed) in LAWS.items():
        assert distance(codec, xy, boxes) <= codec.exceptions.get(law, allowed(codec)) * (1 + 1e-5), f"law {law}"


def test_an_exception_is_declared_only_where_a_law_is_broken(codec, xy, boxes):
    for law in codec.exceptions:
        distance, allowed = LAWS[law]
        assert distance(codec, xy, boxes) > allowed(codec), f"law {law}"


def test_the_answer_for_shifted_keypoints_has_a_higher_loss(codec, xy, boxes):
    least = loss_without_fault(codec, xy, boxes)
    for step in [(0, 1), (0, -1), (1, 0), (-1, 0), (2, 2)]:
        elsewhere = codec.encode(xy + cell(codec, boxes) * torch.tensor(step), boxes)
        assert least < codec.loss(elsewhere, xy, everywhere(xy), boxes), f"shifted by {step}"


def test_labelled_keypoints_send_a_gradient_and_no_gradient_is_infinite(codec, xy, boxes):
    gradient, _ = gradients(codec, xy, boxes)
    assert gradient.isfinite().all()
    assert (gradient[1, 0] != 0).any()


def test_where_nobody_is_labelled_the_loss_is_nothing_and_nothing_is_learnt(codec, xy, boxes):
    if 5 in codec.exceptions:
        return
    for boxes_there, visible in ((boxes, everywhere(xy) * 0), (boxes + 5000, everywhere(xy))):
        output = noise(codec, len(xy), seed=2).requires_grad_()
        loss = codec.loss(output, xy, visible, boxes_there)
        loss.backward()
        assert loss == 0
        assert (output.grad == 0).all()


def test_no_box_is_encoded_learnt_and_decoded_as_nothing(codec, xy, boxes):
    output = codec.encode(xy[:0], boxes[:0]).requires_grad_()
    assert output.shape == (0, *shape(codec))
    loss = codec.loss(output, xy[:0], everywhere(xy)[:0], boxes[:0])
    loss.backward()
    assert loss == 0
    found = codec.decode(output, boxes[:0])
    assert found.xy.shape == (0, len(FLIP), 2)
    assert found.score.shape == (0, len(FLIP))


def test_boxes_without_extent_are_answered_and_teach_nothing_infinite(codec):
    for box in [(3.0, 4.0, 3.0, 4.0), (3.0, 4.0, 3.0, 50.0), (9.0, 9.0, 4.0, 2.0)]:
        check_box_without_extent(codec, torch.tensor([box]))


def check_box_without_extent(codec, boxes):
    xy = boxes[:, None, :2].repeat(1, len(FLIP), 1)
    output = noise(codec, 1, seed=3).requires_grad_()
    loss = codec.loss(output, xy, everywhere(xy), boxes)
    loss.backward()
    assert loss.isfinite()
    assert output.grad.isfinite().all()
    assert codec.encode(xy, boxes).isfinite().all()
    found = codec.decode(output, boxes)
    assert found.xy.isfinite().all()
    assert found.score.isfinite().all()


def test_degenerate_outputs_give_a_finite_place_and_score(codec, boxes):
    for value in (torch.nan, torch.inf, -torch.inf, 0.0, -1.0):
        found = codec.decode(torch.full((len(boxes), *shape(codec)), value), boxes)
        assert found.xy.isfinite().all(), value
        assert found.score.isfinite().all(), value


def test_cells_that_are_not_numbers_are_passed_over(codec, xy, boxes):
    if codec.vectors:
        return  # they have no cells
    output = codec.encode(xy, boxes)
    clean = codec.decode(output, boxes).xy
    output[:, :, codec.cells[0] - 1, 0] = torch.nan
    off = ((codec.decode(output, boxes).xy - clean).abs() - codec.pixel_tolerance).clamp(min=0)
    assert (off <= 1.01 * cell(codec, boxes)).all()


def test_one_box_is_decoded_as_it_is_among_many(codec, xy, boxes):
    output = codec.encode(xy, boxes)
    output = output + 0.01 * output.abs().max().clamp(max=40) * noise(codec, len(xy), seed=4)
    many, alone = codec.decode(output, boxes), codec.decode(output[4:5], boxes[4:5])
    assert torch.allclose(alone.xy[0], many.xy[4], atol=1e-3)
    assert torch.allclose(alone.score[0], many.score[4], atol=1e-4)


def test_boxes_moved_with_their_view_have_keypoints_moved_with_them(codec, xy, boxes):
    output, by = codec.encode(xy, boxes), torch.tensor([64.0, -32.0])
    moved = codec.decode(output, boxes + by.repeat(2)).xy
    assert torch.allclose(moved, codec.decode(output, boxes).xy + by, atol=1e-2)


def test_a_loss_is_a_mean_over_keypoints_whatever_is_not_labelled_beside_them(codec, xy, boxes):
    if 5 in codec.exceptions:
        return
    output, visible = noise(codec, len(xy), seed=5), everywhere(xy)
    alone = codec.loss(output[1:2], xy[1:2], visible[1:2], boxes[1:2])
    visible[:1], visible[2:] = 0, 0
    assert torch.allclose(codec.loss(output, xy, visible, boxes), alone, rtol=1e-4)


def test_scores_are_what_the_codec_says(codec, xy, boxes):
    sure = codec.decode(codec.encode(xy, boxes), boxes).score
    if codec.score_kind == "probability":
        assert sure.min() > 0.2
        assert sure.max() < 1.6
    else:
        assert sure[0].min() > {"logit": 10, "share": 0.01}[codec.score]  # smaller boxes have too few pixels to meet the peak


def test_decoding_works_in_float32_whatever_comes_in(codec, xy, boxes):
    half = codec.encode(xy, boxes).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = codec.decode(half, boxes)
    assert found.xy.dtype == found.score.dtype == torch.float32
    assert torch.equal(found.xy, codec.decode(half.float(), boxes).xy)


def test_pictures_are_between_0_and_1_and_brightest_at_the_keypoints(codec, xy, boxes):
    output = codec.encode(xy, boxes)
    for values in (output, output * 3 - 1, output * torch.nan):
        picture = codec.picture(values)
        assert picture.shape == (len(xy), codec.keypoints, *codec.cells)
        assert picture.min() >= 0
        assert picture.max() <= 1
    best = codec.picture(output).flatten(2).argmax(dim=-1)
    spot = torch.stack((best % codec.cells[1], best // codec.cells[1]), dim=-1) + 0.5
    assert ((boxes[:, None, :2] + spot * cell(codec, boxes) - xy).abs() <= 2.1 * cell(codec, boxes)).all()


def test_codecs_survive_a_model_file(codec):
    plain = json.loads(json.dumps(to_plain(codec)))
    assert codec_from_plain(plain, RoICodec) == codec
    with pytest.raises(UnknownName):
        codec_from_plain(plain, InstanceCodec)


def test_answers_of_another_size_are_refused(codec, xy, boxes):
    *rest, last = shape(codec)
    wrong = torch.zeros(len(boxes), *rest, last + 1)
    for read in (codec.decode, lambda output, boxes: codec.loss(output, xy, everywhere(xy), boxes)):
        with pytest.raises(InputError, match="network must be built for this codec"):
            read(wrong, boxes)


def test_every_codec_of_the_folder_has_a_form_here():
    assert {name.split("-")[0] for name in forms()} == set(roi_codec_types())


def test_a_keypoint_on_the_border_is_within_its_box():
    boxes = torch.tensor([[10.0, 20.0, 30.0, 60.0]])
    xy = torch.tensor([[[10.0, 20.0], [30.0, 60.0], [30.1, 60.0], [9.9, 30.0], [20.0, 40.0]]])
    assert within(xy, boxes).tolist() == [[True, True, False, False, True]]


def test_proposals_train_the_keypoint_head_if_they_hold_a_labelled_keypoint():
    boxes = torch.tensor([[0.0, 0.0, 9.0, 9.0]]).repeat(3, 1)
    xy = torch.tensor([[4.0, 4.0], [20.0, 20.0]]).repeat(3, 1, 1)
    visible = torch.tensor([[1, 2], [0, 2], [0, 0]])
    assert has_labelled_keypoint(xy, visible, boxes).tolist() == [True, False, False]


def test_a_codec_in_a_box_of_other_maps_is_refused():
    codec = instance("Gaussian", (56, 56), 1)
    with pytest.raises(InputError, match="must be the same"):
        RoIAdapter((28, 28), len(FLIP), codec)
    with pytest.raises(InputError, match="above 0"):
        RoIAdapter.of(codec, weight=0.0)
    assert RoIAdapter.of(codec).cells == (56, 56)


def test_weight_and_height_are_those_of_a_mean_squared_error():
    plain = instance("UDPGaussian", (56, 56), 1)
    xy = places(plain, BOXES, seed=0)
    output = noise(plain, len(BOXES), seed=1)
    codec = RoIAdapter.of(plain, weight=2000.0, height=10.0)
    expected = 1000 * (output - 10 * RoIAdapter.of(plain).encode(xy, BOXES)).square().mean()
    assert torch.allclose(codec.loss(output, xy, everywhere(xy), BOXES), expected, rtol=1e-4)


def test_blurred_probabilities_prefer_the_likelier_region_to_the_highest_cell():
    """A cell of 4 % that stands alone, and twelve of 3 % each that stand together."""
    likely = torch.full((56, 56), 0.6 / 56**2)
    likely[10, 10] = 0.04
    likely[39:42, 29:33] = 0.03
    output = likely.log()[None, None]
    box = torch.tensor([[0.0, 0.0, 56.0, 56.0]])
    peak, blurred = (roi_codec_types()["OneHot"]((56, 56), 1, score="mass", reading=name) for name in ("peak", "blurred"))
    assert torch.allclose(peak.decode(output, box).xy, torch.tensor([10.5, 10.5]), atol=0.51)
    found = blurred.decode(output, box)
    assert torch.allclose(found.xy, torch.tensor([31.0, 40.5]), atol=0.2)
    assert float(found.score) == pytest.approx(0.36, abs=0.02)
    assert float(peak.decode(output, box).score) == pytest.approx(0.045, abs=0.01)


@pytest.mark.parametrize("side", [20.0, 56.0, 131.5])
def test_a_share_is_that_of_the_peak_of_the_resized_map_among_the_exponentials_of_the_cells(side):
    """Detectron2's, written out: bicubic to the pixels of the box, then one over the exponentials of cells below the peak."""
    output = 3 * torch.randn(2, 3, 56, 56, generator=torch.Generator().manual_seed(0))
    boxes = torch.tensor([[3.0, 4.0, 3.0 + side, 4.0 + side]]).repeat(2, 1)
    pixels = torch.nn.functional.interpolate(output, size=(math.ceil(side),) * 2, mode="bicubic", align_corners=False)
    peak = pixels.amax(dim=(2, 3))
    expected = 1 / (output - peak[..., None, None]).exp().sum(dim=(2, 3))
    found = roi_codec_types()["OneHot"]((56, 56), 3, score="share").decode(output, boxes).score
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=0)


def test_coco_keypoints_are_flipped_by_their_skeleton():
    codec = roi_codec_types()["OneHot"]((56, 56), 17)
    output = torch.randn(2, 17, 56, 56, generator=torch.Generator().manual_seed(0))
    assert torch.equal(codec.unflip(output, COCO17.flip)[:, 1], output[:, 2].flip(-1))
