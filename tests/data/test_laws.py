"""The laws of `data/base.py`, on the fakes of all data sets: of `fakes/`, and of packages that are named with `--plugin`."""

import pickle

import pytest
import torch

from poise.data.base import Dataset
from poise.data.label_ops import flip_sample, trainable
from poise.plugins import members, named

KINDS = members(Dataset, ("poise.data", *named()))
"""Every class of data sets, by its name."""


def same_labels(a, b) -> bool:
    names = ("xy", "visible", "boxes", "area", "crowd", "ids", "categories")
    return all(torch.equal(getattr(a, n), getattr(b, n)) for n in names)


@pytest.mark.parametrize("name", KINDS)
def test_every_data_set_of_the_folder_has_a_fake(name, faked_types):
    where = KINDS[name].__module__
    if where.startswith("poise.data.bodies"):
        pytest.importorskip("anny", reason="needs poise[bodies]")
    ours = f"tests/data/fakes/{where.removeprefix('poise.data.').split('.')[0]}.py"
    file = ours if where.startswith("poise.") else f"a module of {where.partition('.')[0]}, such as fakes.py,"
    assert KINDS[name] in faked_types, (
        f"no fake makes a {name} of {where}, so no law is tried on it; write {file} with a function datasets(folder: Path) -> "
        "list[Dataset], which writes a small made-up copy into the folder and opens it"
    )


def test_a_fake_gives_data_sets(fake_datasets):
    assert fake_datasets
    assert all(isinstance(d, Dataset) for d in fake_datasets)


def test_labels_have_the_shape_of_the_skeleton_and_finite_numbers(fake_datasets):
    for dataset in fake_datasets:
        assert len(dataset) > 0
        for i in range(len(dataset)):
            labels = dataset.labels(i)
            assert labels.xy.shape == (len(labels), len(dataset.skeleton), 2)
            assert torch.isfinite(labels.xy).all()
            assert torch.isfinite(labels.boxes).all()
            assert set(labels.visible.flatten().tolist()) <= {0, 1, 2}


def test_asking_twice_gives_the_same_answer(fake_datasets):
    for dataset in fake_datasets:
        for i in range(len(dataset)):
            assert same_labels(dataset.labels(i), dataset.labels(i))
            assert torch.equal(dataset.image(i), dataset.image(i))


def test_a_sample_is_its_image_labels_and_key_and_keys_differ(fake_datasets):
    for dataset in fake_datasets:
        for i in range(len(dataset)):
            sample = dataset[i]
            assert sample.key == dataset.key(i)
            assert same_labels(sample.labels, dataset.labels(i))
            assert torch.equal(sample.image, dataset.image(i))
            assert sample.image.dtype == torch.uint8
            assert sample.image.permute(1, 2, 0).is_contiguous(), "the memory must be rows of pixels"
        assert len({dataset.key(i) for i in range(len(dataset))}) == len(dataset)


def test_an_index_behind_the_last_is_refused_so_that_loops_end(fake_datasets):
    for dataset in fake_datasets:
        with pytest.raises(IndexError):
            dataset[len(dataset)]


def test_a_mirror_twice_changes_nothing_and_once_swaps_sides(fake_datasets):
    for dataset in fake_datasets:
        sample = dataset[0]
        once = flip_sample(sample, dataset.skeleton)
        twice = flip_sample(once, dataset.skeleton)
        assert torch.equal(twice.image, sample.image)
        torch.testing.assert_close(twice.labels.xy, sample.labels.xy, atol=1e-4, rtol=0)
        torch.testing.assert_close(twice.labels.boxes, sample.labels.boxes, atol=1e-4, rtol=0)
        for left, right in dataset.skeleton.mirror:
            a, b = dataset.skeleton.index(left), dataset.skeleton.index(right)
            assert torch.equal(once.labels.visible[:, a], sample.labels.visible[:, b])
            torch.testing.assert_close(once.labels.xy[:, a, 0], sample.size[1] - 1 - sample.labels.xy[:, b, 0])


def test_people_are_the_rows_one_can_train_on(fake_datasets):
    for dataset in fake_datasets:
        people = dataset.people()
        assert people or not dataset.all_labels.visible.any(), "whoever is labelled can be trained on"
        expected = [
            (i, row) for i in range(len(dataset)) for row, good in enumerate(trainable(dataset.labels(i)).tolist()) if good
        ]
        assert people == expected


def test_a_data_set_can_be_pickled(fake_datasets):
    for dataset in fake_datasets:
        dataset.image(0)
        again = pickle.loads(pickle.dumps(dataset))
        assert torch.equal(again.image(0), dataset.image(0))
        assert same_labels(again.labels(0), dataset.labels(0))


def test_a_whole_sample_says_where_its_labels_are_silent_and_which_keypoints_are_labelled(fake_datasets):
    for dataset in fake_datasets:
        for i in range(len(dataset)):
            sample = dataset.sample_with_ignore(i)
            assert sample.ignore is not None
            assert sample.known is not None
            assert sample.ignore.shape == sample.image.shape[1:]
            assert sample.known.shape == (len(dataset.skeleton),)
            assert same_labels(sample.labels, dataset.labels(i))
            assert not sample.labels.visible[:, ~sample.known].any(), "what is labelled is known"
            assert not sample.ignore.any() or sample.labels.unlabelled.any()
            other = flip_sample(sample, dataset.skeleton)
            assert torch.equal(other.ignore, sample.ignore.flip(1))
            assert torch.equal(other.known, sample.known[dataset.skeleton.flip])
