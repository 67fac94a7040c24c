"""Ways to cut and change views: warps multiply 3x3 matrices, paints change colours, render resamples once."""
