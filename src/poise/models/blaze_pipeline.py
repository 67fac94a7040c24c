"""The official BlazePose pipeline on one image: detector, region of interest, turned view, landmarks (MediaPipe 0.10.21).

What each stage gives can be asked for by itself. `docs/concepts/blazepose.md` has the stages and their numbers.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from poise.decoding.blaze_boxes import MIN_SCORE, BlazeDetections, decode_boxes, weighted_nms, without_letterbox
from poise.decoding.blaze_landmarks import KERNEL, decode_landmarks, refined
from poise.dims import Size
from poise.models.values import Image
from poise.nn.blaze import detector as detector_net
from poise.nn.blaze import landmark as landmark_net
from poise.nn.blaze.detector import DetectorNet, anchors
from poise.transforms.blaze_crop import GROWTH, aligned_region, letterbox_region, mask_in_image, region_view
from poise.transforms.crop import Frame

BODY = 33
"""Landmarks of the body; the next two say where the body is in the next frame of a video, as the detector's keypoints do."""

BOXES_AT_ONCE = 16
"""Boxes that the detector looks into at once."""

MIN_PRESENCE = 0.5
"""Probability above which there is a person in a region."""

MAYBE = 0.3
"""Probability above which landmarks in a box tell where to look again; in a box of a label there is somebody."""


@final
@dataclass(frozen=True, eq=False)
class BlazePerson:
    """A person in a region of an image.

    Attributes:
        region: The region.
        size: Size of the image (h, w), pixels.
        presence: Probability that there is a person.
        raw: x, y, z as shares of the view's side, visibility and presence, of 39 landmarks, as the regression says.
        crop: Landmarks refined by the heatmaps (39 5): x, y, z as shares of the side of the view, visibility, presence.
        landmarks: Landmarks in the image (39 5): x / width, y / height, z / width, visibility, presence.
        world: x, y, z in metres from the middle of the hips, turned as the image is.
        segmentation: Logits of who the person is, of the pixels of the view.
    """

    region: Frame
    size: Size
    presence: float
    raw: Float[Tensor, "k 5"]
    crop: Float[Tensor, "k 5"]
    landmarks: Float[Tensor, "k 5"]
    world: Float[Tensor, "k 3"]
    segmentation: Float[Tensor, "h w"]

    @property
    def xy(self) -> Float[Tensor, "33 2"]:
        """The 33 landmarks of the body, pixels of the image."""
        return self.landmarks[:BODY, :2] * self.landmarks.new_tensor((self.size[1], self.size[0]))

    @property
    def mask(self) -> Float[np.ndarray, "H W"]:
        """Probability of each pixel of the image that it is the person; 0 outside the region."""
        return mask_in_image(self.segmentation.sigmoid().numpy(), self.region, self.size)

    @property
    def next_region(self) -> Frame:
        """The region by the alignment landmarks: where a video looks next, without smoothing."""
        return self.region_again(GROWTH)

    def region_again(self, growth: float) -> Frame:
        """The region by the alignment landmarks, of another size.

        Args:
            growth: Its side by the diameter of the circle around the body.
        """
        return aligned_region(self.landmarks[BODY, :2], self.landmarks[BODY + 1, :2], self.size, growth=growth)


def detector_view(image: Image) -> Float[Tensor, "3 h w"]:
    """The detector's view of a whole image: in the middle of a black square, values -1 to 1."""
    return region_detector_view(image, letterbox_region((image.shape[1], image.shape[2])))


def landmark_view(image: Image, region: Frame) -> Float[Tensor, "3 h w"]:
    """The landmark network's view of a region: outermost pixels go on outside the image, values 0 to 1."""
    return _scaled(region_view(image, region, landmark_net.SIDE, border="replicate"), 1 / 255)


def _scaled(pixels: UInt8[np.ndarray, "h w 3"], factor: float) -> Float[Tensor, "3 h w"]:
    return torch.from_numpy(pixels).float().mul_(factor).permute(2, 0, 1)


def candidates(boxes: Float[Tensor, "n 12"], logits: Float[Tensor, "n 1"], *, min_score: float = MIN_SCORE) -> BlazeDetections:
    """The anchors at which there is somebody, as shares of the detector's view.

    Args:
        boxes: The detector's first output for one view.
        logits: Its second output.
        min_score: Lowest score.
    """
    return decode_boxes(boxes.float().cpu(), logits.float().cpu(), anchors(), side=detector_net.SIDE, min_score=min_score)


