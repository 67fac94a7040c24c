import numpy as np
import pytest
import torch

from poise.data.coco import CocoDataset
from poise.data.stats import channel_statistics, label_statistics
from poise.errors import InputError


@pytest.fixture
def dataset(fake, tmp_path):
    return CocoDataset(*fake.write(tmp_path / "coco"))


def test_labels_are_counted(dataset):
    found = label_statistics(dataset)
    assert (found.images, found.empty, found.annotations, found.crowds, found.people, found.per_image) == (4, 1, 5, 1, 4, 2)
    assert found.visible[0] == (0, 0, 4), "the fake's first keypoint is in sight, its second hidden, its third not labelled"
    assert found.visible[1] == (0, 4, 0)
    assert found.visible[2] == (4, 0, 0)
    assert found.area_share == pytest.approx(0.5, abs=0.01)
    boxes = torch.cat([dataset.labels(i).boxes[row : row + 1] for i, row in dataset.people()])
    assert found.box_height[2] == pytest.approx(float(np.median((boxes[:, 3] - boxes[:, 1]).numpy())), rel=1e-6)


def test_mean_and_deviation_are_over_all_pixels(dataset):
    found = channel_statistics(dataset, range(4))
    pixels = np.concatenate([dataset.image(i).reshape(3, -1).numpy() / 255 for i in range(4)], axis=1)
    assert found.mean == pytest.approx(pixels.mean(axis=1).tolist())
    assert found.std == pytest.approx(pixels.std(axis=1).tolist())
    assert found.sizes[0] == (48, 64)


def test_unreadable_images_are_named_and_left_out(dataset):
    (dataset.files.root / dataset.key(1).file_name).write_bytes(b"no image")
    found = channel_statistics(dataset, range(4))
    assert len(found.sizes) == 3
    assert "000000000002.jpg" in found.unreadable[0]
    with pytest.raises(InputError, match="no image could be read"):
        channel_statistics(dataset, [1])
