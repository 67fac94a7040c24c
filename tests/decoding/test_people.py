"""People out of maps with guiding offsets: every reading, strange maps, and the plain way that must agree."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from poise.codecs.decoders import methods_of, read_as
from poise.codecs.guiding_losses import LabelMaps
from poise.codecs.offset_guided import READING_TOLERANCE, OffsetGuided
from poise.codecs.registry import codec_from_plain, to_plain
from poise.codecs.scene import SceneCodec
from poise.data.figures import FigureDataset
from poise.decoding.gaussian_fit import fit_gaussian_known_sigma
from poise.decoding.grouping import decode_people, group_people
from poise.decoding.grouping_config import PEAK_METHODS, PRACTITIONER_CONFIG, RELEASE_CONFIG, GroupingConfig
from poise.decoding.limbs import find_limbs
from poise.decoding.peaks import fast_peaks, upsampled_peaks
from poise.decoding.scene_maps import SceneMaps
from poise.errors import InputError, UnknownName
from poise.scenes import Scenes
from poise.skeletons import COCO17
from poise.skeletons.limbs import limbs

LIMBS = limbs(COCO17, "19")
LEAST = 0.3
"""Pixels that readings finer than a pixel may be off clean labels."""

MISSED = {"cell": 2.9, "quarter": 2.2, "fast": 1.1, "upsampled": 1.1, "bilinear": 3.0}


def scene_of(xy, size=(256, 256)):
    visible = torch.full(xy.shape[:2], 2)
    boxes = torch.cat((xy.amin(dim=1), xy.amax(dim=1)), dim=1)
    extent = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1).sqrt()
    where = torch.zeros(len(xy), dtype=torch.int64)
    return Scenes(xy, visible, boxes, extent, where, torch.zeros(1, *size, dtype=torch.bool))


def person(x, y, *, side=60.0, seed=0):
    """Somebody at a place; no two keypoints nearer than some pixels."""
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(np.arange(5), np.arange(4)), axis=-1).reshape(-1, 2)[:17] / (4, 3)
    return torch.from_numpy((x, y) + side * grid + rng.uniform(0, 3, (17, 2))).float()


def codec(**reading):
    return OffsetGuided(17, limbs=LIMBS, reading=replace(PRACTITIONER_CONFIG, **reading))


def noisy(seed, *, people=(1, 8), size=(512, 512)):
    """An answer for a drawn image that is not quite its label."""
    labels = FigureDataset(seed + 1, size=size, per_image=people, seed=5).labels(seed)
    scene = scene_of(labels.xy, size)
    output = codec().encode(replace(scene, visible=labels.visible, boxes=labels.boxes))
    noise = torch.randn(output.shape, generator=torch.Generator().manual_seed(seed))
    noise[:, :17] *= 0.02
    return 0.9 * output + 0.7 * noise


@pytest.fixture(scope="module")
def plain():
    """The plain reading beside which speeds are measured."""
    path = Path(__file__).parents[2] / "benchmarks" / "scene_reading.py"
    spec = importlib.util.spec_from_file_location("scene_reading", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("seed", range(12))
def test_noise_is_grouped_as_the_plain_implementation_groups_it(plain, seed):
    which = limbs(COCO17, ["16", "19", "31", "44"][seed % 4])
    size = [(16, 16), (24, 20), (12, 30)][seed % 3]
    made = torch.Generator().manual_seed(seed)
    heat = torch.rand(1, 17, *size, generator=made) ** 4
    offsets = 12 * torch.randn(1, 2 * len(which), *size, generator=made)
    jitter = torch.randn(1, 2, *size, generator=made) if seed % 2 else None
    scale = 30 * torch.rand(1, 17, *size, generator=made) if seed % 3 == 0 else None
    far = [5.0, 20.0, 40.0][seed % 3]
    expected = plain.read_scene(heat, offsets, which, jitter=jitter, scale=scale, far=far)[0]
    reading = GroupingConfig("upsampled", transposed=True, dist_max=far)
    found = group_people(SceneMaps(heat, offsets, jitter, scale), which, reading, stride=4)[0]
    assert len(expected) > 20
    np.testing.assert_allclose(found.keypoints.numpy(), expected[..., :5], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("noise", [0.0, 0.02, 0.3])
def test_fast_peaks_are_those_of_upsampled_maps(noise):
    maps = noisy(0)[:, :17]
    maps = maps + noise * torch.randn(maps.shape, generator=torch.Generator().manual_seed(1))
    exact = upsampled_peaks(maps, "bicubic", top=32, stride=4)
    fast = fast_peaks(maps, top=32, stride=4, threshold=0.06)
    most = fast.score.shape[2]
    high = exact.score >= 0.06
    assert (high[..., :most] == (fast.score > 0)).all()
    assert not high[..., most:].any()
    high = high[..., :most]
    torch.testing.assert_close(fast.score[high], exact.score[..., :most][high], rtol=0, atol=1e-6)
    assert (fast.index[high] == exact.index[..., :most][high]).float().mean() > 0.999


def test_fast_peaks_find_the_people_of_exact_ones():
    same = poses = 0
    for seed in range(5):
        output = noisy(seed)
        exact, fast = (codec(peaks=peaks).decode(output)[0] for peaks in ("upsampled", "fast"))
        near = (exact.xy[:, None] - fast.xy[None]).norm(dim=-1) <= 0.5
        alike = (exact.score > 0)[:, None] == (fast.score > 0)[None]
        same, poses = same + int((near & alike).all(dim=-1).any(dim=1).sum()), poses + len(exact)
    assert poses > 15
    assert same >= 0.99 * poses


@pytest.mark.parametrize("peaks", PEAK_METHODS)
def test_every_peak_method_finds_everybody(peaks):
    xy = torch.stack((person(10.3, 20.6), person(150.9, 30.2, seed=1), person(80.4, 150.7, seed=2)))
    (found,) = codec(peaks=peaks).decode(codec().encode(scene_of(xy)))
    assert len(found) == 3
    assert (found.score > 0).all()
    miss = (xy[:, None] - found.xy[None]).norm(dim=-1).amax(dim=-1)
    assert miss.amin(dim=1).max() <= MISSED.get(peaks, LEAST)


def test_the_score_of_a_person_is_the_mean_of_all_keypoints_and_the_highest_comes_first():
    xy = torch.stack((person(10, 20), person(150, 150, seed=1)))
    output = codec().encode(scene_of(xy))
    output[:, :17, :32] *= 0.5
    output[:, 9, 32:] = 0  # a wrist of the second person
    (found,) = codec().decode(output)
    assert (found.pose_score.diff() <= 0).all()
    torch.testing.assert_close(found.pose_score, found.score.sum(dim=1) / 17)
    assert found.score[0, 9] == 0
    assert (found.xy[0, 9] == 0).all()
    assert found.boxes[0, 0] > 100


@pytest.mark.parametrize("width", [1.0, 1.75, 3.0])
@pytest.mark.parametrize("reach", [1, 2])
def test_a_fit_of_a_wrong_width_moves_each_peak_by_the_square_of_the_ratio(width, reach):
    off = torch.tensor([[0.3, -0.2]])
    y, x = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
    gaussian = torch.exp(-((x - 8 - off[0, 0]) ** 2 + (y - 8 - off[0, 1]) ** 2) / (2 * 1.75**2))
    cells = torch.tensor([[8, 8]])
    found = fit_gaussian_known_sigma(gaussian[None], cells, reach=reach, sigma=width) - cells
    torch.testing.assert_close(found, off * (width / 1.75) ** 2, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("peaks", ["fast", "upsampled", "cell"])
@pytest.mark.parametrize("transposed", [False, True])
def test_jitter_is_looked_up_where_the_guide_is_and_added_to_both_ends(peaks, transposed):
    heat = torch.zeros(1, 2, 16, 16)
    heat[0, 0, 3, 8] = heat[0, 1, 3, 12] = 1.0
    offsets = torch.tensor((16.0, 0.0))[None, :, None, None].expand(1, 2, 16, 16)
    jitter = torch.stack((torch.arange(16.0).expand(16, 16) / 4, torch.zeros(16, 16)))[None]
    found = find_limbs(SceneMaps(heat, offsets, jitter), ((0, 1),), GroupingConfig(peaks, transposed=transposed), stride=4)
    cells = (found.start[0, 0, 0, 0] + torch.tensor((0.0, 16.0)) - 1.5) / 4  # of both ends; the second is 0 off but for jitter
    start, end = 8.0, 12.0
    near = 0.3 if peaks == "cell" else 1.1  # the pixels beside the middle of a cell are equal
    assert abs(cells[0] - start - start / 16) < near
    assert abs(found.end[0, 0, 0, 0] - (4 * end + 1.5 + end / 4)) < 2 * near
    assert abs(found.distance[0, 0, 0] - (3.0 if transposed else end) / 4) < near


def test_the_distance_of_a_limb_may_be_larger_for_large_keypoints():
    xy = person(40, 60)[None]
    heat, offsets = codec().encode(scene_of(xy)).split((17, 38), dim=1)
    far = SceneMaps(heat, offsets + 25)
    reading = replace(PRACTITIONER_CONFIG, threshold=0.5)
    found = (
        group_people(far, LIMBS, reading, stride=4)[0],
        group_people(replace(far, scale=torch.full_like(heat, 60.0)), LIMBS, reading, stride=4)[0],
    )
    assert len(found[1].keypoints) > 0
    assert (found[0].keypoints[..., 2] > 0).sum() < (found[1].keypoints[..., 2] > 0).sum()


@pytest.mark.parametrize("peaks", PEAK_METHODS)
@pytest.mark.parametrize("value", [0.0, 1.0, -1.0, float("nan"), float("inf"), -float("inf")])
def test_constant_maps_are_decoded(peaks, value):
    output = torch.full((2, 17 + 38, 8, 12), value)
    found = codec(peaks=peaks, top_k=4).decode(output)
    assert len(found) == 2
    assert all(part.isfinite().all() for people in found for part in (people.xy, people.score, people.pose_score))
    if not value > 0 or not np.isfinite(value):
        assert not len(found[0])


@pytest.mark.parametrize("peaks", PEAK_METHODS)
def test_one_non_finite_value_affects_no_person(peaks):
    xy = torch.stack((person(10.3, 20.6), person(150.9, 150.2, seed=1)))
    output = codec().encode(scene_of(xy))
    output[:, :, 30, 2] = torch.nan
    output[:, :, 2, 60] = torch.inf
    (found,) = codec(peaks=peaks).decode(output)
    assert len(found) == 2
    assert found.xy.isfinite().all()
    assert (found.score > 0).all()


@pytest.mark.parametrize("peaks", PEAK_METHODS)
@pytest.mark.parametrize("cells", [(1, 1), (1, 5), (3, 2)])
def test_maps_of_few_cells_are_decoded(peaks, cells):
    output = torch.rand(2, 55, *cells, generator=torch.Generator().manual_seed(0))
    found = codec(peaks=peaks, top_k=500).decode(output)
    assert all(people.xy.isfinite().all() for people in found)


@pytest.mark.parametrize("peaks", ["fast", "cell", "dark", "fit1", "fit1-sigma"])
def test_people_at_the_border_are_found(peaks):
    corners = [person(0.2, 0.2), person(190.6, 0.4, seed=1), person(0.3, 190.4, seed=2), person(190.5, 190.7, seed=3)]
    xy = torch.stack(corners).clamp(0, 255)
    (found,) = codec(peaks=peaks).decode(codec().encode(scene_of(xy)))
    assert (found.score[:4] > 0).all()  # beyond the border maps are flat, so that there may be a peak more
    assert not (found.pose_score[4:] > 0.2).any()
    miss = (xy[:, None] - found.xy[None, :4]).norm(dim=-1).amax(dim=-1)
    assert miss.amin(dim=1).max() <= 3.5  # a cell has 5.7 from corner to corner


@pytest.mark.parametrize("peaks", ["fast", "upsampled", "cell", "fit1-sigma"])
def test_a_hundred_people_are_found(peaks):
    xy = torch.stack([person(20 + 100 * (i % 10), 20 + 100 * (i // 10), seed=i) for i in range(100)])
    output = codec().encode(scene_of(xy, (1024, 1024)))
    (found,) = codec(peaks=peaks, top_k=128).decode(output)
    assert len(found) == 100
    assert (found.score > 0).all()
    (some,) = codec(peaks=peaks).decode(output)
    assert (some.score > 0).sum(dim=0).max() <= 32


def test_equal_heights_are_all_peaks_and_every_person_has_one():
    maps = torch.zeros(1, 2, 6, 12)
    maps[:, :, 2, 2:4] = 0.5
    maps[:, :, 2, 8:10] = 0.5
    for peaks in ("fast", "upsampled", "cell"):
        (found,) = decode_people(SceneMaps(maps, torch.zeros(1, 2, 6, 12)), ((0, 1),), GroupingConfig(peaks), stride=4)
        assert 2 <= len(found) <= 8


def test_views_of_a_batch_are_decoded_independently():
    outputs = [noisy(seed, people=(1, 3), size=(128, 192)) for seed in range(3)]
    together = codec().decode(torch.cat(outputs))
    for found, output in zip(together, outputs, strict=True):
        (alone,) = codec().decode(output)
        assert torch.equal(found.xy, alone.xy)
        assert torch.equal(found.pose_score, alone.pose_score)
    assert codec().decode(torch.zeros(0, 55, 8, 8)) == []


def test_without_limbs_nobody_is_found():
    (found,) = OffsetGuided(17, reading=PRACTITIONER_CONFIG).decode(torch.ones(1, 17, 8, 8))
    assert len(found) == 0
    assert found.xy.shape == (0, 17, 2)


def test_outputs_in_half_precision_with_gradients_are_decoded():
    output = noisy(0, size=(128, 128)).to(torch.bfloat16).requires_grad_()
    (found,) = codec().decode(output)
    assert found.xy.dtype == torch.float32
    assert not found.xy.requires_grad


def test_the_presets_are_the_practitioners_and_the_releases():
    assert (
        PRACTITIONER_CONFIG.threshold,
        PRACTITIONER_CONFIG.top_k,
        PRACTITIONER_CONFIG.dist_max,
        PRACTITIONER_CONFIG.person_threshold,
    ) == (
        0.06,
        32,
        20,
        0.06,
    )
    assert (RELEASE_CONFIG.threshold, RELEASE_CONFIG.top_k, RELEASE_CONFIG.dist_max, RELEASE_CONFIG.person_threshold) == (
        0.04,
        32,
        40,
        0.04,
    )


def test_every_peak_method_has_a_known_error():
    assert set(READING_TOLERANCE) == set(PEAK_METHODS)


def test_readings_of_whole_views_are_named_and_changed_as_others():
    assert methods_of(codec()) == PEAK_METHODS
    assert read_as(codec(), "dark").reading == replace(PRACTITIONER_CONFIG, peaks="dark")
    with pytest.raises(UnknownName, match="did you mean 'dark'"):
        read_as(codec(), "drak")


@pytest.mark.parametrize("wrong", [{"top_k": 0}, {"weigh": 2}, {"sigma": 0.0}, {"dist_max": -1.0}])
def test_impossible_decoding_settings_are_refused(wrong):
    with pytest.raises(InputError):
        GroupingConfig(**wrong)


@pytest.mark.parametrize("peaks", ["dark", "fit1", "fit2"])
@pytest.mark.parametrize("sigma", [4.0, 10.0])
def test_peak_methods_that_need_a_sigma_take_that_of_the_labels(peaks, sigma):
    made = replace(codec(peaks=peaks), maps=LabelMaps(sigma=sigma))
    output = made.encode(scene_of(person(30.3, 40.6, side=160.0)[None]))

    def read(width):
        return replace(made, reading=replace(made.reading, sigma=width)).decode(output)[0].xy

    assert torch.equal(read(None), read(sigma / 4))
    assert not torch.equal(read(None), read(3.5))  # so wide that DARK's blur has other taps


def test_a_sigma_in_a_model_file_is_kept():
    made = replace(codec(), maps=LabelMaps(sigma=4.0))
    plain = to_plain(made)
    assert plain["reading"]["sigma"] is None
    old = plain | {"reading": plain["reading"] | {"sigma": 1.75}}  # as files were written that always held a number
    assert codec_from_plain(plain, SceneCodec) == made
    assert codec_from_plain(old, SceneCodec).reading.with_label_sigma(1.0).gaussian_sigma == 1.75
    assert made.reading.with_label_sigma(1.0).gaussian_sigma == 1.0
