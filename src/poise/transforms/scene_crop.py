"""From a whole sample to the view of a bottom-up model: one warp, one resampling, labels warped along."""

from dataclasses import dataclass, replace
from typing import final

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from poise.dims import Size
from poise.errors import InputError
from poise.geometry import Warp, apply, box_mask, rotation, scaling, translation
from poise.scenes import Canvas, SceneView
from poise.skeletons import Skeleton
from poise.structures import Labels, Sample
from poise.transforms.canvas import WARPED_RULES, Layout, canvas_layout, corner_scale, fitted_layout
from poise.transforms.colour import apply_colour_matrix, colour_matrix, greyscale, shift_hsv
from poise.transforms.person_crop import mirror_if_known, mirror_labels, warp_boxes
from poise.transforms.render import normalise, resample
from poise.transforms.scene_jitter import SceneAugmentation, SceneDraw


@final
@dataclass(frozen=True)
class SceneCrop:
    """Makes views of one size from whole samples; randomly, if there is an augmentation.

    Without augmentation the image just fits into the view, placed as the canvas says. Keypoints outside the view are not
    labelled there, and people without one inside are left out.

    Attributes:
        size: Size of the views (h, w).
        canvas: Preprocessing of the model.
        skeleton: Its mirror pairs are used for flips.
        augmentation: How images are changed at random; None for validation.
    """

    size: Size
    canvas: Canvas
    skeleton: Skeleton
    augmentation: SceneAugmentation | None = None

    def __call__(self, sample: Sample, generator: torch.Generator | None = None) -> SceneView:
        """The view of a sample.

        Args:
            sample: Image and labels. If its `ignore` is None, the boxes of crowds and of people without labelled keypoints are
                ignored.
            generator: Source of random choices; needed if there is an augmentation.

        Raises:
            InputError: There is an augmentation and no generator.
        """
        if self.augmentation is None:
            return self._placed(sample, fitted_layout(self.canvas, sample.size, self.size))
        if generator is None:
            raise InputError("an augmentation needs a torch.Generator for its random choices; pass one as generator")
        return self._random(sample, self.augmentation, generator)

    def test_view(self, sample: Sample) -> SceneView:
        """The view of a sample as at test time, of the size that the canvas gives it (`canvas.place`)."""
        layout = canvas_layout(self.canvas, sample.size)
        return replace(self, size=layout.size)._placed(sample, layout)

    def _placed(self, sample: Sample, layout: Layout) -> SceneView:
        image = layout.render(sample.image, self.canvas)
        return self._view(sample, select_learnt(sample.labels), layout.warp, image=image, ignore=_ignore_region(sample))

    def _random(self, sample: Sample, options: SceneAugmentation, generator: torch.Generator) -> SceneView:
        draw = mirror_if_known(options.draw(generator), self.skeleton)
        own = torch.Generator().manual_seed(draw.seed)
        labels = select_learnt(sample.labels, min_area=options.min_area)
        fit = 1.0 if options.scale_of == "image" else _fit(sample.size, self.size)
        scaled = replace(draw, scale=draw.scale * fit)
        warp = scene_warp(
            scaled, keypoint_box_centre(labels, sample.size), canvas=self.canvas, image=sample.size, view=self.size
        )
        way = cv2.INTER_CUBIC if self.canvas.rule == "offsetguided" else cv2.INTER_LINEAR
        pixels = resample(sample.image, warp, self.size, fill=self.canvas.fill, interpolation=way)
        image = normalise(_change_colours(pixels, options, draw=draw, own=own), self.canvas)
        if options.drop is not None:
            image = options.drop.draw(self.size, own).apply(image, self.canvas)
        flipped = mirror_labels(labels, self.skeleton.flip) if draw.flip else labels
        ignore = _ignore_region(sample, small=options.min_area if options.small == "ignore" else 0.0)
        view = self._view(sample, flipped, warp, image=image, ignore=ignore)
        if draw.shaken:
            low, high = options.shake
            shifted = view.labels.xy + low + (high - low) * torch.rand(view.labels.xy.shape, generator=own)
            view = replace(view, labels=replace(view.labels, xy=shifted))
        return replace(view, known=view.known[self.skeleton.flip]) if draw.flip and view.known is not None else view

    def _view(
        self, sample: Sample, labels: Labels, warp: Warp, *, image: Float[Tensor, "3 h w"], ignore: Bool[Tensor, "H W"] | None
    ) -> SceneView:
        xy = apply(warp, labels.xy)
        inside = ((xy > -0.5) & (xy < xy.new_tensor([self.size[1], self.size[0]]) - 0.5)).all(dim=-1)
        visible = torch.where(inside, labels.visible, 0)
        there = (visible > 0).any(dim=1)
        warped = replace(labels, xy=xy, visible=visible, boxes=warp_boxes(warp, labels.boxes)).select(there)
        factor = float(torch.linalg.det(warp[:2, :2]).abs().sqrt())
        extent = (labels.boxes[:, 2:] - labels.boxes[:, :2]).clamp(min=0).prod(dim=1).sqrt()[there] * factor
        if ignore is None:
            hidden = torch.zeros(self.size, dtype=torch.bool)
        else:
            flat = cv2.warpAffine(
                ignore.view(torch.uint8).numpy(), warp[:2].numpy(), (self.size[1], self.size[0]), flags=cv2.INTER_NEAREST
            )
            hidden = torch.from_numpy(flat).view(torch.bool)
        return SceneView(image, warped, extent, hidden, warp, sample.key, sample.known)


