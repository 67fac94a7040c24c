"""What TensorBoard is told of the network of a run: a table of its layers, its graph, histograms of its weights."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, final

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.loggers import Logger, TensorBoardLogger
from rich.console import Console

from poise.dims import Size
from poise.errors import InputError
from poise.models.base import TrainableModel
from poise.terminal import say
from poise.training.callbacks import RunCallback
from poise.training.logger_names import TENSORBOARD
from poise.zoo.layers import Layer, measure_layers_of


def check_network_log(loggers: Sequence[str | Logger], *, graph: bool, histograms: bool) -> None:
    """Refuse what nobody would receive.

    Args:
        loggers: Loggers of a run, or their names.
        graph: Whether the graph is wanted.
        histograms: Whether histograms are wanted.

    Raises:
        InputError: One is, and TensorBoard is not among the loggers.
    """
    if (graph or histograms) and not any(one == TENSORBOARD or isinstance(one, TensorBoardLogger) for one in loggers):
        flag = "--graph" if graph else "--histograms"
        raise InputError(f"{flag} is for TensorBoard, which is not among the loggers of this run; add --logger {TENSORBOARD}")


@final
class NetworkLog(RunCallback):
    """Gives TensorBoard the table of layers and, where they are wanted, graph and histograms.

    Args:
        console: Terminal to print to.
        begins: Whether the run begins and does not go on.
        graph: Whether the graph is given, at the start; a network that cannot be traced is said to be none.
        histograms: Whether the weights, and the learning rate of each group of them, are given after each validation.
    """

    def __init__(self, console: Console, *, begins: bool = True, graph: bool = False, histograms: bool = False) -> None:
        self.console = console
        self.begins = begins
        self.graph = graph
        self.histograms = histograms

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Give the layers and the graph of a run that begins, before anybody listens to the network (`Clock`)."""
        module = self.of(pl_module)
        for logger in _boards(trainer) if self.begins else ():
            size = module.task.train_size(module.recipe.data)
            logger.experiment.add_text("layers", layers_text(measure_layers_of(module.model.network, size)))
            if self.graph:
                self._graph(logger, module.model, size)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Give the weights where a validation was due."""
        module = self.of(pl_module)
        if not (self.histograms and module.due):
            return
        for logger in _boards(trainer):
            for name, weight in module.model.network.named_parameters():
                logger.experiment.add_histogram(f"weights/{name}", weight.detach().float().cpu(), trainer.global_step)
            for number, group in enumerate(trainer.optimizers[0].param_groups):
                logger.experiment.add_scalar(f"rates/group{number}", group["lr"], trainer.global_step)

    def _graph(self, logger: TensorBoardLogger, model: TrainableModel, size: Size) -> None:
        network, device = model.network, next(model.parameters()).device
        try:
            with _evaluating(network), warnings.catch_warnings(), torch.no_grad():
                warnings.simplefilter("ignore")
                logger.experiment.add_graph(network, torch.zeros(1, 3, *size, device=device), use_strict_trace=False)
        except Exception as error:  # whatever torch's tracer has against a network
            first = (str(error).splitlines() or [type(error).__name__])[0][:120]
            say(self.console, f"TensorBoard gets no graph: torch cannot trace this network ({first})")


def _boards(trainer: Trainer) -> list[TensorBoardLogger]:
    """The loggers of TensorBoard, of the process that writes."""
    return [one for one in trainer.loggers if isinstance(one, TensorBoardLogger)] if trainer.is_global_zero else []


@contextmanager
def _evaluating(network: Any) -> Iterator[None]:
    """While this lasts, a network and its parts are in evaluation mode."""
    modes = [(part, part.training) for part in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for part, mode in modes:
            part.training = mode


def layers_text(layers: Sequence[Layer]) -> str:
    """The table of layers as Markdown."""
    rows = [("layer", "kind", "kernel", "output", "parameters", "multiply-adds"), ("---",) * 4 + ("---:",) * 2]
    for one in layers:
        shape = "x".join(map(str, one.output))
        rows.append((one.name, one.kind, one.kernel, shape, f"{one.parameters:,}", f"{one.multiply_adds:,}"))
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)
