"""Every line of docs/notes.md runs: for one step, on drawn data, with smaller networks and views than it says.

The page is a user's session: later lines use the models of earlier ones. What is made smaller is a flag with another
value than the line's, or the function that builds a network.
"""

import inspect
import json
import pkgutil
import re
import shlex
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from poise.cli.main import main
from poise.codecs.megvii import cpn_codecs
from poise.data.figures import FigureDataset, write_coco
from poise.data.mat import write_mat
from poise.data.subset import Subset
from poise.metrics.coco_format import to_coco_box_results
from poise.models.top_down import TopDown
from poise.recipes.find import recipes
from poise.training.checkpoint import AtomicIO
from poise.training.fit import fit
from poise.transforms.detector_jitter import DetectorAugmentation
from poise.transforms.jitter import Augmentation
from poise.zoo import build, faster_rcnn
from poise.zoo.find import releases
from poise.zoo.hourglass import hourglass
from poise.zoo.importing import official_state
from poise.zoo.offset_guided import bottom_up
from poise.zoo.plain import plain
from poise.zoo.rcnn.backbones import Pyramid

from ..data.fakes.animals import scipy_here, write_synthetic, write_tigdog

PAGE = Path(__file__).parents[2] / "docs" / "notes.md"
FENCE = re.compile(r"^```sh\n(?P<body>.*?)^```", re.MULTILINE | re.DOTALL)

SMALL = {
    "simple_baseline": "--depth 18 --size 64 64",
    "hrnet": "--width 32 --size 64 64",
    "mask_rcnn": "--freeze 0",
    "detector_drawn": "--images 8 --checked 4 --side 64 --epochs 1 --detecting-set per_image=3 learning.per_image=8",
    "keypoint_fcos": "--freeze 0",
    "tigdog": "--stacks 1",
    "synthetic_animals": "--stacks 1",
    "mpii": "--network poseresnet_50 --size 64 64",
    "lpn": "--size 64 64",
    "dark": "--network poseresnet_18 --size 64 64",
    "udp": "--network poseresnet18 --size 64 64",
    "udp_aid": "--width 18 --size 64 64",
    "grmi": "--network grmi_18_x2 --size 65 49",
    "cpn": "--size 64 64 --epochs 1 --snapshots 1 --milestones 0.5",
    "mspn": "--network-stages 1 --size 64 64",
    "rsn": "--kind res18 --size 64 64",
    "hourglass": "--stacks 1 --size 64 64",
    "blazepose": "--size 64 64",
    "finetune": "--model poise_t --size 64 64 --val-share 0.5",
    "offset_guided": "--size 128 128",
    "drawn_animals": "--images 4 --checked 2",
    "adapt": "--epochs 1 --check-people 2 --val-share 0.5",
}
"""Smaller networks and views of each recipe, in place of a line's own."""

SMALL_NAMES = {"hourglass_4stack_b1_18j_256x256": "hourglass_1stack_b1_18j_64x64", "hrnet_w8_hrfpn": "poise_t_fpn"}
"""Smaller networks by other names."""

OFFICIAL = "lpn_50_gc_coco_64x64"
"""The network that is imported in place of others, whose files are larger."""

FEW = "--device cpu --workers 0"


def lines() -> list[str]:
    """The commands of the page that run."""
    bodies = [found["body"] for found in FENCE.finditer(PAGE.read_text(encoding="utf-8"))]
    return [line for body in bodies for line in body.splitlines() if line.startswith("poise ")]


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    """A folder with `coco`, `mpii`, `mine.json`, `photos` and `detections.json`, of four drawings."""
    here = tmp_path_factory.mktemp("session")
    drawn = FigureDataset(4, size=(96, 96), per_image=(1, 1), seed=3)
    write_coco(drawn, here / "made")
    (here / "photos").symlink_to(here / "made" / "images")
    document = json.loads((here / "made" / "annotations.json").read_text())
    (here / "mine.json").write_text(json.dumps(document))
    (here / "coco" / "annotations").mkdir(parents=True)
    for part in ("train2017", "val2017"):
        (here / "coco" / "annotations" / f"person_keypoints_{part}.json").write_text(json.dumps(document))
        (here / "coco" / part).symlink_to(here / "made" / "images")
    rows = [
        row
        for i in range(len(drawn))
        for row in to_coco_box_results(drawn.labels(i).boxes, torch.ones(1), image=document["images"][i]["id"], categories=[1])
    ]
    (here / "detections.json").write_text(json.dumps(rows))
    people = [
        {
            "image": image["file_name"], "center": [48, 48], "scale": 0.4, "joints": [[48, 48]] * 16, "joints_vis": [1] * 16,
        }
        for image in document["images"]
    ]  # fmt: skip
    (here / "mpii" / "annot").mkdir(parents=True)
    (here / "mpii" / "images").symlink_to(here / "made" / "images")
    for part in ("train", "valid"):
        (here / "mpii" / "annot" / f"{part}.json").write_text(json.dumps(people))
    heads = np.tile([[[40.0, 10.0], [56.0, 26.0]]], (len(people), 1, 1))
    write_mat(here / "mpii" / "annot" / "gt_valid.mat", {"headboxes_src": heads.transpose(1, 2, 0)})
    draw_animals(here)
    return here


