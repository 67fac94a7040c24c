"""MMPose's Python files as flags of `poise train`: what their data say; code in them is not run."""

from typing import Any

from poise.errors import InputError, UnknownName
from poise.recipes.config_values import Reading
from poise.skeletons.registry import find

CODECS = {
    "MSRAHeatmap": "Gaussian",
    "UDPHeatmap": "UDPGaussian",
    "MegviiHeatmap": "Megvii",
    "SimCCLabel": "SimCC",
    "RegressionLabel": "Regression",
    "IntegralRegressionLabel": "Integral",
}
"""MMPose's codecs and ours."""

DATA = {
    "CocoDataset": "coco",
    "MpiiDataset": "mpii",
    "CocoWholeBodyHandDataset": "hand21",
    "CocoWholeBodyFaceDataset": "face68",
}
"""Types of data sets, and the word for their keypoints in names; other types are names of skeletons, or the file tells."""

FIELDS = {
    "CocoWholeBodyDataset": ("keypoints", "foot_kpts", "face_kpts", "lefthand_kpts", "righthand_kpts"),
    "CocoWholeBodyHandDataset": ("lefthand_kpts",),
    "CocoWholeBodyFaceDataset": ("face_kpts",),
}
"""Fields of the annotations that hold the keypoints, by the type of data set, where they are others than `keypoints` alone."""

HEADS = ("HeatmapHead", "RTMCCHead", "RTMWHead", "SimCCHead", "RegressionHead", "IntegralRegressionHead")
"""Heads of models that see one person at a time."""

VIT = {384: "s", 768: "b", 1024: "l", 1280: "h", "small": "s", "base": "b", "large": "l", "huge": "h"}
"""Width or word of a transformer, and the letter of its size."""

CSPNEXT = {(0.167, 0.375): "t", (0.33, 0.5): "s", (0.67, 0.75): "m", (1.0, 1.0): "l", (1.33, 1.25): "x"}
"""Depth and width of CSPNeXt, and the letter of its size."""

UNSTARTED = ("vitpose", "litehrnet", "mobilenetv2")
"""Networks without weights for --pretrained."""

ELSEWHERE = {
    "_base_ *": "the file that it stands on is not there",
    "default_*": "poise has its own",
    "env_cfg.*": "poise chooses it",
    "custom_hooks.*": "the second stage of RTMPose is poise train rtmpose's",
    "log_*": "poise logs into the folder of the run",
    "vis*": "each validation writes a picture",
    "resume": "poise train --resume RUN goes on with a run",
    "load_from": "give --start",
    "backend_args*": "images are read from a folder or a zip",
    "test_*": "poise evaluate measures a model",
    "val_evaluator.*": "AP by COCO's protocol is measured",
    "model.test_cfg.*": "training validates without the flip test; afterwards poise evaluate --flip or --no-flip",
    "model.data_preprocessor.*": "the model's own colours",
    "optim_wrapper.paramwise_cfg.*": "poise train rtmpose and vitpose have the rates of layers and decay as their releases do",
    "model.head.loss.*": "the codec's own loss is taken",
    "model.*": "the name of the network says it",
    "codec.*": "the codec of that name is taken",
    "*": "",
}
"""Values that have no flag of `poise train`, and what there is instead."""


def read_mmpose(reading: Reading) -> None:
    """Make flags of the values of an MMPose file.

    Args:
        reading: The values; receives words, and what was taken.

    Raises:
        InputError: A network or number that cannot be.
    """
    size = reading.size("codec.input_size") or (256, 192)
    keypoints = _keypoints(reading)
    name = f"{_network(reading)}_{keypoints}_{size[0]}x{size[1]}"
    reading.words += ["finetune", "--model", name]
    _fields(reading, keypoints)
    reading.say("codec.input_size", f"the model {name}")
    _data(reading)
    _codec(reading)
    _schedule(reading)
    _views(reading)
    _start(reading, name)
    reading.leave({key: why for key, why in ELSEWHERE.items() if why})


def _network(reading: Reading) -> str:
    kind, at = str(reading.get("model.backbone.type")).rpartition(".")[2], "model.backbone"
    _check_head(reading)
    reading.say(f"{at}.type", f"the network {kind}")
    if kind == "ResNet":
        depth = reading.get(f"{at}.depth", 50)
        reading.say(f"{at}.depth", f"depth {depth}")
        return f"poseresnet_{depth}"
    if kind == "HRNet":
        widths = reading.get(f"{at}.extra.stage2.num_channels", [32])
        reading.say(f"{at}.extra.stage2.num_channels", f"width {widths[0]}")
        return f"hrnet_w{widths[0]}"
    if kind == "MobileNetV2":
        return "mobilenetv2"
    if kind == "LiteHRNet":
        deep = reading.get(f"{at}.extra.stages_spec.num_modules") == [3, 8, 3]
        return f"litehrnet_{30 if deep else 18}"
    if kind == "VisionTransformer":
        return _transformer(reading, at)
    if kind == "CSPNeXt":
        return _cspnext(reading, at)
    known = "ResNet, HRNet, MobileNetV2, LiteHRNet, CSPNeXt and VisionTransformer"
    raise InputError(f"model.backbone.type is {kind!r}; {known} are known here")


