"""Runs: typed functions whose docstrings hold command, time and score."""
