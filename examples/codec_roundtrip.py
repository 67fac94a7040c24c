"""How exactly each codec gets keypoints back: encode them, decode them, mirror the maps, measure the error.

Prints a table, in pixels of a 256x192 view. Nothing is written.
"""

import torch

from poise.codecs.registry import codec_types
from poise.skeletons import COCO17

SIZE, CELLS = (256, 192), (64, 48)


def main() -> None:
    generator = torch.Generator().manual_seed(0)
    margin = 24.0  # near the border a Gaussian is cut off, which is another story
    room = torch.tensor([SIZE[1] - 1 - 2 * margin, SIZE[0] - 1 - 2 * margin])
    xy = margin + torch.rand(64, len(COCO17), 2, generator=generator) * room
    mirrored = torch.stack((SIZE[1] - 1 - xy[..., 0], xy[..., 1]), dim=-1)[:, COCO17.flip]

    print(f"{'codec':<14}{'mean error':>12}{'largest':>10}{'mirrored':>10}{'promised':>10}")
    for name, kind in sorted(codec_types().items()):
        codec = kind(size=SIZE, cells=CELLS, keypoints=len(COCO17))
        error = (codec.decode(codec.encode(xy)).xy - xy).norm(dim=-1)
        # The maps a perfect network gives for the mirrored view, turned back: the flip test without a network.
        flipped = (codec.decode(codec.unflip(codec.encode(mirrored), COCO17.flip)).xy - xy).norm(dim=-1)
        print(f"{name:<14}{error.mean():>12.3f}{error.max():>10.3f}{flipped.mean():>10.3f}{codec.tolerance:>10.3f}")


if __name__ == "__main__":
    main()
