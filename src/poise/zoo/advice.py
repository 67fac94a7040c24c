"""Advice for a name that was given in place of a model file."""

from pathlib import Path

from poise.weights.zoo_names import near_model
from poise.zoo.find import families, names, releases
from poise.zoo.get import obtainable
from poise.zoo.rcnn import torchvision_detectors


def advice(name: str) -> str | None:
    """A sentence for the name of a model of the zoo, or of one of torchvision's detectors; None for other names.

    Args:
        name: That was given in place of a model file.
    """
    if name in torchvision_detectors.names():
        return (
            f"{name} is one of torchvision's detectors, not a model file: it finds boxes, for --detector {name}, beside a "
            "model that finds keypoints"
        )
    family = next((family for family in families().values() if family.match(name) is not None), None)
    if family is None:
        return near_model(name, names())
    if (parts := obtainable().get(name)) and all(part.url or part.member for part in parts):
        return f"{name} is an official model that is not here yet; bring it with: poise get {name}"
    if not family.keys:
        return (
            f"{name} is the name of a network of the zoo, not a model file, and nobody published weights of it; train it: "
            f"poise train finetune --model {name} --annotations FILE --images FOLDER, and give the model.safetensors of that "
            "run"
        )
    release = releases().get(name)
    file = Path(release.file).name if release and release.file else "CHECKPOINT"
    return (
        f"{name} is the name of a network of the zoo, not a model file: its weights do not come with poise. poise zoo {name} "
        f"says where they are; then: poise import {name} {file} --out {name}.safetensors, and give that file"
    )
