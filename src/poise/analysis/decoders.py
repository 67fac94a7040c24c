"""One network decoded in many ways: score and time of each decoder.

The network runs once on every image, and every decoder reads the same output; so differences in the table are due to the
decoders alone.
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
    """The result of one way of decoding.

    Attributes:
        reading: Name of the reading; "own" if it is the codec's own and has no name.
        own: Whether it is the model's own way.
        evaluation: Scores of the decoder.
        milliseconds: Median time of decoding an image.
        people: Number of people found.
    """

    reading: str
    own: bool
    evaluation: Evaluation
    milliseconds: float
    people: int


def decoders_of(model: PoseModel, names: Sequence[str] = ()) -> list[Codec]:
    """The model's codec with several ways of decoding, each once; its own way first.

    Args:
        model: A model of any kind.
        names: Names of readings; by default all that its codec has.

    Raises:
        InputError: Its outputs can be decoded in one way only.
        UnknownName: There is no such reading.
    """
    own: Codec = model.codec
    known = names_of(own)
    if not known:
        raise InputError(
            f"outputs of {model.card.name} ({codec_name(own)}) can be decoded in one way only, so there is nothing to compare; "
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

    Outputs are not stored: each is decoded in all ways when it is computed.

    Args:
        model: A model of any kind.
        eval_set: Data set of the evaluation.
        settings: How the network is run, the same for all rows.
        readings: Names of readings; by default all.
        boxes: Boxes of a detector, for a top-down model; by default the labelled ones.
        watch: Called with the stream of images, for progress.

    Raises:
        InputError: Its outputs can be decoded in one way only.
        UnknownName: There is no such reading.
        PoiseError: As `evaluation.evaluate.evaluate`.
    """
    codecs = decoders_of(model, readings)
    _warm_up(model, eval_set, settings, codecs=codecs, boxes=boxes)
    found = evaluate_each(model, eval_set, settings, codecs=codecs, boxes=boxes, watch=watch)
    return [
        DecoderRow(reading_of(codec) or "own", index == 0, one, 1000 * one.seconds, len(one.results))
        for index, (codec, one) in enumerate(zip(codecs, found, strict=True))
    ]


def _warm_up(
    model: PoseModel, eval_set: EvalSet, settings: InferenceSettings, *, codecs: Sequence[Codec], boxes: Boxes | None
) -> None:
    """Decode one image, so that no time includes compiling or loading numba's functions."""
    eval_set.known_to(model.skeleton)
    asked = eval_requests(model, eval_set, boxes)
    list(stream_poses(model, [one.request for one in asked.values()][:1], settings, codecs=codecs, skipped=[]))
