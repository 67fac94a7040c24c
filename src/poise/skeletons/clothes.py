"""Landmarks of clothes of DeepFashion's landmark benchmark: those of upper, lower and full-body clothes."""

from poise.skeletons.published import published

_UPPER = ("left_collar", "right_collar", "left_sleeve", "right_sleeve")
_HEM = ("left_hem", "right_hem")
_WAIST = ("left_waistline", "right_waistline")

DEEPFASHION_UPPER6 = published("deepfashion_upper6", (*_UPPER, *_HEM))
DEEPFASHION_LOWER4 = published("deepfashion_lower4", (*_WAIST, *_HEM))
DEEPFASHION_FULL8 = published("deepfashion_full8", (*_UPPER, *_WAIST, *_HEM))
