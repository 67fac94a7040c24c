"""The laws of `codecs/scene.py`, for every codec of the folder, at several sizes.

A new codec is tried as soon as its file is there, as `Kind(keypoints)` or in the forms that `FORMS` lists.
"""

import json
from dataclasses import replace

import pytest
import torch

from poise.codecs.associative import AssociativeEmbedding
from poise.codecs.guiding_losses import Costs, LabelMaps
from poise.codecs.registry import codec_from_plain, scene_codec_types, to_plain
from poise.codecs.scene import SceneCodec
from poise.decoding.grouping_config import PEAK_METHODS, PRACTITIONER_CONFIG, RELEASE_CONFIG, GroupingConfig
from poise.errors import InputError
from poise.scenes import Scenes
from poise.skeletons import COCO17
from poise.skeletons.limbs import limbs

ALL = LabelMaps(background=True, jitter=True, spread=True, scale=True)
USUAL = {"limbs": limbs(COCO17)}
FORMS = {
    "OffsetGuided": ("OffsetGuided", USUAL),
    "OffsetGuided-tree": (
        "OffsetGuided",
        {"limbs": limbs(COCO17, "16"), "cost": Costs(heat="l2", offset="vector_l1", root=True)},
    ),
    "OffsetGuided-all": (
        "OffsetGuided",
        {"limbs": limbs(COCO17, "44"), "maps": ALL, "cost": Costs(offset="laplace", gamma=2.0), "sigmas": COCO17.sigmas},
    ),
    "OffsetGuided-release": (
        "OffsetGuided",
        {"limbs": limbs(COCO17, "31"), "reading": RELEASE_CONFIG, "cost": Costs(offset="instance_l1", root=True)},
    ),
    **{
        f"OffsetGuided-{peaks}": ("OffsetGuided", USUAL | {"reading": GroupingConfig(peaks=peaks)})
        for peaks in PEAK_METHODS
        if peaks != PRACTITIONER_CONFIG.peaks
    },
}
"""Forms of a codec: its class, and its fields. Classes that are not here are tried with their defaults."""

READINGS = ("upsampled", "bilinear", "quarter", "dark", "fit1", "fit2", "fit1-sigma", "fit2-sigma")

FLIP = COCO17.flip

FIGURE = torch.tensor(
    [
        (0, -38), (3, -41), (-3, -41), (7, -39), (-7, -39), (12, -25), (-12, -25), (20, -10), (-17, -9), (15, 5), (-24, 2),
        (8, 6), (-8, 6), (12, 24), (-7, 23), (9, 42), (-11, 42),
    ]
).float()  # fmt: skip
"""Somebody, pixels from the middle."""

MARGIN = 16
"""Pixels between people and the border, where every reading has all its neighbours."""

AT_BORDER = 3.0
"""Pixels that a keypoint may be off at the border, where readings may have only the cell itself."""

SIZES = {"square": (256, 256), "tall": (384, 192), "wide": (128, 516)}
STEPS = pytest.mark.parametrize("step", [(0, 1), (0, -1), (1, 0), (-1, 0), (2, 2)])


def forms():
    there = {name for name, _ in FORMS.values()}
    return {name: (name, {}) for name in scene_codec_types() if name not in there} | FORMS


def made(form):
    name, fields = forms()[form]
    return scene_codec_types()[name](len(FLIP), **fields)


@pytest.fixture(params=forms())
def codec(request):
    return made(request.param)


@pytest.fixture(params=[name for name in forms() if not name.endswith(READINGS)])
def learner(request):
    """Codecs that differ in more than in how they are read."""
    return made(request.param)


@pytest.fixture(params=SIZES)
def size(request):
    return SIZES[request.param]


