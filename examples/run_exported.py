"""An exported model without poise, but with ONNX Runtime, NumPy and Pillow.

    python run_exported.py model.onnx photo.jpg X0 Y0 X1 Y1

The view is cut out plainly: the box, grown to the shape of the view. Without arguments it makes a small file with poise first.
"""

import json
import sys

import numpy as np
import onnxruntime
from PIL import Image


def find(file: str, photo: Image.Image, box: tuple[float, float, float, float]) -> list[tuple[str, float, float, float]]:
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    said = json.loads(session.get_modelmeta().custom_metadata_map["poise"])
    high, wide = said["codec"]["size"]
    middle = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
    scale = said["preprocess"]["padding"] * max((box[2] - box[0]) / wide, (box[3] - box[1]) / high)  # pixels of the photo
    corner = (middle[0] - scale * wide / 2, middle[1] - scale * high / 2)
    view = photo.convert("RGB").transform((wide, high), Image.Transform.AFFINE, (scale, 0, corner[0], 0, scale, corner[1]), 2)
    pixels = np.asarray(view, np.float32).transpose(2, 0, 1)[None]
    _, xy, score = session.run(["output", "keypoints", "scores"], {"image": pixels})
    there = xy[0] * scale + corner
    return [
        (name, float(x), float(y), float(s))
        for name, (x, y), s in zip(said["skeleton"]["keypoints"], there, score[0], strict=True)
    ]


if __name__ == "__main__":
    if len(sys.argv) > 1:
        found = find(sys.argv[1], Image.open(sys.argv[2]), tuple(map(float, sys.argv[3:7])))  # type: ignore[arg-type]
    else:
        from poise import save, zoo
        from poise.cli.main import main

        save(zoo.build("poise_t_coco_64x64"), "small.safetensors")
        assert main(["export", "small.safetensors", "--out", "small.onnx"]) == 0
        found = find("small.onnx", Image.new("RGB", (200, 300), "grey"), (40.0, 20.0, 160.0, 280.0))
    print("\n".join(f"{name}: {x:.1f} {y:.1f} {score:.3f}" for name, x, y, score in found))
