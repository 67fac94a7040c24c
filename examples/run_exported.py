"""An exported model without poise: `find` needs ONNX Runtime and NumPy alone.

    python run_exported.py model.onnx photo.jpg X0 Y0 X1 Y1

The view is cut out plainly: the box, grown to the shape of the view. Without arguments a small file is made with poise first.
Photographs are read by Pillow here; any other reader will do.
"""

import json
import sys

import numpy as np
import onnxruntime


def find(file: str, photo: np.ndarray, box: tuple[float, ...]) -> list[tuple[str, float, float, float]]:
    """Name, x, y (pixels of the photo) and score of the keypoints of whoever is in a box x0 y0 x1 y1 of a photo (h w 3)."""
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    said = json.loads(session.get_modelmeta().custom_metadata_map["poise"])
    if "keypoints" not in (one.name for one in session.get_outputs()):
        raise SystemExit(f"{file} was exported with --no-decode: it gives maps, and no keypoints")
    (high, wide), (x0, y0, x1, y1) = said["codec"]["size"], box
    scale = said["preprocess"]["padding"] * max((x1 - x0) / wide, (y1 - y0) / high)  # pixels of the photo for one of the view
    corner = np.array([x0 + x1 - scale * wide, y0 + y1 - scale * high]) / 2
    edge, photo = 1 + max(photo.shape), np.asarray(photo, np.float32)
    x, y = (np.clip(start + scale * np.arange(n), -1, edge) for start, n in zip(corner, (wide, high), strict=True))
    padded = np.pad(photo, ((1, edge + 2 - photo.shape[0]), (1, edge + 2 - photo.shape[1]), (0, 0)))  # black outside
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    right, low = (x - left)[None, :, None], (y - top)[:, None, None]
    rows = padded[top + 1] * (1 - low) + padded[top + 2] * low  # bilinear, rows and then columns
    view = rows[:, left + 1] * (1 - right) + rows[:, left + 2] * right
    pixels = np.ascontiguousarray(view.transpose(2, 0, 1)[None], np.float32)
    xy, scores = session.run(["keypoints", "scores"], {"image": pixels})
    found = np.column_stack((xy[0] * scale + corner, scores[0])).tolist()
    return [(name, *row) for name, row in zip(said["skeleton"]["keypoints"], found, strict=True)]


if __name__ == "__main__":
    if len(sys.argv) > 1:
        from PIL import Image

        found = find(sys.argv[1], np.asarray(Image.open(sys.argv[2]).convert("RGB")), tuple(map(float, sys.argv[3:7])))
    else:
        from poise import save, zoo
        from poise.cli.main import main

        save(zoo.build("poise_t_coco_64x64"), "small.safetensors")
        assert main(["export", "small.safetensors", "--out", "small.onnx"]) == 0
        found = find("small.onnx", np.full((300, 200, 3), 128, np.uint8), (40.0, 20.0, 160.0, 280.0))
    print("\n".join(f"{name}: {x:.1f} {y:.1f} {score:.3f}" for name, x, y, score in found))
