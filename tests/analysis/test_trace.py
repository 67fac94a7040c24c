import pytest
import torch

from poise.analysis.trace import trace_person
from poise.codecs.gaussian import Gaussian
from poise.codecs.registry import codec_types
from poise.codecs.udp import UDPGaussian
from poise.data.figures import FigureDataset
from poise.geometry import apply, invert
from poise.skeletons import COCO17, Skeleton
from poise.structures import Preprocess
from poise.zoo.assemble import named_codec, preprocess_for

SIZE, CELLS = (128, 96), (32, 24)


@pytest.fixture(scope="module")
def drawn():
    dataset = FigureDataset(1, per_image=(1, 1), seed=3)
    return dataset[0], dataset.skeleton


def traced(drawn, codec, *, network=None, skeleton=None, cut=None):
    sample, source = drawn
    return trace_person(
        sample,
        0,
        source=source,
        skeleton=skeleton or source,
        codec=codec,
        preprocess=cut or preprocess_for(codec, Preprocess()),
        network=network,
    )


@pytest.mark.parametrize("name", sorted(codec_types()))
def test_every_codec_can_be_traced(name, drawn):
    codec = named_codec(name, SIZE, CELLS, keypoints=len(drawn[1]))
    found = traced(drawn, codec)
    assert found.target is found.output
    assert codec.picture(found.mirrored.averaged).shape[1] == len(drawn[1])
    inside = (found.visible > 0) & ((found.xy > 24) & (found.xy < torch.tensor([71.0, 103.0]))).all(dim=-1)  # no blur's border
    allowed = max(codec.exceptions.get(1, codec.tolerance), 1e-3)
    assert inside.any()
    assert (found.without_flip.xy[0] - found.xy)[inside].abs().max() <= allowed + 1e-3


def test_with_an_ideal_network_udp_returns_to_the_labels(drawn):
    found = traced(drawn, UDPGaussian(size=SIZE, cells=CELLS, keypoints=len(drawn[1])))
    seen = found.visible > 0
    torch.testing.assert_close(found.labels[seen], drawn[0].labels.xy[0][seen], atol=1e-3, rtol=0)
    assert found.distances(found.found).nanmean() < 0.1
    assert found.similarity > 0.99
    torch.testing.assert_close(found.image_xy, apply(invert(found.warp), found.found.xy[0].double()).float())


def test_the_corners_of_the_view_lie_on_the_photo_where_the_warp_has_them(drawn):
    found = traced(drawn, UDPGaussian(size=SIZE, cells=CELLS, keypoints=len(drawn[1])))
    corners = apply(found.warp, found.corners.double())
    torch.testing.assert_close(corners, torch.tensor([[0, 0], [95, 0], [95, 127], [0, 127]]).double(), atol=1e-4, rtol=0)


def test_a_network_gets_the_view_and_its_mirror_image(drawn):
    codec = Gaussian(size=SIZE, cells=CELLS, keypoints=len(drawn[1]))
    asked = []

    def network(images):
        asked.append(images)
        return torch.rand(1, len(drawn[1]), *CELLS, generator=torch.Generator().manual_seed(len(asked)))

    found = traced(drawn, codec, network=network)
    assert len(asked) == 2
    assert asked[1].equal(asked[0].flip(-1))
    assert not found.output.equal(found.target)
    assert found.mirrored.averaged.equal((found.output + codec.unflip(found.mirrored.output, drawn[1].flip)) / 2)


def test_keypoints_the_labels_lack_are_not_labelled(drawn):
    more = Skeleton("more", (*COCO17.keypoints, "tail"), mirror=COCO17.mirror, sigmas=(*COCO17.sigmas, 0.05))
    found = traced(drawn, UDPGaussian(size=SIZE, cells=CELLS, keypoints=18), skeleton=more)
    assert found.visible[-1] == 0
    assert found.distances(found.found)[-1].isnan()


def test_without_mirror_pairs_there_is_no_flip_test(drawn):
    plain = Skeleton("plain", COCO17.keypoints, sigmas=COCO17.sigmas)
    found = traced(drawn, UDPGaussian(size=SIZE, cells=CELLS, keypoints=17), skeleton=plain)
    assert found.mirrored is None
    assert found.found.xy.equal(found.without_flip.xy)
