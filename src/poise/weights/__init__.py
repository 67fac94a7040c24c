"""Weights on disk: checkpoints of others, model files, downloads, weights carried from one model to another."""
