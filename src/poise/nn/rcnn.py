"""The network of a two-stage detector with keypoints (Mask R-CNN, arXiv 1703.06870), composed of finished parts.

Sampling for training, postprocessing and decoding are not part of it (`models.keypoint_rcnn`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from jaxtyping import Float
from torch import Tensor, nn
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.rpn import RegionProposalNetwork

from poise.dims import Size
from poise.errors import InputError
from poise.nn.base import Backbone, Feature, Readout
from poise.nn.heads.roi import FullyConnectedLayers, RoIHead
from poise.nn.pooler import RoIPooler


@final
class RoIBranch(nn.Module):
    """A RoI head and the pooler of its features.

    Args:
        pooler: Pools the features of boxes; None if the head reads the features that the body of the box head makes.
        head: The head.
    """

    def __init__(self, pooler: RoIPooler | None, head: RoIHead) -> None:
        super().__init__()
        self.pooler = pooler
        self.head = head


@dataclass(frozen=True, eq=False)
class Proposals:
    """Proposals of a region proposal network.

    Attributes:
        boxes: Boxes x0 y0 x1 y1 of each view, by objectness, highest first.
        losses: Losses of the region proposal network, by name; empty without ground truth.
    """

    boxes: list[Tensor]
    losses: Mapping[str, Tensor]


@final
class RCNN(nn.Module):
    """Backbone with neck, region proposal network, and heads for boxes, keypoints and masks, each of which may be missing.

    Args:
        backbone: The backbone with its neck.
        rpn: The region proposal network.
        box: The box head; None for a region proposal network alone.
        keypoint: The keypoint head, with pooled features of its own or those of the box head.
        mask: The mask head, with pooled features of its own or those of the box head.

    Attributes:
        readout: Makes vectors of the keypoint head's maps if the codec decodes vectors; else None.

    Raises:
        InputError: A head is to share the box head's features, and there is none, or its features are no maps.
    """

    def __init__(
        self,
        backbone: Backbone,
        rpn: RegionProposalNetwork,
        *,
        box: RoIBranch | None = None,
        keypoint: RoIBranch | None = None,
        mask: RoIBranch | None = None,
    ) -> None:
        super().__init__()
        if any(branch and branch.pooler is None for branch in (keypoint, mask)):
            _check_shared(box)
        self.backbone = backbone
        self.rpn = rpn
        self.box = box
        self.keypoint = keypoint
        self.mask = mask
        self.readout: Readout | None = None

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> list[Feature]:
        """The feature maps of normalised views."""
        features: list[Tensor] = self.backbone(images)
        return features

    def propose(
        self,
        images: Float[Tensor, "b 3 h w"],
        features: list[Feature],
        *,
        sizes: list[Size] | None = None,
        truth: list[Tensor] | None = None,
        ignored: list[Tensor] | None = None,
        moved: list[Tensor] | None = None,
    ) -> Proposals:
        """Proposals of each view, and with ground truth the losses of the region proposal network.

        Args:
            images: Normalised views, padded at the right and below.
            features: Their feature maps.
            sizes: Size (h, w) of each view without padding, to which proposals are clipped; by default the padded size.
            truth: Ground-truth boxes x0 y0 x1 y1 of each view; None for no losses.
            ignored: Integral image (`heads.rpn.integral_image`) of each view's region that is not trained on.
            moved: For each box of `truth` the box that its anchors are to move to; by default itself.
        """
        whole = [(images.shape[-2], images.shape[-1])] * len(images)
        targets = None if truth is None else [{"boxes": boxes} for boxes in truth]
        for target, sums in zip(targets or [], ignored or [], strict=False):
            target["ignored"] = sums
        for target, to in zip(targets or [], moved or [], strict=False):
            target["moved"] = to
        named = {str(level): feature for level, feature in enumerate(features)}
        boxes, losses = self.rpn(ImageList(images, sizes or whole), named, targets)
        return Proposals(boxes, losses)

    def predict_boxes(
        self, features: list[Feature], boxes: list[Float[Tensor, "_ 4"]]
    ) -> tuple[Float[Tensor, "n c"], Float[Tensor, "n c4"]]:
        """Class logits of boxes, and box deltas (x, y, width, height), four for each class.

        Args:
            features: Feature maps of the views.
            boxes: Boxes x0 y0 x1 y1 of each view.

        Raises:
            InputError: There is no box head.
        """
        _, cls_logits, box_deltas = self._run_branch("box", features, boxes)
        return cls_logits, box_deltas

    def keypoint_maps(
        self, features: list[Feature], boxes: list[Float[Tensor, "_ 4"]], sizes: list[Size] | None = None
    ) -> Float[Tensor, "n ..."]:
        """The output of the keypoint head that the codec decodes, for the boxes of all views, view by view.

        Args:
            features: Feature maps of the views.
            boxes: Boxes x0 y0 x1 y1 of each view.
            sizes: Size of each view without padding (h, w), for a pooler that asks for it.

        Raises:
            InputError: There is no keypoint head.
        """
        output = self._run_branch("keypoint", features, boxes, sizes)[-1]
        if self.readout is None:
            return output
        vectors: Tensor = self.readout(output)
        return vectors

    @property
    def keypoint_pooler(self) -> RoIPooler:
        """The pooler of the features that the keypoint head reads, its own or that of the box head.

        Raises:
            InputError: There is no keypoint head.
        """
        for branch in (self.keypoint, self.box):
            if self.keypoint is not None and branch is not None and branch.pooler is not None:
                return branch.pooler
        raise InputError("this detector has no keypoint head; build one that has")

    def mask_logits(self, features: list[Feature], boxes: list[Float[Tensor, "_ 4"]]) -> Float[Tensor, "n c hh ww"]:
        """Mask logits of boxes, one map for each class.

        Args:
            features: Feature maps of the views.
            boxes: Boxes x0 y0 x1 y1 of each view.

        Raises:
            InputError: There is no mask head.
        """
        return self._run_branch("mask", features, boxes)[-1]

    def _run_branch(
        self, name: str, features: list[Feature], boxes: list[Tensor], sizes: list[Size] | None = None
    ) -> tuple[Tensor, ...]:
        branch: RoIBranch | None = getattr(self, name)
        if branch is None:
            raise InputError(f"this detector has no {name} head; build one that has")
        if branch.pooler is not None:
            outputs: tuple[Tensor, ...] = branch.head(branch.pooler(features, boxes, sizes))
            return outputs
        shared: tuple[Tensor, ...] = branch.head(self._run_branch("box", features, boxes)[0])
        return shared


def _check_shared(box: RoIBranch | None) -> None:
    """Refuse to share features of a box head that has no maps."""
    if box is None or box.pooler is None or isinstance(box.head.body, FullyConnectedLayers):
        raise InputError(
            "a head without a pooler reads the box head's features, which must be maps: give the box head a body of "
            "convolutions, or this head a pooler"
        )
