"""The papers' own YAML files (HRNet, Simple Baselines, DARK, UDP, LPN) as flags of `poise train`."""

from pathlib import Path

from poise.errors import InputError
from poise.recipes.config_values import Reading

ELSEWHERE = {
    "AUTO_RESUME": "poise train --resume RUN goes on with a run",
    "CUDNN.*": "poise chooses it",
    "DATA_DIR": "paths are as DATASET.ROOT says",
    "GPUS": "give --devices; people of all GPUs make the batch",
    "LOG_DIR": "logs lie in the folder of the run",
    "OUTPUT_DIR": "give --out",
    "WORKERS": "give --workers",
    "PIN_MEMORY": "poise chooses it",
    "PRINT_FREQ": "losses are logged at every step",
    "RANK": "give --nodes and --devices",
    "DEBUG.*": "each validation writes a picture",
    "VERBOSE": "poise prints what it does",
    "DATASET.DATA_FORMAT": "images lie in a folder or a zip of the name of the part, both are found",
    "DATASET.SELECT_DATA": "poise train hrnet --select has it",
    "DATASET.HYBRID_JOINTS_TYPE": "no release uses it",
    "MODEL.INIT_WEIGHTS": "layers without ImageNet weights are initialised as in the release",
    "MODEL.EXTRA.*": "the name of the network says it",
    "MODEL.HEATMAP_SIZE": "a quarter of the view",
    "MODEL.TAG_PER_JOINT": "it is for models of whole images",
    "LOSS.USE_TARGET_WEIGHT": "keypoints that are not labelled never give a loss",
    "LOSS.*": "the codec's own loss is taken",
    "TRAIN.SHUFFLE": "views are shuffled",
    "TRAIN.BEGIN_EPOCH": "poise train --resume RUN goes on with a run",
    "TRAIN.RESUME": "poise train --resume RUN goes on with a run",
    "TRAIN.CHECKPOINT": "give --start",
    "TRAIN.MOMENTUM": "Adam has none",
    "TRAIN.NESTEROV": "Adam has none",
    "TRAIN.GAMMA*": "Adam's moments are PyTorch's",
    "TRAIN.WD": "in the release it reaches SGD only",
    "TEST.MODEL_FILE": "poise evaluate takes a model file",
    "TEST.COCO_BBOX_FILE": "poise evaluate --boxes FILE",
    "TEST.BBOX_THRE": "poise evaluate --min-box-score",
    "TEST.IMAGE_THRE": "poise evaluate --min-box-score",
    "TEST.IN_VIS_THRE": "the model's own, poise evaluate --min-keypoint-score",
    "TEST.NMS_THRE": "poise evaluate --oks-nms",
    "TEST.OKS_THRE": "poise evaluate --oks-nms",
    "TEST.SOFT_NMS": "poise evaluate --oks-nms soft",
    "TEST.USE_GT_BBOX": "labelled boxes are the default of poise evaluate, --boxes FILE those of a detector",
    "TEST.FLIP_TEST": "training validates without it; afterwards poise evaluate --flip or --no-flip",
    "TEST.SHIFT_HEATMAP": "the codec shifts flipped maps by a cell",
    "TEST.POST_PROCESS": "the codec reads maps as its release does",
    "TEST.BLUR_KERNEL": "the codec reads maps as its release does",
    "TEST.BATCH_SIZE*": "give --batch to poise evaluate",
    "TRAIN.BATCH_SIZE": "TRAIN.BATCH_SIZE_PER_GPU counts",
}
"""Values that have no flag of `poise train`, and what there is instead."""


def read_papers(reading: Reading) -> None:
    """Make flags of the values of a paper's file.

    Args:
        reading: The values; receives words, and what was taken.

    Raises:
        InputError: A network, data set or number that cannot be.
    """
    mpii = "mpii" in str(reading.get("DATASET.DATASET", "coco")).lower()
    size = reading.size("MODEL.IMAGE_SIZE") or (256, 192)
    network = _network(reading)
    name = f"{network}_{'mpii' if mpii else 'coco'}_{size[0]}x{size[1]}"
    if mpii:
        _on_mpii(reading, network, size)
    else:
        _on_coco(reading, name)
    reading.say("DATASET.DATASET", "MPII's keypoints" if mpii else "COCO's keypoints")
    for key in ("MODEL.NAME", "MODEL.IMAGE_SIZE", "MODEL.TARGET_TYPE", "MODEL.EXTRA.TARGET_TYPE"):
        reading.say(key, f"the model {name}")
    _keypoints(reading, mpii=mpii)
    if (sigma := reading.number("MODEL.SIGMA")) and not network.endswith("offset"):
        reading.flag("MODEL.SIGMA", "--sigma", sigma)
    _schedule(reading, base=32 if not mpii or network.startswith("lpn") else 128)
    _views(reading, apart=not mpii)
    reading.leave(ELSEWHERE)


