"""One person traced through the pipeline: image, warp, view, maps, mirrored view, and back to the image.

The functions of training and prediction are called one after another, and every intermediate result is kept. A codec without a
network is traced with the perfect output, `encode(xy)`.
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
from poise.evaluation.protocols import release_boxes
from poise.geometry import apply, horizontal_flip, invert
from poise.metrics.oks import oks
from poise.models.base import PoseModel
from poise.skeletons import Skeleton, convert
from poise.structures import Labels, Points, Preprocess, Sample
from poise.transforms.crop import Frame, box_frame, pixel_warp
from poise.transforms.person_crop import PersonCrop

NetworkFunction = Callable[[Float[Tensor, "b 3 h w"]], Float[Tensor, "b ..."]]


@final
@dataclass(frozen=True, eq=False)
class Mirrored:
    """The flip test of one view.

    Attributes:
        view: The mirrored view.
        output: The network's output for it.
        unflipped: That output unflipped, as an output for the view itself.
        averaged: Average with the output for the view, which is decoded.
    """

    view: Float[Tensor, "3 h w"]
    output: Float[Tensor, "1 ..."]
    unflipped: Float[Tensor, "1 ..."]
    averaged: Float[Tensor, "1 ..."]


@final
@dataclass(frozen=True, eq=False)
class Trace:
    """All intermediate results between one person's labels and the decoded pose.

    Attributes:
        sample: The image and all its labels.
        person: Index of the person.
        skeleton: Skeleton of the codec.
        codec: The codec.
        preprocess: Crop rule, padding and colours.
        box: Box x0 y0 x1 y1 that is cropped, as the release reads the annotated one.
        frame: Region of the image that the view shows.
        warp: 3x3, image pixels to view pixels, for keypoints.
        corners: Corner pixels of the view, in the image: left top, right top, right bottom, left bottom.
        view: The normalised view.
        xy: Labels (x, y), pixels of the view.
        visible: Visibility of the labels; 0 is not labelled.
        target: Perfect output.
        output: Output of the network; the target if there is none.
        mirrored: The flip test; None if the skeleton has no mirror pairs.
        without_flip: Keypoints decoded without the flip test, pixels of the view.
        found: Decoded keypoints, pixels of the view.
        image_xy: Decoded keypoints (x, y), pixels of the image.
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
    without_flip: Points
    found: Points
    image_xy: Float[Tensor, "k 2"]

    @property
    def labels(self) -> Float[Tensor, "k 2"]:
        """Labels (x, y), pixels of the image."""
        return apply(invert(self.warp.double()), self.xy.double()).float()

    def distances(self, points: Points) -> Float[Tensor, " k"]:
        """Distance of each decoded keypoint from its label, pixels of the view; NaN if it is not labelled."""
        distance = (points.xy[0] - self.xy).norm(dim=-1)
        return torch.where(self.visible > 0, distance, torch.nan)

    @property
    def similarity(self) -> float:
        """OKS of the decoded pose with the labels."""
        person = self.sample.labels.select(slice(self.person, self.person + 1))
        labels = Labels.of(self.labels[None], self.visible[None], person.boxes, area=person.area)
        return float(oks(self.image_xy[None], labels, self.skeleton.sigmas))


def trace_person(
    sample: Sample,
    person: int,
    *,
    source: Skeleton,
    skeleton: Skeleton,
    codec: InstanceCodec,
    preprocess: Preprocess,
    network: NetworkFunction | None = None,
) -> Trace:
    """Trace one person through the pipeline.

    Args:
        sample: The image and its labels.
        person: Index of the person in the labels.
        source: Skeleton of the labels.
        skeleton: Skeleton of the codec; keypoints that `source` lacks are not labelled.
        codec: The codec.
        preprocess: Crop rule, padding and colours.
        network: The network; by default one with the perfect output.

    Raises:
        BoxError: The person's box has no extent.
        SkeletonMismatch: The skeletons share no keypoint.
    """
    labels = sample.labels.select(slice(person, person + 1))
    xy, visible = convert(labels.xy, labels.visible, source=source, target=skeleton)
    box = release_boxes(labels.boxes, preprocess.crop, size=sample.size)[0]
    view, warp = PersonCrop(codec.size, preprocess, skeleton).crop_box(sample.image, box)
    view_xy = apply(warp, xy.double()).float()
    target = codec.encode(view_xy)
    output = target if network is None else network(view[None])
    mirrored_view = (
        _mirrored(view, view_xy, output, codec=codec, skeleton=skeleton, network=network) if skeleton.mirrors else None
    )
    found = codec.decode(output if mirrored_view is None else mirrored_view.averaged)
    to_image = invert(pixel_warp(preprocess.crop, warp))
    h, w = codec.size
    corners = torch.tensor([[0.0, 0.0], [w - 1, 0.0], [w - 1, h - 1], [0.0, h - 1]])
    return Trace(
        sample,
        person,
        skeleton,
        codec,
        preprocess,
        box,
        box_frame(preprocess, box, size=codec.size),
        warp,
        apply(to_image, corners),
        view,
        view_xy[0],
        visible[0],
        target,
        output,
        mirrored_view,
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
    network: NetworkFunction | None,
) -> Mirrored:
    mirrored_view = view.flip(-1)
    mirrored_xy = apply(horizontal_flip(codec.size[1]), xy)[:, skeleton.flip]
    there = codec.encode(mirrored_xy) if network is None else network(mirrored_view[None])
    unflipped = codec.unflip(there, skeleton.flip)
    return Mirrored(mirrored_view, there, unflipped, (output + unflipped) / 2)


def network_of(model: PoseModel) -> NetworkFunction:
    """A model's network in eval mode on the CPU, in float32, without gradients."""
    model.eval().cpu()

    def network(images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b ..."]:
        with torch.no_grad():
            read: Tensor = model(images)
        return read

    return network


def find_person(dataset: CocoDataset, annotation: int | None) -> tuple[int, int]:
    """Indices of the image and of the person of an annotation; by default of the first person to train on.

    Args:
        dataset: The annotations.
        annotation: Annotation id; None for the first person.

    Raises:
        InputError: There is no such annotation, or it cannot be trained on, or none can.
    """
    if annotation is None:
        people = dataset.people()
        if not people:
            raise InputError(
                f"{str(dataset.annotations)!r} has no person with a box and labelled keypoints, so there is nothing to show"
            )
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