def detections(
    boxes: Float[Tensor, "n 12"], logits: Float[Tensor, "n 1"], size: Size, *, min_score: float = MIN_SCORE
) -> BlazeDetections:
    """The people that the detector found in an image, best first, as shares of its sides.

    Args:
        boxes: The detector's first output for one view.
        logits: Its second output.
        size: Size of the image (h, w), pixels.
        min_score: Lowest score.
    """
    return without_letterbox(weighted_nms(candidates(boxes, logits, min_score=min_score)), size)


def regions(found: BlazeDetections, size: Size, *, growth: float = GROWTH) -> list[Frame]:
    """The region of each detection: around the middle of the hips, upright as the person is.

    Args:
        found: As shares of the image.
        size: Size of the image (h, w), pixels.
        growth: Side of a region by the diameter of the circle around the body.
    """
    return [aligned_region(points[0], points[1], size, growth=growth) for points in found.keypoints]


@torch.inference_mode()
def detect(network: DetectorNet, image: Image, *, min_score: float = MIN_SCORE) -> BlazeDetections:
    """The people in an image, as shares of its sides.

    Args:
        network: In evaluation mode.
        image: RGB.
        min_score: Lowest score.
    """
    boxes, logits = network(detector_view(image)[None].to(_device(network)))
    return detections(boxes[0], logits[0], (image.shape[1], image.shape[2]), min_score=min_score)


def circle_boxes(found: BlazeDetections, size: Size) -> Float[Tensor, "n 4"]:
    """Boxes x0 y0 x1 y1 around the circle of each detection, as far as they lie in the image; pixels.

    Args:
        found: As shares of the image.
        size: Size of the image (h, w), pixels.
    """
    sides = found.keypoints.new_tensor((size[1], size[0]))
    centre, rim = found.keypoints[:, 0] * sides, found.keypoints[:, 1] * sides
    radius = (rim - centre).norm(dim=1, keepdim=True)
    low, high = (centre - radius).clamp(min=0), torch.minimum(centre + radius, sides)
    return torch.cat((low, torch.maximum(high, low)), dim=1)


@torch.inference_mode()
def regions_in_boxes(
    network: DetectorNet | None,
    image: Image,
    boxes: Float[Tensor, "n 4"],
    *,
    growth: float = GROWTH,
    sides: tuple[float, float] = (1.0, 1.0),
) -> list[Frame]:
    """The region of the person in each box: as the detector says that sees the box alone, else upright around it.

    Of several people in a box it is the one whose hips are nearest to its middle.

    Args:
        network: In evaluation mode; None for upright regions.
        image: RGB.
        boxes: x0 y0 x1 y1, pixels of the image.
        growth: Side of an upright region by the longer side of its box, and of a turned one by the diameter of its circle.
        sides: Factors by which width and height of a box grow before that.
    """
    where = [_box_region(box, growth, sides) for box in boxes]
    if network is None or not where:
        return where
    views = torch.stack([region_detector_view(image, region) for region in where]).to(_device(network))
    size, device = (image.shape[1], image.shape[2]), _device(network)
    with torch.autocast(device.type, enabled=False):
        answers = [network(views[first : first + BOXES_AT_ONCE]) for first in range(0, len(views), BOXES_AT_ONCE)]
    rows = [row for boxes_of, logits in answers for row in zip(boxes_of, logits, strict=True)]
    found = [weighted_nms(candidates(*row)) for row in rows]
    return [_aligned_in(region, one, size, growth) for region, one in zip(where, found, strict=True)]


@torch.inference_mode()
def refined_regions(network: Any, image: Image, where: Sequence[Frame], *, growth: float = GROWTH) -> list[Frame]:
    """The regions that the landmarks found in regions tell, as the next frame of a video looks there.

    Where there may be nobody (`MAYBE`), or the network has no landmarks of the alignment, a region stays.

    Args:
        network: A `LandmarkNet`, or that of an exported file; in evaluation mode.
        image: RGB.
        where: Regions of the image.
        growth: Side of the new regions by the diameter of the circle around the body.
    """
    if network.landmarks != landmark_net.LANDMARKS:
        return list(where)
    parts = [where[first : first + BOXES_AT_ONCE] for first in range(0, len(where), BOXES_AT_ONCE)]
    with torch.autocast(_device(network).type, enabled=False):
        found = [person for part in parts for person in people(network, image, part)]
    return [person.region_again(growth) if person.presence > MAYBE else person.region for person in found]


