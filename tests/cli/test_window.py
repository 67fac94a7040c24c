"""`poise predict camera:0 --live`: a camera and a screen that are not there are played by fakes."""

import json
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import poise
from poise import zoo
from poise.cli import _window
from poise.cli.main import main
from poise.data.video.frames import open_source
from poise.errors import InputError

SHOTS = 5


class Capture:
    """A camera that gives a few pictures, red in OpenCV's order of channels."""

    released = 0

    def __init__(self, number: int) -> None:
        assert number == 0
        self.left = SHOTS

    def isOpened(self) -> bool:  # OpenCV's name
        return True

    def get(self, what: int) -> float:
        return {cv2.CAP_PROP_FRAME_WIDTH: 96.0, cv2.CAP_PROP_FRAME_HEIGHT: 64.0}.get(what, 0.0)

    def read(self) -> tuple[bool, Any]:
        self.left -= 1
        picture = np.zeros((64, 96, 3), dtype=np.uint8)
        picture[..., 2] = 200
        return (True, picture) if self.left >= 0 else (False, None)

    def release(self) -> None:
        type(self).released += 1


class Screen:
    """Remembers what was shown; a key is pressed, or the window closed, after some pictures."""

    def __init__(self, *, key: int = -1, key_after: int = 99, closed_after: int = 99) -> None:
        self.shown: list[np.ndarray] = []
        self.key, self.key_after, self.closed_after, self.destroyed = key, key_after, closed_after, 0

    def imshow(self, title: str, picture: np.ndarray) -> None:
        assert title == "poise"
        self.shown.append(picture.copy())

    def wait_key(self, milliseconds: int) -> int:
        return self.key if len(self.shown) >= self.key_after else -1

    def visible(self, title: str, what: int) -> float:
        return 0.0 if len(self.shown) >= self.closed_after else 1.0

    def destroy(self) -> None:
        self.destroyed += 1


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return poise.save(zoo.build("poise_t_coco_64x64"), tmp_path / "model.safetensors")


def run(monkeypatch: pytest.MonkeyPatch, model: Path, screen: Screen | None, *more: str, out: str = "out") -> list[int]:
    """The frames that the command wrote of the camera."""
    monkeypatch.setattr(cv2, "VideoCapture", Capture)
    monkeypatch.setenv("DISPLAY", ":0")
    if screen is not None:
        names = {"imshow": screen.imshow, "waitKey": screen.wait_key, "getWindowProperty": screen.visible}
        for name, function in {**names, "destroyAllWindows": screen.destroy}.items():
            monkeypatch.setattr(cv2, name, function)
    folder = model.parent / out
    words = ["predict", "camera:0", "--model", str(model), "--whole-image", "--no-video", "--live", "--out", str(folder), *more]
    assert main(words) == 0
    return [json.loads(line)["frame"] for line in (folder / "poses.jsonl").read_text().splitlines()]


def test_a_camera_is_shown_until_it_ends(
    monkeypatch: pytest.MonkeyPatch, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    screen, Capture.released = Screen(), 0
    assert run(monkeypatch, model, screen) == list(range(SHOTS))
    assert len(screen.shown) == SHOTS
    assert screen.shown[0].shape == (64, 96, 3)
    assert (np.median(screen.shown[0].reshape(-1, 3), axis=0) == (0, 0, 200)).all(), "OpenCV's windows are BGR, too"
    assert (screen.destroyed, Capture.released) == (1, 1)
    assert f"the camera gave nothing after picture {SHOTS - 1}" in capsys.readouterr().out


@pytest.mark.parametrize("how", [{"key": ord("q"), "key_after": 2}, {"key": 27, "key_after": 2}, {"closed_after": 2}])
def test_q_esc_and_closing_the_window_end_the_run_of_a_camera(
    monkeypatch: pytest.MonkeyPatch, model: Path, how: dict[str, int]
) -> None:
    screen = Screen(**how)
    frames = run(monkeypatch, model, screen)
    assert len(screen.shown) == 2
    assert frames in ([0, 1], [0, 1, 2])
    assert frames == list(range(len(frames)))


def test_a_file_is_worked_on_to_its_end_when_its_window_is_closed(
    monkeypatch: pytest.MonkeyPatch, model: Path, tmp_path: Path
) -> None:
    for index in range(4):
        assert cv2.imwrite(str(tmp_path / f"f{index}.png"), np.full((48, 64, 3), 90, np.uint8))
    screen = Screen(key=ord("q"), key_after=1)
    names = {"imshow": screen.imshow, "waitKey": screen.wait_key, "destroyAllWindows": screen.destroy}
    for name, function in {**names, "getWindowProperty": screen.visible}.items():
        monkeypatch.setattr(cv2, name, function)
    monkeypatch.setenv("DISPLAY", ":0")
    words = ["predict", str(tmp_path / "f%d.png"), "--model", str(model), "--whole-image", "--no-video", "--live"]
    assert main([*words, "--out", str(tmp_path / "out")]) == 0
    assert len((tmp_path / "out" / "poses.jsonl").read_text().splitlines()) == 4
    assert (len(screen.shown), screen.destroyed) == (1, 1)


def test_without_a_screen_or_windows_frames_a_second_are_told(
    monkeypatch: pytest.MonkeyPatch, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def nothing(*words: object) -> None:
        raise cv2.error("The function is not implemented. Rebuild the library with Windows, GTK+ 2.x or Cocoa support")

    monkeypatch.setattr(_window, "TOLD", 0.0)
    monkeypatch.setattr(cv2, "imshow", nothing)
    assert len(run(monkeypatch, model, None)) == SHOTS
    told = capsys.readouterr().err.splitlines()
    assert sum("frames a second" in line for line in told) == SHOTS
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    assert _window.has_display() is not sys.platform.startswith("linux"), "OpenCV would end the process"


def test_a_camera_that_is_not_there_is_one_sentence(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match="there is no camera 93 on this machine, or another program uses it"):
        open_source("camera:93")
    assert capfd.readouterr() == ("", ""), "OpenCV says nothing beside"
