"""The values that pass between the stages of the library: frozen dataclasses of tensors, without files or drawing.

    files --data--> Sample --transforms--> View --training--> Batch --model.loss--> number
                                             |                     `-model.predict-> Points --View.warp^-1--> Poses
                                             `- warp: 3x3, sample pixels -> view pixels

Annotations (`Labels`) and predictions (`Points`, `Poses`) are different types.
"""

from poise.structures.batch import Batch, View
from poise.structures.poses import Points, Poses
from poise.structures.preprocess import Architecture, CropRule, Normalization, Preprocess
from poise.structures.samples import Key, Labels, Sample

__all__ = [
    "Architecture",
    "Batch",
    "CropRule",
    "Key",
    "Labels",
    "Normalization",
    "Points",
    "Poses",
    "Preprocess",
    "Sample",
    "View",
]
