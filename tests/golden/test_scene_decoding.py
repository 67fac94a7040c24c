"""People out of maps with guiding offsets, against OffsetGuided's release (og06 to og10).

The files' people are arrays (people, keypoints, 6): x, y, score, scale, score of the surest limb, number of the peak; their
limbs have x, y and score of both ends, the ends' numbers, how far off, length, score, and scales of both ends.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch

from poise.decoding.grouping import group_limbs, group_people, select_limbs
from poise.decoding.grouping_config import GroupingConfig
from poise.decoding.limbs import LimbCandidates, find_limbs
from poise.decoding.peaks import local_maxima, upsampled_peaks
from poise.decoding.scene_maps import (
    SceneMaps,
    averaged_offsets,
    joined_offsets,
    merged_jitter,
    merged_maps,
    merged_offsets,
)
from poise.skeletons import COCO17
from poise.skeletons.limbs import limbs, mirrored_limbs

STRIDE = 4
READING = GroupingConfig(peaks="upsampled", transposed=True)
SETS = {len(limbs(COCO17, name)): limbs(COCO17, name) for name in ("16", "19", "31", "44", "redundant")}
"""The release's sets of limbs by how many they are."""

PEOPLE = {
    "poses": {},
    "poses_dist5": {"dist_max": 5.0},
    "poses_dist40": {"dist_max": 40.0},
    "poses_thre02_topk8": {"threshold": 0.2, "top_k": 8},
    "poses_bilinear": {"peaks": "bilinear"},
}
"""The ends of the keys under which people stand; what they were read with."""

ON_LIMBS = ("poses", "poses_dist5", "poses_dist40")
"""Those that come from the limbs of the file."""


def maps_of(arrays, prefix="", *, heat="hmps", more=False):
    """The maps whose keys start so."""
    jitter, scale = (torch.from_numpy(arrays[key]) if more and key in arrays else None for key in ("jomps", "scmps"))
    return SceneMaps(torch.from_numpy(arrays[heat]), torch.from_numpy(arrays[f"{prefix}offs"]), jitter, scale)


def need(arrays, *keys):
    """Skip where a file has not all of them."""
    missing = [key for key in keys if key not in arrays]
    if missing:
        pytest.skip(f"this file has no {', '.join(missing)}")


