"""torchvision's detectors without a network and without their files: random weights in a cache of the test's own."""

import hashlib
from urllib.error import URLError

import pytest
import torch
from torchvision.models import get_model

from poise.errors import CheckpointError, ReadError, UnknownName
from poise.zoo.rcnn import torchvision_detectors
from poise.zoo.rcnn.torchvision_detectors import cached, load_detector, names

SMALLEST = "ssdlite320_mobilenet_v3_large"
URL = "https://download.pytorch.org/models/ssdlite320_mobilenet_v3_large_coco-a79551df.pth"


@pytest.fixture(autouse=True)
def hub(tmp_path, monkeypatch):
    """Torch's cache is empty and there is no network."""

    def fails(url, *args, **kwargs):
        raise URLError("Name or service not known")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    monkeypatch.setattr(torch.hub, "download_url_to_file", fails)
    return tmp_path / "hub" / "checkpoints"


def test_all_of_torchvisions_detectors_are_known():
    wanted = {"fasterrcnn_resnet50_fpn", "retinanet_resnet50_fpn", "fcos_resnet50_fpn", "keypointrcnn_resnet50_fpn", SMALLEST}
    assert wanted <= set(names())
    with pytest.raises(UnknownName, match=r"did you mean 'ssdlite320_mobilenet_v3_large'"):
        load_detector("ssdlite320_mobilenet_v3")


def test_without_a_network_the_error_says_which_file_belongs_where(hub):
    with pytest.raises(ReadError) as error:
        load_detector(SMALLEST)
    said = str(error.value)
    assert f"fetch {URL}" in said
    assert f"into the folder {hub}" in said
    assert "sha256 begins with a79551df" in said
    assert "\n" not in said


def test_a_file_in_the_cache_needs_no_network(hub):
    torch.manual_seed(0)
    network = get_model(SMALLEST, weights=None, weights_backbone=None)
    hub.mkdir(parents=True)
    torch.save(network.state_dict(), cached(URL))
    found = load_detector(SMALLEST)
    assert (found.name, found.person) == (SMALLEST, 1)
    assert not found.network.training
    assert torch.equal(found.network.state_dict()["backbone.features.0.0.0.weight"], network.backbone.features[0][0][0].weight)


@pytest.mark.parametrize("content", [b"", b"no weights", b"<html>", b"PK\x03\x04 cut off"])
def test_a_damaged_file_is_told_with_both_checksums(hub, content):
    hub.mkdir(parents=True)
    cached(URL).write_bytes(content)
    with pytest.raises(CheckpointError) as error:
        load_detector(SMALLEST)
    said = str(error.value)
    assert hashlib.sha256(content).hexdigest()[:8] in said
    assert "with a79551df; delete it and fetch it again" in said


def test_weights_of_another_network_are_told(hub):
    hub.mkdir(parents=True)
    torch.save({"weight": torch.ones(1)}, cached(URL))
    with pytest.raises(CheckpointError, match="is damaged or another file"):
        load_detector(SMALLEST)


def test_the_digest_of_every_detector_stands_in_the_name_of_its_file():
    from torchvision.models import get_model_weights

    for name in names():
        digest = torchvision_detectors._digest(get_model_weights(name).DEFAULT.url)
        assert len(digest) == 8
        assert int(digest, 16) >= 0
