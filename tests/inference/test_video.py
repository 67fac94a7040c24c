"""`poise.video` and `poise predict VIDEO`: following, results, going on after a stop, and the files of the labs' tools."""

import io
import itertools
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import poise
from poise import zoo
from poise.cli import _video as cli_video
from poise.cli.main import main
from poise.data.images import write_image
from poise.data.video.frames import open_source
from poise.errors import InputError
from poise.inference import video as video_module
from poise.inference.detect import Detected, Detector
from poise.inference.follow import Follower, FollowSettings
from poise.inference.video import VideoPipeline, VideoSettings, predictor_for, video
from poise.inference.video_results import VideoResults, read_frames
from poise.models.top_down import TopDown
from poise.models.values import Course, Region
from poise.skeletons import Skeleton
from poise.structures import Key

FRAMES = 40
BLOB = Skeleton("blob", ("a", "b", "c", "d"), bones=(("a", "b"),), sigmas=(0.1,) * 4)
CORNERS = ((0.3, 0.3), (0.7, 0.3), (0.3, 0.7), (0.7, 0.7))


class SeesBrightness(torch.nn.Module):
    """Finds the bright square in a view: four maps with a peak at its corners, as high as it is bright."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = torch.nn.Parameter(torch.zeros(1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        bright = torch.nn.functional.avg_pool2d(images.mean(dim=1, keepdim=True), 4)[:, 0]
        maps = torch.zeros(len(images), 4, *bright.shape[1:])
        for index, view in enumerate(bright):
            there = (view - view.min() >= 0.5 * (view.max() - view.min())).nonzero()
            low, high = there.amin(dim=0), there.amax(dim=0)
            for k, (x, y) in enumerate(((0, 0), (1, 0), (0, 1), (1, 1))):
                maps[index, k, (low, high)[y][0], (low, high)[x][1]] = 1.0
        return maps + self.unused


def model() -> TopDown:
    made = zoo.build("poise_t_coco_64x64", skeleton=BLOB)
    assert isinstance(made, TopDown)
    made.network = SeesBrightness()
    return made


class SquareDetector(Detector):
    """Boxes of the bright squares of an image; counts how often it is asked."""

    name = "squares"

    def __init__(self, *, ghost: bool = False) -> None:
        self.asked, self.ghost = 0, ghost

    def find(self, requests, *, skipped):  # type: ignore[no-untyped-def]
        for request in requests:
            self.asked += 1
            bright = request.read()[0] > 128
            found = torch.zeros(0, 4)
            if bright.any():
                rows = [[float(v) for v in box] for box in squares_in(bright)]
                found = torch.tensor(rows)
            score = torch.ones(len(found))
            if self.ghost:  # nobody, of whom the detector is not sure
                found, score = torch.cat((found, torch.tensor([[160.0, 5, 190, 25]]))), torch.cat((score, torch.tensor([0.1])))
            yield Detected(request.key, found, score)


def squares_in(bright: torch.Tensor) -> list[tuple[int, int, int, int]]:
    import cv2

    _, _, stats, _ = cv2.connectedComponentsWithStats(bright.numpy().astype(np.uint8))
    return [(x - 6, y - 6, x + w + 6, y + h + 6) for x, y, w, h, _ in stats[1:]]


def place(index: int, which: int) -> tuple[int, int]:
    return (20 + 3 * index, 30) if which == 0 else (150 - 2 * index, 90)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of frames with two bright squares that move past each other; the second enters in frame 6."""
    folder = tmp_path_factory.mktemp("film")
    for index in range(FRAMES):
        pixels = np.full((140, 200, 3), 10, dtype=np.uint8)
        for which in (0, 1) if index >= 6 else (0,):
            x, y = place(index, which)
            pixels[y : y + 24, x : x + 24] = 240
        write_image(folder / f"f{index:03d}.png", pixels)
    return folder


def test_people_are_found_followed_and_have_ids_that_stay(film: Path) -> None:
    detector = SquareDetector()
    found = list(video(film, model(), detector=detector, smooth=(), detect_every=8))
    assert [one.index for one in found] == list(range(FRAMES))
    assert detector.asked < FRAMES / 2, "the detector runs now and then"
    for one in found[10:]:
        assert one.ids == [1, 2]
        for row, which in enumerate((0, 1)):
            x, y = place(one.index, which)
            centre = one.poses.xy[row].mean(dim=0)
            assert (centre - torch.tensor([x + 12.0, y + 12.0])).norm() < 5, one.index
    assert found[3].ids == [1]
    assert found[3].time == pytest.approx(0.1)
    assert found[3].pixels.shape == (140, 200, 3)
    frame = found[20].poses.to_dict()
    assert frame["frame"] == 20
    assert [person["track"] for person in frame["people"]] == [1, 2]


