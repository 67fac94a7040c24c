"""The README's first command, small; CI runs it whole."""

import json

import pytest

from poise.cli.main import main


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "out"
    flags = ["--people", "32", "--tested", "16", "--epochs", "1", "--device", "cpu"]
    assert main(["demo", "--out", str(folder), *flags]) == 0
    return folder


def test_the_demo_leaves_model_figures_pictures_and_report(demo):
    metrics = json.loads((demo / "metrics.json").read_text())
    assert {"pck@0.05", "pck@0.1", "pck@0.2", "AP", "AR"} <= set(metrics)
    assert all(isinstance(value, int | float) for value in metrics.values())
    assert (demo / "model.safetensors").is_file()
    assert len(list((demo / "pictures").glob("*.png"))) == 12


def test_the_report_fetches_nothing(demo):
    page = (demo / "report.html").read_text()
    assert "data:image/" in page
    assert "<svg" in page
    assert 'src="http' not in page
    assert 'href="http' not in page
    assert "Sigmas of OKS, skeleton coco17: " in page
    assert "<td>-1.000</td>" not in page


def test_its_model_can_be_evaluated_and_predicts(demo, tmp_path, capsys):
    data = demo / "data"
    model = str(demo / "model.safetensors")
    assert main(["evaluate", model, "--annotations", str(data / "annotations.json"), "--images", str(data / "images")]) == 0
    assert "| poise_t_demo, UDPGaussian |" in capsys.readouterr().out
    picture = str(data / "images" / "000001.jpg")
    assert main(["predict", picture, "--model", model, "--out", str(tmp_path / "found")]) == 0
    rows = json.loads((tmp_path / "found" / "predictions.json").read_text())
    assert len(rows) == 1
    assert len(rows[0]["keypoints"]) == 51


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path, capsys):
    (tmp_path / "thesis.txt").write_text("years of work")
    assert main(["demo", "--out", str(tmp_path)]) == 1
    assert "thesis.txt" in capsys.readouterr().err
    assert (tmp_path / "thesis.txt").read_text() == "years of work"
