"""A configuration file as values by dotted names, with the line that each stands on; and what was made of them."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, final

from poise.errors import InputError


@final
@dataclass(frozen=True)
class Value:
    """A value of a file.

    Attributes:
        value: Number, text, truth value, None, or a list of these.
        line: Line of the file, from 1; 0 for one that was given on the command line.
        file: Name of the file.
    """

    value: Any
    line: int
    file: str

    @property
    def place(self) -> str:
        """Where it stands, for messages."""
        return f"{self.file}:{self.line}" if self.line else "the command line"


Values = dict[str, Value]
"""Values by their dotted names, such as `TRAIN.LR`."""


@final
@dataclass
class Reading:
    """The flags that a file asks for, and what is said of each of its lines.

    Attributes:
        values: The file.
        words: Words of a command, as they are made.
        taken: What was taken, by the name of the value.
        left: What was not, and why, by the name of the value.
    """

    values: Values
    words: list[str] = field(default_factory=list)
    taken: dict[str, str] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)

    def get(self, name: str, default: Any = None) -> Any:
        """A value by its name, which then must be said to be taken or left."""
        found = self.values.get(name)
        return default if found is None else found.value

    def number(self, name: str, default: float | None = None) -> float | None:
        """A number by its name.

        Raises:
            InputError: It is no number.
        """
        found = self.get(name, default)
        if found is None:
            return None
        try:
            return float(found)
        except (TypeError, ValueError):
            raise InputError(f"{self.values[name].place}: {name} is {found!r}, and a number was expected") from None

    def size(self, name: str) -> tuple[int, int] | None:
        """A size (w, h) of a file as (h, w).

        Raises:
            InputError: It is no pair of whole numbers.
        """
        found = self.get(name)
        if found is None:
            return None
        if isinstance(found, list) and len(found) == 2 and all(isinstance(side, int) and side > 0 for side in found):
            return int(found[1]), int(found[0])
        raise InputError(f"{self.values[name].place}: {name} is {found!r}, and [width, height] was expected")

    def flag(self, names: str | Sequence[str], *words: object, note: str = "") -> None:
        """Add a flag and say which values it was made of."""
        text = [f"{word:g}" if isinstance(word, float) else str(word) for word in words]
        self.words += text
        for name in [names] if isinstance(names, str) else names:
            if name in self.values:
                self.taken[name] = " ".join(text) + (f" ({note})" if note else "")

    def steps(self, names: str | Sequence[str], milestones: Sequence[Any], *, epochs: float | None) -> None:
        """Add the milestones of the learning rate; those after the last epoch never come, as in the trainers of these files."""
        late = [m for m in milestones if epochs is not None and isinstance(m, int | float) and m >= epochs]
        kept = [m for m in milestones if m not in late]
        note = f"{' '.join(map(str, late))} would come after the last of {epochs:g} epochs" if late else ""
        self.flag(names, "--schedule", *(("steps", "--milestones", *kept) if kept else ("constant",)), note=note)

    def say(self, name: str, text: str) -> None:
        """Say of a value that it is as here anyway, or decides about a flag with others."""
        if name in self.values:
            self.taken[name] = text

    def leave(self, names: Mapping[str, str]) -> None:
        """Say why values have no effect; names may end in a star."""
        for pattern, why in names.items():
            for name in self.values:
                if name == pattern or (pattern.endswith("*") and name.startswith(pattern[:-1])):
                    self.left.setdefault(name, why)

    def lines(self) -> Iterator[str]:
        """What was made of each line, in the order of the file."""
        for name, value in self.values.items():
            shown = f"{value.place}: {name} {value.value}"[:110]
            if name in self.taken:
                yield f"{shown}: {self.taken[name]}"
            else:
                yield f"{shown}: not taken, {self.left.get(name, 'poise has nothing like it')}"


def with_overrides(values: Values, words: Sequence[str]) -> Values:
    """Values with those of the command line, `KEY value KEY value`, in place of the file's.

    Args:
        values: The file.
        words: Words of the command line.

    Raises:
        InputError: A key has no value, or the file has none of that name.
    """
    if len(words) % 2:
        raise InputError(f"after --config FILE come pairs of KEY and value, and {words[-1]!r} has no value")
    made = dict(values)
    for name, text in zip(words[::2], words[1::2], strict=True):
        if name not in values:
            near = difflib.get_close_matches(name, values, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise InputError(f"the file has no {name!r} to be changed{hint}")
        made[name] = Value(plain(text), 0, "")
    return made


def plain(text: str) -> Any:
    """A word of the command line as a value.

    >>> plain("false"), plain("3"), plain("0.5"), plain("[170, 200]"), plain("coco"), plain("None")
    (False, 3, 0.5, [170, 200], 'coco', None)
    """
    words = {"true": True, "false": False, "none": None, "null": None}
    if text.strip().lower() in words:
        return words[text.strip().lower()]
    if text.startswith(("[", "(")) and text.endswith(("]", ")")):
        return [plain(part) for part in text[1:-1].split(",") if part.strip()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text.strip().strip("'\"")
