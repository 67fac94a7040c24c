import base64
import re
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest

from poise.errors import InputError, WriteError
from poise.viz.report import Report

VOID = {"meta", "img", "line", "polyline"}


class Nesting(HTMLParser):
    """Fails where a tag is closed that is not open."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag, attributes):
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert tag in VOID or self.open.pop() == tag


def page() -> Report:
    picture = np.zeros((20, 30, 3), np.uint8)
    return (
        Report("A run <&>")
        .section("Curve")
        .curve("loss", [1, 2, 3], {"training": [3.0, 2.0, 1.5], "validation": [3.5, float("nan"), 2.0]}, xlabel="epoch")
        .section("Scores & more")
        .text("First.\n\nSecond <script>.")
        .table(("keypoint", "pck", "people"), [("nose", 0.91234, 12), ("left_eye", float("nan"), 0)])
        .bars("kinds <b>", {"nose <b>": [1.0, 3.0], "ear": [0.0, 4.0]}, ["1 <b>", "0"], parts=["good <b>", "bad"], longest=4.0)
        .numbers({"AP": 0.12345, "AR <b>": float("nan")})
        .facts({"file <b>": "a <b>"})
        .pictures([("a <caption>", picture), ("another", picture + 9)])
    )


def test_a_page_is_sound_and_fetches_nothing():
    text = page().html()
    parser = Nesting()
    parser.feed(text)
    assert parser.open == []
    assert not re.search(r'(src|href)="(?!data:|#)', text)
    assert "http" not in text.replace("http-equiv", "")
    assert "@import" not in text
    assert "url(" not in text


def test_words_of_others_are_not_taken_for_markup():
    text = page().html()
    for raw in ("<script>", "<&>", "<caption>", " <b>"):
        assert raw not in text
    assert "Second &lt;script&gt;." in text


def test_cells_are_rounded_and_missing_numbers_are_a_dash():
    text = page().html()
    for cell in ("<td>0.912</td>", "<td>12</td>", "<td>-</td>", "<td>nose</td>", "<b>0.123</b>", "<b>-</b>"):
        assert cell in text


def test_a_chart_leaves_out_what_is_not_finite():
    lines = re.findall(r'<polyline points="([^"]*)"', page().html())
    assert [len(line.split()) for line in lines] == [3, 2]
    flat = Report("x").curve("flat", [0, 0], {"y": [1.0, 1.0]}).curve("none", [], {"y": []}).html()
    assert "nan" not in flat.split("</style>")[1]


def test_tables_and_charts_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="2 cells for 1 headers"):
        Report("x").table(["a"], [(1, 2)])
    with pytest.raises(InputError, match="'loss' needs lines as long as its 3"):
        Report("x").curve("loss", [1, 2, 3], {"a": [1.0]})
    with pytest.raises(InputError, match="'kinds' need 2 parts each and 1 values"):
        Report("x").bars("kinds", {"a": [1.0]}, ["1"], parts=["good", "bad"], longest=1.0)
    with pytest.raises(InputError, match="a colour for each of 1 parts"):
        Report("x").bars("kinds", {"a": [1.0]}, ["1"], parts=["good"], longest=1.0, colours=[1, 2])


@pytest.mark.parametrize(("kind", "chosen"), [("flat", "png"), ("noise", "jpeg")])
def test_pictures_are_stored_as_what_is_smaller(kind, chosen):
    noise = np.random.default_rng(0).integers(0, 255, (200, 300, 3), dtype=np.uint8)
    picture = noise if kind == "noise" else np.full((200, 300, 3), 77, np.uint8)
    page = Report("pictures").pictures([("one", picture)]).html()
    data = re.findall(r'src="data:image/(\w+);base64,([^"]+)"', page)
    assert [name for name, _ in data] == [chosen]
    back = cv2.imdecode(np.frombuffer(base64.b64decode(data[0][1]), np.uint8), cv2.IMREAD_COLOR)
    assert back.shape == picture.shape


def test_a_photograph_is_not_packed_slowly_for_nothing(monkeypatch):
    asked, encode, rows, columns = [], cv2.imencode, *np.mgrid[:120, :120]
    waves = 127 + 100 * np.sin(columns[..., None] / 30 + np.arange(3)) * np.cos(rows[..., None] / 20)
    photograph = (waves + np.random.default_rng(0).normal(0, 3, (120, 120, 1))).clip(0, 255).astype(np.uint8)
    monkeypatch.setattr(cv2, "imencode", lambda ending, image, options: asked.append(options) or encode(ending, image, options))
    Report("pictures").pictures([("one", photograph)])
    assert [cv2.IMWRITE_PNG_COMPRESSION, 9] not in asked
    Report("pictures").pictures([("one", np.zeros_like(photograph))])
    assert [cv2.IMWRITE_PNG_COMPRESSION, 9] in asked


def test_it_is_written_whole_or_not_at_all(tmp_path):
    path = page().write(tmp_path / "new" / "report.html")
    assert path.read_text(encoding="utf-8") == page().html()
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteError, match="cannot be written"):
        page().write(tmp_path / "file" / "report.html")