def draw_animals(here: Path) -> None:
    """TigDog and the synthetic animals in `data`, of few frames; `animals.json`, and the same without keypoints."""
    write_tigdog(here / "data", ranges=((1, 1, 2), (2, 5, 5), (7, 7, 8)))
    write_synthetic(here / "data", count=5)
    horses = FigureDataset(4, size=(64, 64), kind="horse", keypoints="animal18", seed=3)
    write_coco(horses, here / "horses")
    (here / "animals").symlink_to(here / "horses" / "images")
    document = json.loads((here / "horses" / "annotations.json").read_text())
    (here / "animals.json").write_text(json.dumps(document))
    for row in document["annotations"]:
        row |= {"keypoints": [0] * len(row["keypoints"]), "num_keypoints": 0}
    for name in ("others.json", "unseen.json"):
        (here / name).write_text(json.dumps(document))


PLAIN = (
    *("simple_baselines.poseresnet", "hrnet.build", "lpn.build", "dark.build", "udp.build", "udp.hrnet", "mpii.build"),
    *("cpn.build", "multistage.build_mspn"),
)
"""Builders of networks for views of one person, in whose place a small network of one output stands."""


@pytest.fixture
def small(session, monkeypatch):
    """Small networks without downloads; runs of one step on two images."""
    monkeypatch.chdir(session)
    for place in PLAIN:
        name = f"poise.recipes.{place}"
        monkeypatch.setattr(name, partial(standing_in, pkgutil.resolve_name(name)))
    monkeypatch.setattr("poise.recipes.cpn.cpn_codecs", lambda *args, **options: ((), cpn_codecs(*args, **options)[1]))
    monkeypatch.setattr("poise.recipes.offset_guided.bottom_up", lambda network, **options: tiny(**options))
    monkeypatch.setattr("poise.recipes.keypoint_rcnn.build", lambda name, *, codec, **_: tiny_detector(name, codec))
    monkeypatch.setattr("poise.recipes.mask_rcnn.build", lambda name, **_: tiny_masks())
    monkeypatch.setattr("poise.recipes.animals.hourglass", partial(hourglass, size=(64, 64)))
    # A model that finds people is not made by one step: a calibration gets what such a one finds.
    made = torch.linspace(0, 1, 60), torch.arange(60) % 3 > 0
    monkeypatch.setattr("poise.analysis.calibration._examples", lambda *_: made)
    monkeypatch.setattr("poise.recipes.keypoint_rcnn.still", lambda model, stages: ())

    def short(recipe, **options):
        def few(stage):
            views = stage.augmentation
            views = replace(views, sides=(64,), max_side=96) if isinstance(views, DetectorAugmentation) else views
            views = replace(views, repeat=("plain",)) if isinstance(views, Augmentation) else views
            whole = stage.val is None or recipe.name == "mpii"  # whose head boxes are those of all its people
            two = stage.val if whole else Subset(stage.val, range(min(2, len(stage.val))))
            return replace(stage, train=Subset(stage.train, range(min(2, len(stage.train)))), val=two, augmentation=views)

        stages = tuple(few(stage) for stage in recipe.then)[:1]
        steps = None if options.get("snapshots") else 1 + len(stages)
        options |= {"steps": steps, "batch": 2, "loggers": (), "workers": 0}
        return fit(replace(few(recipe), then=stages), **options)

    monkeypatch.setattr("poise.training.fit.fit", short)
    monkeypatch.setattr("poise.training.logging.summary", lambda model, size: "")
    monkeypatch.setattr(AtomicIO, "save_checkpoint", lambda *args, **kwargs: None)  # states are large, and not the matter here
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield session
    torch.set_num_threads(before)


