"""Shapes and types of every call in the package are checked while the tests run."""

from jaxtyping import install_import_hook

install_import_hook("poise", "beartype.beartype")
