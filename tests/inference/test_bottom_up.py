import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

import poise
from poise.analysis.decoders import compare_decoders, decoders_of
from poise.analysis.verify import measured_again
from poise.codecs.decoders import decoder, described, preset, read_by
from poise.data.boxes import PersonBoxes
from poise.data.coco import CocoDataset
from poise.errors import AnnotationError, ImageError, InputError, SkeletonMismatch, UnknownName
from poise.evaluation.eval_set import EvalSet
from poise.evaluation.evaluate import evaluate, score_poses
from poise.evaluation.requests import ScoredPoses
from poise.evaluation.self_test import self_test
from poise.geometry import boxes_around
from poise.inference.request import ImageRequest, Skipped
from poise.inference.settings import InferenceSettings
from poise.inference.stream import find_poses
from poise.models.values import Rescoring
from poise.notes import forget_notes
from poise.skeletons import COCO17
from poise.structures import Key, Poses


def requests(knowing) -> list[ImageRequest]:
    sizes = [size for size, _ in knowing.SCENES]
    return [ImageRequest(Key(f"{i}.png", i), partial(knowing.picture, i, size)) for i, size in enumerate(sizes)]


def setting(model, **wishes) -> InferenceSettings:
    return InferenceSettings.of(model, precision="fp32", **{"flip": False, "workers": 0} | wishes)


def farthest(found: torch.Tensor, wanted: torch.Tensor) -> float:
    """The largest distance of a keypoint, whoever is first."""
    assert len(found) == len(wanted)
    if not len(found):
        return 0.0
    away = (found[:, None] - wanted[None]).norm(dim=-1).amax(dim=-1)
    return max(float(away.amin(dim=0).max()), float(away.amin(dim=1).max()))


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("batch", [1, 2, 50])
def test_images_of_several_sizes_come_back_in_order_with_their_people(knowing, workers, batch):
    model = knowing.model(knowing.SCENES)
    found = list(find_poses(model, requests(knowing), setting(model, workers=workers, batch=batch)))
    assert [one.poses.key.image_id for one in found] == list(range(5))
    for one, (size, wanted) in zip(found, knowing.SCENES, strict=True):
        assert one.image.shape[1:] == size
        assert one.boxes == list(range(len(wanted)))
        assert farthest(one.poses.xy, wanted) < 2.0
        assert torch.equal(one.poses.box_score, one.poses.pose_score)
        assert (one.poses.pose_score.diff() <= 0).all()
        assert torch.allclose(one.poses.boxes[:, :2], one.poses.xy.amin(dim=1))
        assert torch.allclose(one.poses.boxes[:, 2:], one.poses.xy.amax(dim=1))
    assert sum(model.network.calls) == 5
    assert len(model.network.calls) == {1: 5, 2: 4, 50: 3}[batch]


def test_a_rare_size_does_not_hold_up_the_rest_for_ever(knowing):
    model = knowing.model(knowing.SCENES)
    read: list[int] = []

    def note(i: int) -> torch.Tensor:
        read.append(i)
        return knowing.picture(1 if i == 0 else 0, knowing.SCENES[1 if i == 0 else 0][0])

    stream = find_poses(model, (ImageRequest(Key(f"{i}", i), partial(note, i)) for i in range(500)), setting(model, batch=3))
    next(stream)
    assert len(read) < 20
    stream.close()


@pytest.mark.parametrize("wishes", [{}, {"place": "middle"}, {"fit": "height"}, {"rule": "offsetguided"}, {"side": 512}])
@pytest.mark.parametrize("scales", [(1.0,), (0.5, 1.0), (1.0, 1.5, 0.75), (2.0,)])
@pytest.mark.parametrize("flip", [False, True])
def test_mirrored_views_and_other_sizes_find_the_same(knowing, wishes, scales, flip):
    model = knowing.model(knowing.SCENES, scales=scales, **wishes)
    found = list(find_poses(model, requests(knowing), setting(model, flip=flip)))
    for one, (_, wanted) in zip(found, knowing.SCENES, strict=True):
        assert farthest(one.poses.xy, wanted) < 2.0
    assert sum(model.network.calls) == 5 * len(scales) * (1 + flip)


