"""A predictor: single images and streams, boxes given or detected, from several threads."""

import io
import itertools
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image

import poise
from poise.errors import ImageError, InputError
from poise.inference.detect import Detected, Detector
from poise.inference.request import ImageRequest, Skipped
from poise.structures import Key


class KnownBoxes(Detector):
    """Finds given boxes, each with a confidence, and counts how often an image is read."""

    name = "known boxes"

    def __init__(self, boxes, scores):
        self.boxes, self.scores = torch.tensor(boxes), torch.tensor(scores)

    def find(self, requests, *, skipped):
        for request in requests:
            try:
                request.read()
            except ImageError as error:
                skipped.append(Skipped(request.key, str(error)))
                continue
            yield Detected(request.key, self.boxes, self.scores)


def pixels(dots) -> torch.Tensor:
    return torch.from_numpy(dots.picture(dots.people)).permute(2, 0, 1).contiguous()


def test_the_package_offers_it(dots):
    predictor = poise.Predictor(dots.model(), precision="fp32")
    found = predictor(dots.picture(dots.people), boxes=dots.boxes)
    assert np.abs(found.xy.numpy() - dots.people).max() < 0.5
    assert not predictor.model.training


def test_images_of_pillow_are_images(dots):
    predictor = poise.Predictor(dots.model(), precision="fp32")
    array = dots.picture(dots.people)
    assert torch.equal(predictor(Image.fromarray(array), boxes=dots.boxes).xy, predictor(array, boxes=dots.boxes).xy)


def test_a_detector_finds_the_boxes_of_a_single_image(dots):
    detector = KnownBoxes([*dots.boxes, [0.0, 0.0, 20.0, 20.0]], [0.9, 0.8, 0.1])
    found = poise.Predictor(dots.model(), detector=detector, precision="fp32")(dots.picture(dots.people))
    assert np.abs(found.xy.numpy() - dots.people).max() < 0.5
    assert found.box_score.tolist() == pytest.approx([0.9, 0.8]), "the third box is below the least confidence"
    assert torch.equal(poise.predict(dots.model(), dots.picture(dots.people), detector=detector, precision="fp32").xy, found.xy)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_stream_gives_what_single_images_give_in_their_order(dots, workers):
    detector = KnownBoxes(dots.boxes, [0.9, 0.8])
    predictor = poise.Predictor(dots.model(), detector=detector, precision="fp32", batch=3, workers=workers)
    pictures = [np.roll(dots.picture(dots.people), shift, axis=1) for shift in range(7)]
    found = list(predictor(picture for picture in pictures))
    assert len(found) == 7
    for poses, picture in zip(found, pictures, strict=True):
        torch.testing.assert_close(poses.xy, predictor(picture).xy, rtol=0, atol=1e-4)


@pytest.mark.parametrize("detected", [False, True])
def test_a_stream_may_be_endless_and_reads_each_image_once(dots, detected):
    read: list[int] = []
    image = pixels(dots)

    def note(index):
        read.append(index)
        return image

    boxes = torch.tensor(dots.boxes)
    requests = (ImageRequest(Key(f"{i}.png", i), partial(note, i), None if detected else boxes) for i in itertools.count())
    detector = KnownBoxes(dots.boxes, [0.9, 0.8]) if detected else None
    stream = poise.Predictor(dots.model(), detector=detector, precision="fp32", batch=4).stream(requests)
    keys = [found.poses.key for found, _ in zip(stream, range(20), strict=False)]
    assert keys == [Key(f"{i}.png", i) for i in range(20)]
    stream.close()
    assert len(read) == len(set(read)) < 60


