"""Flags of every training run."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import arg

from poise.cli._inputs import CHECKPOINT
from poise.cli.options.running import DeviceOptions, SeedOptions

if TYPE_CHECKING:
    from poise.recipes.base import Recipe


@dataclass(frozen=True, kw_only=True)
class TrainingOptions(DeviceOptions, SeedOptions):
    """How a recipe is run.

    Attributes:
        out: Folder of the run; by default `runs/` and the name of the recipe.
        batch: People per step, over all devices; the learning rate follows it linearly.
        accumulate: Steps whose gradients are added up.
        workers: Processes that read images and crop views.
        resume: Folder of a run to continue.
        settings: The settings.json of a run to train again, but for the flags that are typed; in place of the recipe's name.
        start: Model file to fine-tune, also of another skeleton. `poise_people`, which comes with poise, brings its network
            (--model poise_t) and --rate 0.004, where these are not given.
        backbone_weights: File of others with ImageNet weights for the backbone, in place of those that are downloaded: HRNet's
            (hrnet_w32-36af842e.pth), torchvision's, timm's, Detectron2's, Caffe2's, OpenMMLab's; what matched is printed.
        stages: Number of times the whole recipe is trained, each time from the best weights before, with a new schedule.
        devices: GPUs, or CPU processes, on each machine.
        nodes: Machines.
        strategy: Lightning's name of the distributed strategy.
        minutes: Largest training time; stages share it by their epochs.
        steps: Largest number of steps; stages share them too.
        save_minutes: Minutes between two checkpoints.
        snapshots: Also keep the model of every so many epochs (--snapshots 50), or of a list of epochs (--snapshots 200 350
            400), in snapshots/; `poise evaluate RUN --snapshots` makes a table of them.
        logger: Loggers of losses and scores: tensorboard (the default), csv, wandb, mlflow, comet; several may be given;
            "none"; or module:function of your own, which is called with the folder of the run and gives a logger of Lightning.
        log_every: Print a line every so many steps, on a terminal too, with loss, accuracy on maps, seconds of a step and of
            waiting for data, speed; each with its mean over the epoch. Loggers get losses as often.
        graph: Also give TensorBoard the graph of the network.
        histograms: Also give TensorBoard histograms of the weights, after each validation, and the learning rate of each group.
    """

    out: Path | None = None
    batch: int | None = None
    accumulate: int = 1
    workers: int | None = None
    resume: Path | None = None
    settings: Path | None = None
    start: Path | None = None
    backbone_weights: Annotated[Path | None, arg(metavar="FILE"), CHECKPOINT] = None
    stages: int = 1
    devices: int = 1
    nodes: int = 1
    strategy: str = "auto"
    minutes: float | None = None
    steps: int | None = None
    save_minutes: float = 5.0
    snapshots: list[int] | None = None
    logger: list[str] | None = None
    log_every: int | None = None
    graph: bool = False
    histograms: bool = False

    @property
    def loggers(self) -> list[str]:
        """Names of the loggers."""
        return ["tensorboard"] if self.logger is None else [name for name in self.logger if name != "none"]

    def train(self, recipe: "Recipe") -> None:
        """Train.

        Args:
            recipe: Recipe, made from its own flags.

        Raises:
            PoiseError: As `fit`.
        """
        from poise.training.fit import fit

        fit(
            recipe.staged(self.stages),
            out=self.out or Path("runs") / recipe.name,
            seed=self.seed,
            device=self.device,
            precision=self.precision,
            batch=self.batch,
            accumulate=self.accumulate,
            workers=self.workers,
            resume=self.resume,
            start=self.start,
            backbone_weights=self.backbone_weights,
            devices=self.devices,
            nodes=self.nodes,
            strategy=self.strategy,
            minutes=self.minutes,
            steps=self.steps,
            save_minutes=self.save_minutes,
            snapshots=self.snapshots[0] if self.snapshots is not None and len(self.snapshots) == 1 else self.snapshots,
            loggers=self.loggers,
            log_every=self.log_every,
            graph=self.graph,
            histograms=self.histograms,
        )
