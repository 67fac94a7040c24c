"""Reads configuration files without running anything: YAML of the papers' code, Python of MMPose by its syntax."""

import ast
import operator
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from poise.errors import InputError, MissingExtra
from poise.reading import read_file
from poise.recipes.config_values import Value, Values

MOST = 2**20
"""Bytes of a file."""

OPERATIONS: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
}
"""What is computed of numbers of a file."""

DEEPEST = 8
"""Files that may stand on one another by `_base_`."""


class Unknown:
    """What only running the code would tell."""


def read_config(path: Path) -> Values:
    """The values of a file by their dotted names.

    Args:
        path: A `.yaml` or `.py`.

    Raises:
        InputError: It is neither, or not valid.
        ReadError: It cannot be read.
        MissingExtra: PyYAML is missing.
    """
    text = read_file(path, most=MOST).decode("utf-8", "replace")
    if path.suffix in (".yaml", ".yml"):
        return dict(_of_yaml(text, path))
    if path.suffix == ".py":
        found: dict[str, Any] = _of_python(path, text, depth=0)
        return {name: value for key, part in found.items() for name, value in _flat(key, part)}
    raise InputError(f"--config takes a .yaml of the papers' code or a .py of MMPose, not {path.name!r}")


def _of_yaml(text: str, path: Path) -> Iterator[tuple[str, Value]]:
    try:
        import yaml
    except ImportError as error:
        raise MissingExtra(f"{path.name} is read by PyYAML, which is not installed: pip install 'poise[train]'") from error
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        if not isinstance(root, yaml.MappingNode):
            raise InputError(f"{path.name} holds no names with values, which a configuration has")
        yield from _nodes("", root, path.name, yaml.SafeLoader(""))
    except (yaml.YAMLError, RecursionError) as error:
        raise InputError(f"{path.name} is not valid YAML: {' '.join(str(error).split())[:120]}") from error


def _nodes(prefix: str, node: Any, file: str, loader: Any) -> Iterator[tuple[str, Value]]:
    for key, value in node.value:
        name = f"{prefix}{key.value}"
        if type(value).__name__ == "MappingNode":
            yield from _nodes(f"{name}.", value, file, loader)
        else:
            yield name, Value(loader.construct_object(value, deep=True), key.start_mark.line + 1, file)


def _of_python(path: Path, text: str, *, depth: int) -> dict[str, Any]:
    """The assignments of a file at its top, over those of the files that `_base_` names where they are there."""
    if depth > DEEPEST:
        raise InputError(f"{path.name} stands on itself by `_base_`, over {DEEPEST} files")
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError) as error:
        raise InputError(f"{path.name} is not valid Python: {error}") from error
    found: dict[str, Any] = {}
    for statement in tree.body:
        if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
            continue
        target = statement.targets[0]
        if not isinstance(target, ast.Name):
            continue
        value = _value(statement.value, found, path.name)
        if target.id == "_base_":
            found = _merged(_bases(path, value, depth=depth), found)
        else:
            found[target.id] = _merged(found.get(target.id), value)
    return found


def _bases(path: Path, value: Any, *, depth: int) -> dict[str, Any]:
    names = value.value if isinstance(value, Value) else None
    made: dict[str, Any] = {}
    for name in names if isinstance(names, list) else [names]:
        base = path.parent / str(name)
        if base.is_file():
            made = _merged(made, _of_python(base, read_file(base, most=MOST).decode("utf-8", "replace"), depth=depth + 1))
        else:
            made[f"_base_ {name}"] = Value(str(name), value.line, path.name)
    return made


def _merged(old: Any, new: Any) -> Any:
    """A dictionary over another one, as MMEngine merges them; `_delete_` begins anew."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    deleted = new.get("_delete_")
    if isinstance(deleted, Value) and deleted.value:
        return {name: value for name, value in new.items() if name != "_delete_"}
    return {**old, **{name: _merged(old.get(name), value) for name, value in new.items()}}


def _value(node: ast.expr, known: Mapping[str, Any], file: str) -> Any:
    """The value of an expression: a dictionary of values, a list of dictionaries, or a `Value`."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict":
        parts = [(kw.arg, _value(kw.value, known, file)) for kw in node.keywords]
        inside = {name: value for name, value in parts if name is not None}
        spread = [value for name, value in parts if name is None and isinstance(value, dict)]
        return {name: value for one in (*spread, inside) for name, value in one.items()}
    if isinstance(node, ast.Dict):
        keys = [key.value if isinstance(key, ast.Constant) else None for key in node.keys]
        return {str(k): _value(v, known, file) for k, v in zip(keys, node.values, strict=True) if k is not None}
    if isinstance(node, ast.List | ast.Tuple):
        items: list[Any] = [_value(part, known, file) for part in node.elts]
        if any(isinstance(item, dict) for item in items):
            return {str(number): item for number, item in enumerate(items)}
        plain = [item.value for item in items]
        return Value(Unknown() if any(isinstance(p, Unknown) for p in plain) else plain, node.lineno, file)
    if isinstance(node, ast.Name) and node.id in known:
        return known[node.id]
    if isinstance(node, ast.Subscript):
        return _item(node, known, file)
    return Value(_number(node, known), node.lineno, file)


def _item(node: ast.Subscript, known: Mapping[str, Any], file: str) -> Any:
    """Such as `codec['input_size']`."""
    owner = _value(node.value, known, file)
    key = node.slice.value if isinstance(node.slice, ast.Constant) else None
    if isinstance(owner, dict) and str(key) in owner:
        return owner[str(key)]
    if isinstance(owner, Value) and isinstance(owner.value, list) and isinstance(key, int) and key < len(owner.value):
        return Value(owner.value[key], node.lineno, file)
    return Value(Unknown(), node.lineno, file)


def _number(node: ast.expr, known: Mapping[str, Any]) -> Any:
    """A constant or the value of a name, also with a sign; two of them added, multiplied and so on; else unknown."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name) and isinstance(known.get(node.id), Value):
        return known[node.id].value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = _number(node.operand, known)
        return -inner if isinstance(inner, int | float) else Unknown()
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATIONS:
        return _computed(node.op, _number(node.left, known), _number(node.right, known))
    return Unknown()


def _computed(op: ast.operator, a: Any, b: Any) -> Any:
    """The result for two numbers that are not large, or for two texts that are added."""
    numbers = all(isinstance(part, int | float) and abs(part) < 1e9 for part in (a, b))
    texts = isinstance(a, str) and isinstance(b, str) and isinstance(op, ast.Add)
    if not (numbers or texts) or (isinstance(op, ast.Div | ast.FloorDiv) and not b):
        return Unknown()
    return OPERATIONS[type(op)](a, b)


def _flat(name: str, part: Any) -> Iterator[tuple[str, Value]]:
    if isinstance(part, dict):
        for key, value in part.items():
            yield from _flat(f"{name}.{key}", value)
    elif not isinstance(part.value, Unknown):
        yield name, part
    else:
        yield name, Value("(computed by code, which is not run)", part.line, part.file)
