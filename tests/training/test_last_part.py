"""The last epochs of a run have views of their own, and the run says so."""

import json
from dataclasses import replace

from rich.console import Console

from poise.training.fit import fit
from poise.training.recipe import LastPart
from poise.transforms.jitter import Augmentation
from poise.transforms.person_crop import PersonCrop


def test_the_views_of_the_last_epochs_are_changed_by_their_own_augmentation(tiny, tmp_path, monkeypatch):
    seen, crop = [], PersonCrop.__call__

    def cropped(self, *args, **more):
        seen.append(None if self.augmentation is None else self.augmentation.rotation)
        return crop(self, *args, **more)

    monkeypatch.setattr(PersonCrop, "__call__", cropped)
    views = Augmentation(rotation=1.0, flip=0.0)
    run = replace(tiny.recipe(), epochs=4, augmentation=views, last=LastPart(0.25, replace(views, rotation=2.0)))
    fit(run, out=tmp_path, device="cpu", precision="fp32", workers=0, console=Console(quiet=True))
    trained = [rotation for rotation in seen if rotation is not None]
    assert set(trained) == {1.0, 2.0}
    assert trained[1:] == sorted(trained[1:]), "one view is looked at before the run; those of the last epochs come last"
    assert trained.count(1.0) - 1 == 3 * trained.count(2.0)
    assert json.loads((tmp_path / "settings.json").read_text())["last"]["augmentation"]["rotation"] == 2.0
