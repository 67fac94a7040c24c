"""Networks, codecs and models of a user's own package: kept in files, and run only where the user has named the package."""

import importlib
import json
import sys
import types
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from rich.console import Console
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

import poise
from poise import plugins, zoo
from poise.codecs.base import InstanceCodec
from poise.codecs.registry import codec_types, roi_codec_types, scene_codec_types
from poise.codecs.roi_adapter import RoIAdapter
from poise.codecs.udp import UDPGaussian
from poise.data.figures import FigureDataset
from poise.errors import CheckpointError, InputError, UnknownName
from poise.models.bottom_up import BottomUp
from poise.models.card import Card
from poise.models.top_down import TopDown
from poise.nn.heads.roi import MAP_CELLS as MAPS
from poise.recipes.base import Recipe
from poise.skeletons import COCO17
from poise.structures import Architecture, Preprocess
from poise.training.fit import fit
from poise.weights.model_file import describe
from poise.zoo.rcnn.poise_rcnn import small_detector

SIZE, CELLS, K = (64, 64), (16, 16), len(COCO17)


def model_of(network: nn.Module, builder: str, *, codec: InstanceCodec | None = None, **arguments: object) -> TopDown:
    card = Card("mine", Architecture(builder, arguments))
    return TopDown(network, codec or UDPGaussian(SIZE, CELLS, K), Preprocess(), COCO17, card).eval()


def mine(mypkg: str) -> TopDown:
    """A network and a codec of the package, from its builder."""
    nets, codecs = (importlib.import_module(f"{mypkg}.{name}") for name in ("nets", "codecs"))
    codec = codecs.MyCodec(SIZE, CELLS, K, power=2.0, way=codecs.Reading(sharp=False))
    return model_of(nets.my_network(8, K), f"{mypkg}.nets:my_network", codec=codec, width=8, channels=K)


def forget(mypkg: str, home: Path) -> None:
    """As if another process read the file."""
    (home / "imported").unlink()
    for module in [module for module in sys.modules if module.partition(".")[0] == mypkg]:
        del sys.modules[module]


def edit(file: Path, **changes: object) -> None:
    with safe_open(file, framework="pt") as opened:
        values = json.loads(opened.metadata()["poise"])
    save_file(load_file(file), file, metadata={"poise": json.dumps(values | changes)})


def test_a_model_of_ones_own_package_is_saved_and_loaded(mypkg, home, tmp_path):
    model = mine(mypkg)
    file = poise.save(model, tmp_path / "mine.safetensors")
    poise.use_plugin(mypkg)
    again = poise.load(file)
    view = torch.randn(2, 3, *SIZE)
    with torch.no_grad():
        assert torch.equal(again(view), model(view))
    assert again.codec == model.codec
    assert again.card == model.card


def test_without_the_name_a_file_is_refused_and_nothing_is_imported(mypkg, home, tmp_path):
    file = poise.save(mine(mypkg), tmp_path / "mine.safetensors")
    forget(mypkg, home)
    with pytest.raises(CheckpointError, match=rf"{mypkg}.*which you have not named, .*--plugin {mypkg} .*use_plugin"):
        poise.load(file)
    plain = replace_codec(file)
    with pytest.raises(CheckpointError, match=rf"'{mypkg}\.nets:my_network' is no part of this poise"):
        poise.load(plain)
    assert not (home / "imported").exists()
    assert not any(module.partition(".")[0] == mypkg for module in sys.modules)
    assert isinstance(poise.load(file, plugins=[mypkg]), TopDown)
    assert (home / "imported").exists()


def replace_codec(file: Path) -> Path:
    """The file with a codec of poise's, so that only its builder is a stranger's."""
    other = file.with_name("plain.safetensors")
    other.write_bytes(file.read_bytes())
    edit(other, codec=describe(model_of(nn.Identity(), "none:none"))["codec"])
    return other


def test_a_class_builds_a_network_too(mypkg, tmp_path):
    nets = importlib.import_module(f"{mypkg}.nets")
    file = poise.save(model_of(nets.Whole(K), f"{mypkg}.nets:Whole", channels=K), tmp_path / "whole.safetensors")
    assert type(poise.load(file, plugins=[f"{mypkg}.nets"]).network) is nets.Whole


