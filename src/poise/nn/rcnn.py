"""The network of a two-stage detector with keypoints (Mask R-CNN, arXiv 1703.06870), as one module of finished parts.

Which boxes are learnt from, what is kept in the end and how keypoints are read is not decided here (`models.keypoint_rcnn`).
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
    """A head and how the features of its boxes are cut out.

    Args:
        pooler: Cuts; None where the head reads the features that the box head's body makes.
        head: Answers.
    """

    def __init__(self, pooler: RoIPooler | None, head: RoIHead) -> None:
        super().__init__()
        self.pooler = pooler
        self.head = head


@dataclass(frozen=True, eq=False)
class Proposals:
    """Where somebody may be.

    Attributes:
        boxes: Of each view x0 y0 x1 y1, the surest first.
        losses: Of the region proposal network, by name; empty where it was not told who is there.
    """

    boxes: list[Tensor]
    losses: Mapping[str, Tensor]


@final
class RCNN(nn.Module):
    """Trunk, region proposal network, and heads for boxes, keypoints and masks; the heads may be missing.

    Args:
        backbone: The trunk.
        rpn: The region proposal network.
        box: The box head; None for a region proposal network alone.
        keypoint: The keypoint head, with features of its own or those of the box head.
        mask: The mask head, likewise.

    Attributes:
        readout: Reads vectors off the keypoint head's maps, where the codec reads vectors; else None.

    Raises:
        InputError: A head is to read the box head's features, and there are none, or none on cells.
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
        """The maps that everything else reads, for normalised views."""
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
    ) -> Proposals:
        """Where somebody may be.

        Args:
            images: Normalised views, filled up at the right and below.
            features: Their maps.
            sizes: Of what is no filling (h, w); proposals end there. The views' by default.
            truth: Boxes of each view; with them there are losses.
            ignored: Where nothing is to be learnt (`heads.rpn.integral_image`), of each view.
        """
        whole = [(images.shape[-2], images.shape[-1])] * len(images)
        targets = None if truth is None else [{"boxes": boxes} for boxes in truth]
        for target, sums in zip(targets or [], ignored or [], strict=False):
            target["ignored"] = sums
        named = {str(level): feature for level, feature in enumerate(features)}
        boxes, losses = self.rpn(ImageList(images, sizes or whole), named, targets)
        return Proposals(boxes, losses)

    def predict_boxes(
        self, features: list[Feature], boxes: list[Float[Tensor, "_ 4"]]
    ) -> tuple[Float[Tensor, "n c"], Float[Tensor, "n c4"]]:
        """What is in boxes, and where they should be: logits, and moves, four for each class.

        Raises:
            InputError: There is no box head.
        """
        _, cls_logits, box_deltas = self._answers("box", features, boxes)
        return cls_logits, box_deltas

    def keypoint_maps(self, features: list[Feature], boxes: list[Float[Tensor, "_ 4"]]) -> Float[Tensor, "n ..."]:
        """What the codec reads: the keypoint head's answer for the boxes of all views, one after the other.

        Raises:
            InputError: There is no keypoint head.
        """
        answer = self._answers("keypoint", features, boxes)[-1]
        if self.readout is None:
            return answer
        vectors: Tensor = self.readout(answer)
        return vectors

    @property
    def keypoint_pooler(self) -> RoIPooler:
        """Cuts out what the keypoint head reads, itself or through the box head.

        Raises:
            InputError: There is no keypoint head.
        """
        for branch in (self.keypoint, self.box):
            if self.keypoint is not None and branch is not None and branch.pooler is not None:
                return branch.pooler
        raise InputError("this detector has no keypoint head; build one that has")

    def mask_logits(self, features: list[Feature], boxes: list[Float[Tensor, "_ 4"]]) -> Float[Tensor, "n c hh ww"]:
        """Logits of the masks in boxes, one for each class.

        Raises:
            InputError: There is no mask head.
        """
        return self._answers("mask", features, boxes)[-1]

    def _answers(self, name: str, features: list[Feature], boxes: list[Tensor]) -> tuple[Tensor, ...]:
        branch: RoIBranch | None = getattr(self, name)
        if branch is None:
            raise InputError(f"this detector has no {name} head; build one that has")
        if branch.pooler is not None:
            answers: tuple[Tensor, ...] = branch.head(branch.pooler(features, boxes))
            return answers
        shared: tuple[Tensor, ...] = branch.head(self._answers("box", features, boxes)[0])
        return shared


def _check_shared(box: RoIBranch | None) -> None:
    """Refuse to share features that there are not."""
    if box is None or box.pooler is None or isinstance(box.head.body, FullyConnectedLayers):
        raise InputError(
            "a head without a pooler reads the box head's features, which must be maps: give the box head a body of "
            "convolutions, or this head a pooler"
        )