def select_learnt(labels: Labels, *, min_area: float = 0.0) -> Labels:
    """The people to train on: without crowds, and without people who have no labelled keypoint (golden og03).

    People whose annotated area is at most `min_area` (square pixels) stay, with nothing labelled, as in OffsetGuided's release.
    """
    people = labels.select(~labels.unlabelled)
    large = people.area > min_area
    return people if bool(large.all()) else replace(people, visible=people.visible * large[:, None])


def keypoint_box_centre(labels: Labels, size: Size) -> tuple[float, float]:
    """Centre (x, y) of the box around all labelled keypoints; that of an image of `size` (h, w) where there are none."""
    points = labels.xy[labels.visible > 0].double()
    if not len(points):
        return (size[1] - 1) / 2, (size[0] - 1) / 2
    x, y = ((points.amin(dim=0) + points.amax(dim=0)) / 2).tolist()
    return x, y


def scene_warp(draw: SceneDraw, centre: tuple[float, float], *, canvas: Canvas, image: Size, view: Size) -> Warp:
    """The warp of one draw (3x3, image pixels to view pixels), which maps `centre` to the middle of the view, plus its shift.

    OffsetGuided's release rotates and mirrors about the middle of the image, then moves by the way from there to `centre`
    without rotating or mirroring it: in a mirrored view, people beside the middle land twice as far off on the other side
    (golden og04).

    Args:
        draw: The random choices.
        centre: Point (x, y) of the image that the view is centred on.
        canvas: Its rule says whether to follow the release.
        image: Size of the image (h, w).
        view: Size of the view (h, w).
    """
    x, y = draw.scale * draw.stretch[0], draw.scale * draw.stretch[1]
    right, down = (view[1] - 1) / 2 + draw.shift[0] * view[1], (view[0] - 1) / 2 + draw.shift[1] * view[0]
    bent = scaling(-1.0 if draw.flip else 1.0, 1.0) @ scaling(x, y) @ rotation(-draw.degrees)
    if canvas.rule in WARPED_RULES:
        return translation(right, down) @ bent @ translation(-centre[0], -centre[1])
    across, along = (image[1] - 1) / 2, (image[0] - 1) / 2
    shifted = translation((across - centre[0]) * x, (along - centre[1]) * y)
    return shifted @ translation(right, down) @ bent @ translation(-across, -along)


def _fit(image: Size, view: Size) -> float:
    """The factor with which an image just fits into a view, centres of corner pixels on each other."""
    return min(corner_scale(old, new) for old, new in zip(image, view, strict=True))


def _change_colours(
    pixels: UInt8[np.ndarray, "h w 3"], options: SceneAugmentation, *, draw: SceneDraw, own: torch.Generator
) -> UInt8[np.ndarray, "h w 3"]:
    if options.colour > 0:
        pixels = apply_colour_matrix(pixels, colour_matrix(options.colour, draw.tint))
    if draw.hsv is not None:
        pixels = shift_hsv(pixels, draw.hsv)
    if draw.grey:
        pixels = greyscale(pixels)
    height, width, _ = pixels.shape
    return pixels if options.paint is None else options.paint.draw((height, width), own).apply(pixels)


def _ignore_region(sample: Sample, *, small: float = 0.0) -> Bool[Tensor, "H W"] | None:
    """Pixels of the image that are not trained on; None for none.

    The boxes of people whose annotated area is at most `small` square pixels are included.
    """
    labels = sample.labels
    ignore = sample.ignore
    if ignore is None and bool(labels.unlabelled.any()):
        ignore = labels.ignore_mask(lambda rows: box_mask(labels.boxes[rows], sample.size))
    tiny = labels.area <= small
    if not bool(tiny.any()):
        return ignore
    covered = box_mask(labels.boxes[tiny], sample.size)
    return covered if ignore is None else covered | ignore
