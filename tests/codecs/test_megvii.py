"""What the answers of CPN, MSPN and RSN learn, and how they are read, beyond the laws."""

import numpy as np
import pytest
import torch

from poise.codecs.decoders import read_as
from poise.codecs.megvii import Megvii, cpn_codecs, mspn_codecs
from poise.codecs.megvii_udp import MegviiUDP, rsn_udp_codecs

SIZE, CELLS = (64, 48), (16, 12)
KINDS = [Megvii, MegviiUDP]


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def labels():
    """Keypoints of five views: unlabelled, hidden, in sight; some outside the view."""
    generator = torch.Generator().manual_seed(0)
    xy = torch.rand(5, 9, 2, generator=generator) * torch.tensor([52.0, 70.0]) - 2
    return xy, torch.randint(0, 3, (5, 9), generator=generator)


@pytest.fixture
def output():
    return 100 * torch.randn(5, 9, *CELLS, generator=torch.Generator().manual_seed(1))


def inside(xy):
    return ((xy >= 0) & (xy <= torch.tensor([SIZE[1] - 1.0, SIZE[0] - 1.0]))).all(dim=-1)


def squares_of(codec, output, xy, labelled):
    """Mean square of each map, the label made whole: (b, k)."""
    target = codec.encode(torch.where(labelled[..., None], xy, 0.0)) * labelled[..., None, None]
    return (output - target).square().mean(dim=(-2, -1))


def test_coarse_answers_learn_an_empty_map_where_a_keypoint_is_not_in_sight(kind, labels, output):
    xy, visible = labels
    codec = kind(SIZE, CELLS, 9, weight=0.25, least_visible=2, others="emptied")
    expected = squares_of(codec, output, xy, (visible > 1) & inside(xy)).mean() / 4
    torch.testing.assert_close(codec.loss(output, xy, visible), expected)


def test_the_last_answer_learns_the_hardest_labelled_keypoints(kind, labels, output):
    xy, visible = labels
    labelled = (visible > 0) & inside(xy)
    codec = kind(SIZE, CELLS, 9, ohkm=4)
    expected = (squares_of(codec, output, xy, labelled) * labelled).topk(4, dim=1).values.mean()
    torch.testing.assert_close(codec.loss(output, xy, visible), expected)


@pytest.mark.parametrize("height", [1.0, 255.0])
def test_height_is_the_label_s_and_scores_are_shares_of_it(kind, height):
    codec = kind(SIZE, CELLS, 1, height=height)
    maps = codec.encode(torch.full((1, 1, 2), 22.0))
    assert maps.max() == pytest.approx(height, rel=0.1)
    twice = kind(SIZE, CELLS, 1, height=2 * height)
    torch.testing.assert_close(codec.decode(maps).score, twice.decode(2 * maps).score)
    torch.testing.assert_close(codec.decode(maps).xy, twice.decode(2 * maps).xy)


def test_a_higher_label_weighs_as_much_as_its_square(kind, labels, output):
    low, high = kind(SIZE, CELLS, 9, height=1.0, weight=100.0), kind(SIZE, CELLS, 9, height=10.0)
    torch.testing.assert_close(low.loss(output / 10, *labels), high.loss(output, *labels))


def test_keypoints_outside_the_view_are_not_labelled(kind, output):
    codec = kind(SIZE, CELLS, 9)
    xy = torch.tensor([[-0.5, 8.0], [8.0, -0.5], [47.5, 8.0], [8.0, 63.5], [-1e6, -1e6], [torch.nan, 8.0]])
    seen = torch.full((1, 6), 2)
    codec = kind(SIZE, CELLS, 6)
    assert codec.loss(output[:1, :6], xy[None], seen) == 0
    assert (codec.encode(xy[None]) == 0).all()


