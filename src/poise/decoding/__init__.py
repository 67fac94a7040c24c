"""How positions are read from heatmaps: subpixel refinement, peaks, limbs, grouping. Knows no codec."""
