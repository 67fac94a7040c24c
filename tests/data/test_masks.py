import numpy as np
import pytest
from pycocotools import mask as official

from poise.data.masks import check_segmentation, has_segmentation, mask, mask_area
from poise.errors import AnnotationError

SIZE = (40, 60)
POLYGONS = [[5, 5, 30, 8, 20, 35], [40.5, 10.2, 55.1, 12.0, 50.3, 30.9, 41.0, 28.0]]


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools' own
def test_polygons_cover_what_pycocotools_says():
    expected = official.merge(official.frPyObjects(POLYGONS, *SIZE))
    assert np.array_equal(mask(POLYGONS, SIZE), official.decode(expected).astype(bool))
    assert mask_area(POLYGONS, SIZE) == official.area(expected)


def test_run_lengths_plain_and_compressed_are_the_same_mask():
    pixels = np.asfortranarray((np.random.default_rng(0).random(SIZE) > 0.5).astype(np.uint8))
    packed = official.encode(pixels)
    changes = np.flatnonzero(np.diff(np.concatenate(([0], pixels.flatten("F"), [2])))).tolist()
    counts = np.diff([0, *changes]).tolist()
    for found in (packed, {"size": list(SIZE), "counts": packed["counts"].decode()}, {"size": list(SIZE), "counts": counts}):
        check_segmentation(found, SIZE)
        assert np.array_equal(mask(found, SIZE), pixels.astype(bool))
        assert mask_area(found, SIZE) == pixels.sum()


@pytest.mark.parametrize(
    "broken",
    [
        [[1, 2, 3, 4]],
        [[1, 2, 3, 4, 5, 6, 7]],
        [[1, 2, 3, 4, 5, float("nan")]],
        [[1, 2, "a", 4, 5, 6]],
        [[[1, 2], [3, 4], [5, 6]]],
        [],
        [3],
        {"size": [40, 61], "counts": [10]},
        {"size": [40, 60], "counts": [10]},
        {"size": [40, 60]},
        {"size": None, "counts": [2400]},
        {"size": [40, 60], "counts": "abc"},
        {"size": [40, 60], "counts": [-100, 2500]},
        {"size": [40, 60], "counts": ["a", 2400]},
    ],
)
def test_broken_ones_are_refused(broken):
    with pytest.raises(AnnotationError):
        check_segmentation(broken, SIZE)
    with pytest.raises(AnnotationError):
        mask(broken, SIZE)


def test_empty_segmentations_are_none():
    assert not any(has_segmentation({"segmentation": s}) for s in ([], [[]], None))
    assert not has_segmentation({})
    assert has_segmentation({"segmentation": POLYGONS})
