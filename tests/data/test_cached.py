import pytest
import torch

from poise.data.cached import CachedDataset
from poise.data.coco import CocoDataset
from poise.data.figures import FigureDataset, write_coco


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # on a machine of one core
@pytest.mark.parametrize("processes", [0, 2])
def test_cached_samples_are_those_of_the_data_set_in_its_order(processes):
    drawn = FigureDataset(5, size=(48, 48), seed=4)
    kept = CachedDataset(drawn, processes=processes)
    assert len(kept) == 5
    for i in range(5):
        assert torch.equal(kept.image(i), drawn.image(i))
        assert torch.equal(kept.labels(i).xy, drawn.labels(i).xy)
        assert kept.key(i) == drawn.key(i)
        assert kept.image(i).permute(1, 2, 0).is_contiguous()


def test_progress_sees_every_sample_and_their_number():
    seen = []

    def progress(samples, total):
        for sample in samples:
            seen.append((sample.key.file_name, total))
            yield sample

    CachedDataset(FigureDataset(3, size=(48, 48)), progress=progress)
    assert len({name for name, _ in seen}) == 3
    assert {total for _, total in seen} == {3}


def test_a_cached_data_set_knows_the_files_of_the_one_it_holds(tmp_path):
    write_coco(FigureDataset(2, size=(48, 48)), tmp_path)
    files = CocoDataset(tmp_path / "annotations.json", tmp_path / "images")
    cached = CachedDataset(files)
    assert cached.files_read == (tmp_path / "annotations.json",)
    assert [cached.file_path(i) for i in range(2)] == [files.file_path(i) for i in range(2)]
    assert [cached.file_size(i) for i in range(2)] == [files.file_size(i) for i in range(2)]
    assert None not in {cached.file_path(0), cached.file_size(0)}
