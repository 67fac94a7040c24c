"""Analysis of scores: error diagnosis, upper bounds of codecs, confidence intervals, calibration."""
