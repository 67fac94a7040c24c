"""What scores mean: where errors come from, what a codec can reach, whether a difference is real."""
