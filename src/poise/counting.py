"""COCO's counting of matches, and its run lengths: by hotcoco, or by pycocotools where that is installed and hotcoco is not.

Both give the same to the last digit (the tests check this); hotcoco is faster, pycocotools exists for more platforms.
"""

import contextlib
import copy
import importlib
import io
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from poise.errors import MissingExtra

Rows = Sequence[dict[str, Any]]


def evaluation(truth: dict[str, Any], results: Rows, kind: Literal["keypoints", "bbox", "segm"]) -> Any:
    """An evaluation that has not run yet, with the attributes of hotcoco's: `params`, `evaluate`, `accumulate`, `eval`.

    Args:
        truth: Valid annotations in COCO's form.
        results: Valid results, which are read and not changed (a copy of them would cost a third of an evaluation).
        kind: Type of the comparison.

    Raises:
        MissingExtra: Neither package is installed.
    """
    if by_hotcoco():
        import hotcoco

        gt = hotcoco.COCO(dict(truth))
        return hotcoco.COCOeval(gt, gt.load_res(list(results)), kind)
    return OfficialEvaluation(truth, results, kind)


def masks() -> Any:
    """The module for run lengths: `encode`, `decode`, `area`, `merge`, `frPyObjects`.

    Raises:
        MissingExtra: Neither package is installed.
    """
    return importlib.import_module("hotcoco.mask" if by_hotcoco() else "pycocotools.mask")


def by_hotcoco() -> bool:
    """Whether hotcoco is there; else pycocotools is.

    Raises:
        MissingExtra: Neither is.
    """
    for name in ("hotcoco", "pycocotools"):
        try:
            importlib.import_module(name)
        except ImportError:
            continue
        return name == "hotcoco"
    raise MissingExtra("COCO's protocol needs one of two packages: pip install hotcoco, or pip install pycocotools")


class _Settings:
    """The settings of pycocotools under the names of hotcoco.

    Args:
        official: Settings of pycocotools.
    """

    NAMES: ClassVar = {
        "img_ids": "imgIds",
        "area_rng": "areaRng",
        "area_rng_lbl": "areaRngLbl",
        "kpt_oks_sigmas": "kpt_oks_sigmas",
    }

    def __init__(self, official: Any) -> None:
        self.__dict__["official"] = official

    def __getattr__(self, name: str) -> Any:
        """A setting."""
        return getattr(self.official, self.NAMES[name])

    def __setattr__(self, name: str, value: Any) -> None:
        """Change a setting."""
        import numpy as np

        setattr(self.official, self.NAMES[name], np.array(value) if name == "kpt_oks_sigmas" else value)


class OfficialEvaluation:
    """pycocotools' evaluation with the attributes of hotcoco's; it prints nothing.

    Args:
        truth: Valid annotations in COCO's form.
        results: Valid results.
        kind: Type of the comparison.
    """

    def __init__(self, truth: dict[str, Any], results: Rows, kind: str) -> None:
        from pycocotools.cocoeval import COCOeval

        gt = _official(truth)
        with contextlib.redirect_stdout(io.StringIO()):
            found = gt.loadRes(copy.deepcopy(list(results))) if results else _official({**truth, "annotations": []})
            self._run = COCOeval(gt, found, kind)
        self.params = _Settings(self._run.params)

    def evaluate(self) -> None:
        """Match results with labels."""
        with contextlib.redirect_stdout(io.StringIO()):
            self._run.evaluate()

    def accumulate(self) -> None:
        """Make precision and recall of the matches."""
        with contextlib.redirect_stdout(io.StringIO()):
            self._run.accumulate()

    @property
    def eval(self) -> dict[str, Any]:
        """Precision, recall and scores."""
        return dict(self._run.eval)

    @property
    def eval_imgs(self) -> list[dict[str, Any] | None]:
        """The matches of each category, area and image."""
        return [None if part is None else {**part, "dtMatched": part["dtMatches"] != 0} for part in self._run.evalImgs]


def _official(truth: dict[str, Any]) -> Any:
    from pycocotools.coco import COCO

    made = COCO()
    made.dataset = copy.deepcopy(dict(truth))
    with contextlib.redirect_stdout(io.StringIO()):
        made.createIndex()
    return made
