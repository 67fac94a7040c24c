"""From whole samples to a training view of a detector: one warp for each image, one resampling, boxes warped along."""

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
from poise.transforms.person_crop import mirror_if_known, mirror_labels
from poise.transforms.render import normalise, resample
from poise.transforms.rotated_boxes import rotated_boxes


@final
@dataclass(frozen=True, eq=False)
class ViewWarps:
    """How an image is mapped onto its view.

    Attributes:
        warp: 3x3, image pixels to view pixels, for keypoints.
        boxes: 3x3, for boxes, in the form that the release warps (`PixelConvention.to_inclusive`).
        pixels: 3x3, for pixels, which some releases map otherwise than keypoints.
        size: Size of the view (h, w).
    """

    warp: Warp
    boxes: Warp
    pixels: Warp
    size: Size


@final
@dataclass(frozen=True)
class DetectorCrop:
    """Makes random views in which boxes are labelled beside keypoints; every view has its own size.

    All people with a box are trained on, except crowds; also those without labelled keypoints. Boxes are clipped to the view.

    Attributes:
        canvas: Preprocessing of the model.
        skeleton: Its mirror pairs are used for flips.
        augmentation: How images are changed at random.
    """

    canvas: Canvas
    skeleton: Skeleton
    augmentation: DetectorAugmentation = field(default_factory=DetectorAugmentation)

    def __call__(self, sample: Sample, generator: torch.Generator) -> SceneView:
        """The random view of one sample."""
        draw = mirror_if_known(self.augmentation.draw(generator), self.skeleton)
        warps = self.layout(draw, sample.size)
        return self._finish(self._tile(sample, draw, warps), draw, sample, warps.warp)

    def test_view(self, sample: Sample) -> SceneView:
        """The view of a sample as at test time, without augmentation."""
        layout = canvas_layout(self.canvas, sample.size)
        known = self._all_known if sample.known is None else sample.known
        nothing = np.zeros((*layout.size, 3), np.uint8)
        tile = self._labelled(
            sample, self._view_warps(layout.warp, box_warp(self.canvas, layout.warp), layout.size), nothing, known
        )
        image = layout.render(sample.image, self.canvas)
        view = SceneView(image, tile.labels, tile.extent, tile.ignore, layout.warp, sample.key, tile.known)
        return replace(view, inner=layout.filled_size, masks=tile.masks)

    def mosaic(self, samples: Sequence[Sample], meeting: tuple[float, float], generator: torch.Generator) -> SceneView:
        """The mosaic of four samples, as large as the view of the first alone.

        Args:
            samples: Four samples: left above, right above, left below, right below.
            meeting: Their common corner, in shares (x, y) of the view's sides.
            generator: Source of the random choices.
        """
        draws = [mirror_if_known(self.augmentation.draw(generator), self.skeleton) for _ in samples]
        size = tuple(max(side, 2) for side in self.layout(replace(draws[0], window=(1.0, 1.0)), samples[0].size).size)
        parts = tile_sizes((size[0], size[1]), meeting)
        layouts = [self.layout(d, s.size, view=part, shrink=2) for d, s, part in zip(draws, samples, parts, strict=True)]
        tiles = [self._tile(s, d, warps) for s, d, warps in zip(samples, draws, layouts, strict=True)]
        return self._finish(join_tiles(tiles), draws[0], samples[0], layouts[0].warp)

    def layout(self, draw: DetectorDraw, size: Size, *, view: Size | None = None, shrink: int = 1) -> ViewWarps:
        """How an image is mapped onto its view.

        Args:
            draw: The random choices.
            size: Size of the image (h, w).
            view: Size of the view (h, w); by default that of the drawn crop.
            shrink: The image is shown this many times smaller than alone.
        """
        max_side = self.augmentation.max_side
        side = max(1, draw.side // shrink)
        longest = None if max_side is None else max(side, max_side // shrink)
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

    def _tile(self, sample: Sample, draw: DetectorDraw, warps: ViewWarps) -> MosaicTile:
        options = self.augmentation
        pixels = resample(sample.image, warps.pixels, warps.size, fill=self.canvas.fill)
        if options.colour > 0:
            pixels = apply_colour_matrix(pixels, colour_matrix(options.colour, draw.tint))
        if draw.grey:
            pixels = greyscale(pixels)
        known = self._all_known if sample.known is None else sample.known
        if draw.flip:
            sample = replace(sample, labels=mirror_labels(sample.labels, self.skeleton.flip))
            known = known[self.skeleton.flip]
        return self._labelled(sample, warps, pixels, known)

    @property
    def _all_known(self) -> Bool[Tensor, " k"]:
        return torch.ones(len(self.skeleton), dtype=torch.bool)

    def _labelled(
        self, sample: Sample, warps: ViewWarps, pixels: UInt8[np.ndarray, "h w 3"], known: Bool[Tensor, " k"]
    ) -> MosaicTile:
        """The labels of a view, and where they are unknown."""
        every = sample.labels
        people = ~every.crowd & (every.boxes[:, 2:] > every.boxes[:, :2]).all(dim=1)
        labels = every.select(people)
        convention, sides = self._convention, labels.xy.new_tensor((warps.size[1], warps.size[0]))
        where = labels.xy + convention.shift
        whole = convention.from_inclusive(
            rotated_boxes(
                warps.boxes, convention.to_inclusive(labels.boxes), where, labels.visible, rule=self.augmentation.boxes
            )
        )
        boxes = torch.cat((whole[:, :2].clamp(min=0), torch.minimum(whole[:, 2:], sides - convention.boxes)), dim=1)
        shorter = (boxes[:, 2:] - boxes[:, :2]).amin(dim=1)
        there = shorter > 0
        trained = there & (box_area(boxes) >= self.augmentation.min_visible * box_area(whole)) & (shorter >= 1)
        xy, slack = apply(warps.warp, labels.xy), convention.keypoints / 2
        inside = ((xy >= -slack) & (xy <= sides - slack)).all(dim=-1)
        warped = replace(labels, xy=xy, visible=torch.where(inside, labels.visible, 0), boxes=boxes)
        extent = box_area(labels.boxes).sqrt() * float(torch.linalg.det(warps.warp[:2, :2]).abs().sqrt())
        ignore = self._ignored(sample, people, warps) | box_mask(boxes[there & ~trained], warps.size)
        masks = None if sample.masks is None else _warp_masks(sample.masks[people][trained], warps)
        return MosaicTile(pixels, warped.select(trained), extent[trained], ignore, known, masks)

    def _ignored(self, sample: Sample, people: Bool[Tensor, " n"], warps: ViewWarps) -> Bool[Tensor, "h w"]:
        """Pixels of the view whose people are not labelled.

        The box of a person without labelled keypoints is a label for a detector; crowds stay ignored.
        """
        labels, size = sample.labels, sample.size
        ignore = sample.ignore
        if ignore is None:
            ignore = labels.ignore_mask(lambda rows: box_mask(labels.boxes[rows], size))
        if bool((labels.unlabelled & people).any()):
            labelled_region = box_mask(labels.boxes[labels.unlabelled & people], size) & ~box_mask(
                labels.boxes[labels.crowd], size
            )
            ignore = ignore & ~labelled_region
        return _warp_masks(ignore[None], warps)[0]

    def _finish(self, tile: MosaicTile, draw: DetectorDraw, sample: Sample, warp: Warp) -> SceneView:
        options, generator = self.augmentation, torch.Generator().manual_seed(draw.seed)
        height, width = tile.ignore.shape
        pixels = tile.pixels if options.paint is None else options.paint.draw((height, width), generator).apply(tile.pixels)
        image = normalise(pixels, self.canvas)
        if options.drop is not None:
            image = options.drop.draw((height, width), generator).apply(image, self.canvas)
        view = SceneView(image, tile.labels, tile.extent, tile.ignore, warp, sample.key, tile.known)
        return replace(view, masks=tile.masks)


def _warp_masks(masks: Bool[Tensor, "n H W"], warps: ViewWarps) -> Bool[Tensor, "n h w"]:
    """Masks of an image in its view, by nearest neighbour."""
    height, width = warps.size
    warped = torch.zeros(len(masks), height, width, dtype=torch.uint8)
    for mask, target in zip(masks, warped, strict=True):
        flat = np.ascontiguousarray(mask.view(torch.uint8).numpy())
        cv2.warpAffine(flat, warps.pixels[:2].numpy(), (width, height), dst=target.numpy(), flags=cv2.INTER_NEAREST)
    return warped.view(torch.bool)


def _rotation_warp(draw: DetectorDraw, inner: Size, whole: Size, edge: int) -> Warp:
    """Rotates and mirrors a resized image about its centre, which moves to the centre of `whole`."""
    (x, y), (u, v) = (((size[1] - edge) / 2, (size[0] - edge) / 2) for size in (inner, whole))
    mirror = scaling(-1.0 if draw.flip else 1.0, 1.0)
    return translation(u, v) @ mirror @ rotation(-draw.degrees) @ translation(-x, -y)
