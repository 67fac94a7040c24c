"""One person's whole way: photo, warp, view, maps, the mirrored view, and back onto the photo.

The same parts that training and prediction use, one after another, with everything in between kept to be looked at. A codec
without a network is walked as if its network answered without fault.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from poise.codecs.base import InstanceCodec
from poise.data.coco import CocoDataset
from poise.data.label_ops import trainable
from poise.errors import InputError
from poise.evaluation.eval_set import release_boxes
from poise.geometry import apply, horizontal_flip, invert
from poise.metrics.oks import oks
from poise.models.top_down import TopDown
from poise.skeletons import Skeleton, convert
from poise.structures import Labels, Points, Preprocess, Sample
from poise.transforms.crop import Frame, frame, pixel_warp
from poise.transforms.person_crop import PersonCrop

Answer = Callable[[Float[Tensor, "b 3 h w"]], Float[Tensor, "b ..."]]


@final
@dataclass(frozen=True, eq=False)
class Mirrored:
    """The flip test of one view.

    Attributes:
        view: The view from right to left.
        output: The answer for it.
        unflipped: The same as an answer for the view itself.
        averaged: With the answer for the view: what is read.
    """

    view: Float[Tensor, "3 h w"]
    output: Float[Tensor, "1 ..."]
    unflipped: Float[Tensor, "1 ..."]
    averaged: Float[Tensor, "1 ..."]


@final
@dataclass(frozen=True, eq=False)
class Walk:
    """Everything between one person's labels and what is found.

    Attributes:
        sample: The photo and everybody labelled in it.
        person: Row of the person.
        skeleton: Of what follows.
        codec: Encodes and decodes.
        preprocess: Cuts the view.
        box: Where one looks, as the release reads the annotated box.
        frame: What the view shows, before it is laid on pixels.
        warp: Photo to view, for keypoints.
        corners: Of the view's corner pixels, on the photo: top left, top right, bottom right, bottom left.
        view: What the network reads.
        xy: Labels in the view.
        visible: Of the labels; 0 is not labelled.
        target: What a network without fault would answer.
        output: What the network answers; the target where there is none.
        mirrored: The flip test; None where the skeleton has no mirror pairs.
        alone: What is read without the flip test.
        found: What is read.
        home: The same on the photo.
    """

    sample: Sample
    person: int
    skeleton: Skeleton
    codec: InstanceCodec
    preprocess: Preprocess
    box: Float[Tensor, "4"]
    frame: Frame
    warp: Float[Tensor, "3 3"]
    corners: Float[Tensor, "4 2"]
    view: Float[Tensor, "3 h w"]
    xy: Float[Tensor, "k 2"]
    visible: Int64[Tensor, " k"]
    target: Float[Tensor, "1 ..."]
    output: Float[Tensor, "1 ..."]
    mirrored: Mirrored | None
    alone: Points
    found: Points
    home: Float[Tensor, "k 2"]

    @property
    def labels(self) -> Float[Tensor, "k 2"]:
        """The labels on the photo."""
        return apply(invert(self.warp.double()), self.xy.double()).float()

    def off(self, points: Points) -> Float[Tensor, " k"]:
        """How far from its label each keypoint was read, pixels of the view; nan where it is not labelled."""
        distance = (points.xy[0] - self.xy).norm(dim=-1)
        return torch.where(self.visible > 0, distance, torch.nan)

    @property
    def similarity(self) -> float:
        """OKS of what was found with the labels."""
        person = self.sample.labels.select(slice(self.person, self.person + 1))
        labels = Labels.of(self.labels[None], self.visible[None], person.boxes, area=person.area)
        return float(oks(self.home[None], labels, self.skeleton.sigmas))


def walk(
    sample: Sample,
    person: int,
    *,
    source: Skeleton,
    skeleton: Skeleton,
    codec: InstanceCodec,
    preprocess: Preprocess,
    answer: Answer | None = None,
) -> Walk:
    """Take one person the whole way.

    Args:
        sample: The photo and its labels.
        person: Row of the labels.
        source: Skeleton of the labels.
        skeleton: Keypoints of the codec; those that `source` lacks are not labelled.
        codec: Encodes and decodes.
        preprocess: Cuts the view.
        answer: The network; without one it answers without fault.

    Raises:
        BoxError: The person's box has no extent.
        SkeletonMismatch: The skeletons share no keypoint.
    """
    labels = sample.labels.select(slice(person, person + 1))
    xy, visible = convert(labels.xy, labels.visible, source=source, target=skeleton)
    box = release_boxes(labels.boxes, preprocess.crop, size=sample.size)[0]
    view, warp = PersonCrop(codec.size, preprocess, skeleton).box(sample.image, box)
    seen = apply(warp, xy.double()).float()
    target = codec.encode(seen)
    output = target if answer is None else answer(view[None])
    turned = _mirrored(view, seen, output, codec=codec, skeleton=skeleton, answer=answer) if skeleton.mirror else None
    found = codec.decode(output if turned is None else turned.averaged)
    back = invert(pixel_warp(preprocess.crop, warp))
    h, w = codec.size
    corners = torch.tensor([[0.0, 0.0], [w - 1, 0.0], [w - 1, h - 1], [0.0, h - 1]])
    return Walk(
        sample,
        person,
        skeleton,
        codec,
        preprocess,
        box,
        frame(preprocess, box, size=codec.size),
        warp,
        apply(back, corners),
        view,
        seen[0],
        visible[0],
        target,
        output,
        turned,
        codec.decode(output),
        found,
        apply(invert(warp), found.xy[0].double()).float(),
    )


def _mirrored(
    view: Float[Tensor, "3 h w"],
    xy: Float[Tensor, "1 k 2"],
    output: Float[Tensor, "1 ..."],
    *,
    codec: InstanceCodec,
    skeleton: Skeleton,
    answer: Answer | None,
) -> Mirrored:
    turned = view.flip(-1)
    moved = apply(horizontal_flip(codec.size[1]), xy)[:, skeleton.flip]
    there = codec.encode(moved) if answer is None else answer(turned[None])
    back = codec.unflip(there, skeleton.flip)
    return Mirrored(turned, there, back, (output + back) / 2)


def network_of(model: TopDown) -> Answer:
    """A model's network as it predicts: on the CPU, in float32, without gradients."""
    model.eval().cpu()

    def answer(images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b ..."]:
        with torch.no_grad():
            read: Tensor = model(images)
        return read

    return answer


def find_person(dataset: CocoDataset, annotation: int | None) -> tuple[int, int]:
    """The image and row of an annotation, by its id; the first person one can train on by default.

    Raises:
        InputError: There is no such annotation, or nothing to look at in it, or nobody at all.
    """
    if annotation is None:
        people = dataset.people()
        if not people:
            raise InputError(f"{str(dataset.annotations)!r} labels nobody one could look at")
        return people[0]
    for index in range(len(dataset)):
        labels = dataset.labels(index)
        rows = (labels.ids == annotation).nonzero().flatten().tolist()
        if rows and not bool(trainable(labels)[rows[0]]):
            raise InputError(f"annotation {annotation} is a crowd, or has no labelled keypoint or no box; choose another")
        if rows:
            return index, rows[0]
    some = ", ".join(str(int(dataset.labels(i).ids[row])) for i, row in dataset.people()[:3])
    raise InputError(f"{str(dataset.annotations)!r} has no annotation {annotation}; it has such as {some}")
