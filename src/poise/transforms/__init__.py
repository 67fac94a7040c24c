"""Crops, letterboxing and augmentation: warps are 3x3 matrices that multiply, colours change, `render` resamples once."""
