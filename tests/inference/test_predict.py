import sys

import cv2
import numpy as np
import pytest
import torch

from poise.errors import BoxError, ImageError, InputError, UnknownName
from poise.inference.predictor import predict


@pytest.mark.parametrize("rule", ["unbiased", "udp"])
@pytest.mark.parametrize("flip", [False, True])
def test_dots_are_found_where_they_are_in_the_image(dots, rule, flip):
    poses = predict(dots.model(crop=rule), dots.picture(dots.people), boxes=dots.boxes, flip=flip, precision="fp32")
    assert np.abs(poses.xy.numpy() - dots.people).max() < 0.5
    assert (poses.score > 0.9).all()
    assert (poses.pose_score > 0.9).all()
    assert poses.boxes.tolist() == dots.boxes
    assert poses.box_score.tolist() == [1, 1]


def test_every_form_of_image_and_boxes_gives_the_same(dots, tmp_path):
    pixels = dots.picture(dots.people)
    path = tmp_path / "dots.png"
    cv2.imwrite(str(path), pixels[..., ::-1])
    frozen = pixels.copy()
    frozen.setflags(write=False)
    model = dots.model()
    expected = predict(model, pixels, boxes=dots.boxes, precision="fp32").xy
    for image in (path, str(path), torch.from_numpy(pixels), frozen, np.asfortranarray(pixels)):
        for boxes in (
            np.array(dots.boxes),
            torch.tensor(dots.boxes),
            [tuple(b) for b in dots.boxes],
            np.array(dots.boxes, int),
        ):
            assert torch.equal(predict(model, image, boxes=boxes, precision="fp32").xy, expected)


def test_without_boxes_the_whole_image_is_one_person(dots):
    person = dots.people[:1]
    poses = predict(dots.model(padding=1.0), dots.picture(person), precision="fp32")
    assert poses.boxes.tolist() == [[0, 0, 320, 240]]
    assert np.abs(poses.xy.numpy() - person).max() < 1.5


def test_without_people_there_are_no_poses(dots):
    poses = predict(dots.model(), dots.picture(dots.people), boxes=[])
    assert len(poses) == 0
    assert poses.xy.shape == (0, 3, 2)


class Corner(torch.nn.Module):
    """Answers that every keypoint is near the first corner of the view."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = torch.zeros(len(images), 3, *images.shape[2:])
        maps[..., 4, 4] = 1
        return maps


def test_a_keypoint_outside_the_image_is_not_clipped(dots):
    model = dots.model(padding=2.0)
    model.network = Corner()
    poses = predict(model, dots.picture(dots.people), boxes=[[0.0, 0.0, 90.0, 120.0]], flip=False)
    assert (poses.xy < -20).all()
    assert (poses.score == 1).all()


def test_people_go_through_the_network_batch_by_batch(dots):
    model = dots.model()
    predict(model, dots.picture(dots.people), boxes=dots.boxes * 3, batch=4, flip=False, precision="fp32")
    assert model.network.calls == [4, 2]


def test_a_model_in_training_is_put_back_into_it(dots):
    model = dots.model().train()
    predict(model, dots.picture(dots.people), boxes=dots.boxes)
    assert model.training


GOOD = np.zeros((20, 30, 3), np.uint8)


@pytest.mark.parametrize(
    ("image", "says"),
    [
        (GOOD.astype(np.float32), "float32"),
        (GOOD[..., 0], "shape"),
        (GOOD.transpose(2, 0, 1), "move the channels to the end"),
        (np.zeros((20, 30, 4), np.uint8), r"\(20, 30, 4\)"),
        (np.zeros((0, 30, 3), np.uint8), r"\(0, 30, 3\)"),
    ],
)
def test_pixels_of_another_type_or_shape_are_refused(dots, image, says):
    with pytest.raises(InputError, match=says):
        predict(dots.model(), image)


@pytest.mark.parametrize(
    ("boxes", "says"),
    [
        ([[5, 5, 5, 15]], "no size"),
        ([[10, 5, 5, 15]], "no size"),
        ([[40, 5, 50, 15]], "outside the image of 30 x 20"),
        ([[1, 2, 3, 4], [float("nan"), 5, 50, 15]], "box 1 .* not finite"),
        ([1, 2, 3, 4], "into a list"),
        ([[1, 2, 3, 4, 0.9]], r"shape \(1, 5\)"),
        ([[1, 2, 3], [1, 2]], "four numbers"),
        ("boxes", "four numbers"),
    ],
)
def test_boxes_nobody_can_be_in_are_refused(dots, boxes, says):
    with pytest.raises(BoxError, match=says):
        predict(dots.model(), GOOD, boxes=boxes)


def test_missing_and_broken_images_are_refused(dots, tmp_path):
    with pytest.raises(ImageError, match="there is no image"):
        predict(dots.model(), tmp_path / "nothing.jpg")
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8 and no more")
    with pytest.raises(ImageError, match=r"broken\.jpg"):
        predict(dots.model(), tmp_path / "broken.jpg")


def test_unknown_devices_and_precisions_are_refused(dots):
    with pytest.raises(UnknownName, match="device 'gpu'"):
        predict(dots.model(), GOOD, device="gpu")
    with pytest.raises(UnknownName, match="precision 'half'"):
        predict(dots.model(), GOOD, precision="half")


def test_the_package_offers_it():
    import poise

    assert poise.predict is predict
    assert "poise.inference.predictor" in sys.modules
