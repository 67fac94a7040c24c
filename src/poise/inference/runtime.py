"""The network of a model, run by another runtime: converted once, kept in the cache, compared with PyTorch before it is used.

`attach` puts a `Runner` before the methods that a model names (`Model.runtime_parts`); everything else of the pipeline stays.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from threading import Lock
from typing import Any, final

import torch
from torch import Tensor, nn

import poise
from poise.errors import InputError
from poise.machine import traced
from poise.models.base import Model
from poise.models.values import Part
from poise.notes import note
from poise.runtimes.choice import Choice
from poise.runtimes.engine import Engine, Session
from poise.runtimes.parts import Flat, difference, leaves, refilled, rows_of, shape_of
from poise.weights import cache
from poise.weights.checksum import checksum
from poise.weights.exported_network import ExportedNetwork
from poise.writing import draft_folder

CHECKED_SIZES = 4
"""Sizes of views that are compared with PyTorch; the next ones are not, since each takes a run of it."""

TRACED, COMPARED = 2, 3
"""Rows of the batch that is converted, and of the one that is compared: another number, for a tracer may take it for fixed."""

OLDEST = 64
"""Converted parts that are kept; those that were used longest ago go."""

Shape = tuple[tuple[int, ...], ...]


def attach(model: Model, choice: Choice) -> None:
    """Let a runtime run the network of a model from now on, in evaluation mode and without gradients; PyTorch does the rest.

    Weights that change afterwards, and inputs on which the runtime has not been asked, are PyTorch's too.

    Args:
        model: Any model.
        choice: Runtimes to try; none leaves the model to PyTorch alone.
    """
    if isinstance(model.network, ExportedNetwork):
        model.network.use(choice)
        note(f"{choice.text} runs {model.network.path}")
        return
    if choice.engines:
        text = f"{choice.text} runs the network" + ("" if choice.asked else " (--runtime torch for PyTorch)")
        note(text)
    for part in model.runtime_parts:
        module = _module(model.network, part.module)
        if module is None:
            continue
        known = vars(module).get(part.method)
        if isinstance(known, Runner) and known.engines == choice.engines:
            continue
        vars(module).pop(part.method, None)
        if choice.engines:
            vars(module)[part.method] = Runner(module, part, choice, identity=asdict(model.card.architecture))


def _module(network: Any, path: str) -> nn.Module | None:
    """The module at a dotted path below a network; None where it has none."""
    found: Any = network
    for name in filter(None, path.split(".")):
        found = getattr(found, name, None)
    return found if isinstance(found, nn.Module) else None


@final
class Runner:
    """Stands before a method of a module, and lets a runtime answer what it can.

    Args:
        module: The module.
        part: Its method, and which axes of its inputs may have any length.
        choice: Runtimes to try, shared by all parts of a model.
        identity: What the network is made by, which its weights do not tell.
    """

    def __init__(self, module: nn.Module, part: Part, choice: Choice, *, identity: Any) -> None:
        self.module, self.part, self.choice, self.identity = module, part, choice, identity
        self.engines = list(choice.engines)
        self._weights = [one for one in (*module.parameters(), *module.buffers()) if not one.is_inference()]
        self._versions = self._now()
        self._sessions: dict[bool, tuple[Session, Engine]] = {}
        self._like: Any = None
        self._first: Shape = ()
        self._checked: set[tuple[bool, Shape]] = set()
        self._lock = Lock()

    def __call__(self, *inputs: Any) -> Any:
        """The answer to inputs, as the method gives it."""
        tensors = leaves(inputs)
        if not (self._able(tensors) and self._ready(inputs, tensors)):
            return self.torch(*inputs)
        session, _ = self._sessions[_bf16(tensors[0])]
        return refilled(self._like, iter(session(tensors)))

    def torch(self, *inputs: Any) -> Any:
        """PyTorch's answer."""
        return getattr(type(self.module), self.part.method)(self.module, *inputs)

    def __deepcopy__(self, memo: dict[int, Any]) -> Callable[..., Any]:
        """Of a copied module: the method itself."""
        copied = memo[id(self.module)]
        return getattr(type(copied), self.part.method).__get__(copied)  # type: ignore[no-any-return]  # a bound method

    def _able(self, tensors: Sequence[Tensor]) -> bool:
        """Whether the runtime may be asked at all."""
        return bool(
            self.choice.engines
            and not self.module.training
            and not torch.is_grad_enabled()
            and all(len(one) > 0 for one in tensors)
            and self._versions == self._now()
        )

    def _now(self) -> list[int]:
        """A number for each weight, which grows when it is changed in place; those of inference mode cannot be."""
        return [one._version for one in self._weights]

    def _ready(self, inputs: tuple[Any, ...], tensors: Sequence[Tensor]) -> bool:
        """Whether a session is there that fits the inputs and gives what PyTorch gives."""
        bf16, fixed = _bf16(tensors[0]), self._shape(tensors, free=True)
        with self._lock:
            if self._first and fixed != self._first:
                return False
            self._first = fixed
            key = (bf16, self._shape(tensors, free=False))
            if bf16 in self._sessions and (key in self._checked or len(self._checked) >= CHECKED_SIZES):
                return True
            with self.choice.starting():
                self._prepare(inputs, tensors, bf16=bf16)
            self._checked.add(key)
            return bf16 in self._sessions

    def _shape(self, tensors: Sequence[Tensor], *, free: bool) -> Shape:
        """Lengths of the axes, without the batch's; of the ones that may have any length 0, if `free`."""
        return tuple(
            tuple(0 if free and axis in self.part.free else length for axis, length in enumerate(one.shape[1:], start=1))
            for one in tensors
        )

    def _prepare(self, inputs: tuple[Any, ...], tensors: Sequence[Tensor], *, bf16: bool) -> None:
        """A session of the first runtime that gives what PyTorch gives; none where no runtime does.

        Raises:
            InputError: The runtime that the user named does not.
        """
        like, rows = shape_of(inputs), rows_of(list(tensors), COMPARED)
        with torch.inference_mode():
            answer = self.torch(*refilled(like, iter(rows)))
        self._like = shape_of(answer)
        while self.choice.engines:
            engine = self.choice.engines[0]
            why = self._tried(engine, like, rows, leaves(answer), bf16=bf16)
            if not why:
                return
            said = f"{engine.text} cannot run {self.part.name(self.module)}: {why}"
            if self.choice.asked:
                raise InputError(f"{said}; leave out --runtime, or take --runtime torch")
            self._sessions.clear()
            del self.choice.engines[0]
            self.choice.why.append(said)
            note(f"{said}; {self.choice.text or 'PyTorch'} runs it")

    def _tried(self, engine: Engine, like: Any, rows: list[Tensor], answer: list[Tensor], *, bf16: bool) -> str:
        """What is wrong of a runtime; "" where its session is there."""
        known, why = self._sessions.get(bf16), ""
        try:
            if known is not None and known[1] is engine:
                return difference(known[0](rows), answer, bf16=bf16)
            for fresh in (False, True):  # what was kept may be of an older poise
                program = self._program(engine, like, rows, fresh=fresh)
                kind = rows[0].device.type
                session = engine.start(program, threads=torch.get_num_threads(), device=kind, bf16=bf16)
                if not (why := difference(session(rows), answer, bf16=bf16)):
                    self._sessions[bf16] = (session, engine)
                    return ""
        except Exception as error:  # whatever a converter or runtime raises
            return " ".join(f"{type(error).__name__}: {error}".split())[:300]
        return why

    def _program(self, engine: Engine, like: Any, rows: list[Tensor], *, fresh: bool) -> Any:
        place = self._place(engine, rows)
        if place is not None and not fresh and place.is_file():
            with suppress(Exception):  # a damaged file is made anew
                os.utime(place)
                return engine.read(place)
        with torch.inference_mode(False), torch.no_grad(), torch.autocast(rows[0].device.type, enabled=False):
            flat = Flat(self.module, self.part.method, like).eval()
            free = [(0, *self.part.free)] * len(rows)
            with _without_runners(self.module), traced():
                program = engine.convert(flat, [one.clone() for one in rows_of(rows, TRACED)], free)
        if place is not None:
            with suppress(OSError):  # a cache that cannot be written costs time alone
                _keep(engine, program, place)
        return program

    def _place(self, engine: Engine, rows: list[Tensor]) -> Path | None:
        """Where a converted part is kept: by its weights, its runtime's version, and what else decides what it is."""
        if not engine.suffix:
            return None
        what = [self.identity, self.part.module, self.part.method, list(self._shape(rows, free=True))]
        digest = checksum([poise.__version__, torch.__version__, what, self.module.state_dict()])
        return cache.home() / "runtimes" / f"{engine.name}-{engine.version}" / f"{digest[:32]}{engine.suffix}"


