"""Metrics: pure functions of poses, boxes and labels, and a collector for validation."""
