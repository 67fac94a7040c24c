"""Postprocessing of a detector: box deltas decoded, boxes clipped, thresholds, NMS; per view."""

from dataclasses import dataclass
from typing import TypeAlias, final

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torchvision.ops import batched_nms, clip_boxes_to_image, nms, remove_small_boxes

from poise.dims import Size
from poise.machine import is_traced
from poise.metrics.nms import soft_box_nms
from poise.models.rcnn_config import RCNNConfig
from poise.models.roi_targets import CODER
from poise.models.values import Detections as Detections
from poise.nn.base import Feature
from poise.nn.rcnn import RCNN
from poise.scenes import Canvas
from poise.transforms.canvas import CONVENTIONS

Boxes: TypeAlias = list[Float[Tensor, "_ 4"]]
"""Boxes of each view, x0 y0 x1 y1, pixels of the view."""

MIN_BOX_SIDE = 1e-2
"""Boxes with a shorter side (pixels) are dropped."""


@final
@dataclass(frozen=True, eq=False)
class FlipPass:
    """Views, plain or mirrored, and their feature maps; the flip test has two of these.

    Attributes:
        images: Normalised views, padded at the right and below.
        features: Feature maps of the views.
        sizes: Size of each view without padding (h, w).
        edge: Pixels between the width of a view and the x1 of a box that ends at its edge
            (`transforms.canvas.PixelConvention.boxes`).
        mirrored: Whether the views are mirrored.
    """

    images: Float[Tensor, "b 3 h w"]
    features: list[Feature]
    sizes: list[Size]
    edge: int
    mirrored: bool = False

    def mirrored_images(self) -> Float[Tensor, "b 3 h w"]:
        """The views mirrored, each within its size without padding."""
        if is_traced():  # a graph is of one view and writes nothing in place
            [(height, width)] = self.sizes
            rows = self.images[..., :height, :]
            turned = torch.cat((rows[..., :width].flip(-1), rows[..., width:]), dim=3)
            return torch.cat((turned, self.images[..., height:, :]), dim=2)
        mirrored = self.images.clone()
        for view, (height, width) in zip(mirrored, self.sizes, strict=True):
            view[:, :height, :width] = view[:, :height, :width].flip(-1)
        return mirrored

    def flip_boxes(self, boxes: Boxes) -> Boxes:
        """Boxes of the plain views in the coordinates of these views; the same call leads back."""
        if not self.mirrored:
            return boxes
        signs, order = boxes[0].new_tensor((-1.0, 1.0, -1.0, 1.0)), [2, 1, 0, 3]
        along_x = boxes[0].new_tensor((1.0, 0.0, 1.0, 0.0))
        ends = [(width - self.edge) * along_x for _, width in self.sizes]
        return [own[:, order] * signs + end for own, end in zip(boxes, ends, strict=True)]

    def flip_view(self, boxes: Float[Tensor, "n 4"], view: int) -> Float[Tensor, "n 4"]:
        """`flip_boxes` for the boxes of one view."""
        every = [boxes[:0]] * len(self.sizes)
        every[view] = boxes
        return self.flip_boxes(every)[view]

    def unflip_deltas(self, deltas: Float[Tensor, "n c4"]) -> Float[Tensor, "n c4"]:
        """Box deltas predicted in these views, in the coordinates of the plain views."""
        if not self.mirrored:
            return deltas
        signed: Tensor = deltas.view(-1, deltas.shape[1] // 4, 4) * deltas.new_tensor((-1.0, 1.0, 1.0, 1.0))
        return signed.view_as(deltas)


def feature_maps(network: nn.Module, images: Float[Tensor, "b 3 h w"]) -> list[Feature]:
    """Feature maps of normalised views; float32 whatever precision the network computed in."""
    features: list[Tensor] = network(images)
    return [feature.float() for feature in features]


def flip_passes(
    network: nn.Module, images: Float[Tensor, "b 3 h w"], *, canvas: Canvas, flip: bool, sizes: list[Size] | None
) -> list[FlipPass]:
    """The views with their feature maps; with `flip` the mirrored ones, too.

    Args:
        network: Network in evaluation mode.
        images: Normalised views; smaller ones are padded at the right and below.
        canvas: Canvas of the model, which says the pixel convention of boxes.
        flip: Whether to add the mirrored views.
        sizes: Size of each view without padding (h, w). The whole view by default.
    """
    edge = CONVENTIONS[canvas.rule].boxes
    shown = FlipPass(images, feature_maps(network, images), sizes or [(images.shape[2], images.shape[3])] * len(images), edge)
    if not flip:
        return [shown]
    mirrored = shown.mirrored_images()
    return [shown, FlipPass(mirrored, feature_maps(network, mirrored), shown.sizes, edge, mirrored=True)]


def find_boxes(network: RCNN, both: list[FlipPass], config: RCNNConfig) -> list[Detections]:
    """The boxes of people in each view.

    Args:
        network: A network with a box head, in evaluation mode.
        both: The plain views, and for the flip test the mirrored ones: the box head then sees the proposals of both in both.
        config: Thresholds and NMS.
    """
    sizes = both[0].sizes
    proposed = [shown.flip_boxes(network.propose(shown.images, shown.features, sizes=sizes).boxes) for shown in both]
    proposals = [torch.cat(own) for own in zip(*proposed, strict=True)]
    outputs = [network.predict_boxes(shown.features, shown.flip_boxes(proposals)) for shown in both]
    logits = torch.stack([logits.float() for logits, _ in outputs]).mean(dim=0)
    deltas = torch.stack([one.unflip_deltas(own.float()) for one, (_, own) in zip(both, outputs, strict=True)]).mean(dim=0)
    return detections_from(logits, deltas, proposals, sizes=sizes, config=config)


def detections_from(
    logits: Float[Tensor, "n c"],
    deltas: Float[Tensor, "n c4"],
    proposals: list[Float[Tensor, "_ 4"]],
    *,
    sizes: list[Size],
    config: RCNNConfig,
) -> list[Detections]:
    """The boxes of people from the outputs of the box head.

    Args:
        logits: Class logits (proposals, classes).
        deltas: Box deltas, four for each class (proposals, 4 * classes).
        proposals: Proposals of each view, x0 y0 x1 y1.
        sizes: Size of each view without padding (h, w), to which boxes are clipped.
        config: Thresholds and NMS.
    """
    many = [boxes.shape[0] for boxes in proposals]  # here and below not `len`, which would be fixed in a graph
    every = torch.cat(proposals)
    boxes = CODER.decode_single(deltas, every).view(every.shape[0], deltas.shape[1] // 4, 4)
    scores = logits.softmax(dim=-1)
    views = zip(torch.split(boxes, many), torch.split(scores, many), sizes, strict=True)
    return [_kept(own, score, size, config) for own, score, size in views]


def _kept(boxes: Float[Tensor, "n c 4"], scores: Float[Tensor, "n c"], size: Size, config: RCNNConfig) -> Detections:
    """The people of one view: NMS per class, the `per_image` best of all classes but the background, of these the people."""
    classes = scores.shape[1]
    flat = clip_boxes_to_image(boxes, size)[:, 1:].reshape(-1, 4)
    score = scores[:, 1:].reshape(-1)
    label = torch.arange(1, classes, device=score.device).expand(scores.shape[0], -1).reshape(-1)
    confident = torch.where(score > config.score)[0]
    flat, score, label = flat[confident], score[confident], label[confident]
    large = remove_small_boxes(flat, MIN_BOX_SIDE)
    flat, score, label = flat[large], score[large], label[large]
    if config.suppression != "hard":
        people = flat[label == config.person]
        index, lowered = suppressed(people, score[label == config.person], config)
        return Detections(people[index], lowered)
    kept = batched_nms(flat, score, label, config.nms)[: config.per_image]
    kept = kept[label[kept] == config.person]
    return Detections(flat[kept], score[kept])


def suppressed(
    boxes: Float[Tensor, "n 4"], score: Float[Tensor, " n"], config: RCNNConfig
) -> tuple[Int64[Tensor, " m"], Float[Tensor, " m"]]:
    """NMS: indices of the boxes that stay, highest confidence first, and their scores, which Soft-NMS lowers.

    Args:
        boxes: Boxes of people in one image, x0 y0 x1 y1.
        score: Confidence of each box.
        config: NMS or Soft-NMS, its threshold, and how many stay.
    """
    if config.suppression != "hard":
        linear = config.nms if config.suppression == "soft-linear" else None
        index, lowered = soft_box_nms(
            boxes.cpu(),
            score.cpu(),
            sigma=config.sigma,
            linear=linear,
            min_score=config.score,
            max_count=config.per_image,
        )
        return index.to(boxes.device), lowered.to(score)
    kept = nms(boxes, score, config.nms)[: config.per_image]
    return kept, score[kept]
