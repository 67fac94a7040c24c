"""Results of a video in the files of the labs' tools: DeepLabCut, SLEAP, movement, OpenPose; made of its `poses.jsonl`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, final

import numpy as np
from jaxtyping import Float

from poise.errors import InputError, MissingExtra, unknown
from poise.inference.tables import TABLES, Table
from poise.inference.video_results import read_frames
from poise.skeletons import Skeleton
from poise.writing import atomic_file

SCORER = "poise"
"""Name of the scorer in DeepLabCut's tables."""


@final
@dataclass(frozen=True, eq=False)
class Tracks:
    """All people of a video; frames that were left out are there, without anybody.

    Attributes:
        ids: Track ids, from 1.
        xy: Pixels; nan where a person or a keypoint is not there.
        score: Confidence; nan there.
        times: Seconds of each frame; nan for frames that were left out.
    """

    ids: list[int]
    xy: Float[np.ndarray, "t n k 2"]
    score: Float[np.ndarray, "t n k"]
    times: Float[np.ndarray, " t"]

    @classmethod
    def of(cls, poses: Path, skeleton: Skeleton) -> "Tracks":
        """The tracks of a `poses.jsonl`; people without a track are left out.

        Raises:
            InputError: Nobody was tracked.
        """
        rows = list(read_frames(poses))
        ids = sorted({p["track"] for row in rows for p in row["people"] if p.get("track", -1) > 0})
        if not ids:
            raise InputError(f"{str(poses)!r} has nobody with a track: there is nothing to write")
        count = max(row["frame"] for row in rows) + 1
        xy = np.full((count, len(ids), len(skeleton), 2), np.nan)
        score, times = np.full((count, len(ids), len(skeleton)), np.nan), np.full(count, np.nan)
        place = {track: index for index, track in enumerate(ids)}
        for row in rows:
            times[row["frame"]] = row["time"]
            for person in row["people"]:
                if person.get("track", -1) > 0:
                    values = np.array(person["keypoints"], dtype=np.float64)
                    there = values[:, 2] > 0
                    where = (row["frame"], place[person["track"]])
                    xy[where] = np.where(there[:, None], values[:, :2], np.nan)
                    score[where] = values[:, 2]
        return cls(ids, xy, score, times)

    @property
    def rate(self) -> float:
        """Frames a second, by the times."""
        known = np.flatnonzero(np.isfinite(self.times))
        if len(known) < 2:
            return 30.0
        return float((known[-1] - known[0]) / max(self.times[known[-1]] - self.times[known[0]], 1e-9))


def _dlc_table(poses: Path, skeleton: Skeleton) -> Any:
    """DeepLabCut's table as a DataFrame: of one person by body part, of several by individual and body part."""
    try:
        import pandas
    except ImportError as error:
        raise MissingExtra("DeepLabCut's tables are written with pandas: pip install 'poise[labs]'") from error
    tracks = Tracks.of(poses, skeleton)
    values = np.concatenate((tracks.xy, tracks.score[..., None]), axis=-1)
    parts, coords = list(skeleton.keypoints), ["x", "y", "likelihood"]
    if len(tracks.ids) == 1:
        index = pandas.MultiIndex.from_product([[SCORER], parts, coords], names=["scorer", "bodyparts", "coords"])
    else:
        people = [f"individual{track}" for track in tracks.ids]
        names = ["scorer", "individuals", "bodyparts", "coords"]
        index = pandas.MultiIndex.from_product([[SCORER], people, parts, coords], names=names)
    return pandas.DataFrame(values.reshape(len(values), -1), columns=index)


def write_dlc_csv(poses: Path, out: Path, skeleton: Skeleton) -> None:
    """DeepLabCut's .csv.

    Raises:
        MissingExtra: pandas is not installed.
    """
    with atomic_file(out) as file:
        file.write(_dlc_table(poses, skeleton).to_csv().encode())


def write_dlc_h5(poses: Path, out: Path, skeleton: Skeleton) -> None:
    """DeepLabCut's .h5, key `df_with_missing`.

    Raises:
        MissingExtra: pandas or tables is not installed.
    """
    table = _dlc_table(poses, skeleton)
    try:
        import tables  # noqa: F401  # pandas asks for it while it writes
    except ImportError as error:
        raise MissingExtra("DeepLabCut's .h5 is written with tables: pip install 'poise[labs]'") from error
    draft = out.with_name(f".{out.name}.part")
    table.to_hdf(draft, key="df_with_missing", mode="w", format="fixed")
    draft.replace(out)


