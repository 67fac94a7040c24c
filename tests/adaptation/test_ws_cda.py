"""WS-CDA: its losses by hand, both directions of the gradient, a discriminator that a run keeps and no model needs."""

import io
from dataclasses import replace
from functools import cache, partial

import pytest
import torch
from rich.console import Console
from torch.nn.functional import binary_cross_entropy, mse_loss

from poise.adaptation.joint import JointBatch
from poise.adaptation.target import Target
from poise.adaptation.task import Domains
from poise.adaptation.ws_cda import DOMAIN, KIND, PEOPLE, CdaWeights, Discriminator, WsCda
from poise.data.cached import CachedDataset
from poise.data.figures import FigureDataset
from poise.data.mapped import MappedDataset
from poise.errors import InputError
from poise.models.adapted import add_adaptation
from poise.recipes.start import start_model
from poise.skeletons import QUADRUPED
from poise.skeletons.mapping import KeypointMap
from poise.training.fit import fit
from poise.training.recipe import Optimizer, Recipe
from poise.weights.model_file import load
from poise.zoo import build

pytestmark = pytest.mark.usefixtures("one_thread")

HERE = {"device": "cpu", "precision": "fp32", "workers": 0, "loggers": ()}


def silent():
    return Console(quiet=True, file=io.StringIO())


@cache
def drawn(count, kind, seed):
    return CachedDataset(FigureDataset(count, kind=kind, size=(48, 48), seed=seed))


def animals(count, *, seed=0):
    return drawn(count, "animals", seed)


def people(count):
    return MappedDataset(drawn(count, "people", 0), skeleton=QUADRUPED, mapping=KeypointMap(analogies=True))


def domains(*, with_people=True, count=4):
    more = {PEOPLE: people(count)} if with_people else {}
    return Domains(Target(animals(count, seed=9), skeleton=QUADRUPED), more=more)


def model_of(name="poise_t_coco_32x32", codec=None):
    torch.manual_seed(0)
    model = build(name, skeleton=QUADRUPED, codec=codec)
    add_adaptation(model)
    return model


def recipe(*, epochs=2, with_people=True, **how):
    model = model_of()
    return Recipe(
        name="ws_cda",
        model=model,
        train=animals(4),
        val=animals(3, seed=2),
        epochs=epochs,
        batch=2,
        augmentation=None,
        optimizer=Optimizer("adamw", rate=1e-3),
        average=0.5,
        task=partial(WsCda, domains=domains(with_people=with_people), **how),
    )


def task_and_batch(*, with_people=True, model=None, **how):
    made = recipe(with_people=with_people)
    model = model or made.model
    task = WsCda(model, domains(with_people=with_people), **how)
    views = task.train_views(made.data, seed=0)
    return task, views.collate([views[0, i] for i in range(3)]).batch


def test_the_parts_are_the_formula_by_hand():
    weights = CdaWeights(alpha=-2.0, beta=100.0, w1=0.5, w2=3.0)
    task, batch = task_and_batch(weights=weights)
    model, network = task.model.eval(), task.model.network
    parts = task.losses(batch)
    assert tuple(parts) == (task.loss_parts) == ("source", PEOPLE, KIND, DOMAIN)
    own, target, persons = (batch.parts[name].images for name in ("source", "target", PEOPLE))
    raw = [network.backbone(images) for images in (own, target, persons)]
    seen = [network.adaptation(raw[0]), network.adaptation(raw[1]), raw[2]]
    answers = [task.extra(features).sigmoid() for features in seen]
    kind = binary_cross_entropy(torch.cat([a[:, 0] for a in answers]), torch.tensor([1.0] * 6 + [0.0] * 3))
    domain = binary_cross_entropy(torch.cat([a[:, 1] for a in answers[:2]]), torch.tensor([0.0] * 3 + [1.0] * 3))
    torch.testing.assert_close(parts[KIND], 2.0 * 0.5 * kind, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(parts[DOMAIN], 2.0 * domain, rtol=1e-4, atol=1e-6)
    for name, features, factor in (("source", seen[0], 3.0), (PEOPLE, seen[2], 1.0)):
        part = batch.parts[name]
        shown = (part.visible > 0)[..., None, None]
        maps = network.answer(features)
        wanted = mse_loss(maps * shown, model.codec.encode(part.xy) * shown)
        torch.testing.assert_close(parts[name], 100.0 * factor * wanted, rtol=1e-3, atol=1e-6)


def test_what_a_person_does_not_have_gives_no_gradient():
    task, batch = task_and_batch()
    task.losses(batch)[PEOPLE].backward()
    rows = task.model.network.head.final.weight.grad.flatten(1).abs().sum(dim=1)
    missing = [QUADRUPED.index(name) for name in ("throat", "withers", "tail_base")]
    assert not rows[missing].any()
    assert rows[QUADRUPED.index("left_front_paw")] > 0


def gradients(loss, module):
    found = torch.autograd.grad(loss, list(module.parameters()), retain_graph=True, allow_unused=True)
    return [g for g in found if g is not None]


def test_the_discriminator_lowers_l_ddl_and_all_before_it_raise_it():
    task, batch = task_and_batch()
    task.model.eval()
    adversarial = task.losses(batch)
    ddl = adversarial[KIND] + adversarial[DOMAIN]
    plain = WsCda(task.model, task.domains)
    plain.extra = task.extra
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("poise.adaptation.ws_cda.reverse_gradient", lambda x: x)
        straight = plain.losses(batch)
    direct = straight[KIND] + straight[DOMAIN]
    assert torch.equal(ddl, direct)
    for before in (task.model.network.backbone, task.model.network.adaptation):
        for reversed_, usual in zip(gradients(ddl, before), gradients(direct, before), strict=True):
            torch.testing.assert_close(reversed_, -usual)
    for own, usual in zip(gradients(ddl, task.extra), gradients(direct, task.extra), strict=True):
        torch.testing.assert_close(own, usual)
    assert not gradients(ddl, task.model.network.head)
    pose = adversarial["source"] + adversarial[PEOPLE]
    assert not gradients(pose, task.extra)


def test_without_people_only_the_target_is_told_apart():
    task, batch = task_and_batch(with_people=False)
    assert tuple(task.losses(batch)) == task.loss_parts == ("source", DOMAIN)


@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 500.0), (-1.0, -500.0), (0.0, 500.0), (-1.0, 0.0), (float("nan"), 1.0)])
def test_alpha_and_beta_have_opposite_signs(alpha, beta):
    with pytest.raises(InputError, match="alpha and beta of opposite signs, such as -1 and 500"):
        CdaWeights(alpha=alpha, beta=beta)