def set_of(offsets):
    """The limbs of maps of offsets."""
    return SETS[offsets.shape[1] // 2]


def pixels(maps):
    return STRIDE**2 * maps.heat.shape[2] * maps.heat.shape[3]


def rows_of(found, which, size):
    """Limbs as the files have them; `size` pixels of a view count peaks of different keypoints apart."""
    ends = found.peak_index + size * torch.tensor(which)[:, None]
    middle = torch.stack((found.distance, found.length, found.score), dim=-1)
    parts = (found.start[..., :3], found.end[..., :3], ends.float(), middle, found.start[..., 3:], found.end[..., 3:])
    return torch.cat(parts, dim=-1).numpy()


def limbs_of(rows):
    """Limbs of a file as `group` takes them."""
    rows = torch.from_numpy(rows)
    return LimbCandidates(
        start=rows[..., [0, 1, 2, 11]],
        end=rows[..., [3, 4, 5, 12]],
        peak_index=rows[..., [6, 7]].long(),
        distance=rows[..., 8],
        length=rows[..., 9],
        score=rows[..., 10],
    )


def people_of(groups, size=0):
    """One view's people as the files have them."""
    number = groups.index + size * torch.arange(groups.index.shape[1])
    number = torch.where(groups.keypoints[..., 2] > 0, number, 0)
    return torch.cat((groups.keypoints, number[..., None].float()), dim=-1).numpy()


def check_limbs(found, expected):
    """All but the score is the same number; that one's exponential may be rounded otherwise."""
    rest = [column for column in range(13) if column != 10]
    np.testing.assert_array_equal(found[..., rest], expected[..., rest])
    np.testing.assert_allclose(found[..., 10], expected[..., 10], rtol=2e-7)


def check_people(found, expected):
    assert found.shape == expected.shape
    rest = [0, 1, 2, 3, 5]
    np.testing.assert_array_equal(found[..., rest], expected[..., rest])
    np.testing.assert_allclose(found[..., 4], expected[..., 4], rtol=2e-7)


def variants(arrays, prefix):
    """The keys of people read from maps of the prefix, and how."""
    return {prefix + key: replace(READING, **fields) for key, fields in PEOPLE.items() if prefix + key in arrays}


@pytest.mark.golden("functions/og06_*.npz")
def test_peaks_are_those_of_the_release(golden_arrays):
    need(golden_arrays, "clean_hmps", "peak_scores", "peak_inds", "peak_xs", "peak_ys")
    heat = torch.from_numpy(golden_arrays["clean_hmps"])
    peaks = upsampled_peaks(heat, "bicubic", top=golden_arrays["peak_inds"].shape[-1], stride=STRIDE)
    np.testing.assert_array_equal(peaks.score.numpy(), golden_arrays["peak_scores"])
    high = golden_arrays["peak_scores"] > 0  # among equal values any may come first
    np.testing.assert_array_equal(peaks.index.numpy()[high], golden_arrays["peak_inds"][high])
    xy = np.stack((golden_arrays["peak_xs"], golden_arrays["peak_ys"]), axis=-1)
    np.testing.assert_array_equal(peaks.xy.numpy()[high], xy[high])


@pytest.mark.golden("functions/og06_*.npz")
def test_what_is_no_peak_is_emptied_as_in_the_release(golden_arrays):
    need(golden_arrays, "nms_in", "nms_out")
    found = local_maxima(torch.from_numpy(golden_arrays["nms_in"]))
    np.testing.assert_array_equal(found.numpy(), golden_arrays["nms_out"])


@pytest.mark.golden("functions/og06_*.npz")
@pytest.mark.parametrize("prefix", ["clean_", "noisy_"])
def test_limbs_and_people_are_those_of_the_release(golden_arrays, prefix):
    need(golden_arrays, f"{prefix}hmps", f"{prefix}offs", f"{prefix}limbs")
    maps = maps_of(golden_arrays, prefix, heat=f"{prefix}hmps")
    which = set_of(maps.offsets)
    found = find_limbs(maps, which, READING, stride=STRIDE)
    check_limbs(rows_of(found, which, pixels(maps)), golden_arrays[f"{prefix}limbs"])
    known = variants(golden_arrays, prefix)
    assert known
    for key, reading in known.items():
        check_people(people_of(group_people(maps, which, reading, stride=STRIDE)[0], pixels(maps)), golden_arrays[key])


@pytest.mark.golden("functions/og06_*.npz", "functions/og07_*.npz")
def test_limbs_are_joined_as_in_the_release(golden_arrays):
    known = {key: (rows, SETS[rows.shape[1]]) for key, rows in golden_arrays.items() if key.endswith("limbs")}
    assert known
    for key, (rows, which) in known.items():
        prefix = key.removesuffix("limbs")
        for name, reading in variants(golden_arrays, prefix).items():
            if name.removeprefix(prefix) in ON_LIMBS:
                found = group_limbs(limbs_of(rows), which, reading, keypoints=17)[0]
                np.testing.assert_array_equal(people_of(found), golden_arrays[name])


@pytest.mark.golden("functions/og06_*.npz")
def test_nobody_is_found_where_nobody_is(golden_arrays):
    need(golden_arrays, "clean_hmps", "clean_offs", "empty_poses")
    heat = torch.from_numpy(np.zeros_like(golden_arrays["clean_hmps"]))
    offsets = torch.from_numpy(np.zeros_like(golden_arrays["clean_offs"]))
    found = group_people(SceneMaps(heat, offsets), set_of(offsets), READING, stride=STRIDE)[0]
    assert people_of(found).shape == golden_arrays["empty_poses"].shape


@pytest.mark.golden("functions/og07_*.npz")
def test_jitter_and_scales_are_read_as_in_the_release(golden_arrays):
    need(golden_arrays, "hmps", "offs", "limbs", "poses")
    maps = maps_of(golden_arrays, more=True)
    which = set_of(maps.offsets)
    found = find_limbs(maps, which, READING, stride=STRIDE)
    np.testing.assert_allclose(rows_of(found, which, pixels(maps)), golden_arrays["limbs"], rtol=1e-5, atol=1e-5)
    people = people_of(group_people(maps, which, READING, stride=STRIDE)[0], pixels(maps))
    np.testing.assert_allclose(people, golden_arrays["poses"], rtol=1e-5, atol=1e-5)


@pytest.mark.golden("functions/og07_*.npz")
def test_other_limbs_and_crowds_are_read_as_in_the_release(golden_arrays):
    for prefix, heat in (("kintree_", "hmps"), ("crowd_", "crowd_hmps")):
        if f"{prefix}offs" in golden_arrays:
            maps = maps_of(golden_arrays, prefix, heat=heat)
            which = set_of(maps.offsets)
            if f"{prefix}limbs" in golden_arrays:
                found = find_limbs(maps, which, READING, stride=STRIDE)
                check_limbs(rows_of(found, which, pixels(maps)), golden_arrays[f"{prefix}limbs"])
            people = group_people(maps, which, READING, stride=STRIDE)[0]
            check_people(people_of(people, pixels(maps)), golden_arrays[f"{prefix}poses"])


@pytest.mark.golden("functions/og08_*.npz")
def test_of_limbs_to_one_peak_the_surest_stays_as_in_the_release(golden_arrays):
    rows = golden_arrays["conns"]
    ends, score = rows[None, :, 6:8].astype(np.int64), rows[None, :, 10]
    order, count = select_limbs(ends, score, np.ones(score.shape, bool))
    np.testing.assert_array_equal(rows[order[0, : count[0]]], golden_arrays["out"])


@pytest.mark.golden("functions/og09_*.npz")
def test_both_views_are_joined_as_in_the_release(golden_arrays):
    def views(key):
        return torch.from_numpy(golden_arrays[key]).chunk(2)

    index, alone_ = mirrored_limbs(set_of(views("offs")[0]), COCO17.flip)
    found = {
        "out_hmps": merged_maps(*views("hmps"), COCO17.flip),
        "out_scmps": merged_maps(*views("scmps"), COCO17.flip),
        "out_jomps": merged_jitter(*views("jomps")),
        "out_offs": merged_offsets(*views("offs"), index, alone_),
    }
    for key, maps in found.items():
        np.testing.assert_array_equal(maps.numpy(), golden_arrays[key], err_msg=key)
    if "cat_offs" in golden_arrays:  # the release counts half of the vectors' numbers as views
        vectors = joined_offsets(*views("offs"), index, alone_).reshape(golden_arrays["cat_offs"].shape)
        np.testing.assert_array_equal(vectors.numpy(), golden_arrays["cat_offs"])


@pytest.mark.golden("functions/og10_*.npz")
def test_offsets_are_weighed_as_in_the_release(golden_arrays):
    heat, offsets = (torch.from_numpy(golden_arrays[key]) for key in ("hmps", "offs"))
    known = [key for key in golden_arrays if key.startswith("out_k")]
    assert known
    for key in known:
        found = averaged_offsets(offsets, heat, set_of(offsets), side=int(key.removeprefix("out_k")))
        np.testing.assert_allclose(found.numpy(), golden_arrays[key], rtol=1e-5, atol=1e-5)
