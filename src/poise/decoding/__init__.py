"""How keypoints are decoded from heatmaps: subpixel refinement, peak finding, limb scoring, grouping. Knows no codec."""
