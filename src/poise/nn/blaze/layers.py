"""Layers of the official BlazePose networks; the batch norms of their training are folded into the convolutions."""

from typing import final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

Maps = Float[Tensor, "b _ _ _"]
"""Feature maps of a batch; every map has its own number of channels and cells."""


def depthwise(channels: int, kernel: int = 3, *, stride: int = 1) -> nn.Conv2d:
    """A depthwise convolution with bias, padded by half its kernel on all sides."""
    return nn.Conv2d(channels, channels, kernel, stride=stride, padding=kernel // 2, groups=channels)


def pointwise(channels: int, width: int) -> nn.Conv2d:
    """A 1x1 convolution with bias."""
    return nn.Conv2d(channels, width, 1)


def doubled(maps: Maps) -> Maps:
    """Maps of twice the height and width, bilinear; the corners of the images lie on each other."""
    return F.interpolate(maps, scale_factor=2, mode="bilinear", align_corners=False)


@final
class InvertedResidual(nn.Module):
    """A block of MobileNetV2 (arXiv 1801.04381, figure 4d); the skip where the shape stays.

    Args:
        channels: Input channels.
        inner: Channels between.
        width: Output channels.
        kernel: Side of the depthwise convolution.
        stride: Of the depthwise convolution, which is padded alike on all sides.
    """

    def __init__(self, channels: int, inner: int, width: int, kernel: int, *, stride: int = 1) -> None:
        super().__init__()
        self.expand = pointwise(channels, inner)
        self.depthwise = depthwise(inner, kernel, stride=stride)
        self.project = pointwise(inner, width)
        self.skips = stride == 1 and channels == width
        self.stride = stride

    def forward(self, x: Maps) -> Maps:
        """The output of the block."""
        out: Tensor = self.project(F.relu6(self.depthwise(F.relu6(self.expand(x), True)), True))
        return out + x if self.skips else out


@final
class BlazeUnit(nn.Module):
    """A depthwise 3x3 and a 1x1 convolution; what was put in is added where the number of channels stays, or the stride is 2.

    With stride 2 the depthwise convolution is padded on the right and below alone (TensorFlow's SAME), and what is added is the
    maximum of 2x2 cells, with channels of zeros at the end where there are more channels after it.

    Args:
        channels: Input channels.
        width: Output channels.
        stride: 1 or 2.
        active: Whether the depthwise convolution has a ReLU6; the detector's have none.
    """

    def __init__(self, channels: int, width: int, *, stride: int = 1, active: bool = True) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 3, stride=stride, padding=2 - stride, groups=channels)
        self.pointwise = pointwise(channels, width)
        self.stride, self.active = stride, active
        self.more = width - channels

    def forward(self, x: Maps) -> Maps:
        """The output of the unit."""
        inner = self.depthwise(F.pad(x, (0, 1, 0, 1)) if self.stride == 2 else x)
        out: Tensor = self.pointwise(F.relu6(inner, True) if self.active else inner)
        if self.stride == 2:
            out = out + F.pad(F.max_pool2d(x, 2), (0, 0, 0, 0, 0, self.more))
        elif self.more == 0:
            out = out + x
        return F.relu6(out, True)

    def as_graph(self, runtime: str) -> nn.Module:
        """The same function as a runtime runs it fastest (`runtimes.parts.graph_form`)."""
        return GraphUnit(self, runtime) if self.stride == 2 or self.more == 0 else self


@final
class GraphUnit(nn.Module):
    """A `BlazeUnit` without steps that runtimes do by themselves, between the convolutions that they are fast at.

    The padding on one side is a row and a column of zeros in the kernel; channels without a skip have a convolution of their
    own. For ONNX Runtime a 1x1 depthwise convolution of ones stands between a sum and its ReLU6: it takes a ReLU6 into a
    convolution, but not into a sum, and for one alone it leaves the layout of its convolutions, which costs more.

    Args:
        unit: The unit.
        runtime: Which runtime is to run it.
    """

    def __init__(self, unit: BlazeUnit, runtime: str) -> None:
        super().__init__()
        self.stride, self.active = unit.stride, unit.active
        width = unit.depthwise.out_channels
        self.depthwise = _padded_alike(unit.depthwise) if unit.stride == 2 else unit.depthwise
        self.summed = _outputs(unit.pointwise, 0, width)
        self.fresh = _outputs(unit.pointwise, width, width + unit.more) if unit.more else None
        self.bounded = convolution(torch.ones(width, 1, 1, 1), groups=width) if runtime == "onnxruntime" else nn.Identity()

    def forward(self, x: Maps) -> Maps:
        """The output of the unit."""
        inner = self.depthwise(x)
        inner = F.relu6(inner) if self.active else inner
        skip = F.max_pool2d(x, 2) if self.stride == 2 else x
        out = F.relu6(self.bounded(self.summed(inner) + skip))
        return out if self.fresh is None else torch.cat((out, F.relu6(self.fresh(inner))), dim=1)


@final
class NarrowConv(nn.Conv2d):
    """A convolution with one output channel."""

    def as_graph(self, runtime: str) -> nn.Module:
        """A depthwise convolution and the sum over channels: runtimes compute eight outputs for the one that is wanted."""
        width = self.in_channels
        each = convolution(self.weight.transpose(0, 1), groups=width, padding=self.kernel_size[0] // 2)
        return nn.Sequential(each, convolution(torch.ones(1, width, 1, 1), self.bias))


@final
class MatrixProduct(nn.Module):
    """A 1x1 convolution as a product of matrices.

    Args:
        pointwise: The convolution.
    """

    def __init__(self, pointwise: nn.Conv2d) -> None:
        super().__init__()
        assert pointwise.bias is not None
        self.weight = nn.Parameter(pointwise.weight.detach()[:, :, 0, 0])
        self.bias = nn.Parameter(pointwise.bias.detach()[:, None])

    def forward(self, x: Maps) -> Maps:
        """The output."""
        out: Tensor = self.weight @ x.flatten(2) + self.bias
        return out.reshape(*out.shape[:2], *x.shape[2:])


def convolution(weight: Tensor, bias: Tensor | None = None, *, groups: int = 1, stride: int = 1, padding: int = 0) -> nn.Conv2d:
    """A convolution with these weights."""
    width, channels, kernel, _ = weight.shape
    made = nn.Conv2d(channels * groups, width, kernel, stride, padding, groups=groups, bias=bias is not None)
    made.load_state_dict({"weight": weight} | ({} if bias is None else {"bias": bias}))
    return made


def _padded_alike(depthwise: nn.Conv2d) -> nn.Conv2d:
    """A convolution that is padded on all sides, in place of one that is padded on the right and below."""
    kernel = F.pad(depthwise.weight, (1, 0, 1, 0))
    return convolution(kernel, depthwise.bias, groups=depthwise.groups, stride=2, padding=1)


def _outputs(pointwise: nn.Conv2d, first: int, end: int) -> nn.Conv2d:
    """The part of a convolution that gives the channels from the first to before the end."""
    assert pointwise.bias is not None
    return convolution(pointwise.weight[first:end], pointwise.bias[first:end])


def units(count: int, width: int, *, active: bool = True) -> list[BlazeUnit]:
    """Units one after another, of as many channels."""
    return [BlazeUnit(width, width, active=active) for _ in range(count)]


def convolutions(module: nn.Module, *, without: nn.Module | None = None) -> list[nn.Conv2d]:
    """The convolutions of a module in their order, but for those of a part of it."""
    left_out = set() if without is None else set(without.modules())
    return [part for part in module.modules() if isinstance(part, nn.Conv2d) and part not in left_out]
