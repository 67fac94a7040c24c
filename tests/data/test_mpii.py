import json

import numpy as np
import pytest
import torch

from poise.data.mat import read_mat
from poise.data.mpii import MpiiDataset, is_mpii, write_predictions
from poise.errors import AnnotationError, ImageError, ReadError

from .conftest import FAKES, load


@pytest.fixture
def made(tmp_path):
    return load(FAKES / "mpii.py").write(tmp_path)


def changed(path, change) -> None:
    people = json.loads(path.read_text())
    change(people)
    path.write_text(json.dumps(people))


def test_people_stand_under_their_images_and_remember_their_rows(made):
    file, images, _ = made
    data = MpiiDataset(file, images)
    assert [data.key(i).file_name for i in range(3)] == ["015601864.jpg", "015599452.jpg", "005808361.jpg"]
    assert [data.labels(i).ids.tolist() for i in range(3)] == [[1, 3], [2], [4]]
    row = json.loads(file.read_text())[2]
    labels = data.labels(0)
    seen = torch.tensor(row["joints_vis"]) > 0
    torch.testing.assert_close(labels.xy[1][seen], torch.tensor(row["joints"])[seen] - 1)
    assert (labels.xy[1][~seen] == 0).all()
    assert labels.visible[1].tolist() == [2 * v for v in row["joints_vis"]]
    side = 200 * row["scale"]
    x, y = row["center"]
    middle = (x - 1, y + 15 * row["scale"] - 1)
    box = [middle[0] - side / 2, middle[1] - side / 2, middle[0] + side / 2, middle[1] + side / 2]
    torch.testing.assert_close(labels.boxes[1], torch.tensor(box))


def test_the_test_part_has_nobody_labelled(made):
    changed(made[0], lambda people: [(p.pop("joints"), p.pop("joints_vis")) for p in people])
    data = MpiiDataset(made[0], None)
    assert not data.all_labels.visible.any()
    assert data.people() == []
    with pytest.raises(ImageError, match="without images"):
        data.image(0)


def test_heads_come_from_the_mat_of_the_archives_row_by_row(made, scipy_io):
    file, images, heads = made
    data = MpiiDataset(file, images, heads=heads)
    sizes = torch.cat([data.heads(i)[:, 2:] - data.heads(i)[:, :2] for i in range(3)])
    assert sizes.tolist() == [[3, 4], [9, 12], [6, 8], [12, 16]]
    assert MpiiDataset(file, images).heads(0) is None
    assert torch.equal(data.all_heads, torch.cat([data.heads(i) for i in range(3)]))


def test_heads_come_from_a_column_and_may_be_missing_in_a_row(made):
    changed(made[0], lambda people: people[0].update(head_box=[1, 2, 4, 6]))
    data = MpiiDataset(made[0], None)
    assert data.heads(0)[0].tolist() == [0, 1, 3, 5]
    assert data.heads(0)[1].isnan().all()


def test_heads_come_from_mpii_s_own_file_by_image_and_place(made, tmp_path, scipy_io):
    io = scipy_io
    people = json.loads(made[0].read_text())

    def rect(p):
        out = np.empty((1, 1), dtype=[(name, "O") for name in ("x1", "y1", "x2", "y2", "objpos")])
        out[0, 0] = (1.0, 2.0, 7.0, 6.0, {"x": p["center"][0], "y": p["center"][1]})
        return out

    records = np.empty((1, 3), dtype=[("image", "O"), ("annorect", "O")])
    for place, p in enumerate(people[i] for i in (0, 1, 3)):
        records[0, place] = ({"name": p["image"]}, rect(p))
    for compressed in (False, True):
        io.savemat(tmp_path / "release.mat", {"RELEASE": {"annolist": records}}, do_compression=compressed)
        data = MpiiDataset(made[0], None, heads=tmp_path / "release.mat")
        assert data.heads(2)[0].tolist() == [0, 1, 6, 5]
    changed(made[0], lambda rows: rows[3].update(center=[1000.0, 1000.0]))
    assert MpiiDataset(made[0], None, heads=tmp_path / "release.mat").heads(2).isnan().all()


def rectangle(person, **changes):
    values = {"x1": 1.0, "y1": 2.0, "x2": 7.0, "y2": 6.0, "objpos": {"x": person["center"][0], "y": person["center"][1]}}
    return values | changes