def _check_head(reading: Reading) -> None:
    """Refuse models of whole images, whose backbones are the same."""
    kind = reading.get("model.head.type")
    if kind is not None and kind not in HEADS:
        raise InputError(
            f"{reading.values['model.head.type'].place}: model.head.type is {kind!r}; files of models that see one person at a "
            f"time are read ({', '.join(HEADS)}); others by name: poise train finetune --model rtmo_m, dekr_w32_coco17_512x512"
        )
    reading.say("model.head.type", "the name of the network says it")


def _cspnext(reading: Reading, at: str) -> str:
    factors = (reading.get(f"{at}.deepen_factor", 1.0), reading.get(f"{at}.widen_factor", 1.0))
    letter = CSPNEXT.get(factors)
    if letter is None:
        raise InputError(f"{at}.deepen_factor and widen_factor are {factors[0]} and {factors[1]}; known are {list(CSPNEXT)}")
    family = "rtmw" if reading.get("model.head.type") == "RTMWHead" else "rtmpose"
    for key in ("deepen_factor", "widen_factor"):
        reading.say(f"{at}.{key}", f"the size {letter} of {family}")
    return f"{family}_{letter}"


def _transformer(reading: Reading, at: str) -> str:
    wide = reading.get(f"{at}.arch", reading.get(f"{at}.arch.embed_dims", "base"))
    letter = VIT.get(wide)
    if letter is None:
        raise InputError(f"{at}.arch is {wide!r}; ViTPose's are {', '.join(map(str, VIT))}")
    for key in ("arch", "arch.embed_dims"):
        reading.say(f"{at}.{key}", f"the size {letter} of ViTPose")
    simple = reading.get("model.head.deconv_out_channels") == []
    reading.say("model.head.deconv_out_channels", f"the {'simple' if simple else 'classic'} head")
    return f"vitpose_{letter}{'_simple' if simple else ''}"


TYPES = ("dataset_type", "train_dataloader.dataset.type")


def _type(reading: Reading) -> str:
    """The type of data set."""
    return next((str(reading.get(key)) for key in TYPES if reading.get(key)), "CocoDataset")


def _fields(reading: Reading, word: str) -> None:
    """The fields of the annotations that hold the keypoints of a skeleton."""
    kind = _type(reading)
    if kind in FIELDS:
        note = "left hands; of both: poise train rtmpose --on hand" if "Hand" in kind else ""
        reading.flag(TYPES, "--skeleton", word, "--fields", *FIELDS[kind], note=note)


def _keypoints(reading: Reading) -> str:
    kind = _type(reading)
    word = DATA.get(kind) or _skeleton(kind.removesuffix("Dataset"))
    for key in (*TYPES, "val_dataloader.dataset.type"):
        reading.say(key, f"keypoints of {word or 'the file'}")
    reading.say("model.head.out_channels", "as many as the keypoints")
    return word or "coco"


def _skeleton(name: str) -> str | None:
    """The skeleton of a data set; None where the file of labels tells."""
    try:
        return find(name).name
    except UnknownName:
        return None


def _start(reading: Reading, network: str) -> None:
    """Where the backbone's first weights come from."""
    given = [key for key in reading.values if key.startswith("model.backbone") and key.endswith("init_cfg.checkpoint")]
    if not given:
        return
    file = str(reading.get(given[0])).rpartition("/")[2]
    if network.startswith(UNSTARTED):
        for key in given:
            reading.left[key] = f"download it and give --backbone-weights {file}"
        return
    reading.flag(given, "--pretrained", note="ImageNet weights of torchvision, timm or OpenMMLab")


def _data(reading: Reading) -> None:
    for part, flags in (("train", ("--annotations", "--images")), ("val", ("--val-annotations", "--val-images"))):
        at = f"{part}_dataloader.dataset"
        root = str(reading.get(f"{at}.data_root", reading.get("data_root", "data/coco/")))
        file, folder = reading.get(f"{at}.ann_file"), reading.get(f"{at}.data_prefix.img", "")
        if file is None:
            if part == "train":
                raise InputError("the file names no train_dataloader.dataset.ann_file; its `_base_` may be missing beside it")
            continue
        join = root if root.endswith("/") or not root else f"{root}/"
        reading.flag([f"{at}.ann_file", f"{at}.data_root", "data_root"], flags[0], f"{join}{file}")
        reading.flag(f"{at}.data_prefix.img", flags[1], f"{join}{folder}".rstrip("/"))


def _codec(reading: Reading) -> None:
    kind = reading.get("codec.type")
    ours = CODECS.get(str(kind))
    if kind == "UDPHeatmap" and reading.get("codec.heatmap_type") == "combined":
        ours = "UDPOffset"
        reading.say("codec.heatmap_type", "disks and offsets")
    if ours is None:
        if kind is not None:
            reading.left["codec.type"] = "poise has no codec of that kind; the model's own is taken"
        return
    if not (ours == "SimCC" and any(word.startswith(("rtmpose", "rtmw")) for word in reading.words)):
        reading.flag("codec.type", "--codec", ours)
    else:
        reading.say("codec.type", "RTMPose's own")
    sigma = reading.get("codec.sigma")
    if isinstance(sigma, int | float) and ours in ("Gaussian", "UDPGaussian"):
        reading.flag("codec.sigma", "--sigma", float(sigma))


