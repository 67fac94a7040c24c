"""Measures: pure functions, and stateful shells over them."""
