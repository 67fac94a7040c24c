"""A network without fault for whole images: it knows each picture by the colour of its corner, and who is in it."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import nn

from poise.codecs.offset_guided import OffsetGuided
from poise.geometry import apply
from poise.models.bottom_up import BottomUp
from poise.models.card import Card
from poise.scenes import Canvas, Scenes
from poise.skeletons import COCO17
from poise.skeletons.limbs import limbs
from poise.structures import Architecture
from poise.transforms.canvas import canvas_layout
from poise.transforms.scales import shrink_layout

FIGURE = torch.tensor(
    [
        (0, -38), (3, -41), (-3, -41), (7, -39), (-7, -39), (12, -25), (-12, -25), (20, -10), (-17, -9), (15, 5), (-24, 2),
        (8, 6), (-8, 6), (12, 24), (-7, 23), (9, 42), (-11, 42),
    ]
).float() * 2  # fmt: skip
"""Somebody of COCO's keypoints, pixels from the middle."""

CANVAS = Canvas(side=320, multiple=32, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))

Scene = tuple[tuple[int, int], torch.Tensor]
"""The size of an image (h, w), and its people (n 17 2)."""


class Knows(nn.Module):
    """Answers each view of a picture with the maps of the people in it, straight or mirrored; others with empty maps."""

    def __init__(self, scenes: list[Scene], codec: OffsetGuided, canvas: Canvas, visible: torch.Tensor) -> None:
        super().__init__()
        self.scenes, self.codec, self.canvas, self.visible = scenes, codec, canvas, visible
        self.calls: list[int] = []
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        self.calls.append(len(images))
        output = torch.cat([self.answer(view[None]) for view in images])
        return list(torch.split(output * self.weight, list(self.codec.parts), dim=1))

    def answer(self, view: torch.Tensor) -> torch.Tensor:
        size = (view.shape[2], view.shape[3])
        red, green, blue = (view[0] * 255).round().int()
        rows, columns = ((green == 0) & (blue == 255)).nonzero(as_tuple=True)
        if not len(rows):
            return torch.zeros(1, self.codec.channels, size[0] // 4, size[1] // 4)
        index = int(red[rows, columns].median()) // 10
        return self.maps(index, size, mirrored=float(columns.float().mean()) > size[1] / 2)

    def maps(self, index: int, size: tuple[int, int], *, mirrored: bool) -> torch.Tensor:
        whole, people = self.scenes[index]
        largest = max(self.canvas.scales)
        full = canvas_layout(self.canvas, whole, largest)
        sized = [shrink_layout(full, s / largest, multiple=self.canvas.multiple, stride=4).layout for s in self.canvas.scales]
        warp = next(one.warp for one in sized if one.size == size)
        xy = apply(warp, people)
        visible = self.visible.expand(len(people), -1)
        if mirrored:
            xy = torch.stack((size[1] - 1 - xy[..., 0], xy[..., 1]), dim=-1)[:, COCO17.flip]
            visible = visible[:, COCO17.flip]
        n = len(people)
        scene, ignore = torch.zeros(n, dtype=torch.int64), torch.zeros(1, *size, dtype=torch.bool)
        return self.codec.encode(Scenes(xy, visible, torch.zeros(n, 4), torch.ones(n), scene, ignore))


def model(scenes: list[Scene], *, visible: torch.Tensor | None = None, **canvas) -> BottomUp:
    """The model for these images."""
    codec = OffsetGuided(17, limbs=limbs(COCO17))
    wishes = replace(CANVAS, **canvas)
    seen = torch.full((17,), 2) if visible is None else visible
    network = Knows(scenes, codec, wishes, seen)
    return BottomUp(network, codec, wishes, COCO17, Card("knows", Architecture("none:none")))


def picture(index: int, size: tuple[int, int]) -> torch.Tensor:
    """The picture of that number."""
    image = np.full((*size, 3), 90, np.uint8)
    image[:24, :24] = (10 * index, 0, 255)
    return torch.from_numpy(image).permute(2, 0, 1)


def people(*middles: tuple[float, float]) -> torch.Tensor:
    """Somebody in each of these places."""
    return FIGURE + torch.tensor(middles).view(-1, 1, 2)


SCENES: list[Scene] = [
    ((360, 480), people((110.0, 170.0), (330.0, 200.0))),
    ((480, 360), people((180.0, 240.0))),
    ((360, 480), people()),
    ((400, 400), people((100.0, 110.0), (300.0, 110.0), (200.0, 290.0))),
    ((360, 480), people((240.0, 180.0))),
]


def write(folder: Path, scenes: list[Scene] = SCENES) -> Path:
    """A COCO-style annotation file and its images."""
    annotations = []
    for i, (size, group) in enumerate(scenes):
        pixels = picture(i, size).permute(1, 2, 0).numpy()
        cv2.imwrite(str(folder / f"{i}.png"), pixels[..., ::-1])
        for person in group:
            low, side = person.amin(dim=0), person.amax(dim=0) - person.amin(dim=0)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": i + 1,
                    "category_id": 1,
                    "iscrowd": 0,
                    "num_keypoints": 17,
                    "bbox": [*low.tolist(), *side.tolist()],
                    "area": 0.6 * float(side.prod()),
                    "keypoints": torch.cat((person, torch.full((17, 1), 2.0)), dim=1).flatten().tolist(),
                }
            )
    images = [{"id": i + 1, "file_name": f"{i}.png", "height": s[0], "width": s[1]} for i, (s, _) in enumerate(scenes)]
    category = {"id": 1, "name": "person", "keypoints": list(COCO17.keypoints)}
    path = folder / "labels.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": [category]}))
    return path
