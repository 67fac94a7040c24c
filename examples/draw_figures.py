"""Draw people and animals, look at their labels, and write them as a COCO-style data set.

Writes figures.png and the folder drawn/ (annotations.json, images/) into the current folder.
"""

from pathlib import Path

from PIL import Image

from poise.data.coco import CocoDataset
from poise.data.figures import FigureDataset, write_coco
from poise.viz.draw import contact_sheet, draw_people


def main() -> None:
    people = FigureDataset(6, kind="people", per_image=(1, 2), seed=1)
    animals = FigureDataset(6, kind="animals", seed=1)

    pictures = []
    for dataset in (people, animals):
        for index in range(len(dataset)):
            sample = dataset[index]  # image and labels, drawn now
            pixels = sample.image.permute(1, 2, 0).numpy()  # (H, W, 3); costs nothing, the memory already lies so
            labels = sample.labels
            pictures.append(draw_people(pixels, labels.xy, labels.visible, dataset.skeleton, boxes=labels.boxes))
    Image.fromarray(contact_sheet(pictures, 6)).save("figures.png")

    annotations = write_coco(people, Path("drawn"))
    again = CocoDataset(annotations, Path("drawn/images"))
    assert again.skeleton.keypoints == people.skeleton.keypoints
    print(f"figures.png: {len(pictures)} pictures; {annotations}: {len(again)} images, {len(again.people())} people")


if __name__ == "__main__":
    main()
