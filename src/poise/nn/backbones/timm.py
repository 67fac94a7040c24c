"""Any backbone of timm by its name, with timm's weights if wanted. timm is an optional package."""

import difflib
import io
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, redirect_stdout
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from poise.dims import Size
from poise.errors import InputError, MissingExtra, ReadError, UnknownName
from poise.machine import answers
from poise.nn.base import Backbone, Feature, check_view


@final
class TimmBackbone(Backbone):
    """A timm model without its classifier (`features_only`).

    Args:
        name: Its name in timm, with or without the tag of its weights (`resnet18`, `convnext_atto.d2_in1k`).
        size: Size of the views (h, w); transformers with learned positions are built for it. None for views of any size whose
            sides are multiples of `multiple`; a model that cannot take those is refused.
        pretrained: Whether to load timm's weights, downloaded if they are not in its cache.
        last: Only the last map; of a plain transformer, whose maps all have one stride, behind its last norm. `size` is needed.

    Attributes:
        mean: Mean of red, green and blue that the weights expect, of values 0..1.
        std: Deviation of red, green and blue.

    Raises:
        MissingExtra: timm is not installed.
        UnknownName: timm has no such model.
        InputError: The model has no feature maps, or takes views of one size only where any are wanted.
        ReadError: Its weights cannot be loaded or downloaded.
    """

    def __init__(self, name: str, size: Size | None = None, *, pretrained: bool = False, last: bool = False) -> None:
        super().__init__()
        self.name, self.size = name, size
        tokens = _last_tokens(name, size, pretrained) if last else None
        self.body = _features(name, size, pretrained) if tokens is None else tokens
        info: Any = self.body.feature_info
        self.first = -1 if last else 0
        self.channels = tuple(info.channels())[self.first :]
        self.strides = tuple(info.reduction())[self.first :]
        self.multiple = max(self.strides)
        found: dict[str, Any] = _timm().get_pretrained_cfg(name).to_dict()
        self.mean: tuple[float, float, float] = tuple(found["mean"])
        self.std: tuple[float, float, float] = tuple(found["std"])
        self._last = str(getattr(self.body, "output_fmt", "NCHW")).endswith("NHWC")
        if size is None:
            _check_any_size(name, self.body, self.multiple)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> list[Feature]:
        """The model's feature maps, channels first."""
        try:
            features: list[Tensor] = self.body(images)[self.first :]
        except AssertionError:  # so timm refuses views of another size
            if self.size is not None:
                check_view(images, self.size, self.name)
            raise
        return [f.permute(0, 3, 1, 2) for f in features] if self._last else list(features)

    def converted(self, weights: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Weights of a file as timm names and shapes those of this model; positions of a transformer are resized to its views.

        Args:
            weights: Weights by name; where timm has no rule for this model, or they do not fit it, they stay as they are.
        """
        model = getattr(self.body, "model", None)  # of a transformer's wrapper
        rule = getattr(sys.modules.get(type(model).__module__), "checkpoint_filter_fn", None)
        if rule is None:
            return weights
        try:
            with redirect_stdout(io.StringIO()):  # it prints what it does not find
                found: Mapping[str, Tensor] = rule(dict(weights), model)
        except (AttributeError, KeyError, RuntimeError, TypeError, ValueError):  # of weights of other models
            return weights
        return found


def _timm() -> Any:
    try:
        import timm
    except ImportError as error:
        raise MissingExtra(
            "backbones of timm need the package timm: pip install 'poise[train]', or pip install timm"
        ) from error
    return timm.models


def whole_model(name: str) -> nn.Module:
    """A timm model with its pretrained weights and classifier.

    Raises:
        MissingExtra: timm is not installed.
        UnknownName: timm has no such model.
        ReadError: Its weights cannot be loaded or downloaded.
    """
    return _create(name, {"pretrained": True})


def _features(name: str, size: Size | None, pretrained: bool) -> nn.Module:
    options = {"pretrained": pretrained, "features_only": True}
    try:
        return _create(name, options | ({"dynamic_img_size": True} if size is None else {"img_size": size}))
    except TypeError:  # convolutional networks take any size and no such argument
        return _create(name, options)


def _last_tokens(name: str, size: Size | None, pretrained: bool) -> nn.Module | None:
    """A plain transformer that gives the map of its last tokens behind its last norm; None for other models."""
    try:
        whole = _create(name, {"pretrained": pretrained, "img_size": size})
    except TypeError:  # convolutional networks
        return None
    strides = {part["reduction"] for part in getattr(whole, "feature_info", ())}
    if len(strides) != 1 or not hasattr(whole, "prune_intermediate_layers"):
        return None
    from timm.models._features import FeatureGetterNet

    return FeatureGetterNet(whole, out_indices=1, norm=True)


def _check_any_size(name: str, body: nn.Module, multiple: int) -> None:
    """Refuse a model that fails on a small view of unequal sides; one without weights yet (on "meta") is not tried."""
    device = next(body.parameters()).device
    if device.type == "meta":
        return
    training = body.training
    try:
        with torch.no_grad():
            body.eval()(torch.zeros(1, 3, multiple, 3 * multiple, device=device))
    except (AssertionError, RuntimeError, ValueError) as error:
        raise InputError(
            f"timm's {name!r} takes views of one size only ({str(error)[:100]}), and a detector's are of any; take a backbone "
            "of convolutions, or a ViT or Swin transformer"
        ) from error
    finally:
        body.train(training)


def _create(name: str, options: dict[str, Any]) -> nn.Module:
    models = _timm()
    if not models.is_model(name):  # also refuses `hf-hub:` and `local-dir:` names, which load foreign files
        raise _no_such(name, models.list_models())
    try:
        with _hub_once() if options["pretrained"] else nullcontext():
            model: nn.Module = models.create_model(name, **options)
    except OSError as error:
        raise ReadError(
            f"the weights of {name!r} cannot be downloaded or read ({str(error).splitlines()[0]}); start where there is a "
            "network so that timm keeps them in its cache, or go on without them (--no-pretrained, pretrained=False)"
        ) from error
    except RuntimeError as error:
        raise InputError(f"timm's {name!r} cannot be used as a backbone: {error}") from error
    return model


@contextmanager
def _hub_once() -> Iterator[None]:
    """Where the hub does not answer, weights are taken from its cache or refused at once, and not asked for again and again."""
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = before or not answers(constants.ENDPOINT)
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def _no_such(name: str, known: list[str]) -> UnknownName:
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
    hint = "the nearest: " + ", ".join(near) if near else "timm.list_models() lists them"
    return UnknownName(f"timm has no model {name!r}; {hint}")