def test_codecs_of_all_contracts_are_saved_and_loaded(mypkg, tmp_path):
    codecs = importlib.import_module(f"{mypkg}.codecs")
    scenes = zoo.build("poise_scene_t_coco_320x320")
    assert isinstance(scenes, BottomUp)
    fields = {name: value for name, value in vars(scenes.codec).items() if name in scenes.codec.__dataclass_fields__}
    scenes.codec = codecs.MyScenes(**fields, power=3.0)
    boxes = small_detector("t", codec=codecs.MyCells(MAPS, K, score="probability", power=3.0))
    within = small_detector("t", codec=RoIAdapter.of(codecs.MyCodec(MAPS, MAPS, K, power=3.0)))
    for model in (scenes, boxes, within):
        file = poise.save(model, tmp_path / "model.safetensors")
        plugins._named.clear()
        with pytest.raises(CheckpointError, match="which you have not named"):
            poise.load(file)
        assert poise.load(file, plugins=[mypkg]).codec == model.codec


def test_a_class_of_models_of_ones_own_is_saved_and_loaded(mypkg, tmp_path):
    models, nets = (importlib.import_module(f"{mypkg}.{name}") for name in ("models", "nets"))
    model = as_class(models.Scaled, nets.my_network(8, K), mypkg)
    model.factor = 3.0
    file = poise.save(model, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=rf"'{mypkg}\.models:Scaled' is no part of this poise.*nothing of it was run"):
        poise.load(with_builder_of_the_zoo(file))
    again = poise.load(file, plugins=[mypkg])
    view = torch.randn(1, 3, *SIZE)
    assert (type(again), again.factor) == (models.Scaled, 3.0)
    with torch.no_grad():
        assert torch.equal(again(view), model(view))


def with_builder_of_the_zoo(file: Path) -> Path:
    """The file with a network of poise's, so that only its class is a stranger's."""
    plain = zoo.build("poise_t_coco_64x64")
    other = poise.save(plain, file.with_name("other.safetensors"))
    with safe_open(file, framework="pt") as opened:
        values = json.loads(opened.metadata()["poise"])
    edit(other, kind=values["kind"])
    return other


def as_class(kind: type[TopDown], network: nn.Module, mypkg: str) -> TopDown:
    card = Card("mine", Architecture(f"{mypkg}.nets:my_network", {"width": 8, "channels": K}))
    return kind(network, UDPGaussian(SIZE, CELLS, K), Preprocess(), COCO17, card).eval()


def test_a_model_that_cannot_read_what_it_wrote_is_not_saved(mypkg, tmp_path):
    models, nets = (importlib.import_module(f"{mypkg}.{name}") for name in ("models", "nets"))

    class Inside(TopDown):
        pass

    for kind, message in (
        (models.Forgetful, "with {'factor': '1.0'} in place of {'factor': '3.0'}"),
        (models.Renames, "Renames.from_plain cannot read what its to_plain wrote"),
        (Inside, "stands inside a function or class"),
    ):
        model = as_class(kind, nets.my_network(8, K), mypkg)
        model.factor = 3.0
        with pytest.raises(InputError, match=message):
            poise.save(model, tmp_path / "model.safetensors")


def test_codecs_and_models_of_a_named_package_are_found_by_their_names(mypkg):
    before = codec_types()
    assert "MyCodec" not in before
    with pytest.raises(UnknownName):
        zoo.build("mine_coco_64x64")
    poise.use_plugin(mypkg)
    codecs = importlib.import_module(f"{mypkg}.codecs")
    assert codec_types() == {**before, "MyCodec": codecs.MyCodec, f"{mypkg}.codecs:Gaussian": codecs.Gaussian}
    assert roi_codec_types()["MyCells"] is codecs.MyCells
    assert scene_codec_types()["MyScenes"] is codecs.MyScenes
    assert isinstance(zoo.build("mine_coco_64x64").codec, codecs.MyCodec)
    assert isinstance(zoo.build("poise_t_coco_64x64", codec="MyCodec").codec, codecs.MyCodec)


def test_a_codec_with_the_name_of_one_of_poises_stays_itself(mypkg, tmp_path):
    kind = importlib.import_module(f"{mypkg}.codecs").Gaussian
    model = zoo.build("poise_t_coco_64x64")
    model.codec = kind(SIZE, CELLS, K)
    assert type(poise.load(poise.save(model, tmp_path / "model.safetensors"), plugins=[mypkg]).codec) is kind


@pytest.mark.parametrize("name", ["not_a_network", "unannotated", "nn", "Network", "inner", "nothing", "my_network.x", ""])
def test_a_file_has_nothing_called_that_builds_no_network(mypkg, tmp_path, name):
    file = poise.save(zoo.build("poise_t_coco_64x64"), tmp_path / "model.safetensors")
    card = describe(zoo.build("poise_t_coco_64x64"))["card"]
    edit(file, card=card | {"architecture": {"builder": f"{mypkg}.nets:{name}", "arguments": {"channels": 3}}})
    with pytest.raises(CheckpointError, match=r"neither a class|of another package|has no|code is named as"):
        poise.load(file, plugins=[mypkg])


