"""The law of flags: every flag of every recipe, with another value than its own, changes what is trained.

Networks are made without memory, one for each set of arguments; weights that would be downloaded are only asked for.
"""

import dataclasses
import functools
import hashlib
import importlib
import inspect
import json
import pkgutil
import shutil
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from poise import recipes as package
from poise.cli._recipe_flags import options_of
from poise.data.cached import CachedDataset
from poise.data.figures import FigureDataset, write_coco
from poise.data.mat import write_mat
from poise.notes import forget_notes
from poise.recipes.base import Recipe
from poise.recipes.find import recipes
from poise.recipes.finetune import FinetuneOptions
from poise.recipes.start import start_from_people
from poise.weights.model_file import save
from poise.zoo.plain import plain

from ..data.fakes.animals import scipy_here, write_synthetic, write_tigdog
from .changing import check_changes
from .whole_body_files import write_whole_bodies

OTHER: Mapping[str, Any] = {
    "codec": "Dark",
    "detecting_set": ["nms=0.625"],
    "codec_set": ["sigma=3"],
    "trunk": "r18_fpn",
    "milestones": (700, 800),
    "sides": (600, 700),
    "copies": [3],
    "complete": [False],
    "pck": ["0.2:torso"],
    "model": "poise_t",
    "source_set": ["people=3", "checked=1"],
    "axis_centre": ("left_hip",),
    "axis_top": ("left_shoulder",),
    "mirror": ["nose:left_eye"],
    "map": ["snout:nose"],
    "adaptation.map": ["nose:left_eye"],
    "adaptation.model": "poise_s",
    "tiny": (96, 96),
    "small": (160, 160),
    "weight": 0.75,
    "height": 0.75,
    "sigma": 1.25,
    "drawn_animals.size": (64, 64),
    "fields": ["keypoints", "foot_kpts"],
    "categories": ["person"],
    "grmi.network": "grmi_50",
    "keypoint_rcnn.network": "keypoint_rcnn_r18_fpn",
    "mask_rcnn.network": "mask_rcnn_r18_fpn_2cls",
    "keypoint_fcos.network": "keypoint_fcos_r18_fpn",
    "drawn_animals.kind": "horse",
    "drawn_animals.look": "plain",
    "drawn_animals.keypoints": "quadruped",
    "drawn_animals.width": "s",
    "head": "one_hot",
    "mpii.network": "poseresnet_50",
    "rtmpose.network": "rtmpose_t",
    "rtmw.more": ["OTHERS"],
    "rtmw.more_images": ["APART COPY"],
    "finetune detectors.codec": "UDPGaussian",
    "finetune detectors.codec_set": ["weight=7"],
    "finetune bottom-up.codec_set": ["cost.heat=l2"],
    "finetune bottom-up.model": "poise_scene_s",
    "finetune detectors.model": "poise_rcnn_s",
    "finetune detectors.size": (96, 96),
    "blazepose.epochs": (1, 2, 3),
    "blazepose.align": "circle",
    "keypoint_rcnn.codec": "UDPGaussian",
    "keypoint_rcnn_hrnet.codec": "UDPGaussian",
    "keypoint_fcos.codec": "UDPGaussian",
    "keypoint_rcnn.codec_set": ["reading=peak"],
    "keypoint_rcnn_hrnet.codec_set": ["reading=peak"],
    "keypoint_fcos.codec_set": ["reading=peak"],
    "mosaic": 0.625,
    "size": (128, 128),
    "grmi.size": (65, 49),
    "offset_guided.size": (256, 256),
    "side": 352,
    "val_annotations": ["OTHERS"],
    "val_images": ["COPY"],
    "source_images": "COPY",
    "target_images": "COPY",
    "target_boxes": "BOXES",
    "people_images": "COPY",
    "ws_cda.people": "ANNOTATIONS",
    "lists": "LISTS",
    "real": "TIGDOG",
    "real_lists": "LISTS",
    "heads": "HEADS",
    "start": "START",
    "skeleton": "OTHER NAMES",
    "finest": 8,
}
"""Another value of a flag, of a recipe or of all, where its type does not tell one."""