def test_detections_that_turn_out_to_be_nobody_do_not_ask_the_detector_again(film: Path) -> None:
    detector = SquareDetector(ghost=True)
    found = list(video(film, model(), detector=detector, smooth=(), detect_every=8, min_box_score=0.05))
    assert all(1 in one.ids for one in found)
    assert detector.asked <= 2 + FRAMES // 8, "in the first frame, and in its turns"


class Blind(SquareDetector):
    """Sees somebody the first time alone."""

    def find(self, requests, *, skipped):  # type: ignore[no-untyped-def]
        for found in super().find(requests, skipped=skipped):
            yield found if self.asked == 1 else Detected(found.key, found.boxes[:0], found.scores[:0])


@pytest.mark.parametrize(("misses", "left"), [(2, False), (0, True)])
def test_nobody_is_followed_for_ever_where_the_detector_sees_nobody(film: Path, misses: int, left: bool) -> None:
    predictor = predictor_for(model(), detector=Blind())
    follower = Follower(model(), predictor.settings, predictor.detector, 0.3, FollowSettings(detect_every=3, misses=misses))
    counts = []
    for frame in itertools.islice(open_source(str(film)).frames(), 9):
        if frame.index == 4:  # what was counted is not forgotten
            follower.restore(json.loads(json.dumps(follower.to_plain())))
        follower(frame.image, Key(frame.name, frame.index + 1))
        counts.append(len(follower.regions))
    assert all(counts[:6])
    assert bool(counts[-1]) == left


class OneAlone(SquareDetector):
    """Sees both squares the first time, and the upper one after that."""

    def find(self, requests, *, skipped):  # type: ignore[no-untyped-def]
        for found in super().find(requests, skipped=skipped):
            yield found if self.asked == 1 else Detected(found.key, found.boxes[:1], found.scores[:1])


def test_who_is_given_up_was_not_lost_so_that_the_detector_keeps_to_its_turns(film: Path) -> None:
    detector = OneAlone()
    predictor = predictor_for(model(), detector=detector)
    follower = Follower(model(), predictor.settings, predictor.detector, 0.3, FollowSettings(detect_every=3, misses=1))
    counts = []
    for frame in itertools.islice(open_source(str(film)).frames(), 8, 17):  # both are there
        follower(frame.image, Key(frame.name, frame.index + 1))
        counts.append(len(follower.regions))
    assert (counts[0], counts[-1]) == (2, 1)
    assert detector.asked == 3, "in the first frame, and in two turns"


