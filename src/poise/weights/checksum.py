"""SHA-256 of nested values with tensors, by which a file tells whether it is whole."""

import hashlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


def checksum(value: Any) -> str:
    """SHA-256 of a value, hexadecimal: of the names, types, shapes and bytes of all tensors, and of all plain values.

    Args:
        value: Tensors and plain values in dictionaries and lists. The order of a dictionary does not matter.

    >>> checksum({"a": 1, "b": [2.0]}) == checksum({"b": [2.0], "a": 1}), checksum([1]) == checksum([True])
    (True, False)
    """
    digest = hashlib.sha256()
    _feed(digest, value)
    return digest.hexdigest()


def _feed(digest: Any, value: Any) -> None:
    if isinstance(value, Mapping):
        for key in sorted(value, key=repr):
            digest.update(f"{key!r}:".encode(errors="surrogatepass"))
            _feed(digest, value[key])
    elif isinstance(value, list | tuple):
        digest.update(f"[{len(value)}]".encode())
        for one in value:
            _feed(digest, one)
    elif isinstance(value, Tensor):
        digest.update(f"{value.dtype}{tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    else:
        digest.update(f"{type(value).__name__} {value!r};".encode(errors="surrogatepass"))
