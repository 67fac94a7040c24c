"""The laws of `codecs/base.py`, for every codec of the folder, at several sizes.

A new codec is tried as soon as its file is there, as `Kind(size, cells, keypoints)`. Its other forms are listed in `FORMS`.
Sizes that show little beside those of `TELLING` are left to `--exhaustive`, but for codecs of a package of one's own.
"""

import json
import math
from dataclasses import dataclass, replace

import pytest
import torch

from poise.codecs.base import InstanceCodec
from poise.codecs.gaussian import Gaussian, StridedMaps
from poise.codecs.registry import codec_from_plain, codec_types, to_plain
from poise.codecs.roi_adapter import RoIAdapter
from poise.structures import Preprocess
from poise.zoo.assemble import preprocess_for

SIZES = {
    "256x192": ((256, 192), (64, 48)),
    "odd": ((253, 187), (61, 45)),
    "square": ((128, 128), (32, 32)),
    "wide": ((100, 260), (25, 65)),
    "full-resolution": ((40, 52), (40, 52)),
}
TELLING = ("odd", "full-resolution")
"""Views whose cells are no whole number of pixels and have two different sides, and cells that are pixels."""

TINY = [(1, 1), (1, 4), (3, 1), (2, 2), (5, 3)]
FORMS = {
    "Gaussian-unbiased": ("Gaussian", {"exact": True, "lattice": "cornered", "shift_flipped": False, "reading": "udp"}),
    "Gaussian-compensated": ("Gaussian", {"compensate": True}),
    "Dark-centre": ("Dark", {"reading": "centre"}),
    "UDPOffset-mmpose": ("UDPOffset", {"radius": 3.5, "everywhere": True, "heat_blur": 23, "offset_blur": 1}),
    "Gaussian-unshifted": ("Gaussian", {"shift_flipped": False}),
    "Hourglass-cauchy": ("Hourglass", {"label": "cauchy"}),
    "Megvii-coarse": ("Megvii", {"kernel": 15, "weight": 0.25, "least_visible": 2, "others": "emptied"}),
    "Megvii-cpn": ("Megvii", {"reading": "cpn", "blur": 21, "shifts": (0.25, 0.125)}),
    "Megvii-mmpose": ("Megvii", {"kernel": 11, "level": "cell", "reading": "mmpose", "blur": 11}),
    "SimCC-paper": ("SimCC", {"sigma": 6.0, "normalize": True, "beta": None, "shift_flipped": False}),
    "SimCC-rtmw": ("SimCC", {"beta": 1.0, "label_beta": 10.0, "per_bin": True, "shift_flipped": False}),
    "SimCC-probabilities": ("SimCC", {"per_bin": True, "probabilities": True}),
    "SimCC-dark": ("SimCC", {"ratio": 1.5, "reading": "dark"}),
    "SimDR": ("SimCC", {"label": "one-hot", "smoothing": 0.1, "beta": None}),
    "Regression-laplace": ("Regression", {"penalty": "laplace"}),
    "Regression-visibility": ("Regression", {"visibility_weight": 0.01}),
    "Regression-both": ("Regression", {"penalty": "laplace", "visibility_weight": 0.01}),
    "Regression-unshifted": ("Regression", {"penalty": "mse", "shift_flipped": False}),
    "Integral-strides": ("Integral", {"cells_on": "strides", "map_weight": 1.0}),
}
"""Other forms of a codec than that of its defaults: its class, and its fields."""

FLIP = torch.tensor([0, 2, 1, 4, 3])
MARGIN = 10
"""Cells between the keypoints and the border, where every codec has all its neighbours."""


def forms():
    return {name: (name, {}) for name in codec_types()} | FORMS


@pytest.fixture(params=forms())
def kind(request):
    """Makes the codec of a form for a size."""
    name, fields = forms()[request.param]
    return lambda size, cells: codec_types()[name](size, cells, len(FLIP), **fields)


def is_telling(form, size):
    """Whether a form at a size shows what others do not: other forms than the defaults are tried at one size."""
    name, fields = forms()[form]
    own = not codec_types()[name].__module__.startswith("poise.")
    return own or size in (TELLING[:1] if fields else TELLING)