@contextmanager
def _without_runners(module: nn.Module) -> Iterator[None]:
    """While it lasts, the modules below one are PyTorch's: a converter sees the network and no runtime."""
    found = [(one, name, value) for one in module.modules() for name, value in vars(one).items() if isinstance(value, Runner)]
    for one, name, _ in found:
        del vars(one)[name]
    try:
        yield
    finally:
        for one, name, value in found:
            vars(one)[name] = value


def _keep(engine: Engine, program: Any, place: Path) -> None:
    """Put a converted part into the cache, whole or not at all; the file that is looked for comes last."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with draft_folder(place.parent) as draft:
        engine.save(program, draft / place.name)
        for file in sorted(draft.glob(f"{place.stem}.*"), key=lambda file: file.suffix == place.suffix):
            file.replace(place.parent / file.name)
    kept = sorted(place.parent.glob(f"*{place.suffix}"), key=lambda file: file.stat().st_mtime)
    for old in kept[:-OLDEST]:
        for file in place.parent.glob(f"{old.stem}.*"):
            file.unlink(missing_ok=True)


def _bf16(tensor: Tensor) -> bool:
    """Whether the network is to compute in bfloat16 now."""
    kind = tensor.device.type
    return torch.is_autocast_enabled(kind) and torch.get_autocast_dtype(kind) is torch.bfloat16
