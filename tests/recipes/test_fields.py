import math
from dataclasses import replace

import pytest

from poise.errors import InputError, UnknownName
from poise.models.rcnn_config import Calibration
from poise.recipes.detectors import head_codec
from poise.recipes.fields import changed_fields, set_codec, set_config, set_words
from poise.transforms.detector_jitter import DetectorAugmentation
from poise.zoo.offset_guided import bottom_up
from poise.zoo.rcnn.poise_rcnn import small_detector


@pytest.fixture
def model():
    return bottom_up("t")


def test_fields_of_fields_are_set_by_words_with_dots(model):
    before = model.codec
    set_codec(model, ["cost.heat=l2", "cost.weights=(1,0,0,2,3)", "reading.peaks=dark", "maps.sigma=9", "cost.margin=-inf"])
    assert (model.codec.cost.heat, model.codec.cost.weights) == ("l2", (1.0, 0.0, 0.0, 2.0, 3.0))
    assert (model.codec.reading.peaks, model.codec.maps.sigma, model.codec.cost.margin) == ("dark", 9.0, -math.inf)
    assert model.codec == replace(before, cost=model.codec.cost, reading=model.codec.reading, maps=model.codec.maps)
    assert model.codec.cost.gamma == before.cost.gamma


def test_every_stack_gets_the_new_values_and_keeps_its_own():
    model = bottom_up("t")
    model.deep = (replace(model.codec, cost=replace(model.codec.cost, weight=0.25)),)
    set_codec(model, ["cost.gamma=2"])
    assert [codec.cost.gamma for codec in (*model.deep, model.codec)] == [2.0, 2.0]
    assert model.deep[0].cost.weight == 0.25


@pytest.mark.parametrize(
    ("word", "message", "error"),
    [
        ("cost", "name=value", InputError),
        ("cost=l2", r"cost\.heat", InputError),
        ("sigmas.x=1", "has no fields", InputError),
        ("cots.heat=l2", "did you mean 'cost'", UnknownName),
        ("cost.heta=l2", "did you mean 'heat'", UnknownName),
        ("cost.heat=l3", "focal", InputError),
        ("maps.jitter=True", "another network", InputError),
        ("keypoints=3", "field of OffsetGuided", UnknownName),
    ],
)
def test_words_that_cannot_be_are_refused_and_change_nothing(model, word, message, error):
    before = model.codec
    with pytest.raises(error, match=message):
        set_codec(model, [word])
    assert model.codec == before


def test_one_number_is_enough_for_a_field_of_as_many_as_one_likes():
    what = {"what": "fields of the augmentation", "such": "sides=640"}
    assert changed_fields(DetectorAugmentation(), ["sides=64"], **what).sides == (64,)
    with pytest.raises(InputError, match=r"expected numbers as in \(1,2,3\)"):
        changed_fields(DetectorAugmentation(), ["sides=6.4"], **what)


@pytest.fixture
def detector():
    return small_detector("t", size=(64, 64))


@pytest.mark.parametrize(("word", "value"), [("false", False), ("False", False), ("true", True), ("True", True)])
def test_yes_and_no_are_written_small_or_large(detector, word, value):
    set_config(detector, [f"learning.truth={word}"])
    assert detector.config.learning.truth is value


def test_what_may_be_missing_is_made_by_its_fields_and_taken_away_by_none(detector):
    assert detector.config.calibration is None
    set_config(detector, ["calibration.middle=0.4", "calibration.width=0.1", "keypoint_nms=0.9", "learning.posed=4"])
    assert detector.config.calibration == Calibration(0.4, 0.1)
    set_config(detector, ["calibration.width=0.2"])
    assert detector.config.calibration == Calibration(0.4, 0.2)
    set_config(detector, ["calibration=none", "keypoint_nms=None", "learning.posed=none"])
    changed = detector.config
    assert (changed.calibration, changed.keypoint_nms, changed.learning.posed) == (None, None, None)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("calibration=1", r"is set by its own fields, or is none; found '1', expected calibration\.middle"),
        ("learning=1", r"is set by its own fields; found '1', expected learning\.per_image"),
        ("calibration.middle=low", "middle of Calibration cannot be 'low'; expected a number"),
        ("calibration.width=0", "width above 0"),
        ("learning.truth=1", "truth of Learning cannot be '1'; expected true or false"),
        ("learning.copies=2.5", "copies of Learning cannot be '2.5'; expected a whole number"),
        ("learning.copies=true", "expected a whole number"),
        ("learning.posed=few", "expected a whole number or none"),
        ("nms=none", "expected a number"),
        ("suppression=hrd", "expected hard or soft or soft-linear"),
        ("nms.x=1", "has no fields"),
    ],
)
def test_how_a_detector_works_has_types_that_are_checked_before_anything_is_made(detector, word, message):
    before = detector.config
    with pytest.raises(InputError, match=message):
        set_config(detector, [word])
    assert detector.config == before