def test_both_signs_turned_are_the_same_training():
    task, batch = task_and_batch()
    turned = WsCda(task.model, task.domains, weights=CdaWeights(alpha=1.0, beta=-500.0))
    task.model.eval()
    for name, value in task.losses(batch).items():
        torch.testing.assert_close(turned.losses(batch)[name], value)


def test_weights_and_parts_that_cannot_be_are_told():
    with pytest.raises(InputError, match="w1 and w2 of WS-CDA are weights, 0 or more; found -1 and 1"):
        CdaWeights(w1=-1.0)
    with pytest.raises(InputError, match="has no domain adaptation layer"):
        WsCda(start_model("poise_t", size=(64, 64), skeleton=QUADRUPED), domains())
    strange = replace(domains(), more={"birds": people(2)})
    with pytest.raises(InputError, match="there is no use for birds"):
        WsCda(model_of(), strange)


@pytest.mark.parametrize(
    ("name", "codec"),
    [("poise_t_coco_64x64", "SimCC"), ("poise_t_coco_64x64", "UDPOffset"), ("hourglass_2stack_b1_17j_64x64", None),
     ("poseresnet_18_coco_64x64", None), ("rsn_res18_coco_64x64", None)],
)  # fmt: skip
def test_any_network_and_codec_is_trained(name, codec):
    task, batch = task_and_batch(model=model_of(name, codec))
    parts = task.losses(batch)
    sum(parts.values()).backward()
    assert all(bool(torch.isfinite(value)) and bool(value > 0) for value in parts.values())
    assert all(
        p.grad is not None for p in (*task.model.network.adaptation.blocks[-1][-1].parameters(), *task.extra.parameters())
    )
    assert float(parts["source"].detach()) < 500, "the pose loss is of one size for all codecs"


def test_the_discriminator_begins_the_same_and_takes_no_random_number_of_the_run():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    one, two = (WsCda(model_of(), domains(count=2), discriminator=Discriminator(width=8)) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one.extra.parameters(), two.extra.parameters(), strict=True))
    torch.manual_seed(3)
    Discriminator().build((4,))
    assert torch.equal(torch.get_rng_state(), before)


def state_of(folder):
    return torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


def test_a_run_keeps_its_discriminator_and_ends_as_an_uninterrupted_one(tmp_path):
    first = recipe().task(recipe().model).extra.state_dict()
    fit(recipe(), out=tmp_path / "whole", console=silent(), **HERE)
    for steps in (1, 3, None):
        flags = {"resume": tmp_path / "parts"} if steps != 1 else {}
        fit(recipe(), out=tmp_path / "parts", steps=steps, console=silent(), **HERE, **flags)
    one, two = state_of(tmp_path / "whole"), state_of(tmp_path / "parts")
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert any(not torch.equal(one[f"extra.{name}"], value) for name, value in first.items()), "it is trained"
    made = load(tmp_path / "whole" / "model.safetensors")
    assert not any("lateral" in name and "head" not in name for name in made.network.state_dict())
    assert made(torch.zeros(1, 3, 32, 32)).shape == (1, 20, 8, 8)
    header = (tmp_path / "whole" / "metrics.csv").read_text().splitlines()[0]
    assert all(f"train/{name}" in header for name in ("source", PEOPLE, KIND, DOMAIN))


def test_features_of_two_domains_become_alike_to_the_discriminator():
    """Domains that differ by brightness alone: fixed features tell them apart, adapted ones less."""
    torch.manual_seed(0)
    task, batch = task_and_batch(with_people=False, weights=CdaWeights(beta=1e-6))
    bright = replace(batch.target, images=batch.source.images + 1.0)
    pair = JointBatch({"source": batch.source, "target": bright})
    values = {}
    for name, trained in (("fixed", [task.extra]), ("adapted", [task.extra, task.model.network.adaptation])):
        task.extra = Discriminator().build(task.model.network.backbone.channels)
        trained[0] = task.extra
        optimizer = torch.optim.Adam([p for part in trained for p in part.parameters()], lr=3e-3)
        task.model.eval()
        for _ in range(60):
            optimizer.zero_grad()
            loss = task.losses(pair)[DOMAIN]
            loss.backward()
            optimizer.step()
        values[name] = float(loss.detach())
    assert values["fixed"] < 0.1
    assert values["adapted"] > 3 * values["fixed"]
