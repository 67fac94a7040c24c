"""Necks: between backbone and heads, feature maps of several strides with one number of channels, as detectors take them."""