def test_a_file_gets_no_codec_of_another_contract_and_no_other_class(mypkg, tmp_path):
    model = zoo.build("poise_t_coco_64x64")
    file = poise.save(model, tmp_path / "model.safetensors")
    for name in ("codecs:MyCells", "nets:Whole", "codecs:Reading"):
        edit(file, codec=describe(model)["codec"] | {"type": f"{mypkg}.{name}"})
        with pytest.raises(CheckpointError, match="is no class derived from InstanceCodec"):
            poise.load(file, plugins=[mypkg])


def test_a_network_that_no_file_could_bring_back_is_not_saved(mypkg, tmp_path, monkeypatch):
    nets = importlib.import_module(f"{mypkg}.nets")
    monkeypatch.setitem(sys.modules, "made_up", types.ModuleType("made_up"))
    for builder, arguments, message in (
        ("none:none", {}, "there is no module 'none'"),
        ("made_up:network", {}, "there is no module 'made_up'"),
        ("my_network", {}, "code is named as module:function"),
        ("__main__:my_network", {}, "stands in a script"),
        (f"{mypkg}.nets:<lambda>", {}, "code is named as module:function"),
        (f"{mypkg}.nets:gone", {}, "has no 'gone'"),
        (f"{mypkg}.nets:unannotated", {"channels": K}, "nor a function annotated to return one"),
        (f"{mypkg}.nets:my_network", {"width": 9, "channels": K}, "makes another network"),
        (f"{mypkg}.nets:my_network", {"channels": K}, "fails with the arguments"),
        (f"{mypkg}.nets:my_network", {"width": torch.tensor(8), "channels": K}, "keeps plain values only"),
    ):
        model = model_of(nets.my_network(8, K), builder, **arguments)
        with pytest.raises(InputError, match=f"could not be loaded from a file of its own: .*{message}"):
            poise.save(model, tmp_path / "model.safetensors")
    assert not (tmp_path / "model.safetensors").exists()


def test_a_codec_that_no_file_could_bring_back_is_not_saved(mypkg, tmp_path, monkeypatch):
    codecs = importlib.import_module(f"{mypkg}.codecs")

    @dataclass(frozen=True)
    class Inside(UDPGaussian):
        pass

    class Bare(codecs.MyCodec):
        def __eq__(self, other):
            return False

        __hash__ = None

    script = type("Script", (UDPGaussian,), {"__module__": "__main__", "__qualname__": "Script"})
    unfound = type("Unfound", (UDPGaussian,), {"__module__": "made_up", "__qualname__": "Unfound"})
    monkeypatch.setitem(sys.modules, "made_up", types.ModuleType("made_up"))
    Bare.__module__, Bare.__qualname__ = codecs.__name__, "Bare"
    codecs.Bare = Bare
    for codec, message in (
        (Inside(SIZE, CELLS, K), "stands inside a function or class"),
        (script(SIZE, CELLS, K), "stands in a script"),
        (unfound(SIZE, CELLS, K), "there is no module 'made_up'"),
        (codecs.MyCodec(SIZE, CELLS, K, power=torch.ones(1)), "has fields that a model file cannot keep"),
        (codecs.MyCodec(SIZE, CELLS, K, way={"sharp": 1}), "would come back from a model file as"),
        (Bare(SIZE, CELLS, K), "would come back from a model file as"),
    ):
        model = zoo.build("poise_t_coco_64x64")
        model.codec = codec
        with pytest.raises(InputError, match=message):
            poise.save(model, tmp_path / "model.safetensors")
    assert not (tmp_path / "model.safetensors").exists()


class Untouched(FigureDataset):
    """Refuses to be read."""

    def labels(self, index):
        raise AssertionError("data were read before the model was refused")


def test_a_run_whose_model_no_file_could_bring_back_ends_before_it_begins(mypkg, tmp_path):
    nets = importlib.import_module(f"{mypkg}.nets")
    model = model_of(nets.my_network(8, K), "__main__:my_network", width=8, channels=K)
    recipe = Recipe("mine", model, Untouched(4), None, epochs=1, batch=2)
    for run in (recipe, recipe.staged(2)):
        with pytest.raises(InputError, match="stands in a script"):
            fit(run, out=tmp_path / "run", console=Console(quiet=True))
    assert not (tmp_path / "run").exists()


