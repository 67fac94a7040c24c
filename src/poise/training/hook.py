"""A Lightning callback that knows its module is ours."""

from lightning.pytorch import Callback, LightningModule

from poise.training.module import Module


class RunCallback(Callback):
    """Base of the callbacks of a run."""

    @staticmethod
    def of(module: LightningModule) -> Module:
        """The module of the run."""
        assert isinstance(module, Module)
        return module
