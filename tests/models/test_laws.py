"""Laws every model obeys: it can learn one batch by heart, and a batch of two is twice a batch of one."""

import pytest
import torch

from poise.structures import Batch
from poise.zoo.hrnet import hrnet
from poise.zoo.simple_baselines import poseresnet

SIZE = (64, 64)
MODELS = {"simple-baseline": lambda: poseresnet(18, size=SIZE), "hrnet": lambda: hrnet(16, size=SIZE)}


@pytest.fixture(autouse=True)
def one_thread():
    """Layers this small only lose time to threads that wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(params=MODELS)
def model(request):
    torch.manual_seed(0)
    return MODELS[request.param]()


def batch_of(count, keypoints):
    generator = torch.Generator().manual_seed(1)
    return Batch(
        images=torch.randn(count, 3, *SIZE, generator=generator),
        xy=8 + 48 * torch.rand(count, keypoints, 2, generator=generator),
        visible=torch.full((count, keypoints), 2),
        warps=torch.eye(3).expand(count, 3, 3),
    )


def test_a_model_learns_one_batch_by_heart(model):
    batch = batch_of(2, model.codec.keypoints)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    losses = []
    for _ in range(45):
        optimizer.zero_grad()
        loss = model.loss(batch)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if losses[-1] < 0.5 * losses[0]:
            break
    assert losses[-1] < 0.5 * losses[0]  # maps of nothing at all, where it starts, are already small


def test_two_views_together_get_the_answers_they_get_alone(model):
    model.eval()
    images = batch_of(2, 1).images
    with torch.no_grad():
        together = model(images)
        alone = torch.cat([model(image[None]) for image in images])
    assert torch.allclose(together, alone, atol=1e-5 * float(together.abs().max()) + 1e-9)


def test_prediction_with_the_flip_test_has_a_point_for_every_keypoint(model):
    points = model.eval().predict(batch_of(2, 1).images, flip=True)
    assert points.xy.shape == (2, model.codec.keypoints, 2)
    assert points.xy.isfinite().all()
