"""Where data sets say nothing about who is there, and about which keypoints."""

import json
import pickle

import pytest
import torch

from poise.data.cached import CachedDataset
from poise.data.coco import CocoDataset
from poise.data.combined import CombinedDataset
from poise.data.figures import FigureDataset
from poise.data.subset import Subset
from poise.notes import forget_notes
from poise.skeletons import COCO17, LSP14, select


@pytest.fixture
def change(fake, tmp_path_factory):
    """Opens the made-up COCO after its file was changed."""

    def changed(edit, **options) -> CocoDataset:
        path, images = fake.write(tmp_path_factory.mktemp("coco") / "changed")
        found = json.loads(path.read_text())
        edit(found)
        path.write_text(json.dumps(found))
        return CocoDataset(path, images, **options)

    return changed


def crowd_of(dataset) -> tuple[int, int]:
    return next((i, row) for i in range(len(dataset)) for row, c in enumerate(dataset.labels(i).crowd.tolist()) if c)


def test_outlines_are_those_of_the_data_set_whatever_is_around_it(change):
    dataset = change(lambda found: found["annotations"][0].pop("segmentation"))
    row = dataset.labels(0).ids.tolist().index(1) if 1 in dataset.labels(0).ids.tolist() else None
    figures = FigureDataset(2, size=(64, 64), per_image=(1, 3))
    for whole, inner in (
        (Subset(dataset, [0]), dataset),
        (CombinedDataset([figures, dataset]), dataset),
        (CachedDataset(figures), figures),
    ):
        place = 2 if isinstance(whole, CombinedDataset) else 0
        assert torch.equal(whole.masks(place), inner.masks(0))
        assert torch.equal(whole.sample_with_masks(place).masks, inner.masks(0))
        assert inner.masks(0).shape == (len(inner.labels(0)), *inner.image(0).shape[1:])
    if row is not None:
        assert not dataset.masks(0)[row].any()
    covered = figures.masks(0).flatten(1).sum(dim=1)
    assert torch.equal(covered.float(), figures.labels(0).area)


def test_a_crowd_is_ignored_as_its_run_lengths_say_but_for_labelled_people_in_it(change):
    dataset = change(lambda found: None)
    image, row = crowd_of(dataset)
    sample, masks = dataset.sample_with_ignore(image), dataset.masks(image)
    others = masks[~sample.labels.crowd].any(dim=0)
    assert torch.equal(sample.ignore, masks[row] & ~others)
    assert sample.ignore.any()


def test_people_without_keypoints_are_ignored_by_segmentation_or_by_box(change):
    def silence(found):
        for annotation, drawn in zip(found["annotations"][:2], (True, False), strict=True):
            annotation["keypoints"] = [0] * 51
            if not drawn:
                del annotation["segmentation"]

    dataset = change(silence)
    image = next(i for i in range(len(dataset)) if dataset.labels(i).ids.tolist()[:1] == [1])
    sample = dataset.sample_with_ignore(image)
    assert sample.labels.unlabelled.tolist() == [True, True]
    x0, y0, x1, y1 = sample.labels.boxes[1].long().tolist()
    assert sample.ignore[y0:y1, x0:x1].all(), "the one without a segmentation: its box"
    inside = torch.zeros_like(sample.ignore)
    inside[y0 : y1 + 2, x0 : x1 + 2] = True
    assert torch.equal(sample.ignore & ~inside, dataset.masks(image)[0] & ~inside)


def test_where_not_everybody_is_annotated_only_labelled_people_are_known(change):
    for dataset in (
        change(lambda found: None, complete=False),
        change(lambda found: [image.update(all_persons_known=False) for image in found["images"]]),
    ):
        for i in range(len(dataset)):
            sample = dataset.sample_with_ignore(i)
            if not len(sample.labels):
                assert sample.ignore.all()
            for x0, y0, x1, y1 in sample.labels.boxes[~sample.labels.unlabelled].round().long().tolist():
                assert not sample.ignore[y0:y1, x0:x1].all()
        assert dataset.sample_with_ignore(0).ignore.any()
        assert not dataset.sample_with_ignore(0).ignore.all()


def test_a_crowd_with_a_broken_segmentation_is_ignored_by_its_box_and_that_is_said(change, capsys):
    def spoil(found):
        crowd = next(a for a in found["annotations"] if a["iscrowd"])
        crowd["segmentation"] = {"size": [3, 3], "counts": [9]}

    dataset = change(spoil)
    image, _ = crowd_of(dataset)
    assert dataset[image].ignore is None
    forget_notes()
    assert dataset.sample_with_ignore(image).ignore[:, :8].float().mean() > 0.5, "the crowd lies on the left"
    assert "run lengths" in capsys.readouterr().err


def test_a_joined_sample_knows_what_its_own_data_set_labels(fake, tmp_path):
    coco, lsp = CocoDataset(*fake.write(tmp_path / "a")), CocoDataset(*fake.write(tmp_path / "b", LSP14.keypoints, seed=1))
    joined = CombinedDataset([coco, lsp], skeleton=COCO17)
    assert joined.sample_with_ignore(0).known.all()
    named = {name for name, known in zip(COCO17.keypoints, joined.sample_with_ignore(4).known.tolist(), strict=True) if known}
    assert named == set(COCO17.keypoints) & set(LSP14.keypoints)
    image, _ = crowd_of(lsp)
    assert torch.equal(joined.sample_with_ignore(4 + image).ignore, lsp.sample_with_ignore(image).ignore)


def test_people_labelled_in_other_keypoints_only_are_ignored(change):
    def earless(found):
        for name in ("left_ear", "right_ear"):
            place = 3 * COCO17.index(name)
            found["annotations"][0]["keypoints"][place : place + 3] = [0, 0, 0]

    coco = change(earless)
    ears = CombinedDataset([coco], skeleton=select(COCO17, ["left_ear", "right_ear"]))
    image = next(i for i in range(len(coco)) if 1 in coco.labels(i).ids.tolist())
    assert ears.labels(image).unlabelled.sum() > coco.labels(image).unlabelled.sum()
    assert ears.sample_with_ignore(image).ignore.sum() > coco.sample_with_ignore(image).ignore.sum()


def test_a_file_read_in_more_keypoints_than_it_has_knows_its_own(fake, tmp_path):
    path, images = fake.write(tmp_path / "b", LSP14.keypoints)
    known = CocoDataset(path, images, skeleton=COCO17).known(0)
    assert known.sum() == 12
    assert not known[COCO17.index("nose")]


def test_parts_and_kept_samples_say_what_the_whole_says(fake, tmp_path):
    coco = CocoDataset(*fake.write(tmp_path / "a"), complete=False)
    part, kept = Subset(coco, [2, 0]), CachedDataset(coco)
    for place, row in enumerate(part.indices):
        assert torch.equal(part.sample_with_ignore(place).ignore, coco.sample_with_ignore(row).ignore)
        assert torch.equal(kept.sample_with_ignore(row).ignore, coco.sample_with_ignore(row).ignore)
        assert torch.equal(part.known(place), coco.known(row))
    again = pickle.loads(pickle.dumps(coco))
    assert torch.equal(again.sample_with_ignore(0).ignore, coco.sample_with_ignore(0).ignore)


def test_drawn_figures_hide_nothing():
    sample = FigureDataset(1, size=(64, 64)).sample_with_ignore(0)
    assert not sample.ignore.any()
    assert sample.known.all()
