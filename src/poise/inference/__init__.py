"""Prediction: images and boxes in, poses out."""
