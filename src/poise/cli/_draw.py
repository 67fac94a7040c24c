"""Flags of drawn figures, and writing them as a data set."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import arg

from poise.cli._flags import refuse
from poise.cli._inputs import Reads
from poise.cli.options import Name, Number
from poise.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from poise.data.figures.drawn import DrawnDataset

BACKGROUNDS = Reads("folder of backgrounds")


@dataclass(frozen=True, kw_only=True)
class FigureOptions:
    """Drawing a data set instead.

    Attributes:
        kind: Draw figures with their labels and write them as a data set: people, animals of any species, or one such as horse,
            dog, cow, tiger or camel; or bodies, people rendered from a parametric body (needs poise[bodies]).
        look: How they look: default, plain, textured, wild or everything; wild by default for bodies.
        keypoints: Keypoints of animals: quadruped or animal18; of bodies: coco17 or halpe26.
        backgrounds: Folder of images to draw behind most figures.
        poses: Of bodies: file of poses that most of them take (poise data poses).
        size: Height and width of the images, pixels.
        per_image: Fewest and most figures in an image.
        frames: Draw sequences of so many frames, each of the same animals in motion; --count is then their number.
    """

    kind: Name = None
    look: Name = None
    keypoints: Name = None
    backgrounds: Annotated[Path | None, arg(metavar="DIR"), BACKGROUNDS] = None
    poses: Annotated[Path | None, arg(metavar="FILE"), Reads("file of poses")] = None
    size: Annotated[tuple[int, int] | None, arg(metavar="H W")] = None
    per_image: Annotated[tuple[int, int] | None, arg(metavar="N N")] = None
    frames: Number = None

    def dataset(self, count: int, *, seed: int) -> "DrawnDataset":
        """The drawings.

        Args:
            count: Number of images.
            seed: Seed of the drawings.

        Raises:
            PoiseError: There is no such kind, look or layout, or a number is out of its range.
        """
        from poise.data.figures import FigureDataset, FigureSequences, named_look

        assert self.kind is not None, "called where --kind is given"
        if self.kind == "bodies":
            return self._bodies(count, seed=seed)
        refuse({"--poses": self.poses}, why="only --kind bodies takes poses from a file")
        look = named_look(self.look or "default")
        if self.backgrounds is not None:
            look = look.with_folder(self.backgrounds)
        size, per_image, kind = self.size or (256, 256), self.per_image or (1, 1), self.kind
        if self.frames is None:
            return FigureDataset(
                count, kind=kind, size=size, per_image=per_image, seed=seed, look=look, keypoints=self.keypoints
            )
        return FigureSequences(
            count,
            frames=self.frames,
            kind=kind,
            size=size,
            per_image=per_image,
            seed=seed,
            look=look,
            keypoints=self.keypoints,
        )

    def _bodies(self, count: int, *, seed: int) -> "DrawnDataset":
        """Rendered people."""
        from poise.data.bodies import BodyDataset, BodyPoses
        from poise.data.figures import named_look

        refuse({"--frames": self.frames}, why="rendered bodies stand still")
        look = named_look(self.look or "wild")
        if self.backgrounds is not None:
            look = look.with_folder(self.backgrounds)
        poses = BodyPoses.read(self.poses) if self.poses is not None else None
        size, per_image = self.size or (256, 256), self.per_image or (1, 1)
        return BodyDataset(count, size=size, per_image=per_image, seed=seed, look=look, keypoints=self.keypoints, poses=poses)


def write_figures(figures: FigureOptions, out: Path, *, count: int, seed: int) -> None:
    """Write drawings and a picture of the first ones with their labels.

    Args:
        figures: What is drawn.
        out: Folder of the data set.
        count: Number of images.
        seed: Seed of the drawings.

    Raises:
        PoiseError: It cannot be drawn, or the folder cannot be written.
    """
    from poise.data.figures import write_coco
    from poise.data.images import write_image
    from poise.terminal import Console

    if count < 1:
        raise InputError(f"--count {count} images cannot be drawn; give 1 or more")
    dataset = figures.dataset(count, seed=seed)
    written = write_coco(dataset, out)
    write_image(out / "labels.jpg", _sheet(dataset))
    Console().print(
        f"{len(dataset)} images in {out / 'images'}, labels in {written}, the first ones with labels in {out / 'labels.jpg'}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


def _sheet(dataset: "DrawnDataset") -> "np.ndarray":
    from poise.viz.draw import contact_sheet, draw_people

    pictures = []
    for index in range(min(24, len(dataset))):
        sample = dataset[index]
        labels, pixels = sample.labels, sample.image.permute(1, 2, 0).numpy()
        pictures.append(draw_people(pixels, labels.xy, labels.visible, dataset.skeleton, boxes=labels.boxes))
    return contact_sheet(pictures, 6)
