"""The letters of shape annotations are those that `dims.py` explains."""

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

import jaxtyping

import poise
from poise.dims import AXES

KINDS = {
    name for name, value in vars(jaxtyping).items() if inspect.isclass(value) and issubclass(value, jaxtyping.AbstractDtype)
}
ROOT = Path(poise.__file__).parent


def shapes(text: str) -> Iterator[str]:
    """The shape strings of all jaxtyping annotations in a file."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Tuple) and len(node.slice.elts) == 2:
            name = node.value.attr if isinstance(node.value, ast.Attribute) else getattr(node.value, "id", "")
            shape = node.slice.elts[1]
            if name in KINDS and isinstance(shape, ast.Constant) and isinstance(shape.value, str):
                yield shape.value


def letters(shape: str) -> set[str]:
    """Its axes without marks, numbers and anonymous ones."""
    return {axis.lstrip("*#?") for axis in shape.split()} - {"...", "_", ""} - {str(n) for n in range(1000)}


def used() -> dict[str, str]:
    """Every letter in use, and a file that uses it."""
    return {a: str(p.relative_to(ROOT)) for p in ROOT.rglob("*.py") for s in shapes(p.read_text()) for a in letters(s)}


def test_annotations_are_found_whatever_their_axes_look_like():
    text = """
def f(x: Float[Tensor, "*b k 2"], y: jaxtyping.Bool[np.ndarray, " n"] | None, z: dict[str, "q"]) -> Int64[Tensor, "#a _ ..."]:
    pass
"""
    found = set().union(*map(letters, shapes(text)))
    assert found == {"b", "k", "n", "a"}


def test_every_letter_of_a_shape_annotation_is_explained_in_dims():
    unknown = {letter: file for letter, file in used().items() if letter not in set().union(*AXES.values())}
    assert not unknown, "list these letters in poise/dims.py, or use one that is listed there"


def test_every_letter_that_dims_explains_is_used():
    assert set().union(*AXES.values()) <= used().keys(), "poise/dims.py lists letters that no annotation has"
