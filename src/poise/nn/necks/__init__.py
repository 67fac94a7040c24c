"""Between backbone and heads: feature maps of several strides, all of one width, as detectors read them."""
