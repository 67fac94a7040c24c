"""Heads: modules that make the output a codec decodes of feature maps."""