class SeesTop(SeesBrightness):
    """Is sure of what is at the top of the bright square, and of nothing below."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = super().forward(images)
        maps[:, 2] = (maps[:, 0] + maps[:, 1]) / 2  # as sure of a third one there
        maps[:, 3] = 0.0
        return maps


def test_who_comes_out_from_behind_somebody_is_found_soon(tmp_path: Path) -> None:
    """The detector has its turn every 20 frames; the second square goes behind the first, and comes out in frame 15."""
    for index in range(20):
        pixels = np.full((140, 200, 3), 10, dtype=np.uint8)
        for x in (30, max(130 - 12 * index, 30 + max(0, 12 * (index - 12)))):
            pixels[60:84, x : x + 24] = 240
        write_image(tmp_path / f"f{index:03d}.png", pixels)
    found = list(video(str(tmp_path), model(), detector=SquareDetector(), smooth=(), detect_every=20))
    assert [len(one.ids) for one in found[:6]] == [2] * 6
    assert [len(one.ids) for one in found[10:13]] == [1] * 3
    assert [len(one.ids) for one in found[18:]] == [2] * 2


@pytest.mark.parametrize(("least", "kept"), [(0.97, 0.97**8), (0.0, 0.0)])
def test_a_box_does_not_shrink_to_the_part_that_is_seen_best(film: Path, least: float, kept: float) -> None:
    own = model()
    own.network = SeesTop()
    predictor = predictor_for(own, detector=SquareDetector())
    how = FollowSettings(detect_every=100, least=least, min_score=0.0)
    follower = Follower(own, predictor.settings, predictor.detector, 0.3, how)
    heights = []
    for frame in itertools.islice(open_source(str(film)).frames(), 6):
        follower(frame.image, Key(frame.name, frame.index + 1))
        heights += [float(region.box[3] - region.box[1]) for region in follower.regions]
    assert len(heights) == 6
    shares = [after / before for before, after in itertools.pairwise([36.0, *heights])]  # 36: the detector's box
    if least:
        assert min(shares) >= least - 1e-4
        assert heights[-1] >= kept * 36
    else:
        assert heights[-1] < 12, "without a limit it shrinks to its upper edge"


def test_a_detector_in_every_frame_finds_the_same_people(film: Path) -> None:
    detector = SquareDetector()
    found = list(video(film, model(), detector=detector, smooth=(), detect_every=1))
    assert detector.asked == FRAMES
    assert [one.ids for one in found[10:]] == [[1, 2]] * (FRAMES - 10)


def test_without_a_detector_the_first_frame_is_one_person_who_is_followed(film: Path) -> None:
    found = list(video(film, model(), smooth=(), end=0.15))
    assert [one.ids for one in found] == [[1]] * 5
    assert found[-1].poses.boxes[0, 2] < 150, "the box shrinks to who is in it"


def test_parts_of_a_video_and_every_second_frame(film: Path) -> None:
    found = list(video(film, model(), detector=SquareDetector(), every=2, start=0.2, end=0.6))
    assert [one.index for one in found] == [6, 8, 10, 12, 14, 16, 18]
    for wrong in ({"every": 0}, {"start": -1.0}, {"start": 2.0, "end": 1.0}):
        with pytest.raises(InputError, match="every"):
            video(film, model(), **wrong)  # type: ignore[arg-type]


def test_smoothers_that_wait_lose_no_frame(film: Path) -> None:
    found = list(video(film, model(), detector=SquareDetector(), smooth=("median", "fill", "kalman")))
    assert [one.index for one in found] == list(range(FRAMES))
    assert all(one.poses.key.frame == one.index for one in found)


def run_through(film: Path, out: Path, *, stop_after: int | None, resume: bool, chunk: int) -> None:
    predictor = predictor_for(model(), detector=SquareDetector())
    source = open_source(str(film))
    pipeline = VideoPipeline(predictor, source, VideoSettings(smooth=("median", "fill", "one-euro")))
    results = VideoResults(out, source, predictor.model, asked={"film": "squares"}, sheet=4, resume=resume)
    if results.pipeline_state is not None:
        pipeline.restore(results.pipeline_state)
    for number, frames in enumerate(pipeline.chunks()):
        results.add(frames, pipeline)
        if stop_after is not None and number >= stop_after:
            with results.poses.open("ab") as file:  # killed in the middle of a line
                file.write(b'{"file_name": "f0')
            return
    results.join_parts()
    results.done()


def test_the_bar_tells_frames_a_second_and_the_slowest_stage(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = io.StringIO()
    told.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stderr", told)
    source = open_source(str(film))
    pipeline = VideoPipeline(predictor_for(model(), detector=SquareDetector()), source, VideoSettings())
    assert sum(len(list(chunk)) for chunk in cli_video._with_progress(pipeline, source)) == FRAMES
    assert re.search(r"[\d.]+ a second, slowest: (reading|detector|network|tracking|writing)", told.getvalue())
    assert set(pipeline.seconds) == set(video_module.STAGES)


def test_a_run_killed_at_three_places_goes_on_to_the_same_bytes(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video_module, "CHUNK", 7)
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    run_through(film, tmp_path / "whole", stop_after=None, resume=False, chunk=7)
    run_through(film, tmp_path / "killed", stop_after=0, resume=False, chunk=7)
    run_through(film, tmp_path / "killed", stop_after=1, resume=True, chunk=7)
    run_through(film, tmp_path / "killed", stop_after=0, resume=True, chunk=7)
    run_through(film, tmp_path / "killed", stop_after=None, resume=True, chunk=7)
    whole, killed = (tmp_path / name for name in ("whole", "killed"))
    assert (killed / "poses.jsonl").read_bytes() == (whole / "poses.jsonl").read_bytes()
    assert (killed / "video.mp4").read_bytes() == (whole / "video.mp4").read_bytes()
    assert [row["frame"] for row in read_frames(whole / "poses.jsonl")] == list(range(FRAMES))
    assert not (killed / ".poise-video").exists()


def test_a_run_killed_before_its_first_chunk_was_whole_begins_anew(film: Path, tmp_path: Path) -> None:
    source, own = open_source(str(film)), model()
    VideoResults(tmp_path, source, own, asked={"film": "squares"}).poses.write_text('{"file_name": "f0')
    run_through(film, tmp_path, stop_after=None, resume=True, chunk=64)
    assert [row["frame"] for row in read_frames(tmp_path / "poses.jsonl")] == list(range(FRAMES))


def test_what_cannot_be_gone_on_with_is_told(film: Path, tmp_path: Path) -> None:
    source, own = open_source(str(film)), model()
    with pytest.raises(InputError, match="holds no video to go on with"):
        VideoResults(tmp_path, source, own, asked={}, resume=True)
    run_through(film, tmp_path, stop_after=0, resume=False, chunk=64)
    with pytest.raises(InputError, match="unfinished video; go on with --resume"):
        VideoResults(tmp_path, source, own, asked={})
    with pytest.raises(InputError, match="other settings \\(film\\)"):
        VideoResults(tmp_path, source, own, asked={"film": "circles"}, resume=True)


@pytest.fixture(scope="module")
def results(film: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """What the command wrote of the film, raw and smoothed."""
    folder = tmp_path_factory.mktemp("results")
    file = poise.save(zoo.build("poise_t_coco_64x64", skeleton=BLOB), folder / "model.safetensors")
    common = ["predict", str(film), "--as-video", "--model", str(file), "--whole-image"]
    common += ["--min-keypoint-score", "-100", "--track-score", "-100"]
    assert main([*common, "--out", str(folder / "raw"), "--smooth", "none", "--no-video"]) == 0
    also = ["--also", "coco", "csv", "dlc", "dlc-csv", "openpose"]
    assert main([*common, "--out", str(folder / "smooth"), "--report", *also]) == 0
    return folder / "raw", folder / "smooth"


def test_the_command_writes_video_poses_tables_and_a_report(results: tuple[Path, Path]) -> None:
    raw, smooth = results
    assert sorted(p.name for p in raw.iterdir()) == ["poses.csv", "poses.jsonl", "predictions.json"]
    assert {"poses.h5", "poses_dlc.csv", "openpose", "video.mp4", "report.html"} <= {p.name for p in smooth.iterdir()}
    rows = list(read_frames(smooth / "poses.jsonl"))
    assert len(rows) == FRAMES
    coco = json.loads((smooth / "predictions.json").read_text())
    assert len(coco) == sum(len(row["people"]) for row in rows)
    lines = (smooth / "poses.csv").read_text().splitlines()
    assert lines[0].startswith("frame,time,file_name,track,pose_score,box_score,box_x0")
    assert len(lines) == 1 + len(coco)
    page = (smooth / "report.html").read_text()
    assert "Contact sheet" in page
    assert page.count("data:image/jpeg") + page.count("data:image/png") == 2


def test_deeplabcuts_tables_are_read_by_pandas_as_its_own_are(results: tuple[Path, Path]) -> None:
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("tables")
    _, smooth = results
    table = pandas.read_hdf(smooth / "poses.h5", "df_with_missing")
    rows = list(read_frames(smooth / "poses.jsonl"))
    tracked = {person["track"] for row in rows for person in row["people"] if person["track"] > 0}
    assert len(table) == FRAMES
    if len(tracked) == 1:
        assert table.columns.names == ["scorer", "bodyparts", "coords"]
        assert table["poise"]["a"]["x"].iloc[5] == pytest.approx(rows[5]["people"][0]["keypoints"][0][0])
    else:
        assert table.columns.names == ["scorer", "individuals", "bodyparts", "coords"]
    again = pandas.read_csv(smooth / "poses_dlc.csv", header=list(range(len(table.columns.names))), index_col=0)
    assert np.allclose(again.to_numpy(), table.to_numpy(), equal_nan=True)


def test_openpose_has_a_file_for_each_frame(results: tuple[Path, Path]) -> None:
    files = sorted((results[1] / "openpose").iterdir())
    assert len(files) == FRAMES
    assert files[3].name.endswith("_000000000003_keypoints.json")
    person = json.loads(files[3].read_text())["people"][0]
    assert len(person["pose_keypoints_2d"]) == 3 * len(BLOB)


def test_sleap_and_movement_read_what_is_written_for_them(results: tuple[Path, Path], tmp_path: Path) -> None:
    from poise.inference.labs import write_dlc_csv, write_movement, write_sleap

    poses = results[0] / "poses.jsonl"
    sleap_io = pytest.importorskip("sleap_io")
    write_sleap(poses, tmp_path / "a.slp", BLOB)
    labels = sleap_io.load_slp(str(tmp_path / "a.slp"), open_videos=False)
    assert [node.name for node in labels.skeletons[0].nodes] == list(BLOB.keypoints)
    assert len(labels) == FRAMES
    load_poses = pytest.importorskip("movement.io.load_poses")
    write_movement(poses, tmp_path / "a.nc", BLOB)
    xarray = pytest.importorskip("xarray")
    with xarray.open_dataset(tmp_path / "a.nc") as table:
        made = load_poses.from_numpy(
            table.position.to_numpy(), table.confidence.to_numpy(), keypoint_names=list(BLOB.keypoints), fps=30
        )
        assert table.position.dims == made.position.dims
        assert dict(table.sizes) == dict(made.sizes)
        assert table.attrs["ds_type"] == made.attrs["ds_type"]
        assert table.attrs["time_unit"] == made.attrs["time_unit"]
        inputs = pytest.importorskip("movement.validators.datasets").ValidPosesInputs
        if hasattr(inputs, "validate"):  # what its plugin of napari asks of a netCDF file; older versions ask nothing
            inputs.validate(table)
    write_dlc_csv(poses, tmp_path / "a.csv", BLOB)
    from_dlc = load_poses.from_dlc_file(tmp_path / "a.csv", fps=30)
    assert list(from_dlc.coords[from_dlc.position.dims[2]].to_numpy()) == list(BLOB.keypoints)
    assert np.allclose(from_dlc.position.to_numpy(), made.position.to_numpy(), equal_nan=True, atol=1e-3)


def test_jitter_and_lag_are_measured_and_tracks_scored_against_labels(
    results: tuple[Path, Path], film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw, smooth = results
    assert main(["track", "evaluate", str(smooth / "poses.jsonl"), "--raw", str(raw / "poses.jsonl")]) == 0
    assert "jitter of keypoints at rest" in capsys.readouterr().out
    labels = labelled_film(raw / "poses.jsonl")
    (tmp_path / "truth.json").write_text(json.dumps(labels))
    scores = tmp_path / "scores.json"
    truth = ["--annotations", str(tmp_path / "truth.json"), "--out", str(scores)]
    assert main(["track", "evaluate", str(raw / "poses.jsonl"), *truth]) == 0
    out = capsys.readouterr().out
    assert "HOTA" in out
    assert "no boxes of heads" in out
    found = json.loads(scores.read_text())
    assert found["scores"]["IDF1"] == pytest.approx(1.0)
    assert found["keypoint MOTA"]["a"] == pytest.approx(1.0), "of a keypoint inside the images"
    for broken in labels["annotations"]:
        broken.pop("track_id")
    (tmp_path / "untracked.json").write_text(json.dumps(labels))
    assert main(["track", "evaluate", str(raw / "poses.jsonl"), "--annotations", str(tmp_path / "untracked.json")]) == 1
    assert "has no track_id" in capsys.readouterr().err


def labelled_film(poses: Path) -> dict[str, object]:
    """Labels that are what was found."""
    images, annotations = [], []
    for row in read_frames(poses):
        images.append(
            {"id": row["image_id"], "file_name": row["file_name"], "width": 200, "height": 140, "frame": row["frame"]}
        )
        for person in row["people"]:
            x0, y0, x1, y1 = person["box"]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": row["image_id"],
                    "category_id": 1,
                    "iscrowd": 0,
                    "track_id": person["track"],
                    "keypoints": [v for x, y, _ in person["keypoints"] for v in (x, y, 2)],
                    "num_keypoints": len(BLOB),
                    "bbox": [x0, y0, x1 - x0, y1 - y0],
                    "area": (x1 - x0) * (y1 - y0),
                }
            )
    category = {"id": 1, "name": "blob", "keypoints": list(BLOB.keypoints), "skeleton": [[1, 2]]}
    return {"images": images, "annotations": annotations, "categories": [category]}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--also", "sloop"], "sloop"),
        (["--smooth", "kalman", "one-euro"], "of one-euro and kalman one"),
        (["--every", "0"], "--every"),
        (["--detect-every", "0"], "--detect-every"),
        (["--start", "5", "--end", "2"], "end 2"),
        (["--start", "900"], "with --start 900; it has about"),
        (["--start", "0.001", "--every", "5000"], "with --start 0.001, --every 5000"),
    ],
)
def test_mistakes_get_a_sentence_and_nothing_is_written(
    words: list[str], said: str, film: Path, tmp_path: Path, results: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    file = results[0].parent / "model.safetensors"
    out = tmp_path / "out"
    assert main(["predict", str(film), "--as-video", "--model", str(file), "--out", str(out), *words]) in (1, 2)
    assert said in capsys.readouterr().err
    assert not out.exists()


def test_a_video_is_not_replaced_by_what_is_drawn_on_it(
    results: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "video.mp4"
    own.write_bytes((results[1] / "video.mp4").read_bytes())
    before, file = own.read_bytes(), str(results[0].parent / "model.safetensors")
    assert main(["predict", str(own), "--model", file, "--whole-image", "--out", str(tmp_path)]) == 1
    assert "is read by this command, and --out would overwrite it" in capsys.readouterr().err
    assert own.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["video.mp4"]


def test_photographs_and_videos_are_told_apart(
    film: Path, tmp_path: Path, results: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(results[0].parent / "model.safetensors")
    picture = str(film / "f000.png")
    assert main(["predict", picture, "--model", file, "--out", str(tmp_path / "a"), "--report"]) == 1
    assert "--report is for videos" in capsys.readouterr().err
    (tmp_path / "walk.mp4").write_text("no video")
    assert main(["predict", picture, str(tmp_path / "walk.mp4"), "--model", file, "--out", str(tmp_path / "a")]) == 1
    assert "one video at a time" in capsys.readouterr().err
    assert main(["predict", str(tmp_path / "walk.mp4"), "--model", file, "--out", str(tmp_path / "a")]) == 1
    assert "no video that can be read" in capsys.readouterr().err
    assert main(["predict", "camera:front", "--model", file, "--out", str(tmp_path / "a")]) == 1
    assert "the first is camera:0" in capsys.readouterr().err
    assert not (tmp_path / "a").exists()


def test_one_box_takes_the_place_of_one_person_who_is_followed() -> None:
    predictor = predictor_for(model(), detector=SquareDetector())
    follower = Follower(model(), predictor.settings, predictor.detector)
    box, known = torch.tensor([40.0, 40, 70, 110]), Course((55.0, 75.0), (2.0, 0.0), seen=9)
    follower.regions = [Region(box, course=known), Region(box + torch.tensor([8.0, 0, 8, 0]), course=known)]
    [fresh, behind] = follower._joined([Region(box + 1, 0.7)])
    assert fresh.box.equal(box + 1)
    assert fresh.course == known, "who is detected again goes on as before"
    assert behind.box.equal(follower.regions[1].box), "who stands behind is not forgotten"
    assert behind.missed == 1
    follower.regions = [follower.regions[0], replace(follower.regions[1], course=Course())]
    assert len(follower._joined([Region(box + 1, 0.7)])) == 1, "a second view of the same person is"


def test_who_is_hidden_is_looked_for_where_they_should_be() -> None:
    predictor = predictor_for(model(), detector=SquareDetector())
    follower = Follower(model(), predictor.settings, predictor.detector, how=FollowSettings(hidden=3, known=5))
    course = Course()
    for step in range(8):
        course = course.at((40.0 + 2 * step, 60.0))
    assert course.velocity == pytest.approx((2.0, 0.0))
    region: Region | None = Region(torch.tensor([40.0, 40, 70, 80]), course=course)  # the view had gone over to somebody at 55
    middles = []
    for _ in range(3):
        assert region is not None
        region = follower._hidden(region)
        assert region is not None
        middles.append(float(region.box[0] + region.box[2]) / 2)
        follower.regions = [region]
        follower.restore(json.loads(json.dumps(follower.to_plain())))
        [region] = follower.regions
    assert middles == pytest.approx([56.0, 58.0, 60.0])
    assert follower._hidden(region) is None, "they are given up"
    assert follower._hidden(Region(region.box, course=Course((55.0, 60.0), seen=4))) is None, "who was hardly seen"


def test_numbers_of_following_are_checked() -> None:
    for wrong in (
        {"hidden": -1},
        {"known": 0},
        {"detect_every": 0},
        {"growth": 0.0},
        {"overlap": 2.0},
        {"least": 2.0},
        {"duplicate": 0.0},
    ):
        with pytest.raises(InputError, match="following"):
            FollowSettings(**wrong)  # type: ignore[arg-type]
