"""Keypoint files examined: what breaks training or makes a score 0 or -1, and how it can be mended."""

from poise.data.lint.finding import Finding
from poise.data.lint.lint import Checked, check_file
from poise.data.lint.shared import separate

__all__ = ["Checked", "Finding", "check_file", "separate"]