BESIDE: Mapping[str, dict[str, Any]] = {
    "val_annotations": {"val_share": None},
    "val_images": {"val_annotations": ["OTHERS"], "val_share": None},
    "real_lists": {"real": "TIGDOG"},
    "drop_from": {"drop": "cutout"},
    "missing": {"align": "circle"},
    "alignment_keypoints": {"align": "circle"},
    "axis_centre": {"align": "circle"},
    "axis_top": {"align": "circle"},
    "freeze": {"trunk": "poise_t_fpn"},
    "finest": {"one_stage": True},
    "source_set": {"source": Path("demo"), "source_set": ["people=2", "checked=1"]},
    "target_boxes": {"target": "PHOTOS"},
    "temporal": {"target": "CLIP", "target_images": "PHOTOS"},
    "start": {"size": None},
    "learn_norms": {"start": "START", "size": None},
    "map": {"annotations": ["ANNOTATIONS", "SNOUTS"]},
    "rtmw.map": {"more": ["SNOUTS"], "more_images": ["APART"]},
    "rtmw.more": {"more": ["ANNOTATIONS"], "more_images": ["APART"]},
    "rtmw.more_images": {"more": ["ANNOTATIONS"], "more_images": ["APART"]},
    "adaptation.map": {"start": "START", "size": None},
    "ws_cda.people_images": {"people": "ANNOTATIONS"},
    "skeleton": {"skeleton": "NAMES", "annotations": ["NAMELESS"]},
    "fields": {"annotations": ["FEET"]},
    "finetune top-down.pretrained": {"model": "poseresnet_18_coco_64x64"},
    "finetune bottom-up.pretrained": {"model": "offsetguided_hrnet18_128x128"},
    "finetune detectors.pretrained": {"model": "keypoint_rcnn_r18_fpn"},
}
"""Flags that another one belongs to, of a recipe or of all."""

NOTHING = {
    "finetune bottom-up.codec": "OffsetGuided, which it has, is the only one",
    "supervised.target_boxes": "labels are needed, which come with boxes",
    "supervised.categories": "labels are needed, and all of their people are learnt from",
    "people.seed": "of rendered people, which need poise[bodies]: tests/data/bodies",
    "people.rendered": "they need poise[bodies]: tests/data/bodies",
}
"""Flags for which there is one value alone."""


def told(value: object, seen: dict[int, tuple[str, object]] | None = None) -> str:
    """All that a value is made of, as text or its checksum: fields, arrays by their content, weights by their sizes."""
    if isinstance(value, str | int | float | bool | None | Path | bytes | np.generic):
        return repr(value)
    if isinstance(value, Tensor | np.ndarray):
        data = b"" if isinstance(value, Tensor) and value.is_meta else np.asarray(value).tobytes()
        return f"{tuple(value.shape)} {hashlib.md5(data).hexdigest()}"
    if isinstance(value, type | types.BuiltinFunctionType | types.ModuleType | torch.device | torch.dtype):
        return str(value)
    seen = {} if seen is None else seen
    if id(value) not in seen:
        seen[id(value)] = "...", value  # what refers to itself
        text = parts_told(value, seen)
        seen[id(value)] = text if len(text) < 100 else hashlib.md5(text.encode()).hexdigest(), value
    return seen[id(value)][0]


