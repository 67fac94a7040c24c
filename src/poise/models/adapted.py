"""A domain adaptation layer between the backbone and the head of a model (`nn.adaptation`)."""

from dataclasses import replace
from typing import cast

from poise.errors import InputError
from poise.models.base import TrainableModel
from poise.nn.adaptation import AdaptationLayer
from poise.nn.base import Backbone, Network

LAYER = "adaptation."
"""Beginning of the names of the layer's weights."""


def feature_channels(model: TrainableModel) -> tuple[int, ...]:
    """Channels of the feature maps between backbone and head.

    Raises:
        InputError: The network is not made of these two.
    """
    if not isinstance(model.network, Network) or not isinstance(model.network.backbone, Backbone):
        raise InputError(
            f"{model.card.name!r} has no backbone whose feature maps a head reads, so domains cannot be told apart there; take "
            "a top-down model of poise"
        )
    return model.network.backbone.channels


def is_adapted(model: TrainableModel) -> bool:
    """Whether the model has a domain adaptation layer."""
    return getattr(model.network, "adaptation", None) is not None


def add_adaptation(model: TrainableModel) -> None:
    """Give a model a domain adaptation layer, which changes nothing before it is trained; one that has it stays as it is.

    Raises:
        InputError: The network is not made of a backbone and a head.
    """
    channels = feature_channels(model)
    if not is_adapted(model):
        layer = AdaptationLayer(channels).train(model.training)
        cast(Network, model.network).adaptation = layer.to(next(model.network.parameters()).device)
        model.card = replace(model.card, architecture=replace(model.card.architecture, adaptation=channels))
