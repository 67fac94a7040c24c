"""`poise predict` on a folder of many images: images a second, memory as it goes on, the rows after a kill; files read smaller.

    python benchmarks/folder.py --images 10000                    # drawn images, poise_t_coco_192x160 with random weights
    python benchmarks/folder.py --images 200 --times 4 --model model.safetensors --rows

Memory is the resident set of the process (`VmRSS`), read twice a second. One run is whole; another is killed (SIGKILL) at a
share of its images and gone on with (`--resume`); both files of rows must be equal. With `--times` the images are enlarged, and
runs that read them whole and smaller are compared: time, and the distance of keypoints in pixels of the network's input.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import cv2
import numpy as np
import tyro

from poise.data.figures import FigureDataset, write_coco
from poise.models.require import require_top_down
from poise.weights.model_file import load, save
from poise.zoo import build

DRAWN = 200
"""Different drawings; the other files are links to them."""


def drawn_folder(folder: Path, count: int, times: int) -> tuple[Path, Path]:
    """A folder of so many JPEG files, and a file with the boxes of their people."""
    labels = json.loads(write_coco(FigureDataset(min(count, DRAWN), size=(480, 640)), folder / "drawn").read_text())
    files = {image["id"]: image["file_name"] for image in labels["images"]}
    images, rows = folder / "images", []
    images.mkdir()
    for number in range(count):
        image = list(files)[number % len(files)]
        name, source = images / f"{number + 1:06d}.jpg", folder / "drawn" / "images" / files[image]
        first = images / f"{number % len(files) + 1:06d}.jpg"
        if number < len(files):
            pixels = cv2.resize(np.asarray(cv2.imread(str(source))), None, fx=times, fy=times, interpolation=cv2.INTER_CUBIC)
            cv2.imwrite(str(name), pixels, [cv2.IMWRITE_JPEG_QUALITY, 92])
        else:
            os.link(first, name)
        for one in labels["annotations"]:
            if one["image_id"] == image:
                box = [value * times for value in one["bbox"]]
                rows.append({"image_id": number + 1, "file_name": name.name, "bbox": box, "score": 1.0, "category_id": 1})
    boxes = folder / "boxes.json"
    boxes.write_text(json.dumps(rows))
    return images, boxes


def resident(process: int) -> float:
    """Megabytes of memory that a process has; 0 once it is gone."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0.0
    found = next((line for line in status.splitlines() if line.startswith("VmRSS")), "VmRSS: 0")
    return int(found.split()[1]) / 1024


def run(words: list[str], *, lines: Path, kill_at: int = 10**12) -> tuple[float, list[float], str]:
    """Seconds, memory twice a second, and the last words of a run; it is killed when so many lines are there."""
    begun, memory = time.perf_counter(), []
    process = subprocess.Popen([sys.executable, "-m", "poise", "predict", *words], stdout=subprocess.PIPE, text=True)
    while process.poll() is None:
        memory.append(resident(process.pid))
        if kill_at < 10**12 and lines.exists() and lines.read_bytes().count(b"\n") >= kill_at:
            process.send_signal(signal.SIGKILL)
        time.sleep(0.5)
    said = process.stdout.read().strip() if process.stdout is not None else ""
    return time.perf_counter() - begun, [one for one in memory if one], said


def distances(whole: Path, smaller: Path, view: tuple[int, int]) -> list[float]:
    """How far keypoints moved, pixels of the network's input."""
    found = []
    for one, other in zip(*(map(json.loads, path.read_text().splitlines()) for path in (whole, smaller)), strict=True):
        for person, same in zip(one["people"], other["people"], strict=True):
            x0, y0, x1, y1 = person["box"]
            scale = max((x1 - x0) * 1.25 / view[1], (y1 - y0) * 1.25 / view[0])
            moved = np.array(person["keypoints"])[:, :2] - np.array(same["keypoints"])[:, :2]
            sure = np.array(person["keypoints"])[:, 2] > 0.3
            found += (np.linalg.norm(moved[sure], axis=1) / scale).tolist()
    return found


def main(images: int = 10000, *, model: Path | None = None, times: int = 1, runtime: str = "auto") -> None:
    """Draw, run, kill, go on, compare, print.

    Args:
        images: How many.
        model: A top-down model; by default a small one with random weights.
        times: By what the drawings are enlarged; above 1 files are read whole and smaller.
        runtime: As of `poise predict`.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = save(build("poise_t_coco_192x160"), folder / "model.safetensors") if model is None else model
        where, boxes = drawn_folder(folder, images, times)
        common = [str(where), "--model", str(file), "--boxes", str(boxes), "--format", "jsonl", "--no-pictures"]
        common += ["--runtime", runtime]

        def words(out: str, *more: str) -> list[str]:
            return [*common, "--out", str(folder / out), *more]

        rows = folder / "whole" / "predictions.jsonl"
        seconds, memory, said = run(words("whole"), lines=rows)
        tenth = max(len(memory) // 10, 1)
        marks = " ".join(f"{max(memory[at : at + tenth]):.0f}" for at in range(0, len(memory), tenth))
        print(f"{images} images in {seconds:.1f} s; memory, MB, in each tenth of the time: {marks}")
        print("\n".join(line for line in said.splitlines() if "side by side" in line))
        if times > 1:
            for how in ("--full-size", "--no-full-size"):
                print(how, run(words(how, how), lines=rows)[2].splitlines()[-3])
            moved = distances(folder / "--full-size" / "predictions.jsonl", rows, require_top_down(load(file)).codec.size)
            far = f"{median(moved):.3f} px (median), {np.quantile(moved, 0.99):.3f} px (99 %)"
            print(f"{len(moved)} sure keypoints moved {far} of the network's input")
            return
        part = folder / "killed" / "predictions.jsonl.part"
        run(words("killed"), lines=part, kill_at=images // 2)
        print(f"killed with {len(part.read_bytes().splitlines())} rows")
        run(words("killed", "--resume"), lines=part)
        equal = rows.read_bytes() == (folder / "killed" / "predictions.jsonl").read_bytes()
        print(f"gone on: {len(rows.read_text().splitlines())} rows, {'equal' if equal else 'NOT EQUAL'}")


if __name__ == "__main__":
    tyro.cli(main)