def parts_told(value: object, seen: dict[int, tuple[str, object]]) -> str:
    """The parts of a value, as text."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key!r}: {told(one, seen)}' for key, one in value.items())}}}"
    if isinstance(value, tuple | list | set | frozenset):
        return f"({', '.join(told(one, seen) for one in value)})"
    if isinstance(value, functools.partial):
        return told((value.func, value.args, value.keywords), seen)
    if isinstance(value, types.MethodType):
        return f"{value.__qualname__}{told(value.__self__, seen)}"
    if isinstance(value, types.FunctionType):
        return f"{value.__qualname__}{told([cell.cell_contents for cell in value.__closure__ or ()], seen)}"
    parts = {name: one for name, one in sorted(attributes(value)) if name not in ("expected", "notes", "settings")}
    sizes = [f"{name}{tuple(one.shape)}" for name, one in value.state_dict().items()] if isinstance(value, nn.Module) else []
    return f"{type(value).__name__}{told(parts, seen)}{' '.join(sizes)}"


def attributes(value: object) -> Iterator[tuple[str, object]]:
    """The values of an object by name; of a network those that are no weights and no part of it."""
    own = dict(getattr(value, "__dict__", {}))
    if dataclasses.is_dataclass(value):  # what it has beside its fields is computed from them, once asked for
        own = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Recipe):
        own["task"] = value.task(value.model)
    private = set(vars(nn.Module())) if isinstance(value, nn.Module) else set()
    yield from ((name, one) for name, one in own.items() if name not in private)
    if isinstance(value, nn.Module) and "network" in value._modules:
        yield "network", value._modules["network"]


class Networks:
    """Builders of the zoo that make networks without memory: what they are asked for is noted, what is done to a model undone.

    Of large networks one is made for a recipe, whatever sizes are asked for: that a builder does as it is told is tested where
    builders are.
    """

    def __init__(self) -> None:
        self.made: dict[str, tuple[nn.Module, Mapping[int, dict[str, Any]]]] = {}
        self.asked: list[str] = []

    def of(self, build: Callable[..., Any]) -> Callable[..., Any]:
        """The builder, without weights from elsewhere."""

        @functools.wraps(build)
        def make(*args: Any, **options: Any) -> Any:
            text = f"{build.__module__}.{build.__name__}{args}{told((args, options))}"
            self.asked.append(text)
            options = {name: False if name == "pretrained" else one for name, one in options.items()}
            key = text if any(word in text for word in SMALL) else f"{build.__name__}{told(options.get('skeleton'))}"
            if key not in self.made:
                with torch.device("meta"):
                    model = build(*args, **options)
                self.made[key] = model, kept(model)
            model, before = self.made[key]
            for part in (model, model.network):
                vars(part).clear()
                vars(part).update({name: dict(one) if type(one) is dict else one for name, one in before[id(part)].items()})
            return model

        return make


SMALL = ("poise_", "blazepose", "zoo.plain")
"""Words of builders and names of small networks, which are made for each set of arguments."""


def kept(model: nn.Module) -> Mapping[int, dict[str, Any]]:
    """What a model and its network are, by their ids."""
    return {
        id(part): {name: dict(one) if type(one) is dict else one for name, one in vars(part).items()}
        for part in (model, model.network)
    }


@pytest.fixture
def networks(monkeypatch):
    """The builders that recipes use, replaced; drawings are not made in advance."""
    made = Networks()
    for info in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"{package.__name__}.{info.name}")
        for name, one in list(vars(module).items()):
            if inspect.isfunction(one) and one.__module__.startswith("poise.zoo") and makes_models(one):
                monkeypatch.setattr(module, name, made.of(one))
            if one is CachedDataset:
                monkeypatch.setattr(module, name, lambda dataset, **_: dataset)
            if one is start_from_people:
                monkeypatch.setattr(module, name, lambda model, network: made.asked.append(f"people: {network}"))
    return made


def makes_models(function: Callable[..., Any]) -> bool:
    """Whether a function of the zoo gives a model."""
    found = typing.get_type_hints(function).get("return")
    return isinstance(found, type) and issubclass(found, nn.Module)


@pytest.fixture(scope="module")
def given(tmp_path_factory) -> dict[str, Any]:
    """Files and folders that flags name."""
    here = tmp_path_factory.mktemp("given")
    write_coco(FigureDataset(6, size=(64, 64), seed=0), here / "drawn")
    file, photos = here / "drawn" / "annotations.json", here / "drawn" / "images"
    document = json.loads(file.read_text())
    names = document["categories"][0]["keypoints"]

    def written(name: str, change: Callable[[dict[str, Any]], object]) -> Path:
        changed = json.loads(file.read_text())
        change(changed)
        (here / name).write_text(json.dumps(changed))
        return here / name

    def add_feet(changed: dict[str, Any]) -> None:
        for row in changed["annotations"]:
            row["foot_kpts"] = row["keypoints"][:18]

    for part in ("train2017", "val2017"):
        (here / "coco" / "annotations").mkdir(parents=True, exist_ok=True)
        (here / "coco" / part).symlink_to(photos)
        (here / "coco" / "annotations" / f"person_keypoints_{part}.json").write_text(json.dumps(document))
    write_whole_bodies(here / "coco")
    shutil.copytree(photos, here / "apart")
    (here / "apart_copy").symlink_to(here / "apart")
    (here / "mpii" / "annot").mkdir(parents=True)
    (here / "mpii" / "images").symlink_to(photos)
    row = {"center": [32, 32], "scale": 0.3, "joints": [[32, 32]] * 16, "joints_vis": [1] * 16}
    people = [row | {"image": image["file_name"]} for image in document["images"]]
    for part in ("train", "valid"):
        (here / "mpii" / "annot" / f"{part}.json").write_text(json.dumps(people))
    write_mat(here / "heads.mat", {"headboxes_src": np.tile(np.float64([[40, 10], [56, 26]])[..., None], (1, 1, len(people)))})
    for kind, part in (("train", slice(0, 2)), ("valid", slice(2, 3))):
        (here / "lists").mkdir(exist_ok=True)
        np.save(here / "lists" / f"{kind}_idxs.npy", np.arange(5)[part])
        np.save(here / "lists" / f"{kind}_idxs_by_video.npy", np.arange(5)[part])
    copy = here / "copy"
    copy.symlink_to(photos)
    for animal in ("horse", "tiger"):
        write_tigdog(here / "tigdog", animal=animal, ranges=((1, 1, 2), (2, 5, 5), (7, 7, 8), (12, 20, 22)))
        write_synthetic(here / "synthetic", animal=animal, count=5)
    (here / "a.txt").write_text("\n".join(names))
    (here / "b.txt").write_text("\n".join([*names[1:], names[0]]))
    (here / "boxes.json").write_text(
        json.dumps([{"image_id": document["images"][0]["id"], "category_id": 1, "bbox": [4, 4, 50, 50], "score": 0.9}])
    )
    save(plain("t", size=(64, 64)), here / "start.safetensors")
    return {
        "COCO": here / "coco",
        "MPII": here / "mpii",
        "TIGDOG": here / "tigdog" / "behaviorDiscovery2.0",
        "SYNTHETIC": here / "synthetic" / "synthetic_animal",
        "ANNOTATIONS": file,
        "OTHERS": written("others.json", lambda d: d["images"].reverse()),
        "SNOUTS": written("snouts.json", lambda d: d["categories"][0]["keypoints"].__setitem__(names.index("nose"), "snout")),
        "NAMELESS": written("nameless.json", lambda d: d["categories"][0].pop("keypoints")),
        "FEET": written("feet.json", add_feet),
        "CLIP": written("clip.json", lambda d: [i.update(sequence="a", frame=n) for n, i in enumerate(d["images"])]),
        "PHOTOS": photos,
        "COPY": copy,
        "APART": here / "apart",
        "APART COPY": here / "apart_copy",
        "LISTS": here / "lists",
        "HEADS": here / "heads.mat",
        "NAMES": str(here / "a.txt"),
        "OTHER NAMES": str(here / "b.txt"),
        "BOXES": here / "boxes.json",
        "START": here / "start.safetensors",
    }


BASE: Mapping[str, Any] = {
    "annotations": ["ANNOTATIONS"],
    "images": ["PHOTOS"],
    "checked": 1,
    "drawn": 1,
    "people": 2,
    "pretrained": False,
    "source": "ANNOTATIONS",
    "target": "ANNOTATIONS",
    "val_share": 0.5,
}
"""What every recipe that has such a flag is given."""


@dataclasses.dataclass(frozen=True)
class Maker:
    """A recipe by its flags.

    Attributes:
        name: Name of the recipe, and of the kind of model where that decides which flags there are.
        flags: Types and defaults, by name; without those that every run needs.
        make: The function, or the function of its options.
        kind: A name of several recipes.
    """

    name: str
    flags: Mapping[str, tuple[Any, Any]]
    make: Callable[..., Recipe]
    kind: str = ""

    def of(self, table: Mapping[str, Any], flag: str) -> Any:
        """The entry of a table for a flag of this recipe."""
        return next((table[key] for key in (f"{self.name}.{flag}", f"{self.kind}.{flag}", flag) if key in table), None)

    @property
    def base(self) -> dict[str, Any]:
        """Arguments of a small run."""
        base = {flag: BASE[flag] for flag in self.flags if flag in BASE}
        if "data" in self.flags:
            base["data"] = {"mpii": "MPII", "tigdog": "TIGDOG", "synthetic_animals": "SYNTHETIC"}.get(self.name, "COCO")
        if self.flags.get("images", ("", None))[0] is int:
            base["images"] = 2
        if self.name == "ws_cda":
            base.pop("people")
        if self.kind != "adaptation":
            base.pop("target", None)
        if self.name.startswith("finetune "):
            base["model"] = {"top-down": "poise_s", "bottom-up": "poise_scene_t", "detectors": "poise_rcnn_t"}[
                self.name.split()[1]
            ]
        return base | ({"size": (64, 64)} if self.kind == "adaptation" else {})


def makers() -> list[Maker]:
    """All recipes of poise; those whose flags are of a kind of model once for each kind."""
    found = []
    for name, maker in recipes().items():
        options = options_of(maker)
        if options is None:
            hints = typing.get_type_hints(maker)
            flags = {key: (hints[key], one.default) for key, one in inspect.signature(maker).parameters.items()}
            found.append(Maker(name, flags, maker))
            continue
        for kind in options.types():
            flags = {one.name: (typing.get_type_hints(kind)[one.name], one.default) for one in dataclasses.fields(kind)}
            own = f"finetune {kind.kind.split()[0]}" if issubclass(kind, FinetuneOptions) else name
            make = functools.partial(lambda maker, kind, **values: maker(kind(**values)), maker, kind)
            found.append(Maker(own, flags, make, "" if own != name else "adaptation"))
    return found


def other(hint: Any, value: Any) -> Any:
    """Another value of a type."""
    kinds = typing.get_args(hint) if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union else (hint,)
    kind = next(one for one in kinds if one is not types.NoneType)
    if typing.get_origin(kind) is typing.Literal:
        return next(one for one in typing.get_args(kind) if one != value)
    if kind is bool:
        return not value
    if kind is int:
        return (value or 1) + 1
    return (value or 0.5) / 2 if kind is float else None


def placed(value: Any, given: Mapping[str, Any]) -> Any:
    """A value whose words in capitals are files and folders."""
    if isinstance(value, list):
        return [placed(one, given) for one in value]
    return given.get(value, value) if isinstance(value, str) else value


@pytest.mark.parametrize("maker", [pytest.param(maker, id=maker.name) for maker in makers()])
def test_every_flag_of_a_recipe_changes_what_is_trained(maker, networks, given):
    def made(**flags: Any) -> tuple[Recipe, str]:
        networks.asked.clear()
        values = {flag: placed(value, given) for flag, value in (maker.base | flags).items() if value is not None}
        recipe = maker.make(**values)
        return recipe, f"{networks.asked}{told(recipe)}"

    with scipy_here():
        _, before = made()
        dead = []
        for flag, (hint, default) in maker.flags.items():
            if default in (inspect.Parameter.empty, dataclasses.MISSING) or maker.of(NOTHING, flag):
                continue
            beside = {key: one for key, one in (maker.of(BESIDE, flag) or {}).items() if key in maker.flags}
            value = maker.of(OTHER, flag)
            value = other(hint, maker.base.get(flag, default)) if value is None else value
            try:
                changed = made(**beside | {flag: value})[1] != (made(**beside)[1] if beside else before)
            except Exception as error:
                changed = False
                dead.append(f"{flag}={value}: {type(error).__name__}: {error}")
                continue
            dead += [] if changed else [f"{flag}={value}"]
        assert not dead, f"{maker.name}: nothing comes of " + "\n".join(dead)
        recipe, after = made()
    assert after == before  # what a flag did to a model was undone
    check_changes(recipe)
    forget_notes()