def sized(form, size):
    marks = () if is_telling(form, size) else pytest.mark.exhaustive
    return pytest.param((form, size), id=f"{form}-{size}", marks=marks)


@pytest.fixture(params=[sized(form, size) for form in forms() for size in SIZES])
def codec(request):
    form, size = request.param
    name, fields = forms()[form]
    return codec_types()[name](*SIZES[size], len(FLIP), **fields)


@pytest.fixture
def xy(codec):
    return places(codec, seed=0)


def places(codec, *, seed):
    """Keypoints of 12 views, away from the border."""
    size = torch.tensor([float(side) for side in codec.size[::-1]])
    margin = MARGIN * cell(codec)
    room = size - 1 - 2 * margin
    return margin + room.clamp(min=0) * torch.rand(12, len(FLIP), 2, generator=torch.Generator().manual_seed(seed))


def cell(codec):
    """Pixels a cell, (x, y)."""
    return torch.tensor([codec.size[1] / codec.cells[1], codec.size[0] / codec.cells[0]])


def mirrored(codec, xy):
    return torch.stack((codec.size[1] - 1 - xy[..., 0], xy[..., 1]), dim=-1)[:, FLIP]


def everywhere(xy):
    return torch.full(xy.shape[:2], 2, dtype=torch.int64)


def shape(codec):
    """Of one view's output: maps or vectors."""
    return (codec.keypoints, sum(codec.vectors)) if codec.vectors else (codec.channels, *codec.cells)


def noise(codec, count, *, seed):
    return torch.rand(count, *shape(codec), generator=torch.Generator().manual_seed(seed))


def off_after_decoding(codec, xy):
    """Law 1: the largest error, pixels."""
    return (codec.decode(codec.encode(xy)).xy - xy).abs().max().item()


def changed_by_unflipping_twice(codec, xy):
    """Law 2: the share of values."""
    output = noise(codec, 3, seed=1)
    twice = codec.unflip(codec.unflip(output, FLIP), FLIP)
    return ((twice - output).abs() > 1e-6).float().mean().item()


def off_after_mirroring(codec, xy):
    """Law 3: the largest error, pixels."""
    found = codec.decode(codec.unflip(codec.encode(mirrored(codec, xy)), FLIP)).xy
    return (found - xy).abs().max().item()


def loss_without_fault(codec, xy):
    """Law 4: what is left."""
    return codec.loss(codec.encode(xy), xy, everywhere(xy)).item()


def gradients(codec, xy):
    """Of a loss in which view 0 and every view's keypoint 1 are not labelled; and which keypoints those are."""
    output = torch.randn(len(xy), *shape(codec), generator=torch.Generator().manual_seed(2)).requires_grad_()
    visible = everywhere(xy)
    visible[:, 1], visible[0] = 0, 0
    codec.loss(output, xy.masked_fill((visible == 0)[..., None], torch.nan), visible).backward()
    return output.grad.unflatten(1, (codec.keypoints, -1)).flatten(2), visible == 0


def unlabelled_with_gradient(codec, xy):
    """Law 5: the share of keypoints."""
    gradient, unlabelled = gradients(codec, xy)
    return (gradient[unlabelled] != 0).any(dim=-1).float().mean().item()


LAWS = {
    1: (off_after_decoding, lambda codec: codec.tolerance),
    2: (changed_by_unflipping_twice, lambda codec: 1e-6),
    3: (off_after_mirroring, lambda codec: codec.tolerance),
    4: (loss_without_fault, lambda codec: 1e-10),
    5: (unlabelled_with_gradient, lambda codec: 0.0),
}
"""How far a codec is from each law, and how far a codec that keeps it may be."""


def test_laws_are_kept_but_for_the_declared_exceptions(codec, xy):
    for law, (distance, allowed) in LAWS.items():
        assert distance(codec, xy) <= codec.exceptions.get(law, allowed(codec)) * (1 + 1e-6), f"law {law}"


