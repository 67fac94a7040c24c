"""Frames of made-up videos: times, rotation, odd sizes, 10 bit, sound, folders; and files that are none or damaged."""

import os
import re
import struct
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from poise.data.images import MAX_PIXELS_VARIABLE, write_image
from poise.data.video.ahead import ahead
from poise.data.video.frames import Frame, open_source
from poise.data.video.writing import PartWriter, join
from poise.errors import InputError, PoiseError, ReadError

av = pytest.importorskip("av")


def picture(index: int, size: tuple[int, int] = (48, 64)) -> np.ndarray:
    """A grey that grows with the frame, and a bright corner at the top left."""
    pixels = np.full((*size, 3), (20 + 4 * index) % 240, dtype=np.uint8)
    pixels[: size[0] // 4, : size[1] // 4] = (250, 40, 40)
    return pixels


def write_video(
    path: Path,
    count: int = 12,
    *,
    size: tuple[int, int] = (48, 64),
    rate: int = 25,
    times: list[float] | None = None,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    sound: bool = False,
    gop: int = 4,
) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width, stream.pix_fmt = *size, pix_fmt
        stream.codec_context.time_base = Fraction(1, 90_000)
        if codec == "libx264":
            stream.options = {"g": str(gop), "bf": "0"}
        voice = container.add_stream("aac", rate=8000, layout="mono") if sound else None
        for index in range(count):
            frame = av.VideoFrame.from_ndarray(picture(index, size), format="rgb24")
            frame.pts = round((index / rate if times is None else times[index]) * 90_000)
            frame.time_base = Fraction(1, 90_000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if voice is not None:
            tone = av.AudioFrame.from_ndarray(np.zeros((1, 1024), dtype=np.float32), format="fltp", layout="mono")
            tone.sample_rate = 8000
            for index in range(4):
                tone.pts = 1024 * index
                container.mux(voice.encode(tone))
            container.mux(voice.encode())
    return path


def frames(text: Path | str, **options: float) -> list[Frame]:
    return list(ahead(open_source(str(text), **options).frames()))


def test_every_frame_comes_once_with_its_number_time_and_picture(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4")
    source = open_source(str(path))
    assert (source.size, source.rate, source.count, source.audio) == ((48, 64), 25.0, 12, None)
    found = frames(path)
    assert [one.index for one in found] == list(range(12))
    assert [one.time for one in found] == pytest.approx([i / 25 for i in range(12)], abs=1e-4)
    for index, one in enumerate(found):
        assert abs(float(one.image[:, 30:, 40:].float().mean()) - (20 + 4 * index)) < 4
    assert [one.index for one in open_source(str(path)).frames(7)] == [7, 8, 9, 10, 11]


def test_times_of_a_variable_rate_are_kept(tmp_path: Path) -> None:
    times = [0.0, 0.04, 0.2, 0.21, 0.5, 0.9]
    found = frames(write_video(tmp_path / "a.mp4", 6, times=times))
    assert [one.time for one in found] == pytest.approx(times, abs=1e-3)


def test_a_wrong_rate_is_corrected_by_flag(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", 5)
    assert [one.time for one in frames(path, rate=10.0)] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    with pytest.raises(InputError, match="--rate 0"):
        open_source(str(path), rate=0.0)


def test_odd_sizes_and_ten_bits_and_one_pixel_are_read(tmp_path: Path) -> None:
    odd = frames(write_video(tmp_path / "odd.mkv", 3, size=(47, 63), codec="ffv1", pix_fmt="bgr0"))
    assert odd[0].image.shape == (3, 47, 63)
    deep = frames(write_video(tmp_path / "deep.mkv", 3, codec="ffv1", pix_fmt="yuv420p10le"))
    assert abs(float(deep[0].image[:, 30:, 40:].float().mean()) - 20) < 4
    one = frames(write_video(tmp_path / "one.mkv", 2, size=(1, 1), codec="ffv1", pix_fmt="bgr0"))
    assert one[0].image.shape == (3, 1, 1)


def test_a_folder_is_read_in_the_order_of_its_numbers_and_a_pattern_too(tmp_path: Path) -> None:
    for index in (1, 2, 10, 11):
        write_image(tmp_path / f"frame{index}.png", picture(index))
    (tmp_path / "frame5.png").write_bytes(b"no picture")
    source = open_source(str(tmp_path), rate=10.0)
    found = list(source.frames())
    assert [one.name for one in found] == ["frame1.png", "frame2.png", "frame10.png", "frame11.png"]
    assert [one.index for one in found] == [0, 1, 3, 4]
    assert source.losses.frames == [2]
    assert "frame5.png" in source.losses.reasons[0]
    assert [one.name for one in frames(tmp_path / "frame%d.png")][:2] == ["frame1.png", "frame2.png"]
    with pytest.raises(ReadError, match="no images"):
        open_source(str((tmp_path / "empty").mkdir() or tmp_path / "empty"))
    with pytest.raises(ReadError, match="pattern"):
        open_source(str(tmp_path / "other_%04d.png"))


def damaged(tmp_path: Path) -> Path:
    """A file in whose middle bytes are wrong."""
    path = write_video(tmp_path / "whole.mp4", 40, size=(96, 128), gop=40)
    content = bytearray(path.read_bytes())
    start = content.find(b"mdat") + len(content) // 4
    content[start : start + 200] = bytes(range(200))
    broken = tmp_path / "damaged.mp4"
    broken.write_bytes(bytes(content))
    return broken


def test_a_damaged_frame_is_told_with_its_number_and_the_rest_goes_on(tmp_path: Path) -> None:
    source = open_source(str(damaged(tmp_path)))
    found = list(source.frames())
    assert len(found) > 20
    assert source.losses.frames or len(found) == 40
    assert all(later.time > before.time for before, later in pairwise(found))


def test_a_file_that_was_cut_short_gives_what_it_has(tmp_path: Path) -> None:
    path = write_video(tmp_path / "whole.mkv", 60, size=(96, 128))
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    source = open_source(str(cut))
    found = list(source.frames())
    assert 10 < len(found) < 60
    assert re.fullmatch(r"after \d\.\d of 2\.4 seconds; was the file cut short\?", source.losses.cut), source.losses.cut
    whole = open_source(str(path))
    assert len(list(whole.frames())) == 60
    assert not whole.losses.cut


HOSTILE = {
    "empty.mp4": lambda p: p.write_bytes(b""),
    "text.mp4": lambda p: p.write_text("this is text\n" * 100),
    "zeros.mp4": lambda p: p.write_bytes(bytes(5000)),
    "noise.avi": lambda p: p.write_bytes(np.random.default_rng(0).bytes(5000)),
    "picture.mp4": lambda p: p.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(50)),
    "head.mp4": lambda p: p.write_bytes(write_video(p.with_name("w.mp4")).read_bytes()[:60]),
    "no_index.mp4": lambda p: p.write_bytes(write_video(p.with_name("w.mp4")).read_bytes()[:-700]),
    "json.mkv": lambda p: p.write_text("{}"),
    "zip.mov": lambda p: p.write_bytes(b"PK\x03\x04" + bytes(300)),
    "riff.avi": lambda p: p.write_bytes(b"RIFF" + bytes(4) + b"AVI LIST"),
    "playlist.mp4": lambda p: p.write_text("#EXTM3U\n/etc/passwd\n"),
    "concat.mp4": lambda p: p.write_text("ffconcat version 1.0\nfile /etc/passwd\n"),
    "header.mp4": lambda p: p.write_bytes(b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + np.random.default_rng(1).bytes(4000)),
    "pipe.mp4": os.mkfifo,  # whoever opened it would wait for ever
    "loop.mp4": lambda p: p.symlink_to(p.name),
    "folder.mp4": lambda p: p.mkdir(),
}


@pytest.mark.parametrize("name", list(HOSTILE))
def test_what_is_no_video_gets_one_sentence(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    HOSTILE[name](path)
    with pytest.raises(ReadError) as told:
        frames(path)
    assert name in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt"),
    [
        ("grey.mkv", "ffv1", "gray16le"),
        ("clear.mov", "qtrle", "argb"),
        ("a\n[red]b.mkv", "ffv1", "yuv420p"),
        ("fast.mkv", "ffv1", "yuv444p10le"),
    ],
)
def test_odd_pictures_and_names_are_read(name: str, codec: str, pix_fmt: str, tmp_path: Path) -> None:
    found = frames(write_video(tmp_path / name, 3, codec=codec, pix_fmt=pix_fmt))
    assert [one.index for one in found] == [0, 1, 2]
    assert abs(float(found[1].image[:, 40, 60].float().mean()) - 24) < 6
    assert [one.name for one in found] == [name] * 3


def test_a_picture_that_belongs_to_a_sound_is_a_video_of_one_frame(tmp_path: Path) -> None:
    path = write_video(tmp_path / "cover.mp4", 1, codec="mjpeg", pix_fmt="yuvj420p", sound=True, rate=1)
    assert [one.index for one in frames(path)] == [0]


def test_sound_alone_a_folder_of_nothing_and_a_missing_file_get_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000, layout="mono")
        tone = av.AudioFrame.from_ndarray(np.zeros((1, 1024), dtype=np.float32), format="fltp", layout="mono")
        tone.sample_rate = 8000
        container.mux(stream.encode(tone))
        container.mux(stream.encode())
    with pytest.raises(ReadError, match="sound and no picture"):
        open_source(str(path))
    header = struct.pack(">4s4sI4s", b"isom", b"\0\0\2\0", 8 + 108, b"moov") + struct.pack(">I4s100x", 108, b"mvhd")
    (tmp_path / "head.mp4").write_bytes(struct.pack(">I4s", 16, b"ftyp") + header)
    with pytest.raises(ReadError, match=r"no picture; is the file whole\?"):
        open_source(str(tmp_path / "head.mp4"))
    (tmp_path / "still.mp4").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(ReadError, match="Invalid data"):
        open_source(str(tmp_path / "still.mp4"))
    with pytest.raises(ReadError, match=r"nothing\.mp4"):
        open_source(str(tmp_path / "nothing.mp4"))
    with pytest.raises(InputError, match="camera 97"):
        open_source("camera:97")
    with pytest.raises(InputError, match="camera:0"):
        open_source("camera:front")


def test_huge_frames_are_refused_by_their_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_video(tmp_path / "a.mp4")
    monkeypatch.setenv(MAX_PIXELS_VARIABLE, "1000")
    with pytest.raises(ReadError, match="64 x 48 pixels; --max-pixels"):
        open_source(str(path))


def test_frames_that_change_their_size_are_all_read(tmp_path: Path) -> None:
    for index, size in enumerate([(48, 64), (48, 64), (60, 40)]):
        write_image(tmp_path / f"{index}.png", picture(index, size))
    assert [tuple(one.image.shape[1:]) for one in frames(tmp_path)] == [(48, 64), (48, 64), (60, 40)]


def test_parts_are_joined_with_their_times_and_the_sound_is_kept(tmp_path: Path) -> None:
    source = write_video(tmp_path / "a.mp4", 10, sound=True)
    times = [0.0, 0.04, 0.2, 0.21, 0.5, 0.9]
    parts = []
    for number, own in enumerate((times[:3], times[3:])):
        part = PartWriter(tmp_path / f"{number}.mp4", (49, 65), rate=25.0)
        for time in own:
            part.add(picture(round(10 * time), (49, 65)), time - own[0])
        part.close()
        parts.append((tmp_path / f"{number}.mp4", own[0]))
    join(parts, tmp_path / "out.mp4", audio=source)
    found = frames(tmp_path / "out.mp4")
    assert [one.time for one in found] == pytest.approx(times, abs=1e-3)
    assert found[0].image.shape == (3, 48, 64), "an odd row and column are cut"
    with av.open(str(tmp_path / "out.mp4")) as made:
        assert len(made.streams.audio) == 1
        assert sum(packet.size for packet in made.demux(made.streams.audio[0])) > 0
    assert not list(tmp_path.glob(".*"))


def test_a_reader_whose_user_stops_ends_its_thread(tmp_path: Path) -> None:
    import threading

    stream = ahead(open_source(str(write_video(tmp_path / "a.mp4", 30))).frames())
    next(stream)
    stream.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "poise-decode"]


def test_an_error_of_the_reader_is_raised_where_frames_are_used() -> None:
    def broken():  # type: ignore[no-untyped-def]
        yield Frame(0, 0.0, torch.zeros(3, 2, 2, dtype=torch.uint8), "a")
        raise ReadError("gone")

    stream = ahead(broken())
    assert next(stream).index == 0
    with pytest.raises(PoiseError, match="gone"):
        next(stream)
