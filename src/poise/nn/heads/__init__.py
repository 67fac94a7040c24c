"""Heads: feature maps to the channels a codec asks for."""
