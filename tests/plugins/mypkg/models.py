"""Models of one's own: a class beside its parent's, and one whose file cannot be read."""

from dataclasses import replace

from poise.models.top_down import TopDown


class Scaled(TopDown):
    """Multiplies what its network answers."""

    factor = 1.0

    def outputs(self, images):
        return [self.factor * output for output in super().outputs(images)]

    def to_plain(self):
        return super().to_plain() | {"factor": self.factor}

    @classmethod
    def from_plain(cls, network, preprocess, card, *, values):
        made = super().from_plain(network, preprocess, card, values=values)
        made.factor = values["factor"]
        return made


class Forgetful(Scaled):
    """Does not read what it wrote."""

    @classmethod
    def from_plain(cls, network, preprocess, card, *, values):
        return super().from_plain(network, preprocess, card, values=dict(values) | {"factor": 1.0})


class Renames(Scaled):
    """Fails to read what it wrote."""

    @classmethod
    def from_plain(cls, network, preprocess, card, *, values):
        return replace(super().from_plain(network, preprocess, card, values=values), card=card)
