"""Conventions of every array: units, orders of coordinates, and the letters of shape annotations.

Points are (x, y); sizes are (h, w); boxes are x0 y0 x1 y1. Coordinates are pixels, and (0, 0) is the centre of the first
pixel. `size` counts pixels of an image or a view, `cells` counts cells of a map.

Annotations are jaxtyping's, such as `Float[Tensor, "b k h w"]`; the tests check them at run time. One-letter shapes are
written with a leading blank: `Int64[Tensor, " k"]`. A letter is any length that is the same wherever the letter stands in one
signature or one dataclass. A number is that length, `_` is any length, `...` any axes; `*b` stands for any number of axes and
`#` for axes that broadcast.

`AXES` lists the letters by subject. A letter means the same throughout a subject.
"""

from collections.abc import Mapping
from typing import TypeAlias

Size: TypeAlias = tuple[int, int]
"""Height and width, in pixels or in cells."""

AXES: Mapping[str, Mapping[str, str]] = {
    "images, views and maps": {
        "b": "views of a batch, or rows of any batch",
        "c": "channels of a map",
        "h": "rows of a map or a view",
        "w": "columns of a map or a view",
        "H": "rows of a whole image (of a view in `View` and `SceneView`), or of a map enlarged to pixels",
        "W": "columns of a whole image (of a view in `View` and `SceneView`), or of a map enlarged to pixels",
        "hh": "rows of a second map in the same signature",
        "ww": "columns of a second map in the same signature",
        "rows": "rows of a contact sheet, pixels",
        "columns": "columns of a contact sheet, pixels",
    },
    "people and keypoints": {
        "n": "people, boxes, RoIs, results or other items of one kind",
        "m": "a second number of items in the same signature, such as predictions beside labels",
        "g": "labelled people of an image (ground truth)",
        "k": "keypoints of a skeleton",
        "k2": "keypoints of a second skeleton",
        "l": "limbs of a skeleton",
        "p": "people that were grouped, or the people of one image",
        "e": "labelled keypoints whose errors are measured",
    },
    "vectors": {
        "x": "bins along x (SimCC)",
        "y": "bins along y (SimCC)",
        "d": "coordinates: positions along one side of a window, or the 2 of a size",
        "i": "cells of a window, bins or samples of a row",
        "l": "bins of a vector",
        "v": "votes (Hough), or values of a vector",
        "q": "channels or values in a second array",
        "a": "`*a`: any axes of a dense loss",
    },
    "compiled loops": {
        "s": "values of a flat array along rows, or positions along y",
        "t": "values of a second flat array, or positions along x",
        "p": "pixels or peaks",
        "i": "rows that border padding takes",
        "j": "columns that border padding takes",
        "w4": "columns of a row with four values for each cell",
    },
    "videos": {
        "t": "frames",
        "d": "values of an appearance, or the 2 of a point",
    },
    "detectors": {
        "a": "anchors",
        "f": "features of a RoI head",
        "cells": "`*cells`: rows and columns of the features in a RoI, or nothing where they are vectors",
        "c4": "four box deltas for each class",
        "mh": "rows of a mask, cells",
        "mw": "columns of a mask, cells",
    },
    "scores over images": {
        "i": "images of a data set",
        "b": "bootstrap draws",
        "t": "thresholds of OKS or IoU",
        "r": "recalls",
        "v": "values of one draw",
        "c": "categories",
    },
}
"""The letters of shape annotations by subject, and what they count; a test compares them with the annotations in use."""
