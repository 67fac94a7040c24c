"""Domain adaptation: a model that learnt from labelled source data learns to see unlabelled target data.

Each method is a `Task` of the training loop (`training.task`): `recipes/adapt.py` makes recipes of them. They work for any
top-down network, codec and skeleton, for they use the contract of `PoseModel` alone.
"""
