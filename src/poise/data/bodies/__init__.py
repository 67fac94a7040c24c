"""Rendered people: a parametric body of any age, shape and pose, with clothes, light and exact labels (`poise[bodies]`)."""

from poise.data.bodies.dataset import BodyDataset
from poise.data.bodies.library import Poses

__all__ = ["BodyDataset", "Poses"]