def write_sleap(poses: Path, out: Path, skeleton: Skeleton) -> None:
    """SLEAP's .slp, by sleap-io.

    Raises:
        MissingExtra: sleap-io is not installed.
    """
    try:
        import sleap_io
    except ImportError as error:
        raise MissingExtra("SLEAP's files are written with sleap-io, which is not installed: pip install sleap-io") from error
    tracks = Tracks.of(poses, skeleton)
    edges = list(skeleton.bones)
    made = sleap_io.Skeleton(nodes=list(skeleton.keypoints), edges=edges)
    film = sleap_io.Video(filename=next(read_frames(poses))["file_name"], open_backend=False)
    named = [sleap_io.Track(name=f"track_{track}") for track in tracks.ids]
    frames = []
    for index in range(len(tracks.xy)):
        people = [
            sleap_io.PredictedInstance.from_numpy(
                points_data=np.concatenate((tracks.xy[index, n], tracks.score[index, n, :, None]), axis=-1),
                skeleton=made,
                track=named[n],
                score=float(np.nanmean(tracks.score[index, n])),
            )
            for n in range(len(tracks.ids))
            if np.isfinite(tracks.score[index, n]).any()
        ]
        frames.append(sleap_io.LabeledFrame(video=film, frame_idx=index, instances=people))
    labels = sleap_io.Labels(labeled_frames=frames, videos=[film], skeletons=[made], tracks=named)
    draft = out.with_name(f".part-{out.name}")
    sleap_io.save_slp(labels, str(draft), verbose=False)
    draft.replace(out)


def write_movement(poses: Path, out: Path, skeleton: Skeleton) -> None:
    """A netCDF file as movement's loaders give it (position and confidence by time, keypoint and individual).

    Raises:
        MissingExtra: xarray, or what it writes netCDF with, is not installed.
    """
    try:
        import xarray
    except ImportError as error:
        raise MissingExtra("movement's files are written with xarray: pip install xarray h5netcdf") from error
    tracks = Tracks.of(poses, skeleton)
    people = [f"id_{track}" for track in tracks.ids]
    times = np.where(np.isfinite(tracks.times), tracks.times, np.arange(len(tracks.times)) / tracks.rate)
    table = xarray.Dataset(
        {
            "position": (("time", "space", "keypoints", "individuals"), tracks.xy.transpose(0, 3, 2, 1)),
            "confidence": (("time", "keypoints", "individuals"), tracks.score.transpose(0, 2, 1)),
        },
        coords={"time": times, "space": ["x", "y"], "keypoints": list(skeleton.keypoints), "individuals": people},
        attrs={"source_software": "poise", "ds_type": "poses", "fps": tracks.rate, "time_unit": "seconds"},
    )
    draft = out.with_name(f".{out.name}.part")
    try:
        table.to_netcdf(draft)
    except (ImportError, ValueError) as error:
        raise MissingExtra(f"netCDF is written with h5netcdf or netCDF4: pip install h5netcdf ({error})") from error
    draft.replace(out)


def write_openpose(poses: Path, out: Path, skeleton: Skeleton) -> None:
    """OpenPose's JSON: a folder with a file for each frame, `NAME_000000000012_keypoints.json`."""
    out.mkdir(exist_ok=True)
    for row in read_frames(poses):
        people = [
            {
                "person_id": [person.get("track", -1)],
                "pose_keypoints_2d": [round(v, 3) for keypoint in person["keypoints"] for v in keypoint],
                "face_keypoints_2d": [],
                "hand_left_keypoints_2d": [],
                "hand_right_keypoints_2d": [],
            }
            for person in row["people"]
        ]
        name = f"{Path(row['file_name']).stem}_{row['frame']:012d}_keypoints.json"
        with atomic_file(out / name) as file:
            file.write(json.dumps({"version": 1.3, "keypoint_names": list(skeleton.keypoints), "people": people}).encode())


EXPORTS: Mapping[str, tuple[str, Table]] = {
    **TABLES,
    "dlc": ("poses.h5", write_dlc_h5),
    "dlc-csv": ("poses_dlc.csv", write_dlc_csv),
    "sleap": ("poses.slp", write_sleap),
    "movement": ("poses.nc", write_movement),
    "openpose": ("openpose", write_openpose),
}
"""File and writer of each form of results, by the name in `--also`."""

NEEDS: Mapping[str, tuple[str, ...]] = {
    "parquet": ("pyarrow",),
    "dlc": ("pandas", "tables"),
    "dlc-csv": ("pandas",),
    "sleap": ("sleap_io",),
    "movement": ("xarray", "h5netcdf"),
}
"""Packages without which a form cannot be written."""


def check_exports(names: Sequence[str]) -> None:
    """Refuse forms that do not exist, or whose packages are not installed, before a video is worked on.

    Raises:
        UnknownName: There is no such form.
        MissingExtra: A package is not installed.
    """
    for name in names:
        if name not in EXPORTS:
            raise unknown("form of results (--also)", name, EXPORTS)
        lacking = [package.replace("_", "-") for package in NEEDS.get(name, ()) if find_spec(package) is None]
        if lacking:
            raise MissingExtra(f"--also {name} is written with {' and '.join(lacking)}: pip install {' '.join(lacking)}")
