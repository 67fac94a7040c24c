"""Rendered people: a parametric body of any age, shape and pose, with clothes, light and exact labels (`poise[bodies]`)."""

from poise.data.bodies.body_poses import BodyPoses
from poise.data.bodies.dataset import BodyDataset

__all__ = ["BodyDataset", "BodyPoses"]
