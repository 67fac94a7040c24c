"""Training on Lightning; the only floor that knows it."""
