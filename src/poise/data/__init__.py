"""Data sets: files in, samples out."""
