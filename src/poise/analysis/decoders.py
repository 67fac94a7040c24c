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
from poise.evaluation.requests import eval_requests
from poise.inference.request import Watch
from poise.inference.settings import InferenceSettings
from poise.inference.stream import stream_poses
from poise.models.base import PoseModel

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


def decoders_of(model: PoseModel, names: Sequence[str] = ()) -> list[Codec]:
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
    model: PoseModel,
    eval_set: EvalSet,
    settings: InferenceSettings,
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
        settings: How the network is run, which all rows share.
        readings: Names; all by default.
        boxes: A detector's, for a model that looks at one person at a time; the labelled ones by default.
        watch: Sees every image as it is done.

    Raises:
        InputError, UnknownName: As `decoders_of`.
        PoiseError: As `evaluation.evaluate.evaluate`.
    """
    codecs = decoders_of(model, readings)
    _once(model, eval_set, settings, codecs=codecs, boxes=boxes)
    found = evaluate_each(model, eval_set, settings, codecs=codecs, boxes=boxes, watch=watch)
    return [
        DecoderRow(reading_of(codec) or "own", index == 0, one, 1000 * one.seconds, len(one.results))
        for index, (codec, one) in enumerate(zip(codecs, found, strict=True))
    ]


def _once(
    model: PoseModel, eval_set: EvalSet, settings: InferenceSettings, *, codecs: Sequence[Codec], boxes: Boxes | None
) -> None:
    """Read one image, so that nobody's time is that of loading compiled loops."""
    eval_set.known_to(model.skeleton)
    asked = eval_requests(model, eval_set, boxes)
    list(stream_poses(model, [one.request for one in asked.values()][:1], settings, codecs=codecs, skipped=[]))
