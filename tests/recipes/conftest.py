"""Small COCO-style folders of drawn people."""

import json

import pytest

from poise.data.figures import FigureDataset, write_coco


@pytest.fixture(scope="session")
def drawn(tmp_path_factory):
    """A folder with `annotations.json` and `images/` of twelve drawings."""
    folder = tmp_path_factory.mktemp("drawn")
    write_coco(FigureDataset(12, size=(96, 96)), folder)
    return folder


@pytest.fixture
def coco(drawn, tmp_path):
    """A folder laid out as COCO's archives unpack."""
    (tmp_path / "annotations").mkdir()
    document = json.loads((drawn / "annotations.json").read_text())
    for part in ("train2017", "val2017"):
        (tmp_path / "annotations" / f"person_keypoints_{part}.json").write_text(json.dumps(document))
        (tmp_path / part).symlink_to(drawn / "images")
    return tmp_path


@pytest.fixture
def imagenet(monkeypatch) -> None:
    """Starts from ImageNet weights load nothing: there is no network, and only the settings matter."""
    for place in ("simple_baselines.start_resnet", "hrnet.start_hrnet", "udp.start_hrnet", "grouped.start_hrnet"):
        monkeypatch.setattr(f"poise.zoo.{place}", lambda *_: None)
