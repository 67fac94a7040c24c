"""How many drawn images a second one core gives: `python benchmarks/figures.py`."""

import time

from rich.console import Console
from rich.table import Table

from poise.data.figures import FigureDataset
from poise.data.figures.dataset import FigureType

COUNT = 200


def main() -> None:
    """Draw each kind, alone and in company, at two sizes, and print images a second of processor time."""
    table = Table("kind", "size", "figures", "images/s")
    kinds: tuple[FigureType, ...] = ("people", "animals")
    for kind in kinds:
        for size in ((256, 256), (128, 128)):
            for per_image in ((1, 1), (2, 5)):
                rate = images_per_second(FigureDataset(COUNT, size=size, kind=kind, per_image=per_image))
                table.add_row(kind, f"{size[0]}x{size[1]}", f"{per_image[0]}-{per_image[1]}", f"{rate:.0f}")
    Console().print(table)


def images_per_second(dataset: FigureDataset) -> float:
    """Of processor time, all threads together, so that other work on the machine does not count."""
    dataset.scene(0)
    start = time.process_time()
    for i in range(len(dataset)):
        dataset.scene(i)
    return len(dataset) / (time.process_time() - start)


if __name__ == "__main__":
    main()
