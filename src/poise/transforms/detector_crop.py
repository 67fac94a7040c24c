"""From whole samples to a view for a detector: one warp for each image, one resampling, boxes carried along."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import final

import cv2
import numpy as np
import torch
from jaxtyping import Bool, UInt8
from torch import Tensor

from poise.dims import Size
from poise.geometry import Warp, apply, box_area, box_mask, rotation, scaling, translation
from poise.scenes import Canvas, SceneView
from poise.skeletons import Skeleton
from poise.structures import Sample
from poise.transforms.canvas import CONVENTIONS, PixelConvention, box_warp, canvas_layout
from poise.transforms.colour import apply_colour_matrix, colour_matrix, greyscale
from poise.transforms.detector_jitter import DetectorAugmentation, DetectorDraw
from poise.transforms.mosaic import MosaicTile, join_tiles, tile_sizes
from poise.transforms.person_crop import mirror_labels
from poise.transforms.render import normalise, resample
from poise.transforms.rotated_boxes import rotated_boxes


@final
@dataclass(frozen=True, eq=False)
class ViewWarps:
    """How an image lies in its view.

    Attributes:
        warp: Image pixels to view pixels, of keypoints ...
        boxes: ... of what a release moves of boxes ...
        pixels: ... and of pixels, where a release moves those otherwise.
        size: Of the view (h, w).
    """

    warp: Warp
    boxes: Warp
    pixels: Warp
    size: Size


@final
@dataclass(frozen=True)
class DetectorCrop:
    """Brings samples to random views in which boxes are learnt beside keypoints; each view is of its own size.

    Everybody with a box is learnt, but for crowds; without labelled keypoints too. Boxes end at the edges of the view.

    Attributes:
        canvas: Of the model.
        skeleton: Whose mirror pairs are used.
        augmentation: What may be done to an image.
    """

    canvas: Canvas
    skeleton: Skeleton
    augmentation: DetectorAugmentation = field(default_factory=DetectorAugmentation)

    def __call__(self, sample: Sample, generator: torch.Generator) -> SceneView:
        """The view of one sample."""
        draw = self.augmentation.draw(generator)
        shown = self.layout(draw, sample.size)
        return self._finish(self._tile(sample, draw, shown), draw, sample, shown.warp)

    def test_view(self, sample: Sample) -> SceneView:
        """The view of a sample that the model is tested with."""
        layout = canvas_layout(self.canvas, sample.size)
        known = self._all_known if sample.known is None else sample.known
        nothing = np.zeros((*layout.size, 3), np.uint8)
        piece = self._labelled(
            sample, self._view_warps(layout.warp, box_warp(self.canvas, layout.warp), layout.size), nothing, known
        )
        image = layout.render(sample.image, self.canvas)
        view = SceneView(image, piece.labels, piece.extent, piece.ignore, layout.warp, sample.key, piece.known)
        return replace(view, inner=layout.filled_size, masks=piece.masks)

    def mosaic(self, samples: Sequence[Sample], meeting: tuple[float, float], generator: torch.Generator) -> SceneView:
        """The view of four samples, which meet at `meeting` (shares of its sides); as large as that of the first alone."""
        draws = [self.augmentation.draw(generator) for _ in samples]
        size = tuple(max(side, 2) for side in self.layout(replace(draws[0], window=(1.0, 1.0)), samples[0].size).size)
        parts = tile_sizes((size[0], size[1]), meeting)
        laid = [self.layout(d, s.size, view=part, shrink=2) for d, s, part in zip(draws, samples, parts, strict=True)]
        pieces = [self._tile(s, d, shown) for s, d, shown in zip(samples, draws, laid, strict=True)]
        return self._finish(join_tiles(pieces), draws[0], samples[0], laid[0].warp)

    def layout(self, draw: DetectorDraw, size: Size, *, view: Size | None = None, shrink: int = 1) -> ViewWarps:
        """How an image of `size` (h, w) lies in a view.

        Args:
            draw: What chance decided.
            size: Of the image.
            view: Of the view; by default as much of the image as the window of the draw.
            shrink: By how much smaller it is shown than alone.
        """
        most = self.augmentation.most
        side = max(1, draw.side // shrink)
        longest = None if most is None else max(side, most // shrink)
        layout = canvas_layout(replace(self.canvas, side=side, fit="short", most=longest, multiple=1), size)
        inner = layout.inner
        whole = inner[::-1] if round(draw.degrees / 90) % 2 else inner  # what lies on its side gets a view that does
        view = view or (max(1, round(whole[0] * draw.window[0])), max(1, round(whole[1] * draw.window[1])))
        left, above = (round(p * (n - v)) for p, n, v in zip(draw.place, whole[::-1], view[::-1], strict=True))
        window = translation(-float(left), -float(above))
        keypoints, edges = (
            window @ _rotation_warp(draw, inner, whole, edge) for edge in (self._convention.keypoints, self._convention.boxes)
        )
        return self._view_warps(keypoints @ layout.warp, edges @ box_warp(self.canvas, layout.warp), view)

    def _view_warps(self, warp: Warp, edges: Warp, size: Size) -> ViewWarps:
        # Images are resampled about the middle of the first pixel, wherever positions are counted from.
        half = (1 - self._convention.boxes) / 2
        boxes = warp if self._convention.inclusive else edges
        return ViewWarps(warp, boxes, translation(-half, -half) @ edges @ translation(half, half), size)

    @property
    def _convention(self) -> PixelConvention:
        return CONVENTIONS[self.canvas.rule]

    def _tile(self, sample: Sample, draw: DetectorDraw, shown: ViewWarps) -> MosaicTile:
        options = self.augmentation
        pixels = resample(sample.image, shown.pixels, shown.size, fill=self.canvas.fill)
        if options.colour > 0:
            pixels = apply_colour_matrix(pixels, colour_matrix(options.colour, draw.tint))
        if draw.grey:
            pixels = greyscale(pixels)
        known = self._all_known if sample.known is None else sample.known
        if draw.flip:
            sample = replace(sample, labels=mirror_labels(sample.labels, self.skeleton.flip))
            known = known[self.skeleton.flip]
        return self._labelled(sample, shown, pixels, known)

    @property
    def _all_known(self) -> Bool[Tensor, " k"]:
        return torch.ones(len(self.skeleton), dtype=torch.bool)

    def _labelled(
        self, sample: Sample, shown: ViewWarps, pixels: UInt8[np.ndarray, "h w 3"], known: Bool[Tensor, " k"]
    ) -> MosaicTile:
        """Who is in a view, and where nobody knows that."""
        every = sample.labels
        people = ~every.crowd & (every.boxes[:, 2:] > every.boxes[:, :2]).all(dim=1)
        labels = every.select(people)
        convention, sides = self._convention, labels.xy.new_tensor((shown.size[1], shown.size[0]))
        where = labels.xy + convention.shift
        whole = convention.from_inclusive(
            rotated_boxes(
                shown.boxes, convention.to_inclusive(labels.boxes), where, labels.visible, rule=self.augmentation.boxes
            )
        )
        boxes = torch.cat((whole[:, :2].clamp(min=0), torch.minimum(whole[:, 2:], sides - convention.boxes)), dim=1)
        least = (boxes[:, 2:] - boxes[:, :2]).amin(dim=1)
        there = least > 0
        learnt = there & (box_area(boxes) >= self.augmentation.least * box_area(whole)) & (least >= 1)
        xy, slack = apply(shown.warp, labels.xy), convention.keypoints / 2
        inside = ((xy >= -slack) & (xy <= sides - slack)).all(dim=-1)
        moved = replace(labels, xy=xy, visible=torch.where(inside, labels.visible, 0), boxes=boxes)
        extent = box_area(labels.boxes).sqrt() * float(torch.linalg.det(shown.warp[:2, :2]).abs().sqrt())
        ignore = self._ignored(sample, people, shown) | box_mask(boxes[there & ~learnt], shown.size)
        masks = None if sample.masks is None else _warp_masks(sample.masks[people][learnt], shown)
        return MosaicTile(pixels, moved.select(learnt), extent[learnt], ignore, known, masks)

    def _ignored(self, sample: Sample, people: Bool[Tensor, " n"], shown: ViewWarps) -> Bool[Tensor, "h w"]:
        """Where the labels say nothing about who is there; boxes of people without labelled keypoints say that, off crowds."""
        labels, size = sample.labels, sample.size
        ignore = sample.ignore
        if ignore is None:
            ignore = labels.ignore_mask(lambda rows: box_mask(labels.boxes[rows], size))
        if bool((labels.unlabelled & people).any()):
            told = box_mask(labels.boxes[labels.unlabelled & people], size) & ~box_mask(labels.boxes[labels.crowd], size)
            ignore = ignore & ~told
        return _warp_masks(ignore[None], shown)[0]

    def _finish(self, piece: MosaicTile, draw: DetectorDraw, sample: Sample, warp: Warp) -> SceneView:
        options, own = self.augmentation, torch.Generator().manual_seed(draw.seed)
        height, width = piece.ignore.shape
        pixels = piece.pixels if options.paint is None else options.paint.draw((height, width), own).apply(piece.pixels)
        image = normalise(pixels, self.canvas)
        if options.drop is not None:
            image = options.drop.draw((height, width), own).apply(image, self.canvas)
        view = SceneView(image, piece.labels, piece.extent, piece.ignore, warp, sample.key, piece.known)
        return replace(view, masks=piece.masks)


def _warp_masks(masks: Bool[Tensor, "n H W"], shown: ViewWarps) -> Bool[Tensor, "n h w"]:
    """Masks of an image in its view: of each pixel the nearest."""
    height, width = shown.size
    moved = torch.zeros(len(masks), height, width, dtype=torch.uint8)
    for own, target in zip(masks, moved, strict=True):
        flat = np.ascontiguousarray(own.view(torch.uint8).numpy())
        cv2.warpAffine(flat, shown.pixels[:2].numpy(), (width, height), dst=target.numpy(), flags=cv2.INTER_NEAREST)
    return moved.view(torch.bool)


def _rotation_warp(draw: DetectorDraw, inner: Size, whole: Size, edge: int) -> Warp:
    """Turns and mirrors an image of the size `inner` about its middle, which comes to that of `whole`."""
    (x, y), (u, v) = (((size[1] - edge) / 2, (size[0] - edge) / 2) for size in (inner, whole))
    mirror = scaling(-1.0 if draw.flip else 1.0, 1.0)
    return translation(u, v) @ mirror @ rotation(-draw.degrees) @ translation(-x, -y)
