"""People in many whole images, read out of the maps of a model that finds keypoints first."""

import time
from collections.abc import Iterable, Iterator, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from poise.codecs.scene import SceneCodec
from poise.geometry import Warp, apply, boxes_around, invert
from poise.inference.batches import Place, Shown, in_batches, padded
from poise.inference.top_down import Found, Image, Request, Setting, Skipped, answered
from poise.models.bottom_up import BottomUp
from poise.models.kinds import Model
from poise.scenes import People
from poise.structures import Key, Poses
from poise.transforms.scales import ScaledViews, scaled_views


def read_scenes(
    model: BottomUp,
    requests: Iterable[Request],
    setting: Setting,
    *,
    readers: Sequence[SceneCodec],
    skipped: list[Skipped] | None = None,
) -> Iterator[list[Found]]:
    """Look for people, image by image, in the order of the requests: for each codec those that it reads out of the answers.

    Args:
        model: Moved to the setting's device, and left there.
        requests: Read ahead by a few images; without boxes.
        setting: How the model is run.
        readers: Codecs alike but for how they read.
        skipped: Takes the images that cannot be used; without it the first one raises its error.

    Raises:
        InputError: A request has boxes.
    """
    stream = in_batches(
        requests,
        show=partial(_views, model),
        answer=partial(_answers, model, setting),
        setting=setting,
        skipped=skipped,
        refusal=no_boxes(model),
    )
    for shown in stream:
        with torch.inference_mode():
            output = _averaged(shown, readers[0])
            found = [_found(shown, output, reader) for reader in readers]
        yield found


def no_boxes(model: Model) -> str:
    """What to say to somebody who gives boxes."""
    return f"{model.card.name} looks at whole images and finds people by itself, so boxes are of no use to it; leave them out"


def _views(model: BottomUp, image: Image) -> tuple[list[Float[Tensor, "3 _ _"]], ScaledViews]:
    scaled = scaled_views(image, model.preprocess, stride=model.codec.stride)
    return scaled.views, scaled


def _answers(model: BottomUp, setting: Setting, places: Sequence[Place]) -> list[Float[Tensor, "c _ _"]]:
    """The answer to each view, without that to what fills it up."""
    cells = [[side // model.codec.stride for side in shown.views[place].shape[1:]] for shown, place in places]
    outputs = answered(model, padded(places), setting)
    return [output[:, :high, :wide] for output, (high, wide) in zip(outputs, cells, strict=True)]


def _averaged(shown: Shown, codec: SceneCodec) -> Float[Tensor, "1 c h w"]:
    """The answers to all views of an image, brought to the largest; beyond a view its answer is that nothing is there."""
    h, w = shown.made.full_cells
    parts = []
    for place, cells in enumerate(shown.made.cells):
        output = shown.answers[place][None]
        alike = output if output.shape[2:] == cells else codec.resized(output, cells)
        parts.append(F.pad(alike, (0, w - alike.shape[3], 0, h - alike.shape[2])))  # less than 0 cuts
    return parts[0] if len(parts) == 1 else torch.stack(parts).mean(dim=0)


def _found(shown: Shown, output: Float[Tensor, "1 c h w"], reader: SceneCodec) -> Found:
    started = time.perf_counter()
    [people] = reader.decode(output)
    poses = poses_of_people(people, shown.made.warp, shown.request.key)
    return Found(shown.image, poses, list(range(len(poses))), time.perf_counter() - started)


def poses_of_people(people: People, warp: Warp, key: Key) -> Poses:
    """People of a view as poses of its image; keypoints that were not found stay at 0, 0, boxes go around the others.

    Args:
        people: Pixels of the view.
        warp: Image to view.
        key: Of the image.
    """
    score, rated = people.score.cpu(), people.pose_score.cpu()
    found = score > 0
    home = apply(invert(warp.double()), people.xy.cpu().double()).float()
    xy = torch.where(found[..., None], home, 0.0)
    return Poses(xy, score, boxes_around(xy, found), rated, rated, key)