def _network(reading: Reading) -> str:
    """The network's name in the zoo, without data set and size."""
    kind = str(reading.get("MODEL.NAME", "")).lower()
    kind = kind.removeprefix("pose_").removeprefix("pose")
    if kind.startswith("hrnet"):
        widths = reading.get("MODEL.EXTRA.STAGE2.NUM_CHANNELS", [32])
        reading.say("MODEL.EXTRA.STAGE2.NUM_CHANNELS", f"width {widths[0]}")
        network = f"hrnet_w{widths[0]}"
    elif kind.startswith("resnet"):
        depth, caffe = reading.get("MODEL.EXTRA.NUM_LAYERS", 50), reading.get("MODEL.STYLE") == "caffe"
        reading.say("MODEL.EXTRA.NUM_LAYERS", f"depth {depth}")
        reading.say("MODEL.STYLE", "caffe" if caffe else "pytorch")
        network = f"poseresnet_{depth}{'_caffe' if caffe else ''}"
    elif kind.startswith("lpn"):
        depth, attention = reading.get("MODEL.EXTRA.NUM_LAYERS", 50), reading.get("MODEL.EXTRA.ATTENTION", "GC")
        reading.say("MODEL.EXTRA.NUM_LAYERS", f"depth {depth}")
        reading.say("MODEL.EXTRA.ATTENTION", f"attention {attention}")
        network = f"lpn_{depth}_{str(attention or 'none').lower()}"
    else:
        raise InputError(f"MODEL.NAME is {reading.get('MODEL.NAME')!r}; pose_hrnet, pose_resnet and lpn are known here")
    return _of_release(reading, network)


def _of_release(reading: Reading, network: str) -> str:
    """The network with the codec of the release whose file it is: DARK's and UDP's have settings that HRNet's has not."""
    target = str(reading.get("MODEL.TARGET_TYPE", reading.get("MODEL.EXTRA.TARGET_TYPE", "gaussian"))).lower()
    if target == "offset" or any(name.startswith("LOSS.KPD") for name in reading.values):
        reading.say("LOSS.KPD", "UDP's codec")
        return f"udp_{network.replace('poseresnet_', 'poseresnet')}_{target}"
    if "TEST.BLUR_KERNEL" in reading.values:
        reading.say("TEST.BLUR_KERNEL", "DARK's codec, which blurs maps before they are read")
        return f"darkpose_{network}"
    return network


def _on_coco(reading: Reading, name: str) -> None:
    root = str(reading.get("DATASET.ROOT", "data/coco")).rstrip("/")
    train, test = str(reading.get("DATASET.TRAIN_SET", "train2017")), str(reading.get("DATASET.TEST_SET", "val2017"))
    reading.words += ["finetune", "--model", name]
    for part, keys, flags in (
        (train, ["DATASET.ROOT", "DATASET.TRAIN_SET"], ("--annotations", "--images")),
        (test, ["DATASET.TEST_SET"], ("--val-annotations", "--val-images")),
    ):
        file = f"{root}/annotations/person_keypoints_{part}.json"
        reading.flag(keys, flags[0], file, flags[1], f"{root}/images/{part}")
    if reading.get("MODEL.PRETRAINED"):
        _start(reading)
    else:
        reading.say("MODEL.PRETRAINED", "random weights")


def _on_mpii(reading: Reading, network: str, size: tuple[int, int]) -> None:
    reading.words += ["mpii", "--network", network, "--size", str(size[0]), str(size[1])]
    reading.flag("DATASET.ROOT", "--data", str(reading.get("DATASET.ROOT", "data/mpii")).rstrip("/"))
    for key in ("DATASET.TRAIN_SET", "DATASET.TEST_SET"):
        reading.say(key, "the parts train and valid")
    if reading.get("MODEL.PRETRAINED"):
        _start(reading)
    else:
        reading.flag("MODEL.PRETRAINED", "--no-pretrained")


