"""A model as a function from pixels to tensors, which is what an exported file holds: one class for each kind of model."""

from typing import Any, final

import torch
from torch import Tensor

from poise.decoding.peaks import top_local_maxima
from poise.errors import InputError
from poise.exporting.base import Graph
from poise.exporting.detector_graphs import DetectorGraph, PeopleInBoxesGraph
from poise.models.base import ImageModel
from poise.models.blaze_detector import BlazeDetector
from poise.models.blazepose import BlazePose
from poise.models.bottom_up import BottomUp
from poise.models.box_detector import BoxDetector
from poise.models.keypoint_rcnn import KeypointRCNN
from poise.models.multitask import MultitaskTopDown
from poise.models.one_stage import OneStage
from poise.models.point_detector import PointDetector
from poise.models.top_down import TopDown
from poise.nn.blaze.detector import anchors
from poise.nn.rtmdet import STRIDES as RTMDET_STRIDES
from poise.nn.rtmdet import found_cells
from poise.nn.rtmo.network import STRIDES as RTMO_STRIDES
from poise.weights.exported_network import Colours

PEAKS = 30
"""Peaks of each heatmap of a whole image."""

CANDIDATES = 256
"""Cells of RTMO whose keypoints are read, at most."""


@final
class PersonGraph(Graph):
    """A top-down model."""


@final
class PartsGraph(Graph):
    """A multitask model: maps, and logits of the parts (b c h w), which the flip test leaves alone."""

    raw = ("output", "parts")

    def described(self) -> dict[str, Any]:
        """Number of classes of pixels."""
        return {"classes": self.model.classes}

    def forward(self, image: Any) -> tuple[Tensor, ...]:
        """The outputs by `names`."""
        views = self.views(image)
        keypoints, parts = self.model.tasks(views)
        output = keypoints[-1]
        if self.flip:
            mirrored, _ = self.model.tasks(self.model.mirrored_views(views))
            output = self.model.merged(output, mirrored[-1])
        return (output, parts[-1], *self.read(output)) if self.decode else (output, parts[-1])


@final
class SceneGraph(Graph):
    """A bottom-up model: maps, and the highest local maxima of the heatmaps (b k n), highest first: x, y and scores."""

    decoded = ("peaks", "scores")
    free = (0, 2, 3)

    def read(self, output: Any) -> tuple[Tensor, ...]:
        """Peaks (b k n 2), middles of cells in pixels of the view, and their values (b k n)."""
        codec = self.model.codec
        score, index = top_local_maxima(output[:, : codec.keypoints], top=PEAKS)
        width = output.shape[3]
        cells = torch.stack((index % width, index.div(width, rounding_mode="floor")), dim=-1)
        return cells * float(codec.stride) + codec.origin, score


@final
class PeopleGraph(Graph):
    """RTMO: its maps, and the best cells with their keypoints, in pixels of the square view, the best first.

    Several cells may be of one person: of boxes that overlap by more than 0.65 the first one counts.
    """

    raw = tuple(f"{kind}_{stride}" for kind in ("cls", "bbox", "vis", "pose") for stride in RTMO_STRIDES)
    decoded = ("scores", "boxes", "keypoints", "visible")

    def forward(self, image: Any) -> tuple[Tensor, ...]:
        """Maps, and what they say."""
        network = self.model.network
        maps = network.maps(self.views(image))
        return (*maps, *network.head.candidates(maps, CANDIDATES)) if self.decode else tuple(maps)


@final
class BoxGraph(Graph):
    """RTMDet: its maps, and score (b n) and box (b n 4) x0 y0 x1 y1 of each cell, pixels of the view; no NMS."""

    raw = tuple(f"{kind}_{stride}" for kind in ("cls", "reg") for stride in RTMDET_STRIDES)
    decoded = ("scores", "boxes")

    def forward(self, image: Any) -> tuple[Tensor, ...]:
        """Maps, and what they say."""
        maps = self.model.network(self.views(image))
        if not self.decode:
            return tuple(maps)
        scores, boxes = found_cells(maps)
        return (*maps, scores[..., self.model.config.person], boxes)


@final
class BlazeGraph(Graph):
    """BlazePose's landmark network with all of its heads; the codec reads 33 of its landmarks."""

    raw = ("landmarks", "presence", "segmentation", "heatmaps", "world")

    def colours(self) -> Colours:
        """Values 0 to 1."""
        return Colours((1 / 255,) * 3, (0.0,) * 3)

    def forward(self, image: Any) -> tuple[Tensor, ...]:
        """All heads; positions are refined by the heatmaps."""
        outputs = self.model.network(self.views(image))
        if not self.decode:
            return tuple(outputs)
        numbers, presence, _, heatmaps, _ = outputs
        return (*outputs, *self.read(self.model.joined(numbers, presence, heatmaps)[:, : self.model.codec.keypoints]))


@final
class BlazeDetectorGraph(Graph):
    """BlazePose's detector: boxes x0 y0 x1 y1, four keypoints and a score at each anchor, shares of the view; no NMS."""

    raw = ("numbers", "logits")
    decoded = ("boxes", "keypoints", "scores")

    def colours(self) -> Colours:
        """Values -1 to 1."""
        return Colours((2 / 255,) * 3, (-1.0,) * 3)

    def forward(self, image: Any) -> tuple[Tensor, ...]:
        """Numbers and logits, and what they say."""
        numbers, logits = self.model.network(self.views(image))
        if not self.decode:
            return numbers, logits
        points = (numbers / self.model.network.side).unflatten(2, (6, 2))
        centre = points[:, :, 0] + anchors()
        half = points[:, :, 1] / 2
        keypoints = points[:, :, 2:] + anchors()[:, None]
        return numbers, logits, torch.cat((centre - half, centre + half), dim=2), keypoints, logits[..., 0].sigmoid()


def graph_of(model: ImageModel, *, normalise: bool = True, flip: bool = False, decode: bool = True) -> Graph:
    """The graph of a model.

    Args:
        model: The model.
        normalise: Whether it takes pixels.
        flip: Whether it averages with the outputs of the mirrored views.
        decode: Whether it also gives what is read from the outputs.

    Raises:
        InputError: Models of this kind are not exported yet, or the flip test is wanted and there is none.
    """
    kinds: dict[type[ImageModel], type[Graph]] = {
        BlazePose: BlazeGraph,
        BlazeDetector: BlazeDetectorGraph,
        PointDetector: BoxGraph,
        OneStage: PeopleGraph,
        BottomUp: SceneGraph,
        KeypointRCNN: PeopleInBoxesGraph,
        BoxDetector: DetectorGraph,
        MultitaskTopDown: PartsGraph,
        TopDown: PersonGraph,
    }
    found = next((graph for kind, graph in kinds.items() if isinstance(model, kind)), None)
    if found is None:
        raise InputError(
            f"{model.card.name} cannot be exported: top-down and bottom-up models, detectors with proposals, RTMO, RTMDet, "
            "BlazePose and its detector can; poise runs the others at the speed of a runtime with --runtime openvino"
        )
    if flip and issubclass(found, BlazeGraph | BlazeDetectorGraph | BoxGraph | PeopleGraph):
        raise InputError(f"{model.card.name} is used as it was published, without a flip test; leave out --flip")
    if flip:
        model.check_flip()
    return found(model, normalise=normalise, flip=flip, decode=decode)
