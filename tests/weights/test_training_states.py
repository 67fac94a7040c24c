"""Training states of other trainers: the network's part is read, whatever they keep beside it, and what was left is said."""

import argparse
import collections
import datetime
import io
import pathlib
import pickle
import pickletools
import sys
import types
import zipfile

import numpy as np
import pytest
import torch

from poise.errors import CheckpointError
from poise.weights.checkpoint import beside_weights, read_checkpoint, unwrap
from poise.zoo.find import build
from poise.zoo.importing import import_checkpoint, official_state


def network() -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))


def optimized(net: torch.nn.Module) -> tuple[dict, dict]:
    """States of an optimizer after a step and of its schedule."""
    optimizer = torch.optim.Adam(net.parameters())
    net(torch.zeros(2, 3, 5, 5)).sum().backward()
    optimizer.step()
    return optimizer.state_dict(), torch.optim.lr_scheduler.MultiStepLR(optimizer, [170, 200]).state_dict()


class CfgNode(dict):
    """Settings that are a dictionary and have attributes."""

    def __init__(self, values):
        super().__init__(values)
        self.__dict__["_frozen"] = True


class HistoryBuffer:
    """A history that pickles its own functions."""

    def __init__(self):
        self._log_history = np.arange(3.0)
        self._statistics_methods = {"mean": HistoryBuffer.mean}

    def mean(self):
        return self._log_history.mean()


class AttributeDict(dict):
    """Hyperparameters."""


@pytest.fixture
def foreign(monkeypatch):
    """The classes above under the names that trainers have for them."""
    for name, kind in (
        ("yacs.config", CfgNode),
        ("mmengine.logging.history_buffer", HistoryBuffer),
        ("lightning.fabric.utilities.data", AttributeDict),
    ):
        module = types.ModuleType(name)
        setattr(module, kind.__name__, kind)
        for part in range(1, name.count(".") + 1):
            package = ".".join(name.split(".")[:part])
            if package not in sys.modules:
                monkeypatch.setitem(sys.modules, package, types.ModuleType(package))
        monkeypatch.setitem(sys.modules, name, module)
        monkeypatch.setattr(kind, "__module__", name)
    monkeypatch.setattr(HistoryBuffer.mean, "__module__", "mmengine.logging.history_buffer")


def states() -> dict[str, dict]:
    net = network()
    optimizer, schedule = optimized(net)
    weights = net.state_dict()
    parallel = {f"module.{key}": value for key, value in weights.items()}
    nested = collections.defaultdict(dict)
    nested["a"]["x"] = 1
    return {
        "HRNet": {
            "epoch": 210,
            "model": "pose_hrnet",
            "state_dict": parallel,
            "best_state_dict": weights,
            "perf": np.float64(0.744),
            "optimizer": optimizer,
        },
        "bearpaw": {"epoch": 97, "arch": "hg", "state_dict": parallel, "best_acc": np.float32(0.6), "optimizer": optimizer},
        "scores": {"state_dict": parallel, "perf": collections.OrderedDict(AP=np.float64(0.7)), "n": np.int64(3)},
        "arrays": {"state_dict": parallel, "curve": np.arange(3.0), "names": np.array(["a", "bc"]), "any": np.array([None])},
        "kinds": {"state_dict": parallel, "date": np.datetime64("2020-01-01"), "c": np.complex128(1), "text": np.str_("x")},
        "Detectron2": {"model": weights, "optimizer": optimizer, "scheduler": schedule, "iteration": 5},
        "timm": {"state_dict": weights, "args": argparse.Namespace(lr=0.1, steps=[1, 2]), "metric": 0.7},
        "old": {"state_dict": parallel, "optimizer": {"state": nested}, "last": collections.deque([1, 2], maxlen=5)},
        "paths": {"model_state_dict": weights, "folder": pathlib.PosixPath("/x"), "when": datetime.datetime(2020, 1, 1)},
        "chance": {"net": weights, "numpy": np.random.get_state(), "torch": torch.get_rng_state()},  # noqa: NPY002
        "sets": {"state_dict": weights, "seen": {1, 2}, "kept": frozenset([1]), "range": range(3), "slice": slice(1, 2)},
        "yacs": {"model": weights, "cfg": CfgNode({"a": 1, "b": CfgNode({"c": 2})})},
        "MMPose": {"meta": {"epoch": 1}, "state_dict": weights, "message_hub": {"log_scalars": {"loss": HistoryBuffer()}}},
        "Lightning": {
            "epoch": 3,
            "state_dict": {f"model.{key}": value for key, value in weights.items()},
            "hyper_parameters": AttributeDict(lr=1),
            "pytorch-lightning_version": "2.5",
        },
        "ema alone": {"epoch": 3, "ema_state_dict": parallel},
    }


