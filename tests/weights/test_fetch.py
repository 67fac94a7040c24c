import hashlib

import pytest

from poise.errors import CheckpointError, ReadError, WriteError
from poise.weights.fetch import fetch
from poise.weights.release import Release

DATA = b"weights" * 1000


@pytest.fixture
def release(tmp_path):
    source = tmp_path / "server" / "model.pth"
    source.parent.mkdir()
    source.write_bytes(DATA)
    return Release(
        "some_model", "pose_coco/model.pth", "a page", "a folder", source.as_uri(), hashlib.sha256(DATA).hexdigest(), "MIT"
    )


def changed(release, **changes):
    from dataclasses import replace

    return replace(release, **changes)


def test_a_file_is_fetched_and_checked(release, tmp_path):
    path = fetch(release, tmp_path / "down")
    assert path.read_bytes() == DATA
    assert fetch(changed(release, url="http://nowhere.invalid/x"), tmp_path / "down") == path


def test_a_file_of_another_checksum_is_refused_and_not_left(release, tmp_path):
    with pytest.raises(CheckpointError, match="sha256"):
        fetch(changed(release, sha256="0" * 64), tmp_path / "down")
    assert list((tmp_path / "down").iterdir()) == []


def test_without_a_network_the_message_says_where_to_put_the_file(release, tmp_path):
    with pytest.raises(ReadError, match=r"cannot be downloaded.*in a browser to .*model\.pth, then run: poise import"):
        fetch(changed(release, url=(tmp_path / "gone").as_uri()), tmp_path / "down")
    assert list((tmp_path / "down").iterdir()) == []


def test_files_for_browsers_and_unpublished_ones_are_told(release, tmp_path):
    with pytest.raises(ReadError, match="in a browser"):
        fetch(changed(release, url=None), tmp_path)
    with pytest.raises(ReadError, match="published no file"):
        fetch(changed(release, file=""), tmp_path)


def test_an_unwritable_folder_is_told(release, tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(WriteError, match="cannot be written"):
        fetch(release, tmp_path / "taken")
