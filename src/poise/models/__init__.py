"""Models: a network, its codec and its preprocessing in one."""