def test_images_that_cannot_be_used_are_left_out_or_raise(dots):
    image = pixels(dots)

    def refuse():
        raise ImageError("it is broken")

    reads = [partial(lambda value: value, image), refuse, partial(lambda value: value, image)]
    requests = [ImageRequest(Key(f"{i}.png", i), read) for i, read in enumerate(reads)]
    predictor = poise.Predictor(dots.model(), detector=KnownBoxes(dots.boxes, [0.9, 0.8]), precision="fp32")
    skipped: list[Skipped] = []
    assert [found.poses.key.image_id for found in predictor.stream(requests, skipped=skipped)] == [0, 2]
    assert skipped == [Skipped(Key("1.png", 1), "it is broken")]
    with pytest.raises(ImageError, match="it is broken"):
        list(predictor.stream(requests))


def test_several_threads_get_the_answers_that_one_gets(dots):
    predictor = poise.Predictor(dots.model(), precision="fp32")
    pictures = [np.roll(dots.picture(dots.people), shift, axis=0) for shift in range(8)]
    alone = [predictor(picture, boxes=dots.boxes).xy for picture in pictures]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda picture: predictor(picture, boxes=dots.boxes).xy, pictures * 3))
    assert all(torch.equal(xy, alone[index % 8]) for index, xy in enumerate(together))


def test_what_would_change_nothing_is_refused(dots, model):
    with pytest.raises(InputError, match="a detector is of no use to it"):
        poise.Predictor(model, detector=KnownBoxes(dots.boxes, [0.9, 0.8]))
    with pytest.raises(InputError, match="boxes belong to a single image"):
        poise.Predictor(dots.model())([dots.picture(dots.people)], boxes=dots.boxes)


def test_a_model_in_training_is_put_back_into_training_by_predict_alone(dots):
    training = dots.model().train()
    poise.predict(training, dots.picture(dots.people), boxes=dots.boxes)
    assert training.training
    poise.Predictor(training)
    assert not training.training


def test_a_list_of_files_bytes_and_pillow_images_gives_a_list(dots, tmp_path):
    model, array = dots.model(), dots.picture(dots.people)
    file, content = tmp_path / "dots.png", io.BytesIO()
    Image.fromarray(array).save(file)
    Image.fromarray(array).save(content, "png")
    images = [
        str(file),
        file,
        content.getvalue(),
        bytearray(content.getvalue()),
        Image.fromarray(array),
        array[..., ::-1][..., ::-1],
    ]
    found = poise.predict(model, images, precision="fp32")
    assert len(found) == len(images)
    alone = [poise.predict(model, image, precision="fp32") for image in images]
    for one, other in zip(found, alone, strict=True):
        assert torch.equal(one.xy, other.xy)
        assert torch.equal(one.xy, found[0].xy)
    assert [one.key.file_name for one in found] == [str(file), str(file), "", "", "", ""]
    assert (found[0].skeleton, found[0].size) == (model.skeleton, (240, 320))
    assert found[0].to_dict()["keypoint_names"] == ["red", "green", "blue"]
    with pytest.raises(ImageError, match=r"\(bytes\)"):
        poise.predict(model, b"no image")


@pytest.mark.parametrize(
    ("shape", "hint"),
    [((9, 9), "repeat the grey"), ((9, 9, 4), r"leave out alpha: image\[\.\.\., :3\]"), ((2, 9, 9, 3), "list of images")],
)
def test_pixels_of_another_shape_are_told_what_to_do(dots, shape, hint):
    with pytest.raises(InputError, match=hint):
        poise.predict(dots.model(), np.zeros(shape, np.uint8))


def test_a_model_that_learnt_tight_boxes_warns_once_where_it_gets_whole_images(dots):
    model, image = dots.model(), dots.picture(dots.people)
    model.card = replace(model.card, box_share=0.1)
    predictor = poise.Predictor(model, precision="fp32")
    with pytest.warns(UserWarning, match="boxes it learnt cover 10% of their images") as told:
        [list(predictor([image, image])), predictor(image)]
    assert len(told) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        predictor = poise.Predictor(model, precision="fp32", whole_image=True)
        predictor(image)
        poise.predict(model, image, boxes=dots.boxes, precision="fp32")
        poise.predict(model, image, whole_image=True, precision="fp32")
        model.card = replace(model.card, box_share=0.8)
        poise.predict(model, image, precision="fp32")
