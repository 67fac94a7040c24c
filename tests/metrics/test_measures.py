import pytest
import torch

from poise.errors import InputError, UnknownName
from poise.metrics.measure_names import PCKMeasure, parse_measures
from poise.metrics.measures import correct, person_sizes
from poise.metrics.pck import pck
from poise.metrics.pckh import pckh
from poise.metrics.sizes import torso_sizes
from poise.skeletons import COCO17
from poise.structures import Labels


def test_a_list_of_measures_is_read_and_nothing_is_measured_twice():
    found = parse_measures(["0.2:torso,0.05:map", " 0.1 ", "0.10:box"])
    assert [one.name for one in found] == ["pck@0.2:torso", "pck@0.05:map", "pck@0.1:box"]
    assert parse_measures([]) == ()


@pytest.mark.parametrize("text", ["", "torso", "0.2:torso,", "0:box", "-1:box", "nan:box", "inf:map", "0,2:torso"])
def test_what_is_no_threshold_is_told_with_an_example(text):
    with pytest.raises(InputError, match=r"such as 0\.2"):
        parse_measures([text])


def test_a_unit_there_is_not_is_told():
    with pytest.raises(UnknownName, match="there is no unit of PCK 'torsos'; did you mean 'torso'"):
        parse_measures(["0.2:torsos"])


def test_a_head_and_a_map_count_a_keypoint_at_the_threshold_itself_as_their_releases_do():
    distance = torch.tensor([0.5, 0.51])
    assert correct(PCKMeasure(0.5, "head"), distance).tolist() == [True, False]
    assert correct(PCKMeasure(0.5, "map"), distance).tolist() == [True, False]
    assert correct(PCKMeasure(0.5, "box"), distance).tolist() == [False, False]
    labels = Labels.of(torch.zeros(1, 2, 2), torch.full((1, 2), 2), torch.tensor([[0.0, 0.0, 1.0, 1.0]]))
    found = torch.tensor([[[0.5, 0.0], [0.51, 0.0]]], dtype=torch.float64)
    assert pckh(found, labels, 0.5, size=torch.ones(1)).hits.tolist() == [1, 0]
    assert pck(found, labels, 0.5, size=torch.ones(1)).hits.tolist() == [0, 0]


def test_crowds_have_no_size_and_a_unit_the_labels_do_not_tell_is_refused():
    labels = Labels.of(torch.rand(2, 17, 2) * 50, torch.full((2, 17), 2), torch.tensor([[0.0, 0.0, 40.0, 20.0]] * 2))
    labels.crowd[1] = True
    assert person_sizes("box", labels, COCO17).tolist() == [40.0, 0.0]
    assert person_sizes("torso", labels, COCO17)[0] == torso_sizes(labels, COCO17)[0] > 0
    assert person_sizes("image", labels, COCO17, images=torch.tensor([640.0, 640.0])).tolist() == [640.0, 0.0]
    with pytest.raises(InputError, match="needs head boxes"):
        person_sizes("head", labels, COCO17)
    with pytest.raises(InputError, match="no size by the map"):
        person_sizes("map", labels, COCO17)