def standing_in(make, *args, **options) -> TopDown:
    """A small network with the codec, the views and the name of the one that is asked for, which is made without memory."""
    with torch.device("meta"):
        asked = make(*args, **options)
    return plain(
        "t",
        skeleton=asked.skeleton,
        size=asked.codec.size,
        codec=asked.codec,
        preprocess=asked.preprocess,
        name=asked.card.name,
    )


def tiny_detector(name: str, codec: str | None) -> nn.Module:
    """A small detector of boxes and keypoints that finds few."""
    made = build(f"poise_{'fcos' if 'fcos' in name else 'rcnn'}_t_coco_64x96", codec=codec)
    made.config = replace(made.config, per_image=3)
    return made


def tiny_masks() -> nn.Module:
    """A small Mask R-CNN that finds few."""
    made = faster_rcnn("poise_t", classes=2, masks=True, box_width=16, pyramid=Pyramid(width=32), size=(64, 96))
    made.config = replace(made.config, per_image=3)
    return made


def tiny(*, codec, kernel: int = 1, **_) -> nn.Module:
    """A small bottom-up network with the codec of OffsetGuided."""
    return bottom_up("t", codec=codec, kernel=kernel)


def typed(line: str) -> list[str]:
    """The words of a line with what makes it small."""
    words = [SMALL_NAMES.get(word, word) for word in shlex.split(line)[1:]]
    if words[0] == "import":
        words[1:2] = [OFFICIAL]
    if words[0] not in ("train", "adapt"):
        return words
    small = SMALL.get("adapt" if words[0] == "adapt" else words[1], "")
    small = "--val-share 0.5" if "--start" in words and words[0] == "train" else small  # whose network it has
    for flag, values in flags(small.split() + FEW.split()).items():
        if flag in words:
            start = words.index(flag)
            end = next((i for i in range(start + 1, len(words)) if words[i].startswith("--")), len(words))
            del words[start:end]
        words += [flag, *values]
    pretrained = words[0] == "train" and "pretrained" in inspect.signature(recipes()[words[1]]).parameters
    return [*words, "--no-pretrained"] if pretrained else words


def flags(words: list[str]) -> dict[str, list[str]]:
    """Flags and their values."""
    found: dict[str, list[str]] = {}
    for word in words:
        if word.startswith("--"):
            found[word] = []
        else:
            found[list(found)[-1]].append(word)
    return found


@pytest.mark.parametrize("line", lines())
def test_every_line_of_the_notes_runs(line, small, capsys):
    words = shlex.split(line)
    if words[1] == "import":  # the file that somebody brings
        state = official_state(build(OFFICIAL), OFFICIAL)
        torch.save({"state_dict": {f"module.{name}": weight for name, weight in state.items()}}, words[3])
    with scipy_here():
        assert main(typed(line)) == 0, capsys.readouterr().err
    if words[1] in ("train", "adapt"):
        assert (small / words[words.index("--out") + 1] / "model.safetensors").is_file()


REPORTED = ("poseresnet_", "hrnet_", "lpn_", "darkpose_", "udp_", "mspn_", "rsn_", "cpn_", "offsetguided_", "maskrcnn_")
"""Beginnings of the names of releases that the notes report figures of."""

OF_MMPOSE = re.compile(r"_[a-z][a-z0-9]*\d_\d+x\d+$")
"""Ends of names of MMPose's files, whose figures stand in `poise zoo`."""


def test_the_figures_of_the_releases_stand_on_the_page():
    page = PAGE.read_text(encoding="utf-8")
    reported = [one for name, one in releases().items() if name.startswith(REPORTED) and not OF_MMPOSE.search(name)]
    scores = [(one.name, score) for one in reported for score in one.scores.values()]
    assert len(scores) > 50
    assert [(name, score) for name, score in scores if f"{score:.3f}" not in page] == []
