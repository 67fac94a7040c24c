"""The command that a run was started with, as its folder keeps it: read with care, for the folder may be of somebody else."""

import dataclasses
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from poise.cli._global_flags import set_limits
from poise.errors import CheckpointError
from poise.plugins import named
from poise.reading import read_json


@dataclass(frozen=True)
class RunCommand:
    """The command of a run.

    Attributes:
        words: Words of the command line, after `poise train`.
        home: Folder in which they were typed; relative paths among them are those below it.
        folder: Folder of the run.
        limits: What it was allowed to read (`_global_flags.limits_now`).
    """

    words: tuple[str, ...]
    home: Path
    folder: Path
    limits: object = None

    @classmethod
    def read(cls, file: Path) -> "RunCommand":
        """The command of a run, from its `settings.json`.

        Args:
            file: The file, in the folder of the run.

        Raises:
            CheckpointError: There is no such file, or it has another form; or it needs code of a package that was not named.
        """
        folder = file.parent
        if not file.is_file():
            raise CheckpointError(f"{folder} holds no run: it has no settings.json; --resume wants the folder of a run")
        try:
            settings = read_json(file, what="record of a run", error=CheckpointError, missing=CheckpointError)
        except CheckpointError as error:
            raise CheckpointError(
                f"{folder} does not say which command made it ({error}); name the recipe and its flags"
            ) from error
        return cls.of(settings, folder)

    @classmethod
    def of(cls, settings: Any, folder: Path) -> "RunCommand":
        """The command of a run, from what its `settings.json` holds.

        Args:
            settings: The content.
            folder: Folder of the run, for messages.

        Raises:
            CheckpointError: It has another form, or needs code of a package that was not named.
        """
        made = settings.get("settings") if isinstance(settings, dict) else None
        words = made.get("command") if isinstance(made, dict) else None
        plugins = made.get("plugins", []) if isinstance(made, dict) else None
        if not words or not _texts(words) or not _texts(plugins):
            raise CheckpointError(
                f"{folder} does not say which command made it (settings.json: settings.command is a list of words); name the "
                "recipe and its flags"
            )
        _check_named(words[0], list(plugins or ()), folder)
        home, limits = settings.get("folder", "."), made.get("limits") if isinstance(made, dict) else None
        return cls(tuple(words), Path(home if isinstance(home, str) else "."), folder, limits)

    def set_limits(self) -> None:
        """Let this command read what the run was allowed to read (`_global_flags.set_limits`)."""
        set_limits(self.limits, run=self.folder)

    @property
    def own_code(self) -> bool:
        """Whether the recipe is a function of a package of the user's own."""
        return ":" in self.words[0]

    @contextmanager
    def place(self) -> Iterator[None]:
        """While this lasts, code of the user's own, which he has named, is in the folder in which the command was typed.

        For recipes of poise nothing changes: of those only paths lead there (`from_here`).
        """
        with chdir(self.home) if self.own_code and self.home.is_dir() else nullcontext():
            yield

    def from_here(self, value: Any) -> Any:
        """The value of a flag, with paths as they lead there from the folder in which one is now."""
        if isinstance(value, Path):
            return self.home / value
        if isinstance(value, list | tuple):
            return type(value)(map(self.from_here, value))
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            changed = {
                field.name: self.from_here(getattr(value, field.name)) for field in dataclasses.fields(value) if field.init
            }
            return dataclasses.replace(value, **changed)
        return value

    def files_from_here(self, files: Mapping[str, str]) -> dict[str, str]:
        """Checksums of files by their paths, with the paths as they lead there from the folder in which one is now."""
        return {str(self.home / path): digest for path, digest in files.items()}


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _check_named(recipe: str, plugins: list[str], folder: Path) -> None:
    """Refuse a run that needs code of packages which were not named; nothing of them is imported before.

    Args:
        recipe: Name of the recipe.
        plugins: Packages that were named beside that of the recipe.
        folder: Folder of the run.

    Raises:
        CheckpointError: One is not named now.
    """
    module = recipe.partition(":")[0] if ":" in recipe else ""
    own = [module.partition(".")[0]] if module and module.partition(".")[0] != "poise" else []
    known = named()
    if own and any(module == package or module.startswith(f"{package}.") for package in known):
        own = []
    missing = [package for package in dict.fromkeys((*own, *plugins)) if package not in known]
    if missing:
        flags = " ".join(f"--plugin {package}" for package in missing)
        if not own:
            raise CheckpointError(
                f"the run in {folder} was trained with {flags}; add that here too, if you want to run that code"
            )
        raise CheckpointError(
            f"the run in {folder} was trained with the recipe {recipe!r}, which is no part of poise, and nothing of it was run "
            f"now; if you know it and want to run it, add {flags}"
        )
