"""RTMDet (arXiv 2212.07784): boxes of people, whose sides each cell of three maps tells as distances from itself."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from poise.errors import InputError
from poise.models.base import BoxFinder, ImageModel
from poise.models.card import Card
from poise.models.values import Detections, Image, ImageViews, Part
from poise.nn.base import Feature
from poise.nn.rtmdet import RTMDetNet, found_cells
from poise.nn.rtmo.network import best_boxes
from poise.scenes import Canvas
from poise.skeletons.nouns import PERSON, Nouns
from poise.transforms.canvas import boxes_to_image, canvas_layout


@final
@dataclass(frozen=True)
class PointDetecting:
    """How RTMDet's boxes are read.

    Attributes:
        min_score: Boxes have a higher score; MMPose's demos take 0.3.
        max_iou: IoU above which of two boxes the one of lower score is left out.
        most: Boxes of an image, at most.
        person: Number of the class that is kept.
        noun: What that class is, for messages: "person", "hand".

    Raises:
        InputError: A number that cannot be.
    """

    min_score: float = 0.001
    max_iou: float = 0.65
    most: int = 300
    person: int = 0
    noun: str = "person"

    def __post_init__(self) -> None:
        """Check the numbers."""
        if not (0 <= self.min_score <= 1 and 0 <= self.max_iou <= 1 and self.most >= 1 and self.person >= 0):
            raise InputError(
                "RTMDet's boxes have min_score and max_iou from 0 to 1, most of 1 or more and a class from 0 on; found "
                f"{self.min_score}, {self.max_iou}, {self.most} and {self.person}"
            )


@final
class PointDetector(BoxFinder, ImageModel):
    """Network, preprocessing, and how its boxes are read; it is used as published, and not trained here.

    Args:
        network: The network.
        preprocess: How images are resized and normalised.
        card: Name, architecture, licence, scores.
        config: How boxes are read.

    Raises:
        InputError: The network has no such class as the configuration keeps.
    """

    kind = "point-detector"
    preprocess_type = Canvas
    finds_boxes: ClassVar[bool] = True
    runtime_parts: ClassVar[tuple[Part, ...]] = (Part(free=(2, 3)),)
    preprocess: Canvas
    config: PointDetecting

    def __init__(
        self, network: RTMDetNet | nn.Module, preprocess: Canvas, card: Card, config: PointDetecting | None = None
    ) -> None:
        super().__init__()
        self.network, self.preprocess, self.card = network, preprocess, card
        self._set(config or PointDetecting())

    def _set(self, config: PointDetecting) -> None:
        own = self.network
        classes = own.head.classes if isinstance(own, RTMDetNet) else config.person + 1  # an exported network does not say
        if config.person >= classes:
            raise InputError(f"person={config.person}: {self.card.name} has the classes 0 to {classes - 1}; take one of them")
        self.config = config

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> list[Feature]:
        """The maps of normalised views; float32 whatever precision the network computed in."""
        maps: list[Tensor] = self.network(images)
        return [part.float() for part in maps]

    @property
    def input_text(self) -> str:
        """Size and rule of the resize."""
        return self.preprocess.text

    @property
    def output_text(self) -> str:
        """What it finds, in words."""
        return f"boxes of {self.nouns[1]}"

    @property
    def nouns(self) -> Nouns:
        """Singular and plural of what it finds."""
        return PERSON if self.config.noun == PERSON[0] else (self.config.noun, f"{self.config.noun}s")

    def check_flip(self) -> None:
        """Refuse the flip test.

        Raises:
            InputError: Always.
        """
        raise InputError(f"{self.card.name} is used as it was published, without a flip test; leave it out")

    def settings_text(self) -> dict[str, str]:
        """Thresholds."""
        return {f"{self.nouns[1]} found": ", ".join(f"{name}={value}" for name, value in asdict(self.config).items())}

    def views(self, image: Image) -> ImageViews:
        """The whole image in a square, once for each of the canvas' scales."""
        layouts = [canvas_layout(self.preprocess, (image.shape[1], image.shape[2]), s) for s in self.preprocess.scales]
        return ImageViews([layout.render(image, self.preprocess) for layout in layouts], layouts)

    def boxes(
        self, images: Float[Tensor, "b 3 h w"], views: Sequence[tuple[ImageViews, int]], *, flip: bool, masks: bool = False
    ) -> list[Detections]:
        """The boxes in each view of a batch, in its pixels."""
        if flip:
            self.check_flip()
        scores, boxes = found_cells(self(images))
        own = [view.views[index].shape for view, index in views]
        return [self._best(b, s[:, self.config.person], (h, w)) for b, s, (_, h, w) in zip(boxes, scores, own, strict=True)]

    def _best(self, boxes: Float[Tensor, "n 4"], score: Float[Tensor, " n"], size: tuple[int, int]) -> Detections:
        """The boxes of a view that stay, within it."""
        boxes = boxes.clamp(min=0).minimum(boxes.new_tensor((size[1], size[0], size[1], size[0])))
        score = torch.where((boxes[:, 2:] > boxes[:, :2]).all(dim=1), score, -1.0)
        kept = best_boxes(boxes, score, min_score=self.config.min_score, max_iou=self.config.max_iou)[: self.config.most]
        return Detections(boxes[kept], score[kept])

    def joined_boxes(self, views: ImageViews, answers: Sequence[Detections]) -> Detections:
        """The boxes of an image, pixels, highest confidence first; of several scales those that overlap least."""
        pairs = list(zip(answers, views.layout, strict=True))
        every = torch.cat([boxes_to_image(self.preprocess, own.warp, found.boxes.cpu().float()) for found, own in pairs])
        score = torch.cat([found.score.cpu().float() for found in answers])
        if len(answers) > 1:
            best = best_boxes(every, score, min_score=self.config.min_score, max_iou=self.config.max_iou)
            every, score = every[best], score[best]
        return Detections(every, score)

    def reconfigure(self, codec: Callable[[Any], Any], config: Callable[[PointDetecting], PointDetecting]) -> None:
        """Change how boxes are read.

        Args:
            codec: Unused: there are no keypoints.
            config: Function from the configuration to the new one.

        Raises:
            InputError: The network has no such class as the new one keeps.
        """
        self._set(config(self.config))

    def to_plain(self) -> dict[str, Any]:
        """The configuration as plain values."""
        return {"detecting": asdict(self.config)}

    @classmethod
    def from_plain(cls, network: Any, preprocess: Any, card: Card, *, values: Mapping[str, Any]) -> "PointDetector":
        """The model that `to_plain` wrote."""
        return cls(network, preprocess, card, PointDetecting(**values["detecting"]))