def _schedule(reading: Reading) -> None:
    batch = reading.number("train_dataloader.batch_size") or 32.0
    reading.flag("train_dataloader.batch_size", "--batch", int(batch), note="of one GPU; its files are for several")
    at = "optim_wrapper.optimizer"
    if (rate := reading.number(f"{at}.lr", reading.number("base_lr"))) is not None:
        base = reading.number("auto_scale_lr.base_batch_size") or batch
        reading.flag([f"{at}.lr", "base_lr"], "--rate", rate * 32 / base, note=f"{rate:g} at {base:g} people; --rate is for 32")
        reading.say("auto_scale_lr.base_batch_size", "the batch that the rate is for")
    kind = str(reading.get(f"{at}.type", "Adam")).lower()
    reading.flag(f"{at}.type", "--optimizer", kind, "--decay", float(reading.number(f"{at}.weight_decay") or 0.0))
    reading.say(f"{at}.weight_decay", "--decay")
    if (epochs := reading.number("train_cfg.max_epochs", reading.number("max_epochs"))) is not None:
        reading.flag(["train_cfg.max_epochs", "max_epochs"], "--epochs", int(epochs))
    if (every := reading.number("train_cfg.val_interval")) is not None:
        reading.flag("train_cfg.val_interval", "--val-every", int(every))
    if (clip := reading.number("optim_wrapper.clip_grad.max_norm")) is not None:
        reading.flag("optim_wrapper.clip_grad.max_norm", "--clip", clip)
    _average(reading)
    for number in sorted({name.split(".")[1] for name in reading.values if name.startswith("param_scheduler.")}):
        _step(reading, f"param_scheduler.{number}")


def _average(reading: Reading) -> None:
    """The moving average of the weights, which a hook of MMEngine says."""
    hook = next((key for key in reading.values if reading.get(key) == "EMAHook" and key.endswith(".type")), None)
    momentum = None if hook is None else reading.number(f"{hook.removesuffix('.type')}.momentum", 0.0002)
    if hook is None or momentum is None:
        reading.words += ["--average", "0"]
        return
    reading.flag([hook, f"{hook.removesuffix('.type')}.momentum"], "--average", str(round(1 - momentum, 7)))


def _step(reading: Reading, at: str) -> None:
    """One part of the schedule of the learning rate."""
    kind = reading.get(f"{at}.type")
    steps: Any = reading.get(f"{at}.milestones")
    if kind == "LinearLR" and (end := reading.number(f"{at}.end")):
        reading.flag([f"{at}.type", f"{at}.end"], "--warmup", int(end))
    elif kind == "MultiStepLR" and steps:
        epochs = reading.number("train_cfg.max_epochs", reading.number("max_epochs"))
        reading.steps([f"{at}.type", f"{at}.milestones"], steps, epochs=epochs)
    elif kind == "CosineAnnealingLR":
        reading.flag(f"{at}.type", "--schedule", "cosine", note="over all epochs")
    reading.leave({f"{at}.*": "the kind of schedule says it"})


def _views(reading: Reading) -> None:
    """Flags of the augmentation, from the steps of the training pipeline."""
    steps = {name.split(".")[1] for name in reading.values if name.startswith("train_pipeline.")}
    changed = []
    for number in sorted(steps, key=int):
        at = f"train_pipeline.{number}"
        kind = reading.get(f"{at}.type")
        if kind == "RandomFlip":
            changed.append("flip=0.5")
            reading.say(f"{at}.type", "--augmentation flip=0.5")
        elif kind == "RandomHalfBody":
            reading.flag(f"{at}.type", "--half-body", 0.3)
        elif kind == "RandomBBoxTransform":
            changed += _boxes(reading, at)
        else:
            reading.left[f"{at}.type"] = "crops, labels and colours are the model's own"
        reading.leave({f"{at}.*": "the model's own"})
    reading.words += ["--colour", "0", *(["--augmentation", *changed] if changed else [])]


def _boxes(reading: Reading, at: str) -> list[str]:
    """Scale, rotation and shift; MMPose's defaults where the file says none."""
    scale = reading.get(f"{at}.scale_factor", [0.5, 1.5])
    rotation = reading.number(f"{at}.rotate_factor", 80.0) or 0.0
    share = (float(scale[1]) - float(scale[0])) / 2 if isinstance(scale, list) and len(scale) == 2 else 0.5
    reading.flag([f"{at}.type", f"{at}.scale_factor"], "--scale", round(share, 6))
    reading.flag(f"{at}.rotate_factor", "--rotation", rotation / 2, note="one standard deviation, half of the largest")
    shift = reading.number(f"{at}.shift_factor", 0.16) or 0.0
    reading.say(f"{at}.shift_factor", f"--augmentation translation={shift:g}")
    return [f"translation={shift:g}"] if shift else []
