"""Backbones: modules that make feature maps of images, with `channels` and `strides`."""