@pytest.mark.parametrize("writer", ["one struct", "cells of structs", "cells in cells", "whole numbers"])
def test_heads_of_mpii_s_own_file_come_from_any_writer(made, tmp_path, writer, scipy_io):
    io = scipy_io
    people = json.loads(made[0].read_text())
    records = [{"image": {"name": p["image"]}, "annorect": rectangle(p)} for p in (people[i] for i in (0, 1, 3))]
    if writer == "whole numbers":
        records[2]["annorect"] |= {"x1": np.int32(1), "y2": np.uint8(6)}
    records.append({"image": {"name": "nobody.jpg"}, "annorect": np.zeros((0, 0))})
    records.append({"image": {"name": "no centre.jpg"}, "annorect": rectangle(people[0], objpos=np.zeros((0, 0)))})
    cells = np.empty(len(records), dtype=object)
    cells[:] = records
    if writer == "cells in cells":
        for record in records[:3]:
            inner = np.empty(1, dtype=object)
            inner[0] = record["annorect"]
            record["annorect"] = inner
    annolist = records[2] if writer == "one struct" else cells
    io.savemat(tmp_path / "release.mat", {"RELEASE": {"annolist": annolist}})
    data = MpiiDataset(made[0], None, heads=tmp_path / "release.mat")
    assert data.heads(2)[0].tolist() == [0, 1, 6, 5]


@pytest.mark.parametrize(
    ("release", "says"),
    [
        ({"other": 1.0}, "RELEASE has no `annolist`"),
        (5.0, "RELEASE has no `annolist`"),
        (
            {"annolist": {"annorect": rectangle({"center": [1.0, 1.0]})}},
            r"image 1 of `annolist` has people and no `image\.name`",
        ),
        (
            {"annolist": {"image": {"name": "a"}, "annorect": rectangle({"center": [1.0, 1.0]}, x1="one")}},
            "a person of 'a' has 'one'",
        ),
    ],
)
def test_a_file_that_is_nearly_mpii_s_own_is_told(made, tmp_path, scipy_io, release, says):
    scipy_io.savemat(tmp_path / "release.mat", {"RELEASE": release})
    with pytest.raises(AnnotationError, match=says):
        MpiiDataset(made[0], None, heads=tmp_path / "release.mat")


def test_predictions_are_written_as_people_submit_them(tmp_path, scipy_io):
    xy = torch.rand(5, 16, 2)
    write_predictions(tmp_path / "pred.mat", xy)
    stored = read_mat(tmp_path / "pred.mat")["preds"]
    assert stored.shape == (5, 16, 2)
    assert np.abs(stored - 1 - xy.numpy()).max() < 1e-6
    assert (scipy_io.loadmat(tmp_path / "pred.mat")["preds"] == stored).all()


def short(people):
    people[1]["joints"] = people[1]["joints"][:-1]


def not_finite(people):
    people[2]["center"] = [float("nan"), 3.0]


def words(people):
    people[0]["scale"] = "large"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (short, "row 2 .*16 `joints`"),
        (not_finite, "`center` of row 3"),
        (words, "`scale` must be 1 number"),
        (lambda people: people[1].pop("center"), "not an MPII file"),
        (lambda people: people[0].update(head_box=[1, 2]), "four numbers"),
    ],
)
def test_broken_rows_are_refused_with_their_place(made, change, says):
    changed(made[0], change)
    with pytest.raises(AnnotationError, match=says):
        MpiiDataset(made[0], None)


def test_heads_of_another_part_and_files_without_heads_are_refused(made, tmp_path, scipy_io):
    changed(made[0], lambda people: people.pop())
    with pytest.raises(AnnotationError, match="of another set"):
        MpiiDataset(made[0], None, heads=made[2])
    write_predictions(tmp_path / "pred.mat", torch.zeros(4, 16, 2))
    with pytest.raises(AnnotationError, match="contains no head boxes but preds"):
        MpiiDataset(made[0], None, heads=tmp_path / "pred.mat")
    with pytest.raises(ReadError, match="not a MATLAB file"):
        MpiiDataset(made[0], None, heads=made[0])


def test_a_coco_file_and_a_list_of_detections_are_not_mpii():
    assert not is_mpii({"images": [], "annotations": []})
    assert not is_mpii([{"image_id": 1, "bbox": [0, 0, 1, 1], "score": 1.0}])
    assert not is_mpii([])


def test_heads_of_another_set_are_told_before_anything_is_scored(made, tmp_path, scipy_io):
    records = {"image": {"name": "other.jpg"}, "annorect": rectangle({"center": [1.0, 1.0]})}
    scipy_io.savemat(tmp_path / "release.mat", {"RELEASE": {"annolist": records}})
    with pytest.raises(AnnotationError, match="head boxes of 1 images, and none of them belongs to the 4 people"):
        MpiiDataset(made[0], None, heads=tmp_path / "release.mat")
