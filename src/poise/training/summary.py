"""What is about to be trained, as a table: parts, layers, parameters, multiply-adds."""

import copy

from rich.table import Table
from torch import nn

from poise.codecs.decoders import codec_name
from poise.dims import Size
from poise.models.base import PoseModel
from poise.zoo.cost import measure_network


def summary(model: PoseModel, size: Size) -> Table:
    """One row per part of the network (two levels deep) and one for all of it, for views of `size` (h, w)."""
    network = copy.deepcopy(model.network).to("meta")  # counts without computing
    cost = measure_network(network, size)
    views, codec = f"views of {size[0]}x{size[1]}", f"codec {codec_name(model.codec)}"
    table = Table(title=f"{model.card.name}, {views}, {len(model.skeleton)} keypoints, {codec}")
    for name in ("part", "kind"):
        table.add_column(name)
    for name in ("layers", "parameters", "multiply-adds"):
        table.add_column(name, justify="right")
    for name, part in network.named_children():
        table.add_row(name, type(part).__name__, *_numbers(part), "")
        for inner, child in part.named_children():
            table.add_row(f"  {inner}", type(child).__name__, *_numbers(child), "")
    table.add_row("all", type(network).__name__, *_numbers(network), f"{cost.multiply_adds / 1e6:,.0f} M", end_section=True)
    return table


def _numbers(part: nn.Module) -> tuple[str, str]:
    layers = sum(next(m.children(), None) is None for m in part.modules())
    return str(layers), f"{sum(p.numel() for p in part.parameters()):,}"
