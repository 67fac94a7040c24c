import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from poise.errors import ImageError, InputError, SkeletonMismatch
from poise.inference.request import ImageRequest, Skipped
from poise.inference.settings import InferenceSettings
from poise.inference.stream import find_poses
from poise.structures import Key


def requests(dots, count: int) -> list[ImageRequest]:
    """Images of one and of two people in turn, each shifted by its number."""
    made = []
    for i in range(count):
        people = dots.people[: 1 + i % 2] + i
        image = torch.from_numpy(dots.picture(people)).permute(2, 0, 1)
        boxes = torch.tensor(dots.boxes[: len(people)]) + i
        made.append(ImageRequest(Key(f"{i}.png", i), lambda image=image: image, boxes, torch.full((len(people),), 0.5)))
    return made


@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize("batch", [1, 4, 100])
def test_images_come_back_in_order_with_their_own_people(dots, workers, batch):
    model = dots.model()
    setting = InferenceSettings.of(model, batch=batch, workers=workers, flip=False, precision="fp32")
    found = list(find_poses(model, requests(dots, 7), setting))
    assert [f.poses.key.image_id for f in found] == list(range(7))
    for i, one in enumerate(found):
        assert np.abs(one.poses.xy.numpy() - (dots.people[: 1 + i % 2] + i)).max() < 0.5
        assert one.poses.box_score.tolist() == [0.5] * (1 + i % 2)
        assert (one.poses.pose_score < 0.5).all()
    assert sum(model.network.calls) == 10
    assert len(model.network.calls) == -(-10 // batch)


def refuse():
    raise ImageError("it is broken")


def test_a_bad_image_is_skipped_and_told_or_raises(dots):
    model = dots.model()
    setting = InferenceSettings.of(model, workers=2)
    jobs = requests(dots, 4)
    jobs[1] = ImageRequest(Key("bad.png", 9), refuse)
    skipped: list[Skipped] = []
    found = list(find_poses(model, jobs, setting, skipped=skipped))
    assert [f.poses.key.image_id for f in found] == [0, 2, 3]
    assert skipped == [Skipped(Key("bad.png", 9), "it is broken")]
    with pytest.raises(ImageError, match="it is broken"):
        list(find_poses(model, jobs, setting))


def test_boxes_outside_the_image_are_left_out_and_images_without_boxes_are_empty(dots):
    model = dots.model()
    first, second = requests(dots, 2)
    far = torch.cat((torch.tensor([[900.0, 10.0, 950.0, 60.0]]), first.boxes))
    jobs = [ImageRequest(first.key, first.read, far), ImageRequest(second.key, second.read, torch.zeros(0, 4))]
    found = list(find_poses(model, jobs, InferenceSettings.of(model)))
    assert [f.boxes for f in found] == [[1], []]
    assert [len(f.poses) for f in found] == [1, 0]


def test_only_a_few_images_are_read_ahead(dots):
    read: list[int] = []
    image = torch.from_numpy(dots.picture(dots.people)).permute(2, 0, 1)

    def note(i: int):
        read.append(i)
        return image

    jobs = (ImageRequest(Key(f"{i}", i), lambda i=i: note(i)) for i in range(1000))
    model = dots.model()
    stream = find_poses(model, jobs, InferenceSettings.of(model, workers=2, batch=1))
    next(stream)
    stream.close()
    time.sleep(0.05)
    assert len(read) < 10


def test_settings_without_sense_are_refused(dots):
    with pytest.raises(InputError, match="at least 1 view"):
        InferenceSettings.of(dots.model(), batch=0)
    assert InferenceSettings.of(dots.model(flip_test=False)).flip is False
    assert InferenceSettings.of(dots.model(flip_test=False), flip=True).flip is True
    colours = dots.model()
    colours.skeleton = replace(dots.skeleton, mirror=())
    with pytest.raises(SkeletonMismatch, match="has no mirror pairs"):
        InferenceSettings.of(colours, flip=True)
    assert InferenceSettings.of(colours).flip is False, "nobody asked for a mirror"
    assert InferenceSettings.of(colours, flip=False).flip is False


def test_outputs_are_decoded_in_float32_where_the_network_runs_in_bfloat16(dots, monkeypatch):
    """A matrix product of a codec would be off by up to half a pixel of the view in bfloat16."""
    model = dots.model()
    seen: list[bool] = []
    decode = type(model.codec).decode

    def watched(self, output):
        seen.append(torch.is_autocast_enabled("cpu"))
        product = output.flatten(2) @ torch.ones(output[0, 0].numel(), 1)
        assert product.dtype == torch.float32
        return decode(self, output)

    monkeypatch.setattr(type(model.codec), "decode", watched)
    image = torch.from_numpy(dots.picture(dots.people)).permute(2, 0, 1).contiguous()
    requests = [ImageRequest(Key("dots.png"), lambda: image, torch.tensor(dots.boxes))]
    settings = InferenceSettings.of(model, device="cpu", precision="bf16", flip=False, workers=0)
    [found] = find_poses(model, requests, settings)
    assert seen == [False]
    assert np.abs(found.poses.xy.numpy() - dots.people).max() < 1.0
