"""A skeleton of your own: defined by names, joined with COCO's, drawn, and given to a network.

Writes own_skeleton.png into the current folder.
"""

import torch
from PIL import Image

from poise import zoo
from poise.data.figures import FigureDataset
from poise.skeletons import COCO17, Skeleton, convert, mirror_pairs, union
from poise.viz.draw import draw_people

NAMES = ("head", "left_shoulder", "right_shoulder", "left_hip", "right_hip", "tail_tip")

MONKEY = Skeleton(
    name="monkey",
    keypoints=NAMES,
    bones=(
        ("left_shoulder", "right_shoulder"),
        ("left_hip", "right_hip"),
        ("left_shoulder", "left_hip"),
        ("right_hip", "tail_tip"),
    ),
    mirror=mirror_pairs(NAMES),  # found by the words left and right
    sigmas=(0.05,) * len(NAMES),
)


def main() -> None:
    both = union([MONKEY, COCO17])
    print(f"{MONKEY.name} has {len(MONKEY)} keypoints, {both.name} has {len(both)}")
    print(f"the mirror takes keypoint i to {MONKEY.flip.tolist()}")

    sample = FigureDataset(1, seed=4)[0]
    xy, visible = convert(sample.labels.xy, sample.labels.visible, source=COCO17, target=MONKEY)
    print("labelled by name:", [name for name, v in zip(MONKEY.keypoints, visible[0].tolist(), strict=True) if v > 0])
    picture = draw_people(sample.image.permute(1, 2, 0).numpy(), xy, visible, MONKEY)
    Image.fromarray(picture).save("own_skeleton.png")

    model = zoo.build("poise_t_coco_192x160", skeleton=MONKEY)  # the name gives network and size, not the keypoints
    with torch.inference_mode():
        maps = model.eval()(torch.zeros(1, 3, 192, 160))
    assert maps.shape == (1, len(MONKEY), 48, 40)
    print(
        f"{model.card.name}: {maps.shape[1]} maps of {maps.shape[2]}x{maps.shape[3]} cells; own_skeleton.png shows the labels"
    )


if __name__ == "__main__":
    main()