def people(size, counts, *, seed=0, room=(80, 96)):
    """Views of one size with so many figures in each, none at the border or in another one's keypoints."""
    generator = torch.Generator().manual_seed(seed)
    rows, columns = (size[0] - 2 * MARGIN) // room[1], (size[1] - 2 * MARGIN) // room[0]
    xy = []
    for count in counts:
        assert count <= rows * columns
        spots = torch.randperm(rows * columns, generator=generator)[:count]
        middle = (
            torch.stack((spots % columns * room[0] + room[0] / 2, spots // columns * room[1] + room[1] / 2), dim=-1) + MARGIN
        )
        noise = torch.rand(count, len(FLIP), 2, generator=generator) * 4 - 2
        xy.append(middle[:, None] + FIGURE + noise + torch.rand(count, 1, 2, generator=generator) * 4 - 2)
    return scenes_of(size, xy)


def scenes_of(size, views):
    """Views with these people, everything of them labelled."""
    xy = torch.cat(views)
    extent = (xy.amax(dim=1) - xy.amin(dim=1)).prod(dim=1).sqrt() if len(xy) else xy.new_zeros(0)
    return Scenes(
        xy=xy,
        visible=torch.full(xy.shape[:2], 2),
        boxes=torch.cat((xy.amin(dim=1), xy.amax(dim=1)), dim=1) if len(xy) else xy.new_zeros(0, 4),
        extent=extent,
        scene=torch.repeat_interleave(torch.arange(len(views)), torch.tensor([len(view) for view in views])),
        ignore=torch.zeros(len(views), *size, dtype=torch.bool),
    )


def mirrored(scenes, codec):
    """The mirrored view, moved to the left as far as the codec wants it."""
    last = scenes.size[1] - 1 - codec.mirror_shift
    xy = torch.stack((last - scenes.xy[..., 0], scenes.xy[..., 1]), dim=-1)[:, FLIP]
    return replace(scenes, xy=xy, visible=scenes.visible[:, FLIP], ignore=scenes.ignore.flip(-1))


def inside(scenes):
    limit = torch.tensor(scenes.size[::-1]) - 1
    return (scenes.visible > 0) & ((scenes.xy >= 0) & (scenes.xy <= limit)).all(dim=-1)


def distances(labels, there, found):
    """Of every labelled person from every found one: the largest of its keypoints'; infinite where one was not found."""
    apart = (labels[:, None] - found.xy).norm(dim=-1).masked_fill(found.score == 0, torch.inf)
    return apart.masked_fill(~there[:, None], 0).amax(dim=-1)


def assert_found(codec, output, scenes, *, tolerance=None):
    """Everybody, and nobody else."""
    answer = codec.decode(output)
    assert len(answer) == len(scenes)
    for number, found in enumerate(answer):
        own = scenes.scene == number
        assert len(found) == own.sum()
        if len(found):
            apart = distances(scenes.xy[own], inside(scenes)[own], found)
            assert sorted(apart.argmin(dim=1).tolist()) == list(range(len(found)))
            assert apart.amin(dim=1).max() <= (codec.tolerance if tolerance is None else tolerance)


@pytest.mark.parametrize("counts", [(1,), (0, 2, 1)])
def test_law_1_everybody_is_found(codec, size, counts):
    scenes = people(size, counts)
    assert_found(codec, codec.encode(scenes), scenes)


def test_law_1_a_hundred_people_are_found(codec):
    scenes = people((1000, 832), (100,))
    config = next(name for name in ("reading", "grouping", "centres") if hasattr(codec, name))
    codec = replace(codec, **{config: replace(getattr(codec, config), top_k=512)})
    assert_found(codec, codec.encode(scenes), scenes)


def test_law_2_everybody_is_found_in_the_mean_with_the_mirrored_view(codec, size):
    scenes = people(size, (2, 0, 1))
    assert_found(codec, codec.merge(codec.encode(scenes), codec.encode(mirrored(scenes, codec)), FLIP), scenes)


def test_law_2_an_answer_and_its_mirrored_one_are_their_own_mean(learner, size):
    if isinstance(learner, AssociativeEmbedding):
        pytest.skip("positions are rounded down to cells, in the mirrored view to others")
    scenes = people(size, (2, 1))
    straight, back = learner.encode(scenes), learner.encode(mirrored(scenes, learner))
    other = learner.merge(straight, back, FLIP)
    assert (other - straight).abs().median() < 1e-5
    heat = learner.picture(straight) - learner.picture(other)
    assert heat.abs().max() < 1e-5


@STEPS
def test_law_3_shifted_answers_have_a_higher_loss(learner, size, step):
    scenes = people(size, (2, 1))
    output = learner.encode(scenes)
    best = learner.loss(output, scenes)
    assert best <= 1e-4
    assert best < learner.loss(output.roll(step, dims=(-2, -1)), scenes)


@STEPS
def test_law_3_the_answer_for_shifted_people_has_a_higher_loss(learner, size, step):
    scenes = people(size, (2, 1))
    elsewhere = replace(scenes, xy=scenes.xy + learner.stride * torch.tensor(step[::-1]))
    assert learner.loss(learner.encode(scenes), scenes) < learner.loss(learner.encode(elsewhere), scenes)


def noise(codec, scenes, *, seed=1):
    cells = codec.cells(scenes.size)
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(len(scenes), codec.channels, *cells, generator=generator).requires_grad_()


def gradient(codec, output, scenes):
    loss = codec.loss(output, scenes)
    return loss, torch.autograd.grad(loss, output)[0]


def test_law_4_what_is_not_labelled_changes_nothing_wherever_it_is(learner, size):
    scenes = people(size, (2, 1))
    visible = scenes.visible.clone()
    visible[:, ::3], visible[2] = 0, 0
    output, hidden = noise(learner, scenes), (visible == 0)[..., None]
    answers = [
        gradient(learner, output, replace(scenes, xy=scenes.xy.masked_fill(hidden, value), visible=visible))
        for value in (torch.nan, 0.0, 50.0, torch.inf, -1e30)
    ]
    for loss, grad in answers:
        assert loss == answers[0][0]
        assert torch.equal(grad, answers[0][1])
        assert grad.isfinite().all()
    some = {n: getattr(scenes, n)[:2] for n in ("xy", "boxes", "extent", "scene")}
    alone, _ = gradient(learner, output, replace(scenes, **some, visible=visible[:2]))  # of the third nothing is labelled
    assert torch.allclose(alone, answers[0][0])


def test_law_4_cells_to_be_ignored_send_no_gradient_whatever_they_say(learner, size):
    scenes = people(size, (2, 1))
    ignore = scenes.ignore.clone()
    ignore[:, :, size[1] // 2 :] = True
    ignore[0] = True
    scenes = replace(scenes, ignore=ignore)
    cells = ignore[:, None, :: learner.stride, :: learner.stride]
    with torch.no_grad():
        wild = noise(learner, scenes).masked_fill(cells, torch.nan).requires_grad_()
    loss, grad = gradient(learner, wild, scenes)
    assert loss.isfinite()
    assert not grad[cells.expand_as(grad)].any()
    assert grad.isfinite().all()
    assert grad[1].any()
    assert torch.equal(grad, gradient(learner, noise(learner, scenes), scenes)[1])


def test_law_4_keypoints_that_a_data_set_does_not_label_send_no_gradient_in_its_views(learner, size):
    scenes = people(size, (2, 1))
    known = torch.ones(2, len(FLIP), dtype=torch.bool)
    known[1, 3:6] = False
    visible = scenes.visible * known[scenes.scene]
    scenes = replace(scenes, visible=visible, known=known)
    output = noise(learner, scenes)
    loss, grad = gradient(learner, output, scenes)
    assert loss.isfinite()
    assert not grad[1, 3:6].any()
    assert grad[0, 3:6].any()
    assert grad[1, 6].any()


def test_law_5_with_nobody_there_maps_are_empty_and_nobody_is_found(codec, size):
    scenes = people(size, (0, 0))
    output = codec.encode(scenes)
    assert not codec.picture(output).any()
    assert [len(found) for found in codec.decode(output)] == [0, 0]
    loss, grad = gradient(codec, noise(codec, scenes), scenes)
    assert loss.isfinite()
    assert loss > 0
    assert grad.isfinite().all()
    assert codec.loss(output, scenes) == 0


def test_people_cut_by_the_border_are_found_as_far_as_they_are_in_the_view(codec):
    middle = torch.tensor([(4.0, 150.0), (252.0, 100.0), (110.0, 244.0), (120.0, 25.0), (170.0, 254.0), (180.0, 2.0)])
    scenes = scenes_of((256, 256), [middle[:, None] + FIGURE])
    # What is read on pixel 0 is nothing to OffsetGuided's release: its results write 0 for a keypoint that was not found.
    scenes = replace(scenes, visible=scenes.visible * (inside(scenes) & (scenes.xy >= 2).all(dim=-1)))
    assert (scenes.visible > 0).any(dim=1).all()
    assert not (scenes.visible > 0).all(dim=1).any()
    [found] = codec.decode(codec.encode(scenes))
    for xy, there in zip(scenes.xy, scenes.visible > 0, strict=True):
        right = ((found.xy - xy).norm(dim=-1) <= max(AT_BORDER, codec.tolerance)) & (found.score > 0)
        assert (right & there).sum(dim=1).max() >= largest_piece(codec, there)


def largest_piece(codec, there):
    """Keypoints that limbs hold together, at most; all where there are none."""
    if not hasattr(codec, "limbs"):
        return int(there.sum())
    place = list(range(len(there)))
    for a, b in codec.limbs:
        if there[a] and there[b]:
            place = [place[a] if p == place[b] else p for p in place]
    return max(place.count(p) for p in set(place))


def test_views_as_small_as_one_cell_are_encoded_learnt_and_decoded(codec):
    for size in ((4, 4), (4, 12), (8, 4)):
        scenes = scenes_of(size, [FIGURE[None] / 20 + 2, FIGURE[None] + 2, FIGURE[None] * 0 + 1.5])
        output = codec.encode(scenes)
        assert output.shape == (3, codec.channels, *codec.cells(size))
        assert output.isfinite().all()
        assert len(codec.decode(output)) == 3
        loss, grad = gradient(codec, noise(codec, scenes), scenes)
        assert loss.isfinite()
        assert grad.isfinite().all()
        assert codec.merge(output, output.flip(-1), FLIP).shape[2:] == output.shape[2:]


def test_the_order_of_people_and_views_does_not_matter(learner):
    scenes = people((256, 256), (2, 3))
    order = torch.tensor([1, 0, 4, 2, 3])
    other = replace(scenes, **{n: getattr(scenes, n)[order] for n in ("xy", "visible", "boxes", "extent")})
    assert torch.equal(learner.encode(scenes), learner.encode(other))
    output = noise(learner, scenes)
    assert torch.allclose(learner.loss(output, scenes), learner.loss(output, other))


def test_a_view_is_encoded_and_decoded_as_it_is_among_many(learner):
    many = people((256, 256), (2, 0, 3))
    output = learner.encode(many)
    for number in range(3):
        own = many.scene == number
        one = {n: getattr(many, n)[own] for n in ("xy", "visible", "boxes", "extent")}
        alone = replace(many, **one, scene=many.scene[own] * 0, ignore=many.ignore[:1])
        assert torch.equal(learner.encode(alone)[0], output[number])
        [found], expected = learner.decode(output[number : number + 1]), learner.decode(output)[number]
        assert torch.equal(found.xy, expected.xy)
        assert torch.equal(found.pose_score, expected.pose_score)


def test_an_answer_for_another_size_shows_the_same_people_there(learner):
    scenes = people((256, 192), (2, 1))
    for factor in ((2.0, 2.0), (1.5, 1.25), (0.75, 0.75)):
        size = tuple(int(side * f) for side, f in zip(scenes.size, factor, strict=True))
        grown = learner.resized(learner.encode(scenes), learner.cells(size))
        assert grown.shape[-2:] == learner.cells(size)
        middle = (scenes.xy + 0.5) * torch.tensor(factor[::-1]) - 0.5
        there = replace(scenes, xy=middle, ignore=torch.zeros(2, *size, dtype=torch.bool))
        assert_found(learner, grown, there, tolerance=2 * max(factor) * learner.tolerance)
    same = learner.encode(scenes)
    assert torch.equal(learner.resized(same, learner.cells(scenes.size)), same)


def test_codecs_survive_a_model_file(codec):
    assert codec_from_plain(json.loads(json.dumps(to_plain(codec))), SceneCodec) == codec


def test_pictures_are_between_0_and_1_and_brightest_at_the_keypoints(learner, size):
    scenes = people(size, (1, 1))
    output = learner.encode(scenes)
    for values in (output, output * 3 - 1, output * torch.nan):
        picture = learner.picture(values)
        assert picture.shape == (2, len(FLIP), *learner.cells(size))
        assert 0 <= picture.min() <= picture.max() <= 1
    best, width = learner.picture(output).flatten(2).argmax(dim=-1), learner.cells(size)[1]
    found = torch.stack((best % width, best // width), dim=-1) * learner.stride + learner.origin
    assert (found - scenes.xy).abs().max() <= learner.stride / 2


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf, 0.0, -1.0, 1.0])
def test_degenerate_answers_are_read_without_a_fault(codec, value):
    output = torch.full((2, codec.channels, 9, 7), value)
    for found in codec.decode(codec.merge(output, output, FLIP)):
        assert found.xy.isfinite().all()
        assert found.score.isfinite().all()
        assert found.pose_score.isfinite().all()


def test_decoding_works_in_float32_whatever_comes_in(codec):
    half = codec.encode(people((256, 256), (2,))).bfloat16()
    [found], [expected] = codec.decode(half), codec.decode(half.float())
    assert found.xy.dtype == found.score.dtype == torch.float32
    assert torch.equal(found.xy, expected.xy)


def test_the_memory_format_of_the_output_does_not_matter(codec):
    scenes = people((256, 256), (2,))
    output = codec.encode(scenes)
    other = output.movedim(1, -1).contiguous().movedim(-1, 1)  # channels last
    assert torch.equal(codec.decode(other)[0].xy, codec.decode(output)[0].xy)
    assert torch.allclose(codec.loss(other + 1, scenes), codec.loss(output + 1, scenes))


def test_outputs_and_views_of_a_wrong_size_are_refused(learner):
    scenes = people((256, 256), (1,))
    output = learner.encode(scenes)
    for wrong in (output[:, :, 1:], output[:, 1:], output.repeat(2, 1, 1, 1)):
        with pytest.raises(InputError, match="network must be built for this codec"):
            learner.loss(wrong, scenes)
    odd = replace(scenes, ignore=torch.zeros(1, 255, 256, dtype=torch.bool))
    with pytest.raises(InputError, match="multiples"):
        learner.encode(odd)


def test_parts_are_the_channels_of_all_heads(codec):
    assert codec.encode(people((256, 256), (1,))).shape[1] == sum(codec.parts) == codec.channels
    assert min(codec.parts) > 0
