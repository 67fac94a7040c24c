"""The COCO protocol in a few lines: labels judged as if they were predictions, exact and then shaken.

Shows what one pixel of error costs in OKS-AP and in PCK. Prints a table; nothing is written.
"""

import torch

from poise.data.figures import FigureDataset
from poise.metrics.collect import Collector


def main() -> None:
    dataset = FigureDataset(40, per_image=(1, 2), seed=2)
    generator = torch.Generator().manual_seed(0)
    everyone = [dataset[index].labels for index in range(len(dataset))]

    print(f"{'error, pixels':>13}{'AP':>8}{'AP50':>8}{'AP75':>8}{'pck@0.05':>10}{'pck@0.1':>10}")
    for error in (0.0, 1.0, 2.0, 4.0, 8.0):
        collector = Collector(dataset.skeleton)
        for image, labels in enumerate(everyone, start=1):
            found = labels.xy + error * torch.randn(labels.xy.shape, generator=generator)
            collector.add(image, found, torch.ones(found.shape[:2]), labels)
        scores = collector.compute()
        row = "".join(f"{scores[name]:>8.3f}" for name in ("AP", "AP50", "AP75"))
        print(f"{error:>13.1f}{row}{scores['pck@0.05']:>10.3f}{scores['pck@0.1']:>10.3f}")
        assert error > 0 or scores["AP"] == 1.0, "labels judged against themselves are perfect"


if __name__ == "__main__":
    main()
