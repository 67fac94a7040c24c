"""RTMW (Jiang et al.; arXiv 2407.08634) on COCO-WholeBody and whatever other keypoint files there are."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from poise.data.base import Dataset
from poise.data.combined import CombinedDataset
from poise.data.mapped import MappedDataset
from poise.data.subset import with_people, without
from poise.errors import InputError
from poise.recipes.base import Optimizer, Recipe, Schedule
from poise.recipes.coco_wholebody import bodies, check_wholebody
from poise.recipes.files import coco_files
from poise.recipes.rtmpose import BLURRED, HOLE
from poise.skeletons.mapping import KeypointMap
from poise.skeletons.whole_body_partners import whole_body_pairs
from poise.skeletons.wholebody import WHOLEBODY133
from poise.training.recipe import LastPart
from poise.transforms.jitter import Augmentation
from poise.zoo.find import releases
from poise.zoo.rtmw import rtmw as rtmw_network

AP = "coco-wholebody-val/AP"

EPOCHS, LAST_EPOCHS = 270, 10

VIEWS = Augmentation(
    scale=0.5,
    rotation=90.0,
    truncated=True,
    translation=0.16,
    translation_probability=0.3,
    half_body=0.3,
    half_body_joints=8,
    colour=0.25,
    hsv=(18.0, 0.0, 32.0),
    paint=BLURRED,
)
"""Views but for the last epochs, without the hole of half of them."""


def rtmw(
    *,
    data: Path,
    more: list[Path] | None = None,
    more_images: list[Path] | None = None,
    map: list[str] | None = None,
    network: Literal["rtmw_m", "rtmw_l", "rtmw_x"] = "rtmw_l",
    size: tuple[int, int] = (256, 192),
    pretrained: bool = True,
) -> Recipe:
    """RTMW on whole bodies: 270 epochs of AdamW on COCO-WholeBody and further files, an average of the weights.

    For example:

        poise train rtmw --data coco --more halpe.json wflw.json mpii.json --more-images halpe wflw mpii --out runs/rtmw

    Expected on COCO-WholeBody val, detector of person AP 56.4, flip test, AP of all 133 keypoints: 0.582 (m), 0.660 (l), 0.672
    (x), at 384x288 0.701 (l), 0.702 (x). Published for 14 data sets ("cocktail14"), for m and l taught by a larger network
    (distillation, which is not here), and for the backbone of an RTMPose trained on whole bodies, whose file is given by
    `--backbone-weights rtmpose-l_simcc-ucoco_dw-ucoco_270e-256x192-4d6dfc62_20230728.pth`. On COCO-WholeBody alone nothing was
    published, and no practitioner's figures are known. The cost: eight GPUs of 1024 people each (x: 704; at 384x288: 320); a
    view takes 4.3 (m), 7.9 (l), 13.1 (x) thousand million multiply-adds, at 384x288 17.7 (l), 29.3 (x).

    Of the 14, COCO-WholeBody is `--data`; UBody and Halpe have whole bodies, AI Challenger, CrowdPose, MPII, sub-JHMDB,
    PoseTrack18 and Human-Art bodies, WFLW, 300W, COFW and LaPa faces, InterHand2.6M hands. Each is given as a COCO-style file
    whose categories name its keypoints (`poise data check FILE --skeleton wflw --fix OUT` writes the names). Keypoints are
    joined by name; what WFLW, LaPa, COFW and Human-Art call otherwise is known; `--map` pairs the rest. What a file does not
    label is not learnt from its images; images of the validation are not learnt from.

    Rate 5e-4 for 8192 people (l and m), 5632 (x) or 2560 (384x288), held for half of the run, then a cosine down to a
    twentieth; decay 0.1 (m: 0.05) but for norms and biases; gradients at most 35 long; keypoints of faces have half the weight.
    What differs from the release: brightness, contrast and colour change by our rule, and faces and hands of their own files
    fill the view as people do, not half of it.

    Args:
        data: Folder of COCO 2017 with COCO-WholeBody's annotations/coco_wholebody_train_v1.0.json and _val_.
        more: Further COCO-style keypoint files to learn from.
        more_images: For each of them the folder or zip file of its images, or one for all.
        map: Keypoints of further files that stand for those of the whole body, such as pinky:left_pinky_finger4.
        network: RTMW-m, -l or -x.
        size: Height and width of the views, multiples of 32.
        pretrained: Start the backbone from OpenMMLab's ImageNet weights.
    """
    check_wholebody(data)
    if more and not more_images:
        raise InputError("--more are further files, whose images are missing; give --more-images FOLDER")
    if not more and (more_images or map):
        raise InputError("--more-images and --map are of further files, which are missing; give --more FILE")
    train, val = (with_people(bodies(data, part)) for part in ("train", "val"))
    others = coco_files(more, more_images, complete=None) if more and more_images else []
    learnt = [train, *(without(_in_whole_bodies(other, map or ()), val) for other in others)]
    large, known = max(size) > 256, releases().get(network if size == (256, 192) else f"{network}_{size[0]}x{size[1]}")
    batch = 2560 if large else 5632 if network == "rtmw_x" else 8192
    return Recipe(
        name="rtmw",
        model=rtmw_network(network.removeprefix("rtmw_"), size=size, pretrained=pretrained),
        train=CombinedDataset(learnt, skeleton=WHOLEBODY133) if others else train,
        val=val,
        epochs=EPOCHS,
        batch=batch,
        base_batch=batch,
        augmentation=replace(VIEWS, drop=replace(HOLE, probability=0.5)),
        last=LastPart(LAST_EPOCHS / EPOCHS, replace(VIEWS, translation=0.0, colour=0.0, hsv=(0.0, 0.0, 0.0))),
        optimizer=Optimizer("adamw", rate=5e-4, decay=0.05 if network == "rtmw_m" else 0.1),
        schedule=Schedule("cosine", floor=0.05, hold=0.5, warmup_steps=1000, warmup_start=1e-5),
        average=0.9998,
        clip=35.0,
        best="AP",
        expected={AP: known.scores[AP]} if known is not None else {},
        notes="published for 14 data sets, and for the start --backbone-weights of an RTMPose of whole bodies",
    )


def _in_whole_bodies(dataset: Dataset, words: Sequence[str]) -> Dataset:
    """A data set in the keypoints of the whole body.

    Raises:
        SkeletonMismatch: It has none of them.
    """
    given = KeypointMap.of(words).for_data(dataset.skeleton, WHOLEBODY133)
    named = {target for _, target in given.pairs}
    known = tuple(pair for pair in whole_body_pairs(dataset.skeleton) if pair[1] not in named)
    return MappedDataset(dataset, skeleton=WHOLEBODY133, mapping=replace(given, pairs=(*given.pairs, *known)))
