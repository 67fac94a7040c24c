"""torchvision's detectors without a network and without their files: random weights in a cache of the test's own."""

import hashlib

import pytest
import torch
from torchvision.models import get_model

from poise.errors import CheckpointError, ReadError, UnknownName
from poise.weights import torch_cache
from poise.weights.torch_cache import bring, cached, digest_of
from poise.zoo.rcnn.torchvision_detectors import load_detector, names

SMALLEST = "ssdlite320_mobilenet_v3_large"
URL = "https://download.pytorch.org/models/ssdlite320_mobilenet_v3_large_coco-a79551df.pth"


@pytest.fixture(autouse=True)
def hub(tmp_path, monkeypatch):
    """Torch's cache is empty and there is no network."""

    def fails(url, path, *, instead):
        raise ReadError(f"{url} cannot be downloaded (Name or service not known); {instead}")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    monkeypatch.setattr(torch_cache, "download", fails)
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
        digest = digest_of(get_model_weights(name).DEFAULT.url)
        assert len(digest) == 8
        assert int(digest, 16) >= 0


@pytest.mark.parametrize("data", [b"the weights", b"others"])
def test_what_is_downloaded_is_kept_if_it_has_the_sha256_of_its_name(hub, monkeypatch, data):
    digest = hashlib.sha256(b"the weights").hexdigest()[:8]
    monkeypatch.setattr(torch_cache, "download", lambda _, path, *, instead: path.write_bytes(data))
    url = f"https://download.pytorch.org/models/net-{digest}.pth"
    if data == b"the weights":
        assert bring(url, what="net", instead="").read_bytes() == data
    else:
        with pytest.raises(ReadError, match=r"the weights of net came damaged .* try again, or do it by hand"):
            bring(url, what="net", instead="do it by hand")
    assert [path.name for path in hub.iterdir()] == [f"net-{digest}.pth"] * (data == b"the weights")


def test_torchs_cache_is_filled_from_https_alone(hub, monkeypatch):
    monkeypatch.undo()
    with pytest.raises(ReadError, match="only https is"):
        bring("http://download.pytorch.org/models/net-12345678.pth", what="net", instead="")
