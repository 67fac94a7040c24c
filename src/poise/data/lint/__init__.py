"""Checks of keypoint files: errors that break training or make a score 0 or -1, and their correction."""

from poise.data.lint.leakage import remove_leakage
from poise.data.lint.lint import check_file
from poise.data.lint.report import Finding, LintReport

__all__ = ["Finding", "LintReport", "check_file", "remove_leakage"]