def test_a_model_that_was_changed_by_hand_is_not_saved(tmp_path):
    model = zoo.build("poise_t_coco_64x64")
    model.network.head = nn.Conv2d(3, 3, 1)
    with pytest.raises(InputError, match="'plain:network' makes another network"):
        poise.save(model, tmp_path / "model.safetensors")


def test_scores_that_are_no_numbers_are_kept(tmp_path):
    model = zoo.build("poise_t_coco_64x64")
    model.card = replace(model.card, scores={"val/AP": float("nan"), "val/AR": 0.5})
    scores = poise.load(poise.save(model, tmp_path / "model.safetensors")).card.scores
    assert scores["val/AP"] != scores["val/AP"]
    assert scores["val/AR"] == 0.5


def test_looking_whether_a_model_can_be_kept_draws_no_chance(tmp_path):
    model = zoo.build("poseresnet_18_coco_64x64")
    before = torch.get_rng_state()
    poise.save(model, tmp_path / "model.safetensors")
    assert torch.equal(torch.get_rng_state(), before)


def test_an_installed_package_with_an_entry_point_is_named(mypkg, home, tmp_path):
    info = home / f"{mypkg}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {mypkg}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[poise.plugins]\nmine = {mypkg}\n")
    file = poise.save(mine(mypkg), tmp_path / "mine.safetensors")
    plugins._installed.cache_clear()
    try:
        assert plugins.named() == (mypkg,)
        assert poise.load(file).codec.power == 2.0
        assert "MyCodec" in codec_types()
    finally:
        (info / "entry_points.txt").unlink()
        plugins._installed.cache_clear()
        plugins.named()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mypgk", "there is no module 'mypgk' to be a plugin"),
        ("mypgk.nets", "there is no module"),
        ("poise.zoo", "needs no naming"),
        ("poise", "needs no naming"),
        ("__main__", "can be imported by name"),
        ("my-pkg", "can be imported by name"),
        ("", "can be imported by name"),
    ],
)
def test_a_name_that_is_no_package_is_refused(nobody_named, name, message):
    with pytest.raises(InputError, match=message):
        poise.use_plugin(name)
    assert plugins._named == {}


def test_a_package_that_cannot_be_imported_says_so_when_it_is_needed(mypkg, home):
    (home / mypkg / "broken.py").write_text("import nothing_of_this_name\n")
    poise.use_plugin(mypkg)
    with pytest.raises(
        InputError, match=rf"'{mypkg}\.broken' cannot be imported .*nothing_of_this_name.*mend it, or name only"
    ):
        codec_types()
    plugins._named.clear()
    poise.use_plugin(f"{mypkg}.codecs")
    assert "MyCodec" in codec_types()


def test_naming_a_package_imports_nothing(mypkg, home):
    poise.use_plugin(mypkg)
    poise.use_plugin(mypkg)
    assert plugins.named() == (mypkg,)
    assert not (home / "imported").exists()


def test_a_named_package_lends_its_name_to_no_other(mypkg, home):
    (home / f"{mypkg}_more.py").write_text("class A: pass\n")
    poise.use_plugin(mypkg)
    with pytest.raises(InputError, match="which you have not named"):
        plugins.resolve(f"{mypkg}_more:A")


def test_resolve_gives_what_a_named_package_has(mypkg):
    poise.use_plugin(mypkg)
    codecs = importlib.import_module(f"{mypkg}.codecs")
    assert plugins.resolve(f"{mypkg}.codecs:MyCodec", InstanceCodec) is codecs.MyCodec
    assert plugins.resolve(f"{mypkg}.codecs:Reading") is codecs.Reading
    assert plugins.name_of(codecs.MyCodec) == f"{mypkg}.codecs:MyCodec"
    with pytest.raises(InputError, match="is no class derived from TopDown"):
        plugins.resolve(f"{mypkg}.codecs:MyCodec", TopDown)


def test_files_of_poises_own_models_name_no_package():
    for name in ("poise_t_coco_64x64", "poise_scene_t_coco_320x320", "poise_rcnn_t_coco_320x320", "hrnet_w32_coco_64x64"):
        text = json.dumps(describe(zoo.build(name)))
        assert '"type": "poise' not in text
        assert "poise.codecs" not in text


def test_a_renamed_class_is_something_else(mypkg):
    codecs = importlib.import_module(f"{mypkg}.codecs")
    old = codecs.MyCodec
    codecs.MyCodec = replace  # anything
    with pytest.raises(InputError, match=r"something else by now|of another package"):
        plugins.name_of(old)
