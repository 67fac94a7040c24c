"""Keypoint R-CNN, Faster and Mask R-CNN: presets of the releases, backbones, heads, names of weights."""
