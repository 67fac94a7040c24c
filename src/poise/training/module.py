"""The LightningModule of a run: loss, optimizer steps, learning rate, EMA of the weights, validation."""

import copy
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, final

import torch
from jaxtyping import Float
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.utils.data import DataLoader

from poise.errors import CheckpointError
from poise.metrics.accuracy import Accuracy
from poise.models.base import TrainableModel
from poise.models.losses import total_loss
from poise.models.views.base import AnyViews, LoadedBatch, ViewDataset, mixed_seed
from poise.notes import add_counted
from poise.training import optim
from poise.training.checkpoint import identity
from poise.training.data import ResumableSampler, loader, repeats_of, val_every_of
from poise.training.nan_guard import Step, check_finite
from poise.training.recipe import Recipe
from poise.training.run_plan import RunPlan
from poise.training.task import TaskRun
from poise.weights.checkpoint import compare


@final
class Module(LightningModule):
    """A recipe in training.

    Args:
        recipe: The recipe.
        plan: Batches, learning rate, seed, budget of this run.
        train: Training views.
        val: Validation views, or None.
        data: Checksums of the data (`provenance.checksums`), which the state keeps.
        folder: Folder of the run, for what its task writes; None for nothing.
        say: Prints a line of the task.

    Attributes:
        model: The model that is trained.
        average: Exponential moving average (EMA) of its weights, or None.
        task: Task of the model.
        best_task: Task of the model that is validated and saved: the average where there is one.
        scores: Scores of the last validation, by name.
        keypoint_scores: A score of each keypoint, by name, where there are loggers.
        loss_value: Loss of the last step.
        parts: Parts of the last step's loss, by name.
        val_parts: Parts of the loss of the last validation, by name.
        accuracy: PCK on the maps of the last batch; None where the model has no such maps.
        norm: Norm of the last step's gradient, before clipping.
        elapsed: Seconds of training up to the last step, over all sessions; the same on every process.
        unreadable: Error messages of images that could not be read.
        begun: Whether training has begun; before, a saved state is restored.
    """

    def __init__(
        self,
        recipe: Recipe,
        plan: RunPlan,
        *,
        train: AnyViews[Any, Any],
        val: ViewDataset[Any, Any] | None,
        data: Mapping[str, Any] | None = None,
        folder: Path | None = None,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        super().__init__()
        self.recipe = recipe
        self.plan = plan
        self.views = train
        self.data = dict(data or {})
        self.val_views = val
        self.model = recipe.model
        self.parts: dict[str, Float[Tensor, ""]] = {}
        self.val_parts: dict[str, float] = {}
        self.accuracy: Accuracy | None = None
        self.average = copy.deepcopy(recipe.model).requires_grad_(False) if recipe.average is not None else None
        self.task = recipe.task(self.model)
        self.best_task = recipe.task(self.best_model)
        self.extra = self.task.extra
        self.folder = folder
        self.say = say
        self.truth = self.task.truth(val.dataset) if val is not None else None
        repeats = repeats_of(recipe.repeats, count=len(train), batch=plan.batch)
        self.order = ResumableSampler(len(train), plan.share, seed=plan.seed, rank=plan.rank, world=plan.world, repeats=repeats)
        self.scores: dict[str, float] = {}
        self.keypoint_scores: dict[str, float] = {}
        self.loss_value = float("nan")
        self.norm = float("nan")
        self.rate = 0.0
        self.warm = False  # whether the step just done had the full learning rate, after the warm-up
        self.elapsed = 0.0
        self.unreadable: dict[str, None] = {}
        self.frozen = False
        self.begun = False
        self._earlier = 0.0
        self._since = time.monotonic()
        self._found: dict[int, Any] = {}
        self._val_losses: list[tuple[dict[str, float], int]] = []
        self._steps_per_epoch = -(-len(self.order) // plan.accumulate)
        self._val_every = val_every_of(recipe.val_every, steps=self._steps_per_epoch, epochs=recipe.epochs)
        self._scored = -1
        self._freeze_still()

    @property
    def best_model(self) -> TrainableModel:
        """The model that is validated and saved: the average where there is one."""
        return self.average if self.average is not None else self.model

    # data

    def train_dataloader(self) -> DataLoader[LoadedBatch[Any]]:
        """Shuffled batches, from the current one of the epoch."""
        return loader(self.views, self.order, workers=self.plan.workers, pin=self.plan.device.type == "cuda")

    def val_dataloader(self) -> list[DataLoader[LoadedBatch[Any]]]:
        """The validation views, in their order."""
        if self.val_views is None:
            return []
        order = ResumableSampler(len(self.val_views), self.plan.share, seed=None, rank=self.plan.rank, world=self.plan.world)
        return [loader(self.val_views, order, workers=self.plan.workers, pin=self.plan.device.type == "cuda")]

    # steps

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """The recipe's optimizer, at the scaled learning rate."""
        return optim.build(self.recipe.optimizer, self.model.network, rate=self.plan.rate, extra=self.extra)

    def train(self, mode: bool = True) -> "Module":
        """Set training mode; the average, frozen parts and the task's steady ones stay in evaluation mode."""
        super().train(mode)
        if self.average is not None:
            self.average.eval()
        for part in (*self._frozen_parts(), *self.task.steady_parts):
            part.eval()
        return self

    def on_train_start(self) -> None:
        """Start the clock, and tell the task of the run; a model that was loaded from a file is in evaluation mode till now."""
        self.train()
        self.begun = True
        self._since = time.monotonic()
        self._freeze()
        self.task.start(self._task_run())
        self.trainer.should_stop = self.trainer.should_stop or self.task.done

    def _task_run(self) -> TaskRun:
        plan = self.plan
        return TaskRun(
            best=self.best_model,
            average=self.average,
            folder=self.folder,
            seed=plan.seed,
            epochs=self.recipe.epochs,
            batch=plan.share,
            workers=plan.workers,
            device=plan.device,
            precision=plan.precision,
            say=self.say,
            progress=self.progress,
        )

    def progress(self) -> float:
        """Part of the run that is over (`TaskRun.progress`)."""
        share = self.time_share if self.recipe.schedule.over_time else 0.0
        return min(max(self.current_epoch / self.recipe.epochs, share), 1.0)

    @property
    def time_share(self) -> float:
        """Share of the time budget that is used up; 0 without one."""
        return self.elapsed / self.plan.budget if self.plan.budget else 0.0

    def on_train_epoch_start(self) -> None:
        """Unfreeze the backbone after `Recipe.freeze_epochs`; what the task does before an epoch."""
        self._freeze()
        self.task.begin_epoch(self.current_epoch)

    def on_train_epoch_end(self) -> None:
        """End the run where its task says so."""
        self.trainer.should_stop = self.trainer.should_stop or self.task.done

    def _freeze(self) -> None:
        self.frozen = self.current_epoch < self.recipe.freeze_epochs
        if (
            self.recipe.freeze_epochs and self.plan.world == 1
        ):  # with several processes all weights must take part in the backward pass
            self._backbone().requires_grad_(not self.frozen)
            self._freeze_still()
        if self.recipe.freeze_epochs or self.recipe.still:
            self.train(self.training)

    def _freeze_still(self) -> None:
        """Freeze the parts of `Recipe.still`."""
        for name in self.recipe.still:
            self.model.network.get_submodule(name).requires_grad_(False)

    def _frozen_parts(self) -> list[nn.Module]:
        """Parts that are frozen now, with their batch norm statistics."""
        parts = [self.model.network.get_submodule(name) for name in self.recipe.still]
        return [*parts, self._backbone()] if self.frozen else parts

    def _backbone(self) -> nn.Module:
        backbone: nn.Module = self.model.network.get_submodule("backbone")
        return backbone

    def training_step(self, loaded: LoadedBatch[Any], batch_idx: int) -> Float[Tensor, ""]:
        """The loss of a batch. Random numbers of the network (dropout) depend on seed and step alone."""
        torch.manual_seed(mixed_seed(self.plan.seed, self.current_epoch, batch_idx, self.plan.rank))
        self.unreadable.update(dict.fromkeys(loaded.bad))
        add_counted(loaded.counted)
        self.loaded = loaded
        with last_answer(self.model.network) as answers:
            self.parts = self.task.losses(loaded.batch)
        self.accuracy = self.task.accuracy(answers[0], loaded.batch) if answers else None
        self.loss = total_loss(self.parts)
        return self.loss

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Stop at a loss or gradient that is not finite, then clip the gradient."""
        beside = () if self.extra is None else self.extra.parameters()
        weights = [p for p in (*self.model.parameters(), *beside) if p.grad is not None]
        if self.frozen:
            for p in self._backbone().parameters():
                p.grad = None
        norm = torch.nn.utils.get_total_norm([p.grad for p in weights if p.grad is not None])
        self.loss_value, self.norm = torch.stack((self.loss.detach().float(), norm.float())).tolist()
        step = Step(self.trainer.global_step, self.rate, self.loss_value, self.norm)
        check_finite(step, self.task, self.loaded.batch, recipe=self.recipe, precision=self.plan.precision)
        if self.recipe.clip is not None:
            torch.nn.utils.clip_grads_with_norm_(weights, self.recipe.clip, norm)

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """One step at the scheduled learning rate, then an update of the average."""
        time_share = self.time_share
        step = self.trainer.global_step
        factor = optim.factor(
            self.recipe.schedule,
            step=step,
            steps_per_epoch=self._steps_per_epoch,
            epochs=self.recipe.epochs,
            time_share=time_share,
        )
        optimizer = self.optimizers()
        optim.set_rate(optimizer, factor)  # type: ignore[arg-type]  # one optimizer, not a list
        self.rate = self.plan.rate * factor
        steps = self._steps_per_epoch * self.recipe.epochs
        self.warm = optim.risen(self.recipe.schedule, step=step, steps=steps, time_share=time_share) >= 1
        super().optimizer_step(*args, **kwargs)
        if self.average is not None and self.recipe.average is not None:
            update_average(self.average, self.model, decay=min(self.recipe.average, (1 + step) / (10 + step)))

    def now(self) -> float:
        """Seconds trained so far, as this process counts them."""
        return self._earlier + time.monotonic() - self._since

    # validation

    @property
    def due(self) -> bool:
        """Whether this epoch ends with a validation, a picture and a saved state: every so many epochs, and at the end."""
        done = self.current_epoch + 1
        return done % self._val_every == 0 or done >= self.recipe.epochs or self.trainer.should_stop

    @property
    def new_scores(self) -> dict[str, float]:
        """Scores of this epoch's validation, by name; none without one."""
        return self.scores if self._scored == self.current_epoch else {}

    def on_train_batch_end(self, *args: Any) -> None:
        """Tell Lightning whether a validation follows, after the callbacks have decided whether the run ends here."""
        self.trainer.check_val_every_n_epoch = 1 if self.due else self.recipe.epochs + 1

    def on_validation_start(self) -> None:
        """Clear the results of the last validation."""
        self._found = {}
        self._val_losses = []

    def validation_step(self, loaded: LoadedBatch[Any], batch_idx: int) -> None:
        """Predict the keypoints of a batch, pixels of the images."""
        torch.manual_seed(mixed_seed(self.plan.seed, batch_idx, self.plan.rank))  # the loss may sample (proposals)
        losses, found = self.best_task.validate(loaded.batch)
        self._val_losses.append(({name: float(part) for name, part in losses.items()}, len(loaded.batch)))
        self._found.update(zip(loaded.indices, found, strict=True))
        self.unreadable.update(dict.fromkeys(loaded.bad))
        add_counted(loaded.counted)

    def on_validation_epoch_end(self) -> None:
        """Gather the results of all processes and score them."""
        if self.truth is None or self.trainer.sanity_checking:
            return
        found, losses = self._found, self._val_losses
        if self.plan.world > 1:
            gathered: list[Any] = [None] * self.plan.world
            torch.distributed.all_gather_object(gathered, (found, losses))
            found = {index: one for part, _ in gathered for index, one in part.items()}
            losses = [row for _, part in gathered for row in part]
        total = sum(n for _, n in losses)
        names = dict.fromkeys(name for parts, _ in losses for name in parts)
        self.val_parts = {name: sum(parts.get(name, 0.0) * n for parts, n in losses) / total for name in names}
        self._scored = self.current_epoch
        self.keypoint_scores = self.task.keypoint_scores(self.truth, found) if self.trainer.loggers else {}
        self.scores = self.task.score(self.truth, found) | {"loss": sum(self.val_parts.values())}
        self.scores |= self.task.check()

    # checkpoints

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the progress of the run to Lightning's checkpoint."""
        batches = self.trainer.fit_loop.epoch_loop.batch_progress.current.ready
        whole = batches >= len(self.order)
        checkpoint["poise"] = {
            "epoch": self.current_epoch + int(whole),
            "batch": 0 if whole else batches,
            "elapsed": self.elapsed,
            "scores": self.scores,
            "plan": self._sampling(),
            "rate": self.plan.rate,
            "steps": self.trainer.global_step,
            "model": identity(self.model),
            **({"data": self.data} if self.data else {}),
            **({"task": state} if (state := self.task.state()) else {}),
        }

    def _sampling(self) -> dict[str, int]:
        """The numbers that decide the order of views."""
        plan = self.plan
        numbers = {self.task.unit[1]: len(self.views), "batch": plan.batch, "accumulate": plan.accumulate, "seed": plan.seed}
        return numbers | ({"repeats": self.order.repeats} if self.order.repeats > 1 else {})

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Resume from there.

        Raises:
            CheckpointError: The run was trained with other data, batches or seed, or another network.
        """
        state = checkpoint["poise"]
        if state["plan"] != self._sampling():
            raise CheckpointError(
                f"the run was trained with {state['plan']} and is to go on with {self._sampling()}; these must agree"
            )
        difference = compare(self.state_dict(), checkpoint["state_dict"])
        if difference:
            raise CheckpointError(
                f"the run trained another network than {self.recipe.model.card.name!r} of this recipe; weights: {difference}"
            )
        self.task.load_state(state.get("task", {}))
        self.order.begin(state["epoch"], state["batch"])
        self._earlier = self.elapsed = state["elapsed"]
        self.scores = state["scores"]


@contextmanager
def last_answer(network: nn.Module) -> Iterator[list[Any]]:
    """While this lasts, a list that holds what a network answered last; empty before it has."""
    answers: list[Any] = []

    def keep(module: nn.Module, inputs: object, output: Any) -> None:
        answers[:] = [output]

    handle = network.register_forward_hook(keep)
    try:
        yield answers
    finally:
        handle.remove()


@torch.no_grad()
def update_average(average: nn.Module, model: nn.Module, *, decay: float) -> None:
    """Update an EMA: weights and statistics move towards the model by 1 - decay; integer buffers are copied."""
    pairs = list(zip(average.state_dict().values(), model.state_dict().values(), strict=True))
    floats = [pair for pair in pairs if pair[0].is_floating_point()]
    torch._foreach_lerp_([old for old, _ in floats], [new for _, new in floats], 1 - decay)
    for old, new in pairs:
        if not old.is_floating_point():
            old.copy_(new)