def _start(reading: Reading) -> None:
    """The file of ImageNet weights that the release's is, where it is there, and else what is downloaded."""
    if Path(file := str(reading.get("MODEL.PRETRAINED"))).is_file():
        reading.flag("MODEL.PRETRAINED", "--backbone-weights", file)
    else:
        reading.flag("MODEL.PRETRAINED", "--pretrained", note="no such file here: ImageNet weights of torchvision or timm")


def _keypoints(reading: Reading, *, mpii: bool) -> None:
    expected = 16 if mpii else 17
    found = reading.get("MODEL.NUM_JOINTS", expected)
    if found != expected:
        raise InputError(
            f"MODEL.NUM_JOINTS is {found}, and the data set has {expected} keypoints; for others: poise train finetune"
        )
    reading.say("MODEL.NUM_JOINTS", f"{expected} keypoints")
    bgr = reading.get("DATASET.COLOR_RGB") is False
    reading.say(
        "DATASET.COLOR_RGB", "as the release of this network" if not bgr else "BGR, where the release of the network takes it"
    )


def _schedule(reading: Reading, *, base: int) -> None:
    """Batch, rate, which flags say for batches of `base` people, and epochs."""
    batch = reading.number("TRAIN.BATCH_SIZE_PER_GPU") or reading.number("TRAIN.BATCH_SIZE") or 32.0
    gpus = reading.get("GPUS", 1)
    count = len(gpus) if isinstance(gpus, list) else len([g for g in str(gpus).strip("()").split(",") if g.strip()]) or 1
    people = int(batch) * count
    reading.flag(["TRAIN.BATCH_SIZE_PER_GPU", "GPUS"], "--batch", people, note=f"{count} GPUs of {int(batch)}")
    if (rate := reading.number("TRAIN.LR")) is not None:
        reading.flag("TRAIN.LR", "--rate", rate * base / people, note=f"{rate:g} at {people} people; --rate is for {base}")
    if epochs := reading.number("TRAIN.END_EPOCH"):
        reading.flag("TRAIN.END_EPOCH", "--epochs", int(epochs))
    if steps := reading.get("TRAIN.LR_STEP"):
        reading.steps("TRAIN.LR_STEP", steps, epochs=epochs)
    factor = reading.number("TRAIN.LR_FACTOR", 0.1)
    reading.say(
        "TRAIN.LR_FACTOR", "0.1 at each milestone" if factor == 0.1 else f"0.1 in place of {factor:g}: --milestones fall by 0.1"
    )
    kind = str(reading.get("TRAIN.OPTIMIZER", "adam")).lower()
    decay = reading.number("TRAIN.WD", 0.0) if kind == "sgd" else 0.0
    reading.flag("TRAIN.OPTIMIZER", "--optimizer", kind, "--decay", float(decay or 0), "--average", 0.0)
    if kind == "sgd":
        reading.say("TRAIN.WD", f"--decay {decay:g}")


def _views(reading: Reading, *, apart: bool) -> None:
    """Changes of the views: flags of their own where a recipe has some, the others as fields of the augmentation."""
    fields = []
    for name, flag, field in (
        ("DATASET.SCALE_FACTOR", "--scale", "scale"),
        ("DATASET.ROT_FACTOR", "--rotation", "rotation"),
        ("DATASET.PROB_HALF_BODY", "--half-body", "half_body"),
        ("DATASET.NUM_JOINTS_HALF_BODY", "", "half_body_joints"),
    ):
        value = reading.number(name)
        if value is None:
            continue
        if apart and flag:
            reading.flag(name, flag, value)
        else:
            fields.append(f"{field}={value:g}")
            reading.say(name, f"--augmentation {fields[-1]}")
    if (flip := reading.get("DATASET.FLIP")) is not None:
        fields.append(f"flip={0.5 if flip else 0:g}")
        reading.say("DATASET.FLIP", f"--augmentation {fields[-1]}")
    reading.words += ["--colour", "0"] if apart else []
    reading.words += ["--augmentation", *fields] if fields else []