def test_a_keypoint_that_is_not_found_is_at_the_corner_with_score_0(knowing):
    visible = torch.full((17,), 2)
    visible[[9, 16]] = 0
    model = knowing.model(knowing.SCENES, visible=visible)
    poses = next(find_poses(model, requests(knowing), setting(model))).poses
    assert (poses.score[:, [9, 16]] == 0).all()
    assert (poses.xy[:, [9, 16]] == 0).all()
    rest = visible > 0
    assert (poses.score[:, rest] > 0).all()
    assert (poses.boxes[:, :2] > 20).all()
    assert torch.allclose(poses.boxes[:, :2], poses.xy[:, rest].amin(dim=1))


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (3, 1), (300, 4000), (4000, 300), (50, 50)])
def test_images_of_any_size_are_looked_at(knowing, size):
    model = knowing.model(knowing.SCENES)
    blank = poise.predict(model, np.zeros((*size, 3), np.uint8), precision="fp32")
    assert len(blank) == 0
    assert blank.xy.shape == (0, 17, 2)
    noisy = knowing.model(knowing.SCENES)
    noisy.network.answer = lambda view: torch.rand(1, noisy.codec.channels, view.shape[2] // 4, view.shape[3] // 4)
    poses = poise.predict(noisy, np.zeros((*size, 3), np.uint8), precision="fp32", flip=False)
    assert poses.xy.isfinite().all()
    assert poses.boxes.isfinite().all()


def test_answers_that_are_no_numbers_find_nobody(knowing):
    model = knowing.model(knowing.SCENES)
    model.network.answer = lambda view: torch.full((1, model.codec.channels, view.shape[2] // 4, view.shape[3] // 4), torch.nan)
    assert len(poise.predict(model, np.zeros((64, 64, 3), np.uint8), precision="fp32")) == 0


def test_boxes_are_refused(knowing):
    model = knowing.model(knowing.SCENES)
    with pytest.raises(InputError, match=r"knows looks at whole images and finds people by itself.*leave them out"):
        poise.predict(model, np.zeros((64, 64, 3), np.uint8), boxes=[[1, 2, 30, 40]])


def refuse() -> torch.Tensor:
    raise ImageError("it is broken")


def test_a_bad_image_is_skipped_and_told_or_raises(knowing):
    model = knowing.model(knowing.SCENES)
    jobs = requests(knowing)
    jobs[1] = ImageRequest(Key("bad.png", 9), refuse)
    skipped: list[Skipped] = []
    found = list(find_poses(model, jobs, setting(model, workers=2), skipped=skipped))
    assert [one.poses.key.image_id for one in found] == [0, 2, 3, 4]
    assert skipped == [Skipped(Key("bad.png", 9), "it is broken")]
    with pytest.raises(ImageError, match="it is broken"):
        list(find_poses(model, jobs, setting(model)))


def test_whole_images_come_in_small_batches_by_default(knowing):
    model = knowing.model(knowing.SCENES)
    assert InferenceSettings.of(model).batch == 4
    assert InferenceSettings.of(model).flip
    model.skeleton = replace(COCO17, mirror=())
    assert not InferenceSettings.of(model).flip
    with pytest.raises(SkeletonMismatch, match="no mirror pairs"):
        InferenceSettings.of(model, flip=True)


@pytest.fixture(scope="module")
def labels(knowing, tmp_path_factory):
    return knowing.write(tmp_path_factory.mktemp("scenes"))


@pytest.fixture
def model(knowing):
    return knowing.model(knowing.SCENES)


def eval_set_of(path) -> EvalSet:
    return EvalSet.of_file(path, path.parent, skeleton=COCO17)


@pytest.mark.parametrize("flip", [False, True])
def test_a_network_without_fault_scores_nearly_1(model, labels, flip):
    found = evaluate(model, eval_set_of(labels), setting(model, flip=flip))
    assert found.coco.numbers["AP"] > 0.99
    assert found.pck["pck@0.05"] > 0.99
    assert len(found.results) == 7
    assert {row["image_id"] for row in found.results} == {1, 2, 4, 5}
    assert found.lost_boxes == 0
    assert found.decoder == "OffsetGuided fast"
    assert found.seconds > 0
    assert sum(model.network.calls) == 5 * (1 + flip)


def test_people_found_where_nobody_is_labelled_cost_precision(model, labels, tmp_path):
    document = json.loads(labels.read_text())
    document["annotations"] = [a for a in document["annotations"] if a["image_id"] != 4]
    path = tmp_path / "labels.json"
    path.write_text(json.dumps(document))
    eval_set = EvalSet.of_file(path, labels.parent, skeleton=COCO17)
    assert evaluate(model, eval_set, setting(model)).coco.numbers["AP"] < 0.95
    assert evaluate(model, eval_set, setting(model)).coco.numbers["AR"] > 0.99


def test_a_keypoint_that_was_not_found_is_no_hit_even_where_it_is_written(knowing, tmp_path):
    away = torch.full((17,), 2)
    away[9] = 0
    drawn = [((360, 480), knowing.people((110.0, 170.0)))]
    path = knowing.write(tmp_path, drawn)
    document = json.loads(path.read_text())
    document["annotations"][0]["keypoints"][27:30] = [0.5, 0.5, 2]
    path.write_text(json.dumps(document))
    one = knowing.model(drawn, visible=away)
    found = evaluate(one, eval_set_of(path), setting(one))
    assert found.results[0]["keypoints"][27:30] == [0, 0, 0]
    assert found.keypoints["left_wrist"]["pck@0.2"] == 0
    assert found.positions[0][0, 9].isnan().all()
    assert found.keypoints["right_wrist"]["pck@0.2"] == 1


def test_doubles_stay_unless_they_are_to_go(model, knowing, labels):
    """The same person twice, two pixels apart; each time another keypoint was not found."""
    eval_set = eval_set_of(labels)
    xy = torch.cat((knowing.SCENES[1][1], knowing.SCENES[1][1] + 2))
    score = torch.ones(2, 17)
    score[0, 3] = score[1, 4] = 0
    xy[score == 0] = 0
    rated = torch.tensor([0.5, 0.9])
    looked = {
        1: ScoredPoses(Poses(xy, score, boxes_around(xy, score > 0), rated, rated, Key("1.png", 2)), None, [1, 1], partial=True)
    }
    stay = score_poses(model, eval_set, looked, model.rescoring, skipped=[], lost=0)
    assert [row["score"] for row in stay.results] == pytest.approx([0.5, 0.9])
    gone = score_poses(model, eval_set, looked, Rescoring(None, 0.9), skipped=[], lost=0)
    assert [row["score"] for row in gone.results] == pytest.approx([0.9])
    assert gone.results[0]["keypoints"][12:15] == [0, 0, 0]


def test_annotations_without_people_are_refused_as_nobody_is_scored(knowing, tmp_path):
    path = knowing.write(tmp_path, [((360, 480), knowing.people())])
    one = knowing.model(knowing.SCENES)
    with pytest.raises(AnnotationError, match="nobody to score: of 0 annotations"):
        evaluate(one, eval_set_of(path), setting(one))


def test_annotations_of_several_categories_are_scored_as_one_class(model, labels, tmp_path, capsys):
    document = json.loads(labels.read_text())
    document["categories"].append({"id": 7, "name": "dog", "keypoints": list(COCO17.keypoints)})
    path = tmp_path / "labels.json"
    path.write_text(json.dumps(document))
    eval_set = EvalSet.of_file(path, labels.parent, skeleton=COCO17)
    forget_notes()
    joined, alone = (evaluate(model, one, setting(model)).coco.numbers for one in (eval_set, eval_set_of(labels)))
    assert joined == alone
    assert self_test(model, eval_set).codec_ap == self_test(model, eval_set_of(labels)).codec_ap
    assert capsys.readouterr().err.count("person and dog are scored as one class") == 1


def test_detected_boxes_are_refused(model, labels):
    with pytest.raises(InputError, match="looks at whole images"):
        evaluate(model, eval_set_of(labels), setting(model), boxes={1: PersonBoxes({}, {})})


def test_keypoints_the_model_lacks_are_named(model, labels, tmp_path):
    text = labels.read_text().replace("left_wrist", "left_paw")
    path = tmp_path / "labels.json"
    path.write_text(text)
    with pytest.raises(SkeletonMismatch, match="left_paw"):
        evaluate(model, EvalSet.of_file(path, labels.parent, skeleton=COCO17), setting(model))


def test_a_file_with_fewer_keypoints_in_another_order_scores_the_same(model, labels, tmp_path):
    document = json.loads(labels.read_text())
    order = [5, 0, 16, 9, 10, 6, 11, 12]
    document["categories"][0]["keypoints"] = [COCO17.keypoints[i] for i in order]
    for person in document["annotations"]:
        rows = [person["keypoints"][3 * i : 3 * i + 3] for i in order]
        person["keypoints"] = [value for row in rows for value in row]
        person["num_keypoints"] = len(order)
    path = tmp_path / "labels.json"
    path.write_text(json.dumps(document))
    found = evaluate(model, EvalSet.of_file(path, labels.parent, skeleton=COCO17), setting(model))
    assert found.coco.numbers["AP"] > 0.99
    assert len(found.results[0]["keypoints"]) == 24


def test_the_self_test_needs_no_network_and_no_images(model, labels):
    found = self_test(model, EvalSet.of_file(labels, None, skeleton=COCO17))
    assert model.network.calls == []
    assert found.evaluation.coco.numbers["AP"] > 0.99
    assert found.codec_ap == found.evaluation.coco.numbers["AP"]
    assert len(found.errors) == 7 * 17
    assert found.errors.max() < 1.5
    assert found.outside == 0


def test_keypoints_outside_the_image_are_counted_by_the_self_test(knowing, tmp_path):
    path = knowing.write(tmp_path, [((360, 480), knowing.people((10.0, 170.0)))])
    one = knowing.model(knowing.SCENES)
    assert self_test(one, EvalSet.of_file(path, None, skeleton=COCO17)).outside == 7


def test_every_decoder_reads_the_same_answer_and_the_network_looks_once(model, labels):
    rows = compare_decoders(model, eval_set_of(labels), setting(model))
    assert [row.own for row in rows] == [True] + [False] * (len(rows) - 1)
    assert rows[0].reading == "fast"
    assert {"upsampled", "cell", "quarter", "dark", "fit1", "fit2", "fit1-sigma", "fit2-sigma"} <= {row.reading for row in rows}
    assert sum(model.network.calls) == 6  # once before, so that nobody's time is that of a start
    for row in rows:
        assert row.people == 7
        assert row.evaluation.coco.numbers["AP"] > 0.9
        assert row.milliseconds > 0
        alone = replace_codec(model, row.reading)
        assert row.evaluation.numbers == evaluate(alone, eval_set_of(labels), setting(alone)).numbers


def replace_codec(model, reading):
    model.codec = read_by(model.codec, reading)
    return model


def test_a_run_is_verified_in_whole_images(model, labels):
    dataset = CocoDataset(labels, labels.parent)
    tally = measured_again(model, dataset, setting(model))
    assert len(tally) == 5
    assert tally.full_scores["AP"] > 0.99
    assert tally.full_scores["pck@0.1"] > 0.99


def test_how_answers_are_read_is_said_and_changed(model):
    codec = model.codec
    assert decoder(codec) == "OffsetGuided fast"
    assert "threshold 0.06, top_k 32, dist_max 20" in described(codec)
    release = preset(codec, "release")
    assert (release.reading.threshold, release.reading.dist_max, release.reading.person_threshold) == (0.04, 40.0, 0.04)
    assert preset(release, "practitioner") == codec
    assert decoder(read_by(codec, "fit1-sigma")) == "OffsetGuided fit1-sigma"
    assert [decoder(one) for one in decoders_of(model, ["cell", "fast"])] == ["OffsetGuided fast", "OffsetGuided cell"]


def test_presets_that_are_none_are_refused(model):
    with pytest.raises(UnknownName, match="release"):
        preset(model.codec, "releases")