def test_an_exception_is_declared_only_where_a_law_is_broken(codec, xy):
    for law in codec.exceptions:
        distance, allowed = LAWS[law]
        assert distance(codec, xy) > allowed(codec), f"law {law}"


def test_the_share_of_values_that_unflipping_changes_is_the_declared_one(codec, xy):
    assert changed_by_unflipping_twice(codec, xy) == pytest.approx(codec.exceptions.get(2, 0), rel=0.05)


STEPS = [(0, 1), (0, -1), (1, 0), (-1, 0), (2, 2)]


def test_the_answer_for_shifted_keypoints_has_a_higher_loss(codec, xy):
    least = loss_without_fault(codec, xy)
    for step in STEPS:
        elsewhere = codec.encode(xy + cell(codec) * torch.tensor(step))
        assert least < codec.loss(elsewhere, xy, everywhere(xy)), f"shifted by {step}"


def test_shifted_maps_have_a_higher_loss(codec, xy):
    least, output = loss_without_fault(codec, xy), codec.encode(xy)
    for step in () if codec.vectors else STEPS:  # the test above shifts vectors
        assert least < codec.loss(output.roll(step, dims=(-2, -1)), xy, everywhere(xy)), f"shifted by {step}"


def test_labelled_keypoints_send_a_gradient_and_no_gradient_is_infinite(codec, xy):
    gradient, _ = gradients(codec, xy)
    assert gradient.isfinite().all()
    assert (gradient[1, 0] != 0).any()


def keypoints_with_gradient(codec, xy, **options):
    """True for the keypoints of each view whose (first) map gets a gradient from a loss with these options."""
    output = torch.randn(len(xy), *shape(codec), generator=torch.Generator().manual_seed(2)).requires_grad_()
    replace(codec, **options).loss(output, xy, everywhere(xy)).backward()
    return (output.grad.unflatten(1, (codec.keypoints, -1))[:, :, 0] != 0).flatten(2).any(dim=-1)


def test_every_codec_weighs_keypoints(codec, xy):
    found = keypoints_with_gradient(codec, xy, joint_weights=(1.0, 0.0, 1.5, 1.0, 0.0))
    assert found.all(dim=0).tolist() == [True, False, True, True, False]


def test_every_codec_can_learn_from_the_hardest_keypoints_only(codec, xy):
    assert keypoints_with_gradient(codec, xy, ohkm=2).sum(dim=1).tolist() == [2] * len(xy)
    split = (1, (codec.keypoints, -1))
    output, elsewhere = (codec.encode(at).unflatten(*split) for at in (xy, xy + 5 * cell(codec)))
    output[:, 3] = elsewhere[:, 3]
    learnt = output.flatten(1, 2).requires_grad_()
    replace(codec, ohkm=1).loss(learnt, xy, everywhere(xy)).backward()
    hardest = (learnt.grad.unflatten(*split) != 0).flatten(2).any(dim=-1)
    assert hardest.nonzero()[:, 1].tolist() == [3] * len(xy)


def test_an_answer_torn_between_two_places_is_not_believed_more_than_a_sure_one(codec, xy):
    sure = codec.encode(xy)
    torn = (sure + codec.encode(places(codec, seed=5))) / 2
    assert codec.decode(torn).score.mean() <= codec.decode(sure).score.mean()


def test_outputs_have_the_shape_the_network_is_built_for(codec, xy):
    assert codec.encode(xy).shape == (len(xy), *shape(codec))


def test_codecs_survive_a_model_file(codec):
    assert codec_from_plain(json.loads(json.dumps(to_plain(codec))), InstanceCodec) == codec


def test_pictures_are_between_0_and_1(codec, xy):
    output = codec.encode(xy)
    for values in (output, output * 3 - 1, output * torch.nan):
        picture = codec.picture(values)
        assert picture.shape == (len(xy), codec.keypoints, *codec.cells)
        assert picture.min() >= 0
        assert picture.max() <= 1


