"""The checks of every call that the tests rest on: types, shapes within a call, results, data classes, generators."""

import importlib
import sys

import jaxtyping
import pytest
import torch

SOURCE = """
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Pair:
    a: Float[Tensor, "n 2"]
    b: Float[Tensor, " n"]

    @classmethod
    def of(cls, count: int) -> "Pair":
        return cls(torch.zeros(count, 2), torch.zeros(count))

    @property
    def sum(self) -> Float[Tensor, " n"]:
        return self.a.sum(dim=0)


def double(x: int) -> int:
    return 2 * x


def wrong(x: int) -> int:
    return str(x)


def joined(a: Float[Tensor, "n 2"], *, b: Float[Tensor, "m 2"] | None = None) -> Float[Tensor, "n 2"]:
    return a if b is None else torch.cat((a, b))


def count(n: int) -> Iterator[int]:
    yield from range(n)
"""


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    folder = tmp_path_factory.mktemp("package")
    (folder / "calls_to_check.py").write_text(SOURCE)
    conftest = next(m for name, m in sys.modules.items() if name.endswith("conftest") and hasattr(m, "check_calls"))
    sys.path.insert(0, str(folder))
    before = list(sys.meta_path)
    try:
        conftest.check_calls("calls_to_check")
        yield importlib.import_module("calls_to_check")
    finally:
        sys.meta_path[:] = before
        sys.path.remove(str(folder))


def test_right_calls_pass(module):
    assert module.double(2) == 4
    assert list(module.count(3)) == [0, 1, 2]
    assert module.Pair.of(3).a.shape == (3, 2)
    assert module.joined(torch.zeros(3, 2)).shape == (3, 2)
    assert module.joined(torch.zeros(5, 2)).shape == (5, 2), "each call has axes of its own"


@pytest.mark.parametrize(
    "call",
    [
        lambda m: m.double("2"),
        lambda m: m.wrong(2),
        lambda m: m.Pair(torch.zeros(3, 2), torch.zeros(2)),
        lambda m: m.Pair(torch.zeros(3, 3), torch.zeros(3)),
        lambda m: m.Pair(torch.zeros(3, 2, dtype=torch.int64), torch.zeros(3)),
        lambda m: m.joined(torch.zeros(3, 2), b=torch.zeros(1, 2)),
        lambda m: m.joined(torch.zeros(3, 2), b=torch.zeros(1, 3)),
        lambda m: next(m.count("3")),
    ],
)
def test_wrong_arguments_results_and_axes_are_refused(module, call):
    with pytest.raises(jaxtyping.TypeCheckError):
        call(module)


def test_axes_are_named_where_they_differ(module):
    with pytest.raises(jaxtyping.TypeCheckError) as caught:
        module.joined(torch.zeros(3, 2), b=torch.zeros(1, 2))
    assert any("n" in note for note in caught.value.__notes__)
