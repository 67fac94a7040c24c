"""One network read in many ways: what each decoder scores, and how long it takes.

The network looks at every image once; every decoder reads the same answer. What the table says is therefore the decoder's doing
alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

from poise.codecs.decoders import Codec, codec_name, decoder, names_of, read_by, reading_of
from poise.data.boxes import PersonBoxes
from poise.errors import InputError
from poise.evaluation.eval_set import EvalSet
from poise.evaluation.evaluate import Evaluation, evaluate_each
from poise.evaluation.protocols import protocol_of
from poise.inference.find import read
from poise.inference.top_down import Setting, Watch
from poise.models.kinds import Model

Boxes = Mapping[int, PersonBoxes]


@final
@dataclass(frozen=True, eq=False)
class DecoderRow:
    """What one way to read a network's answers gave.

    Attributes:
        reading: Its name; "own" where the codec reads in a way of its own that has none.
        own: Whether the model is read so by itself.
        evaluation: What it scored.
        milliseconds: What reading an image took; half of the images took less.
        people: How many it found.
    """

    reading: str
    own: bool
    evaluation: Evaluation
    milliseconds: float
    people: int


def decoders_of(model: Model, names: Sequence[str] = ()) -> list[Codec]:
    """The model's codec read in several ways, each once; its own way first.

    Args:
        model: Of any kind.
        names: Of readings; all that its codec has by default.

    Raises:
        InputError: Its answers can be read in one way only.
        UnknownName: There is no such reading.
    """
    own: Codec = model.codec
    known = names_of(own)
    if not known:
        raise InputError(
            f"answers of {model.card.name} ({codec_name(own)}) can be read in one way only, so there is nothing to compare; "
            "other readings are for maps"
        )
    found = {decoder(own): own}
    for name in names or known:
        one = read_by(own, name)
        found.setdefault(decoder(one), one)
    return list(found.values())


def compare_decoders(
    model: Model,
    eval_set: EvalSet,
    setting: Setting,
    *,
    readings: Sequence[str] = (),
    boxes: Boxes | None = None,
    watch: Watch | None = None,
) -> list[DecoderRow]:
    """A row for each decoder, the model's own first.

    Answers are not kept: each is read in all ways when it comes.

    Args:
        model: Of any kind.
        eval_set: What it is measured on.
        setting: How the network is run, which all rows share.
        readings: Names; all by default.
        boxes: A detector's, for a model that looks at one person at a time; the labelled ones by default.
        watch: Sees every image as it is done.

    Raises:
        InputError, UnknownName: As `decoders_of`.
        PoiseError: As `evaluation.evaluate.evaluate`.
    """
    readers = decoders_of(model, readings)
    _warm_up(model, eval_set, setting, readers=readers, boxes=boxes)
    found = evaluate_each(model, eval_set, setting, readers=readers, boxes=boxes, watch=watch)
    return [
        DecoderRow(reading_of(codec) or "own", place == 0, one, 1000 * one.seconds, len(one.results))
        for place, (codec, one) in enumerate(zip(readers, found, strict=True))
    ]


def _warm_up(model: Model, eval_set: EvalSet, setting: Setting, *, readers: Sequence[Codec], boxes: Boxes | None) -> None:
    """Read one image, so that nobody's time is that of loading compiled loops."""
    eval_set.known_to(model.skeleton)
    wanted = protocol_of(model).wanted(model, eval_set, boxes)
    list(read(model, [one.request for one in wanted.values()][:1], setting, readers=readers, skipped=[]))
