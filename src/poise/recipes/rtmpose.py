"""RTMPose (Jiang et al.; arXiv 2303.07399) on COCO, its whole bodies, hands and faces, or AP-10K, as its release trains it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, final

from poise.data.base import Dataset
from poise.recipes.ap10k import animals, check_ap10k
from poise.recipes.base import Recipe
from poise.recipes.coco import check2017, keypoints2017
from poise.recipes.coco_wholebody import bodies, check_wholebody, faces, hands
from poise.training.recipe import LastPart, Optimizer, Schedule
from poise.transforms.drop import Cutout
from poise.transforms.jitter import Augmentation
from poise.transforms.paint import Paint
from poise.zoo.find import releases
from poise.zoo.rtmpose import rtmpose as rtmpose_network

Net = Literal["rtmpose_t", "rtmpose_s", "rtmpose_m", "rtmpose_l", "rtmpose_x"]

On = Literal["coco", "wholebody", "hand", "face", "ap10k"]

SMALL = ("rtmpose_t", "rtmpose_s")
"""Networks whose weights do not decay."""

HOLE = Cutout(shape="box", radius=(0.1, 0.2))
"""A rectangle whose sides are 0.2 to 0.4 of the view's shorter one."""

BLURRED = Paint(probability=0.19, noise=0.0, blur=(0.8, 2.0), contrast=(1.0, 1.0))
"""In place of the release's box blur and median, each of a tenth of the views."""

VIEWS = Augmentation(
    scale=0.4,
    rotation=80.0,
    truncated=True,
    translation=0.16,
    translation_probability=0.3,
    half_body=0.3,
    half_body_joints=8,
    hsv=(5.0, 30.0, 30.0),
    paint=BLURRED,
    drop=HOLE,
)
"""Views on COCO but for the last epochs."""

FRONT = (
    "L_Eye", "R_Eye", "Nose", "Neck", "L_Shoulder", "L_Elbow", "L_F_Paw", "R_Shoulder", "R_Elbow", "R_F_Paw",
)  # fmt: skip
"""The half of an animal of AP-10K that stands for the upper body."""


@final
@dataclass(frozen=True)
class Trained:
    """How a data set is trained on.

    Attributes:
        read: The data of a folder and a part, "train" or "val".
        check: Refuses a folder that does not hold them.
        word: What models trained on it are called, behind the network.
        epochs: Epochs ...
        last: ... of which so many have milder views.
        batch: People per step; of views above 256 pixels half as many.
        base: The batch that the rate is meant for.
        size: Height and width of the views.
        best: Score that selects the best model.
        score: Name of the published score.
    """

    read: Callable[[Path, str], Dataset]
    check: Callable[[Path], None]
    word: str
    epochs: int
    last: int
    batch: int
    base: int
    size: tuple[int, int] = (256, 192)
    best: str = "AP"
    score: str = "coco-val2017/AP"


def _people(data: Path, part: str) -> Dataset:
    return keypoints2017(data, f"{part}2017")


SETS = {
    "coco": Trained(_people, check2017, "coco", 420, 30, 1024, 1024),
    "wholebody": Trained(bodies, check_wholebody, "wholebody", 270, 30, 512, 512, score="coco-wholebody-val/AP"),
    "hand": Trained(
        hands, check_wholebody, "hand21", 210, 30, 256, 256, (256, 256), "pck@0.1", "coco-wholebody-hand-val/pck@0.2"
    ),
    "face": Trained(faces, check_wholebody, "face68", 60, 10, 256, 512, (256, 256), "pck@0.1", "coco-wholebody-face-val/NME"),
    "ap10k": Trained(animals, check_ap10k, "ap10k", 210, 30, 512, 512, (256, 256), score="ap10k-val/AP"),
}
"""The data sets, by the name that the recipe takes."""