def test_labels_are_opencv_s_blur_of_a_dot(labels):
    cv2 = pytest.importorskip("cv2")
    xy = torch.tensor([[[0.0, 0.0], [47.0, 63.0], [5.0, 30.0], [23.9, 31.9]]])
    for kernel in (5, 7, 15):
        found = Megvii(SIZE, CELLS, 4, kernel=kernel).encode(xy)[0].numpy()
        for map_found, (x, y) in zip(found, xy[0].tolist(), strict=True):
            dot = np.zeros(CELLS, np.float32)
            dot[int(y // 4), int(x // 4)] = 1
            smooth = cv2.GaussianBlur(dot, (kernel, kernel), 0)
            np.testing.assert_allclose(map_found, smooth * (255 / smooth.max()), atol=1e-3)


def test_cpn_gets_four_widening_labels_and_its_hardest_eight():
    deep, last = cpn_codecs((256, 192), (64, 48), 17)
    assert [codec.kernel for codec in (*deep, last)] == [15, 11, 9, 7, 7]
    assert [codec.kernel for codec in cpn_codecs((384, 288), (96, 72), 17)[0]] == [23, 17, 13, 9]
    assert [(codec.weight, codec.least_visible, codec.others, codec.ohkm) for codec in deep] == [(0.5, 2, "emptied", None)] * 4
    assert (last.weight, last.least_visible, last.others, last.ohkm, last.blur) == (1.0, 1, "left out", 8, 21)
    assert cpn_codecs((256, 192), (64, 48), 17, height=1.0)[1].height == 1


def test_mspn_s_last_stage_gets_finer_labels():
    deep, last = mspn_codecs((256, 192), (64, 48), 16, stages=2, blur=9)
    assert [codec.kernel for codec in (*deep, last)] == [15, 11, 9, 7, 11, 9, 7, 5]
    assert [codec.ohkm for codec in (*deep, last)] == [None, None, None, 8] * 2
    assert [codec.weight for codec in (*deep, last)] == [0.25, 0.25, 0.25, 1.0] * 2
    assert last.blur == 9
    plain = mspn_codecs((256, 192), (64, 48), 16, stages=1, coarse_to_fine=False)
    assert [codec.kernel for codec in (*plain[0], plain[1])] == [15, 11, 9, 7]
    finer = rsn_udp_codecs((256, 192), (64, 48), 16, stages=1)
    assert [codec.sigma for codec in (*finer[0], finer[1])] == [2.0, 1.7, 1.4105, 1.1105]


def test_few_keypoints_are_all_hard():
    assert cpn_codecs(SIZE, CELLS, 5)[1].ohkm == 5


def brute_peaks(maps, blur, shifts):
    """The releases' way, one map at a time."""
    cv2 = pytest.importorskip("cv2")
    found = []
    for one in maps.flatten(0, 1).numpy():
        smooth = cv2.GaussianBlur(np.pad(one, 10), (blur, blur), 0)
        y, x = np.unravel_index(smooth.argmax(), smooth.shape)
        smooth[y, x] = 0
        at = np.array([x, y], float)
        for shift in shifts:
            y, x = np.unravel_index(smooth.argmax(), smooth.shape)
            smooth[y, x] = 0
            way = np.array([x, y]) - at
            at += shift * way / max(np.hypot(*way), 1e-12)
        found.append(np.clip(at - 10, 0, np.array(one.shape[::-1]) - 1))
    return np.array(found).reshape(*maps.shape[:2], 2)


@pytest.mark.parametrize("blur", [5, 9, 21])
@pytest.mark.parametrize("shifts", [(0.25,), (0.25, 0.125)])
def test_maps_are_read_as_one_at_a_time(output, blur, shifts):
    xy = torch.rand(5, 9, 2, generator=torch.Generator().manual_seed(3)) * torch.tensor([47.0, 63.0])
    xy[0, :4] = torch.tensor([[0.0, 0.0], [47.0, 63.0], [0.0, 30.0], [20.0, 63.0]])
    codec = Megvii(SIZE, CELLS, 9, blur=blur, shifts=shifts)
    maps = codec.encode(xy) + output / 10  # negative here and there
    found = codec.grid.to_cells(codec.decode(maps).xy).numpy()
    np.testing.assert_allclose(found, brute_peaks(maps, blur, shifts), atol=1e-4)


@pytest.mark.parametrize("blur", [3, 5])
def test_noise_is_read_as_one_map_at_a_time(output, blur):
    codec = Megvii(SIZE, CELLS, 9, blur=blur)
    found = codec.grid.to_cells(codec.decode(output).xy).numpy()
    np.testing.assert_allclose(found, brute_peaks(output, blur, (0.25,)), atol=1e-4)


def test_cpn_turns_maps_upside_down_that_are_negative_everywhere(output):
    negative = -output.abs() - 1
    codec = Megvii(SIZE, CELLS, 9, reading="cpn", blur=21)
    assert torch.equal(codec.decode(negative).xy, codec.decode(-negative).xy)
    assert torch.equal(Megvii(SIZE, CELLS, 9).decode(negative).xy, torch.full((5, 9, 2), 2.0))


def test_other_readings_are_more_exact_on_labels(labels):
    xy = 16 + labels[0].remainder(16).floor() // 4 * 4 + 2  # middles of cells
    for reading in ("dark", "udp", "fit3", "quarter"):
        codec = read_as(Megvii(SIZE, CELLS, 9), reading)
        assert (codec.decode(codec.encode(xy)).xy - xy).abs().max() < 0.1


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"kernel": 4}, "odd kernel"),
        ({"blur": 1}, "odd kernel and blur"),
        ({"height": 0.0}, "height and a weight above 0"),
        ({"weight": -1.0}, "height and a weight above 0"),
        ({"least_visible": 3}, "visibility 1"),
        ({"ohkm": 10}, "1 to 9, found 10"),
    ],
)
def test_values_that_make_no_codec_are_refused(fields, words):
    with pytest.raises(ValueError, match=words):
        Megvii(SIZE, CELLS, 9, **fields)


def test_a_network_without_stages_and_a_gaussian_without_width_are_refused():
    with pytest.raises(ValueError, match="at least one stage"):
        mspn_codecs(SIZE, CELLS, 9, stages=0)
    with pytest.raises(ValueError, match="sigma above 0"):
        MegviiUDP(SIZE, CELLS, 9, sigma=0.0)