@pytest.mark.usefixtures("foreign")
@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("trainer", list(states()))
def test_the_network_of_a_training_state_is_read_and_the_rest_named(tmp_path, trainer, zipped):
    state = states()[trainer]
    path = tmp_path / "checkpoint.pth.tar"
    torch.save(state, path, _use_new_zipfile_serialization=zipped)
    found = read_checkpoint(path)
    assert set(unwrap(found)) == set(network().state_dict())
    named = {text.split(" ")[0] for text in beside_weights(found)}
    assert len(named) == len(state) - 1
    assert named < set(state)


MODULES = {"numpy.core": "numpy._core", "numpy._core": "numpy.core"}


@pytest.mark.parametrize("core", list(MODULES))
def test_numbers_of_numpy_are_read_by_the_names_of_its_old_and_new_versions(tmp_path, core):
    """A pickle written by this numpy is rewritten to what another version of it would have written."""
    path, other = tmp_path / "x.pth", tmp_path / "y.pth"
    torch.save({"state_dict": network().state_dict(), "perf": np.float64(0.744), "curve": np.arange(3.0)}, path)
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(other, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            for before in MODULES if name.endswith("data.pkl") else ():
                data = data.replace(f"c{before}.multiarray\n".encode(), f"c{core}.multiarray\n".encode())
            new.writestr(name, data)
    pickled = zipfile.ZipFile(other).read("x/data.pkl")
    assert f"{core}.multiarray" in {
        str(value).split(" ")[0] for op, value, _ in pickletools.genops(pickled) if op.name == "GLOBAL"
    }
    found = read_checkpoint(other)
    assert (found["perf"], found["curve"].tolist()) == (0.744, [0, 1, 2])


def test_nothing_that_a_state_keeps_is_called(tmp_path):
    """A file that would run code by a name that is known, or by one that is not, runs none."""

    class Getattr:
        def __reduce__(self):
            return getattr, (pathlib.Path(tmp_path / "made"), "touch")

    class Touch:
        def __reduce__(self):
            return pathlib.Path.touch, (tmp_path / "made",)

    path = tmp_path / "x.pth"
    torch.save({"state_dict": network().state_dict(), "evil": Getattr()}, path)
    assert set(unwrap(read_checkpoint(path))) == set(network().state_dict())
    torch.save({"state_dict": network().state_dict(), "evil": Touch()}, path)
    try:
        read_checkpoint(path)
    except CheckpointError as error:
        assert "code in it could run" in str(error)  # noqa: PT017  # where pathlib pickles its method by name
    assert not (tmp_path / "made").exists()


class Own:
    """A class of somebody's."""


def test_a_class_that_is_not_known_is_refused_with_its_name(tmp_path):
    torch.save({"state_dict": network().state_dict(), "own": Own()}, tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match=r"Own.*save its weights alone"):
        read_checkpoint(tmp_path / "x.pth")


def test_a_state_without_weights_says_so(tmp_path):
    torch.save({"state_dict": argparse.Namespace(a=1), "epoch": 3}, tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match="no weights"):
        unwrap(read_checkpoint(tmp_path / "x.pth"))


def test_an_import_says_what_of_a_training_state_it_left_aside(tmp_path):
    name = "lpn_50_none_coco_256x192"
    weights = official_state(build(name), name)
    state = {
        "epoch": 150,
        "state_dict": {f"module.{key}": value for key, value in weights.items()},
        "perf": np.float64(0.691),
        "optimizer": {"state": {}, "param_groups": []},
    }
    buffer = io.BytesIO()
    torch.save(state, buffer)
    (tmp_path / "checkpoint.pth.tar").write_bytes(buffer.getvalue())
    found = import_checkpoint(name, tmp_path / "checkpoint.pth.tar")
    assert found.description.endswith("and left aside: epoch 150, perf 0.691, optimizer")
    got = found.model.network.state_dict()
    assert all(torch.equal(got[key], value) for key, value in build_state(name, weights).items())
    assert "left aside" not in import_checkpoint(name, weights).description


def build_state(name: str, weights: dict) -> dict:
    from poise.zoo.find import family_of

    return {family_of(name).ours(key): value for key, value in weights.items()}


def test_pickles_of_detectron2_stay_as_strict_as_they_were(tmp_path):
    (tmp_path / "x.pkl").write_bytes(pickle.dumps({"a": argparse.Namespace()}))
    with pytest.raises(CheckpointError, match=r"argparse\.Namespace"):
        read_checkpoint(tmp_path / "x.pkl")