def _aligned_in(upright: Frame, found: BlazeDetections, size: Size, growth: float) -> Frame:
    """The region of the detection nearest to the middle of an upright one; that itself where there is no detection."""
    if not len(found):
        return upright
    middle = found.keypoints[:, 0] - 0.5
    nearest = int(middle.norm(dim=1).argmin())
    corner = [at - upright.extent[0] / 2 for at in upright.centre]
    pixels = found.keypoints[nearest, :2] * upright.extent[0] + found.keypoints.new_tensor(corner)
    shares = pixels / pixels.new_tensor((size[1], size[0]))
    return aligned_region(shares[0], shares[1], size, growth=growth)


def region_detector_view(image: Image, region: Frame) -> Float[Tensor, "3 h w"]:
    """The detector's view of an upright region, black outside the image; values -1 to 1."""
    return _scaled(region_view(image, region, detector_net.SIDE, border="zero"), 2 / 255) - 1


def _box_region(box: Float[Tensor, "4"], growth: float, sides: tuple[float, float]) -> Frame:
    x0, y0, x1, y1 = box.tolist()
    side = max((x1 - x0) * sides[0], (y1 - y0) * sides[1]) * growth
    return Frame(((x0 + x1) / 2, (y0 + y1) / 2), (side, side))


@torch.inference_mode()
def people(network: Any, image: Image, where: Sequence[Frame], *, kernel: int = KERNEL) -> list[BlazePerson]:
    """Who is in each region, also where the presence is low.

    Args:
        network: A `LandmarkNet`, or that of an exported file; in evaluation mode.
        image: RGB.
        where: Regions of the image.
        kernel: Side of the window on the heatmaps (`decoding.blaze_landmarks`).
    """
    if not where:
        return []
    views = torch.stack([landmark_view(image, region) for region in where]).to(_device(network))
    return read_people(network(views), where, (image.shape[1], image.shape[2]), kernel=kernel)


def read_people(outputs: Sequence[Tensor], where: Sequence[Frame], size: Size, *, kernel: int = KERNEL) -> list[BlazePerson]:
    """Who is in each region, out of the outputs of the landmark network.

    Args:
        outputs: Of `LandmarkNet` for the views of the regions.
        where: The regions.
        size: Size of the image (h, w), pixels.
        kernel: Side of the window on the heatmaps.
    """
    numbers, presence, segmentation, heatmaps, world = (part.float().cpu() for part in outputs)
    raw = decode_landmarks(numbers, side=landmark_net.SIDE)
    crop = torch.cat((refined(raw[..., :2], heatmaps, kernel=kernel), raw[..., 2:]), dim=-1)
    return [
        BlazePerson(
            region=region,
            size=size,
            presence=float(presence[i, 0]),
            raw=raw[i],
            crop=crop[i],
            landmarks=in_image(crop[i], region, size),
            world=turned(world[i].reshape(-1, 3), region),
            segmentation=segmentation[i, 0],
        )
        for i, region in enumerate(where)
    ]


def in_image(crop: Float[Tensor, "k 5"], region: Frame, size: Size) -> Float[Tensor, "k 5"]:
    """Landmarks of a region's view in the image: x / width, y / height, z / width, and the rest as it is.

    Args:
        crop: x, y, z as shares of the view's side, visibility, presence.
        region: The region.
        size: Size of the image (h, w), pixels.
    """
    height, width = size
    side = region.extent[0]
    x, y = turned(crop[:, :3] - crop.new_tensor((0.5, 0.5, 0.0)), region)[:, :2].unbind(dim=1)
    moved = (x * (side / width) + region.centre[0] / width, y * (side / height) + region.centre[1] / height)
    return torch.cat((torch.stack((*moved, crop[:, 2] * (side / width)), dim=1), crop[:, 3:]), dim=1)


def turned(xyz: Float[Tensor, "k 3"], region: Frame) -> Float[Tensor, "k 3"]:
    """Points turned about the z axis as the region is."""
    turn = math.radians(region.angle)
    x, y, z = xyz.unbind(dim=1)
    return torch.stack((math.cos(turn) * x - math.sin(turn) * y, math.sin(turn) * x + math.cos(turn) * y, z), dim=1)


def _device(network: torch.nn.Module) -> torch.device:
    return next(network.parameters(), torch.empty(0)).device
