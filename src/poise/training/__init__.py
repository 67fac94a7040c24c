"""Training on Lightning; only this package imports it."""
