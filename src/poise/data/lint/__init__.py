"""Keypoint files examined: what breaks training or makes a score 0 or -1, and how it can be mended."""

from poise.data.lint.finding import Finding
from poise.data.lint.leakage import remove_leakage
from poise.data.lint.lint import LintReport, check_file

__all__ = ["Finding", "LintReport", "check_file", "remove_leakage"]