def rtmpose(
    *,
    data: Path,
    on: On = "coco",
    network: Net = "rtmpose_m",
    size: tuple[int, int] | None = None,
    pretrained: bool = True,
) -> Recipe:
    """RTMPose on COCO: 420 epochs of AdamW, an average of the weights, and milder views in the last 30 epochs.

    For example:

        poise train rtmpose --data coco --network rtmpose_m --out runs/rtmpose
        poise train rtmpose --data coco --on wholebody --network rtmpose_l --size 384 288 --out runs/rtmpose_wholebody

    Expected on COCO val2017, detector of person AP 56.4, flip test: AP 0.682 (t), 0.716 (s), 0.746 (m), 0.758 (l). These are
    published for a backbone that OpenMMLab had trained on AI Challenger and COCO with heatmaps; its file is given by
    `--backbone-weights cspnext-m_udp-aic-coco_210e-256x192-f2f7d6f6_20230130.pth`. From ImageNet weights alone nothing was
    published, and no practitioner's figures are known. The cost: eight GPUs of 256 people each in the release; a view takes
    0.36 (t), 0.68 (s), 1.93 (m), 4.16 (l) thousand million multiply-adds.

    Rate 4e-3 for 1024 people, held for half of the run, then a cosine down to a twentieth. Weights decay by 0.05 in m, l and x,
    norms and biases never; t has no average. Of the views two things differ from the release: a Gaussian blur stands for a box
    and a median, and the hole has the mean colour and sides by the shorter side of the view.

    Other data, with the same rate, schedule and starts, on eight GPUs of 64 people each (384x288, hands and faces: 32):

    - `wholebody`: COCO-WholeBody, 270 epochs. Published is the AP of all 133 keypoints, 0.582 (m), 0.611 (l), at 384x288 0.648
      (l) and 0.653 (x, from `cspnext-x_udp-body7_210e-384x288-d28b58e6_20230529.pth`, stronger views, gradients at most 35
      long).
    - `hand`: the hands of COCO-WholeBody, 210 epochs, all rotations, no half bodies; m has 0.837 of keypoints within a fifth of
      the box, area under the curve 0.815.
    - `face`: its faces, 60 epochs, 10 of them milder, no half bodies; m has an error of 0.0466 of the distance of the eyes.
    - `ap10k`: AP-10K, split 1, 210 epochs; m has AP 0.722 on its test part.

    RTMPose of five sets of hands or six of faces joins them by name: `poise train finetune --model rtmpose_m_hand21`.

    Args:
        data: Folder of COCO 2017, as its archives unpack, for whole bodies, hands and faces with COCO-WholeBody's
            annotations/coco_wholebody_train_v1.0.json and _val_; or of AP-10K.
        on: What is learnt: COCO's keypoints, those of whole bodies, hands or faces in its images, or AP-10K's animals.
        network: RTMPose-t, -s, -m, -l or -x.
        size: Height and width of the views, multiples of 32; by default 256x192, and 256x256 but for people.
        pretrained: Start the backbone from OpenMMLab's ImageNet weights.
    """
    trained = SETS[on]
    trained.check(data)
    train, val = (trained.read(data, part) for part in ("train", "val"))
    size = size or trained.size
    model = rtmpose_network(network.removeprefix("rtmpose_"), skeleton=train.skeleton, size=size, pretrained=pretrained)
    views = _views(on, network)
    large = max(size) > max(trained.size) and on != "coco"
    return Recipe(
        name="rtmpose",
        model=model,
        train=train,
        val=val,
        epochs=trained.epochs,
        batch=trained.batch // 2 if large else trained.batch,
        base_batch=trained.base,
        augmentation=views,
        last=LastPart(trained.last / trained.epochs, milder(views)),
        optimizer=Optimizer("adamw", rate=4e-3, decay=0.0 if network in SMALL else 0.05),
        schedule=Schedule("cosine", floor=0.05, hold=0.5, warmup_steps=1000, warmup_start=1e-5),
        average=None if network == "rtmpose_t" else 0.9998,
        clip=35.0 if on == "wholebody" and network == "rtmpose_x" else None,
        best=trained.best,
        expected=_published(f"{network}_{trained.word}", trained, size),
        notes="published for the start --backbone-weights cspnext-*_udp-aic-coco_210e-256x192-*.pth",
    )


def _published(name: str, trained: Trained, size: tuple[int, int]) -> dict[str, float]:
    """The score of a release of these views, where there is one."""
    release = releases().get(name if size == trained.size else f"{name}_{size[0]}x{size[1]}")
    found = None if release is None else release.scores.get(trained.score)
    return {} if found is None else {trained.score: found}


def _views(on: On, network: Net) -> Augmentation:
    """Views but for the last epochs."""
    if on == "hand":
        return replace(VIEWS, scale=0.5, rotation=180.0, half_body=0.0)
    if on == "face":
        return replace(VIEWS, half_body=0.0)
    if on == "ap10k":
        return replace(VIEWS, half_body_upper=FRONT)
    return replace(VIEWS, scale=0.5, rotation=90.0) if on == "wholebody" and network == "rtmpose_x" else VIEWS


def milder(views: Augmentation) -> Augmentation:
    """Views of the last epochs: in place, half of them without a hole; scale and rotation less but where they are strong."""
    strong = views.rotation == 90.0
    return replace(
        views,
        scale=views.scale if strong else 0.25,
        rotation=60.0 if views.rotation == 80.0 else views.rotation,
        translation=0.0,
        drop=replace(HOLE, probability=0.5),
    )
