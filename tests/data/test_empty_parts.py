"""Parts of photographs that show nobody."""

import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from poise.cli.main import main
from poise.data.empty_parts import MOST, empty_parts
from poise.data.images import read_image, write_image

SIDES = st.tuples(*(st.integers(0, 120) for _ in range(4)))


@given(st.lists(SIDES, max_size=6), st.integers(10, 60))
def test_parts_meet_no_box_and_no_other_part_and_are_the_largest(corners, least):
    whole = [(min(a, c), min(b, d), max(a, c), max(b, d)) for a, b, c, d in corners]
    covered = np.zeros((100, 120), dtype=bool)
    for x0, y0, x1, y1 in whole:
        covered[y0 : y1 + 1, x0 : x1 + 1] = True
    found = empty_parts((100, 120), [tuple(map(float, box)) for box in whole], least=least)
    for left, top, right, bottom in found:
        assert min(right - left, bottom - top) >= least
        assert not covered[top:bottom, left:right].any()
        covered[top:bottom, left:right] = True
    areas = [(right - left) * (bottom - top) for left, top, right, bottom in found]
    assert areas == sorted(areas, reverse=True)
    assert len(found) <= MOST
    assert whole or found == [(0, 0, 120, 100)]


def test_the_command_cuts_them_out_of_images_in_which_everybody_is_labelled(tmp_path, capsys):
    rng = np.random.default_rng(0)
    images = [{"id": i, "file_name": f"{i}.png", "width": 160, "height": 120, "all_persons_known": i != 3} for i in (1, 2, 3)]
    for record in images:
        pixels = rng.integers(0, 255, (120, 160, 3), dtype=np.uint8)
        write_image(tmp_path / "images" / record["file_name"], pixels)
    box = {"bbox": [100, 10, 20, 90], "area": 900, "iscrowd": 0, "num_keypoints": 1, "keypoints": [110, 20, 2]}
    people = [box | {"id": i, "image_id": i, "category_id": 1} for i in (1, 3)]
    person = {"id": 1, "name": "person", "keypoints": ["nose"], "skeleton": []}
    labels = tmp_path / "labels.json"
    labels.write_text(json.dumps({"images": images, "annotations": people, "categories": [person]}))
    words = ["data", "backgrounds", str(labels), "--images", str(tmp_path / "images"), "--out", str(tmp_path / "out")]
    assert main([*words, "--least", "90"]) == 0
    assert "2 parts of 3 images" in capsys.readouterr().out
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["000000_1_0.jpg", "000001_2_0.jpg"]
    assert read_image(tmp_path / "out" / "000000_1_0.jpg").shape == (3, 120, 96)
    assert main(words) == 1
    assert "is not empty; give a new folder" in " ".join(capsys.readouterr().err.split())
    assert main([*words[:-1], str(tmp_path / "none"), "--least", "150"]) == 1
    assert "shows nobody" in " ".join(capsys.readouterr().err.split())
