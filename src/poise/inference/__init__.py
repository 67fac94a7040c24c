"""Boxes and images in, poses out."""