def test_pictures_are_brightest_at_the_keypoints(codec, xy):
    picture = codec.picture(codec.encode(xy))
    best = picture.flatten(2).argmax(dim=-1)
    found = torch.stack((best % codec.cells[1], best // codec.cells[1]), dim=-1) * cell(codec)
    assert ((found - xy).abs() <= 2 * cell(codec)).all()


def test_decoding_works_in_float32_whatever_comes_in(codec, xy):
    half = codec.encode(xy).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = codec.decode(half)
    assert found.xy.dtype == found.score.dtype == torch.float32
    assert torch.equal(found.xy, codec.decode(half.float()).xy)


def test_the_memory_format_of_the_output_does_not_matter(codec, xy):
    output = codec.encode(xy)
    other = output.movedim(1, -1).contiguous().movedim(-1, 1)  # channels last
    assert torch.equal(codec.decode(other).xy, codec.decode(output).xy)
    assert torch.allclose(codec.loss(other, xy + 1, everywhere(xy)), codec.loss(output, xy + 1, everywhere(xy)))


def test_one_view_is_decoded_as_it_is_among_many(codec, xy):
    output = codec.encode(xy)
    output = output + 0.01 * output.abs().max() * noise(codec, len(xy), seed=4)
    many = codec.decode(output)
    alone = codec.decode(output[7:8])
    assert torch.allclose(alone.xy[0], many.xy[7], atol=1e-4)
    assert codec.decode(output[:0]).xy.shape == (0, codec.keypoints, 2)


def test_degenerate_outputs_give_a_finite_place_and_score(codec):
    for value in (torch.nan, torch.inf, -torch.inf, 0.0, -1.0):
        found = codec.decode(torch.full((1, *shape(codec)), value))
        assert found.xy.isfinite().all(), value
        assert found.score.isfinite().all(), value


def test_cells_that_are_not_numbers_are_passed_over(codec, xy):
    if codec.vectors:
        return  # they have no cells
    output = codec.encode(xy)
    clean = codec.decode(output).xy
    for value in (torch.nan, -torch.inf):
        output[:, :, codec.cells[0] - 1, 0] = value
        assert ((codec.decode(output).xy - clean).abs() <= cell(codec)).all(), value


@pytest.mark.parametrize("cells", TINY)
def test_maps_smaller_than_any_gaussian_are_encoded_and_decoded(kind, cells):
    for views in (0, 1, 3):
        check_small_maps(kind((9, 7), cells), views)


def check_small_maps(codec, views):
    xy = torch.rand(views, len(FLIP), 2, generator=torch.Generator().manual_seed(3)) * 7
    output = codec.encode(xy)
    assert output.shape == (views, *shape(codec))
    for values in (output, output * torch.nan, output.new_full(output.shape, torch.inf)):
        found = codec.decode(codec.unflip(values, FLIP))
        assert found.xy.shape == (views, len(FLIP), 2)
        assert found.xy.isfinite().all()
        assert found.score.isfinite().all()
    learnt = output.clone().requires_grad_()
    codec.loss(learnt, xy + 1, everywhere(xy)).backward()
    assert learnt.grad.isfinite().all()


def test_an_output_of_the_wrong_size_is_refused(codec):
    *rest, last = shape(codec)
    wrong, xy = torch.zeros(1, *rest, last + 1), torch.zeros(1, codec.keypoints, 2)
    for read in (codec.decode, lambda output: codec.loss(output, xy, everywhere(xy))):
        with pytest.raises(ValueError, match="network must be built for this codec"):
            read(wrong)


CELLS_IN_BOX = (56, 56)
CROSS_ENTROPY = math.log(math.prod(CELLS_IN_BOX))
"""First loss of a keypoint head that chooses one of the cells (`OneHot`): 8.05."""

ROI_BOUNDS = (CROSS_ENTROPY / 8, 8 * CROSS_ENTROPY)
"""What the first loss of another codec may be: 1 to 64. Of the codecs here, each with its defaults, it is 2.0 to 9.6; of their
other forms 1.1 (`Hourglass-cauchy`) to 16 (`Megvii-mmpose`)."""


def first_loss_in_roi(codec):
    """Of a keypoint head whose outputs are all 0, for 64 boxes with keypoints anywhere in them, without a factor."""
    boxes = torch.tensor([[0.0, 0.0, 56.0, 56.0]]).repeat(64, 1)
    xy = 56 * torch.rand(len(boxes), codec.keypoints, 2, generator=torch.Generator().manual_seed(0))
    return RoIAdapter.of(codec).loss(torch.zeros(len(boxes), *shape(codec)), xy, everywhere(xy), boxes).item()


def check_roi_weight(codec):
    """The law of `InstanceCodec.roi_weight`."""
    low, high = ROI_BOUNDS
    unweighted, name = first_loss_in_roi(codec), type(codec).__name__
    first = codec.roi_weight * unweighted
    assert low <= first <= high, (
        f"{name}.roi_weight is {codec.roi_weight:g}, and the first loss of a keypoint head in a detector is then {first:.2g}; "
        f"it must be of the order of cross-entropy's, {low:.0f} to {high:.0f}. Override {name}.roi_weight to return about "
        f"{CROSS_ENTROPY / unweighted:.2g}"
    )


def test_the_first_loss_in_a_roi_is_of_the_order_of_cross_entropys(kind):
    check_roi_weight(kind(CELLS_IN_BOX, CELLS_IN_BOX))


@dataclass(frozen=True)
class OfAUser(StridedMaps):
    """A codec that says nothing beside the contract, as one of a user's that stands alone in its file."""

    for_size = classmethod(InstanceCodec.for_size.__func__)
    crop_rule = InstanceCodec.crop_rule
    roi_weight = InstanceCodec.roi_weight
    mse_share = InstanceCodec.mse_share
    peaks = Gaussian.peaks


def test_a_codec_without_a_roi_weight_of_its_own_is_told_what_to_write():
    words = r"head in a detector is then 0.0019; .* 1 to 64. Override OfAUser.roi_weight to return about 4.2e\+03"
    with pytest.raises(AssertionError, match=words):
        check_roi_weight(OfAUser(CELLS_IN_BOX, CELLS_IN_BOX, 5))


def test_a_new_codec_gets_no_other_codecs_values():
    codec = OfAUser.for_size((384, 288), (96, 72), 5)
    assert (codec.sigma, codec.roi_weight, codec.mse_share, codec.report_methods) == (2.0, 1.0, None, ())
    assert preprocess_for(codec, Preprocess(crop="hrnet")).crop == "unbiased"


CROPS = {
    "Gaussian": "hrnet", "SoftArgmax": "hrnet", "Dark": "dark", "UDPGaussian": "udp", "UDPOffset": "udp",
    "Hourglass": "hourglass", "Megvii": "mspn", "MegviiUDP": "udp",
} | dict.fromkeys(("CentredMaps", "GRMI", "SimCC", "Regression", "Integral", "BlazeLandmarks"), "unbiased")  # fmt: skip
"""The crop rule of each."""


def test_codecs_cut_views_as_their_releases_do():
    made = {name: kind.for_size((256, 192), (64, 48), 5) for name, kind in codec_types().items()}
    assert {name: codec.crop_rule for name, codec in made.items()} == CROPS


@pytest.mark.parametrize(("size", "sigma"), [((128, 96), 1.0), ((256, 192), 2.0), ((256, 256), 2.0), ((384, 288), 3.0)])
def test_gaussians_are_as_wide_as_the_releases_make_them_at_a_size_but_for_the_hourglass(size, sigma):
    cells = (size[0] // 4, size[1] // 4)
    made = {name: kind.for_size(size, cells, 5) for name, kind in codec_types().items()}
    widths = {name: codec.sigma for name, codec in made.items() if hasattr(codec, "sigma")}
    scaled = dict.fromkeys(("CentredMaps", "Gaussian", "SoftArgmax", "Dark", "UDPGaussian", "Integral"), sigma)
    assert widths == scaled | {"Hourglass": 1.0, "BlazeLandmarks": 1.0, "MegviiUDP": 1.4105, "SimCC": None}
    assert all(codec == codec_types()[name](size, cells, 5) for name, codec in made.items() if name not in scaled)