def test_the_parts_of_the_loss_are_weighed_by_words(detector):
    set_config(detector, ["weights.keypoints=0.5", "weights.boxes=2"])
    assert (detector.config.weights.keypoints, detector.config.weights.boxes) == (0.5, 2.0)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("person=3", r"^person=3: the box head of poise_rcnn_t has the classes 0 \(background\) to 1; people are class 1$"),
        ("person=0", "^config: person is at least 1, not 0$"),
        ("nms=2", r"^config: nms is a number from 0 to 1, not 2\.0$"),
        ("score=2", r"^config: score is a number from 0 to 1, not 2\.0$"),
        ("sigma=0", r"^config: sigma is above 0, not 0\.0$"),
        ("weights.masks=-1", r"are 0 or more; masks cannot be -1\.0$"),
    ],
)
def test_a_number_that_cannot_be_is_told_with_its_field_alone(detector, word, message):
    before = detector.config
    with pytest.raises(InputError, match=message):
        set_config(detector, [word])
    assert detector.config == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["sigma=0.3"],
            "^sigma=0.3: it is of soft suppression, and .* hard, so nothing would change; leave it out$",
        ),
        (["learning.copies_in_rpn=true"], "there are no copies that the RPN could learn from; add learning.copies=2"),
        (["nms=0.4", "suppression=soft"], "^nms=0.4: suppression is soft, and lowers scores by sigma"),
        (["sigma=0.4", "suppression=soft-linear"], "^sigma=0.4: suppression is linear, and lowers scores from the IoU nms on"),
        (["calibration.width=2", "keypoint_score=raw", "rating=box"], "^calibration.width=2: keypoint_score is raw"),
    ],
)
def test_words_that_nobody_reads_are_refused(detector, words, message):
    before = detector.config
    with pytest.raises(InputError, match=message):
        set_config(detector, words)
    assert detector.config == before


def test_words_that_go_together_are_read(detector):
    set_config(detector, ["sigma=0.3", "suppression=soft"])
    set_config(detector, ["sigma=0.4"])
    set_config(detector, ["suppression=hard", "nms=0.4", "calibration.width=2"])
    set_config(detector, ["calibration=none", "keypoint_score=raw", "rating=box"])
    assert (detector.config.nms, detector.config.calibration) == (0.4, None)


def test_scores_of_the_codec_and_what_ranks_people_change_together():
    model = small_detector("t", size=(64, 64), codec=head_codec("one_hot"))
    kept = model.codec, model.config
    with pytest.raises(InputError, match="need probabilities, and the scores of this OneHot are logits"):
        set_codec(model, ["score=logit"])
    assert (model.codec, model.config) == kept
    set_words(model, codec=["score=logit", "reading=peak"], config=["rating=box", "keypoint_score=raw"])
    assert (model.codec.score, model.config.rating) == ("logit", "box")
    with pytest.raises(InputError, match="need probabilities"):
        set_config(model, ["rating=product"])
    set_words(model, config=["rating=product", "calibration.middle=8"])
    assert model.config.calibration.middle == 8
    set_words(model, codec=["score=mass"], config=["calibration=none", "keypoint_score=probability"])
    assert (model.codec.score, model.config.calibration) == ("mass", None)


def test_fields_that_are_far_from_any_are_listed_once(detector):
    with pytest.raises(UnknownName) as found:
        set_config(detector, ["learning.zzzzz=1"])
    assert str(found.value).count("posed") == 1


def test_the_codec_inside_a_box_is_set_behind_a_dot():
    model = small_detector("t", size=(64, 64), codec=head_codec("gaussian"))
    set_codec(model, ["codec.sigma=3", "weight=10"])
    assert (model.codec.codec.sigma, model.codec.weight) == (3.0, 10.0)
