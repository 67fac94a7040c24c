"""Boxes out of a detector's answers: decoded, clipped, suppressed; each view by itself."""

from dataclasses import dataclass
from typing import TypeAlias, final

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torchvision.ops import batched_nms, clip_boxes_to_image, nms, remove_small_boxes

from poise.dims import Size
from poise.metrics.nms import soft_box_nms
from poise.models.rcnn_config import RCNNConfig
from poise.models.roi_targets import CODER
from poise.nn.base import Feature
from poise.nn.rcnn import RCNN
from poise.scenes import Canvas
from poise.transforms.canvas import CONVENTIONS

Boxes: TypeAlias = list[Float[Tensor, "_ 4"]]
"""Of each view, x0 y0 x1 y1."""

MIN_BOX_SIDE = 1e-2
"""Boxes of fewer pixels either way are none."""


@final
@dataclass(frozen=True, eq=False)
class Detections:
    """Boxes of people in one view, best first.

    Attributes:
        boxes: x0 y0 x1 y1, pixels of the view.
        score: Of each.
    """

    boxes: Float[Tensor, "n 4"]
    score: Float[Tensor, " n"]


@final
@dataclass(frozen=True, eq=False)
class FlipPass:
    """Views and what the network makes of them.

    Attributes:
        images: Normalised views, filled up at the right and below.
        features: The network's maps of them.
        sizes: Of what is no filling (h, w).
        edge: What is between the width and the position of a box that ends with it (`transforms.canvas.PixelConvention.boxes`).
        mirrored: Whether they show everything the other way round.
    """

    images: Float[Tensor, "b 3 h w"]
    features: list[Feature]
    sizes: list[Size]
    edge: int
    mirrored: bool = False

    def turned(self) -> Float[Tensor, "b 3 h w"]:
        """The views mirrored, each within its size."""
        turned = self.images.clone()
        for view, (height, width) in zip(turned, self.sizes, strict=True):
            view[:, :height, :width] = view[:, :height, :width].flip(-1)
        return turned

    def there(self, boxes: Boxes) -> Boxes:
        """Boxes of the views that are not mirrored as they lie in these, and the other way round."""
        if not self.mirrored:
            return boxes
        signs, order = boxes[0].new_tensor((-1.0, 1.0, -1.0, 1.0)), [2, 1, 0, 3]
        ends = [float(width - self.edge) for _, width in self.sizes]
        return [own[:, order] * signs + own.new_tensor((end, 0.0, end, 0.0)) for own, end in zip(boxes, ends, strict=True)]

    def unflip_deltas(self, deltas: Float[Tensor, "n c4"]) -> Float[Tensor, "n c4"]:
        """Box deltas of these views as deltas in the views that are not mirrored."""
        if not self.mirrored:
            return deltas
        signed: Tensor = deltas.view(len(deltas), deltas.shape[1] // 4, 4) * deltas.new_tensor((-1.0, 1.0, 1.0, 1.0))
        return signed.view_as(deltas)


def feature_maps(network: RCNN, images: Float[Tensor, "b 3 h w"]) -> list[Feature]:
    """The maps that everything else reads, for normalised views; float32 whatever the network computed in."""
    features: list[Tensor] = network(images)
    return [feature.float() for feature in features]


def flip_passes(
    network: RCNN, images: Float[Tensor, "b 3 h w"], *, canvas: Canvas, flip: bool, sizes: list[Size] | None
) -> list[FlipPass]:
    """The views with what the network makes of them, and the mirrored ones if `flip`.

    Args:
        network: In evaluation mode.
        images: Normalised views; smaller ones are filled up at the right and below.
        canvas: How they were made; says how boxes are counted.
        flip: Whether to look at the mirrored views, too.
        sizes: Of each view without what fills it up (h, w). The whole view by default.
    """
    edge = CONVENTIONS[canvas.rule].boxes
    shown = FlipPass(images, feature_maps(network, images), sizes or [(images.shape[2], images.shape[3])] * len(images), edge)
    if not flip:
        return [shown]
    turned = shown.turned()
    return [shown, FlipPass(turned, feature_maps(network, turned), shown.sizes, edge, mirrored=True)]


def find_boxes(network: RCNN, both: list[FlipPass], config: RCNNConfig) -> list[Detections]:
    """The boxes of people in each view.

    Args:
        network: With a box head, in evaluation mode.
        both: The views; and the mirrored ones, if those are asked, too: all proposals are then looked at in both.
        config: Thresholds.
    """
    sizes = both[0].sizes
    proposed = [shown.there(network.propose(shown.images, shown.features, sizes=sizes).boxes) for shown in both]
    proposals = [torch.cat(own) for own in zip(*proposed, strict=True)]
    answers = [network.predict_boxes(shown.features, shown.there(proposals)) for shown in both]
    logits = torch.stack([logits.float() for logits, _ in answers]).mean(dim=0)
    deltas = torch.stack([one.unflip_deltas(own.float()) for one, (_, own) in zip(both, answers, strict=True)]).mean(dim=0)
    return detections_from(logits, deltas, proposals, sizes=sizes, config=config)


def detections_from(
    logits: Float[Tensor, "n c"],
    deltas: Float[Tensor, "n c4"],
    proposals: list[Float[Tensor, "_ 4"]],
    *,
    sizes: list[Size],
    config: RCNNConfig,
) -> list[Detections]:
    """The boxes of people among the answers to proposals.

    Args:
        logits: Of the classes.
        deltas: Four for each class.
        proposals: Of each view, what was asked.
        sizes: Where each view ends (h, w).
        config: Thresholds.
    """
    many = [len(boxes) for boxes in proposals]
    every = torch.cat(proposals)
    boxes = CODER.decode_single(deltas, every).view(len(every), deltas.shape[1] // 4, 4)
    scores = logits.softmax(dim=-1)
    views = zip(torch.split(boxes, many), torch.split(scores, many), sizes, strict=True)
    return [_kept(own, score, size, config) for own, score, size in views]


def _kept(boxes: Float[Tensor, "n c 4"], scores: Float[Tensor, "n c"], size: Size, config: RCNNConfig) -> Detections:
    """Of one view: all classes but the background compete for its keypoint_indices, each suppressed by itself; people stay."""
    classes = scores.shape[1]
    flat = clip_boxes_to_image(boxes, size)[:, 1:].reshape(-1, 4)
    score = scores[:, 1:].reshape(-1)
    kind = torch.arange(1, classes, device=score.device).expand(len(scores), -1).reshape(-1)
    sure = torch.where(score > config.score)[0]
    flat, score, kind = flat[sure], score[sure], kind[sure]
    large = remove_small_boxes(flat, MIN_BOX_SIDE)
    flat, score, kind = flat[large], score[large], kind[large]
    if config.suppression == "soft":
        people = flat[kind == config.person]
        rows, lowered = suppressed(people, score[kind == config.person], config)
        return Detections(people[rows], lowered)
    kept = batched_nms(flat, score, kind, config.nms)[: config.per_image]
    kept = kept[kind[kept] == config.person]
    return Detections(flat[kept], score[kept])


def suppressed(
    boxes: Float[Tensor, "n 4"], score: Float[Tensor, " n"], config: RCNNConfig
) -> tuple[Int64[Tensor, " m"], Float[Tensor, " m"]]:
    """The rows of the people that stay, best first, and their scores, which are lower where suppression is soft.

    Args:
        boxes: Of people of one image.
        score: Of each.
        config: What becomes of the worse of two, and how many stay.
    """
    if config.suppression == "soft":
        rows, lowered = soft_box_nms(
            boxes.cpu(), score.cpu(), sigma=config.sigma, min_score=config.score, max_count=config.per_image
        )
        return rows.to(boxes.device), lowered.to(score)
    kept = nms(boxes, score, config.nms)[: config.per_image]
    return kept, score[kept]
