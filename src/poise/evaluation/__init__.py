"""Measuring a model on labelled data: evaluation sets, protocols, the self-test of a codec."""
