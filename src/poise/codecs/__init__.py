"""Codecs: each file is the whole contract between keypoints and a network's output."""
