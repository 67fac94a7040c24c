"""Backbones: modules that turn images into feature maps, with `channels` and `strides`."""
