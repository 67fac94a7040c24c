"""Poses over the frames of a video: who is who (`tracker`), steady positions (`smoothing`), how steady (`quality`)."""
