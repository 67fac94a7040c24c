"""A recipe as a command: which flags it has, and the recipe that their values make."""

import dataclasses
import inspect
import itertools
import re
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any

from poise.cli._recipe_flags import Maker, change_flags, dataclass_flags, flags_type, options_of, own_flags
from poise.errors import CheckpointError, InputError, ReadError
from poise.recipes.find import find_outlined
from poise.recipes.options import ModelOptions, RecipeChanges
from poise.recipes.outline import has_stand_ins
from poise.weights.zoo_names import SHORT_NAME, check_model


@dataclasses.dataclass(frozen=True)
class RecipeCommand:
    """A recipe as a command: the flags it has, and the recipe they make.

    Attributes:
        maker: Gives the recipe.
        options: Type of its one argument, where a kind of model decides which flags there are; else None.
        parser: A dataclass of all flags, those of the recipe and those of every run; one that both have stands there once.
    """

    maker: Maker
    options: type[ModelOptions] | None
    parser: Any

    @classmethod
    def of(cls, maker: Maker, words: Sequence[str]) -> "RecipeCommand":
        """The command of a recipe.

        Args:
            maker: Gives the recipe.
            words: Words of the command line, after the name of the recipe; `--model` decides the options.

        Raises:
            InputError: A flag of the recipe and one of every run mean different things by one name.
            UnknownName: There is no such model.
        """
        options = options_of(maker)
        chosen = None if options is None else options.for_model(value_of("--model", words))
        return cls(maker, chosen, flags_type(maker, chosen))

    @classmethod
    def outlined(cls, name: str, words: Sequence[str]) -> "RecipeCommand | None":
        """The command of a recipe of poise with its flags alone: it is asked, not run, and nothing heavy is imported.

        Args:
            name: Name of the recipe.
            words: Words of the command line, after the name; `--model` decides the options.

        Returns:
            None where only the recipe or the model itself can tell the flags.

        Raises:
            UnknownName: There is no such recipe, or no such model.
        """
        maker = find_outlined(name)
        options = None if maker is None else options_of(maker)
        model = value_of("--model", words)
        chosen = None if options is None else options.by_name(model)
        if options is not None and model and not re.fullmatch(SHORT_NAME, model):
            check_model(model)
        if maker is None or (options is not None and chosen is None):
            return None
        parser = flags_type(maker, chosen)
        return None if has_stand_ins(dataclasses.fields(parser)) else cls(maker, chosen, parser)

    @property
    def names(self) -> list[str]:
        """The flags, as Python names."""
        return [field.name for field in dataclasses.fields(self.parser)]

    def check_kind(self, words: Sequence[str]) -> None:
        """Refuse flags of other types of models.

        Raises:
            InputError: A flag was given.
        """
        if self.options is not None:
            model = value_of("--model", words) or str(dataclass_flags(self.options)["model"][1])
            typed = [word.partition("=")[0] for word in words if word.startswith("--")]
            self.options.refuse({flag_name(flag): flag for flag in typed}, model=model)

    def without_other_kinds(self, words: Sequence[str]) -> list[str]:
        """The words of an older run, without flags of other kinds of models: those were taken if they changed nothing."""
        return without_flags(words, {} if self.options is None else self.options.other_flags())

    def parse(self, words: Sequence[str], *, program: str) -> dict[str, Any]:
        """The values of all flags.

        Raises:
            SystemExit: After --help and after a wrong flag.
        """
        import tyro

        return dict(vars(tyro.cli(self.parser, args=list(words), prog=program)))

    def recipe(self, flags: Mapping[str, Any]) -> Any:
        """The recipe; the weights a network begins with are drawn by it.

        Args:
            flags: Values of the flags, by name.

        Raises:
            InputError: One cannot be.
        """
        import torch

        from poise.recipes.changes import changed, not_pretrained

        torch.manual_seed(flags["seed"])
        given = subset(flags, own_flags(self.maker, self.options))
        if flags.get("backbone_weights") is not None and "pretrained" in given:
            given["pretrained"] = False  # the file is in place of what would be downloaded
        changes = RecipeChanges(**subset(flags, change_flags(self.maker, self.options)))
        try:
            made = changed(self._made(given), changes)
            return not_pretrained(made) if self._begins_random(flags) else made
        except ReadError:  # such as ImageNet weights without a network, for which another flag would be mended in vain
            if given.get("pretrained"):
                with suppress(ReadError):
                    changed(self._made(given | {"pretrained": False}), changes)
            raise

    def _begins_random(self, flags: Mapping[str, Any]) -> bool:
        """Whether a network begins with random weights whose release begins with ImageNet's."""
        own = inspect.signature(self.maker).parameters.get("pretrained")
        return own is not None and own.default is True and flags.get("pretrained") is False

    def _made(self, given: Mapping[str, Any]) -> Any:
        return self.maker(**given) if self.options is None else self.maker(self.options(**given))

    def recipe_again(self, flags: Mapping[str, Any], words: Sequence[str]) -> Any:
        """The recipe of a run that began before; what it is refused for now was no mistake then.

        Args:
            flags: Values of the flags, by name.
            words: Words of its command, for the message.

        Raises:
            CheckpointError: This poise refuses it.
        """
        try:
            return self.recipe(flags)
        except InputError as error:
            raise CheckpointError(
                f"this poise refuses the command of the run: {error}. It was: poise train {' '.join(words)}; to go on, name "
                "the recipe and its flags without that, beside --resume"
            ) from error


def subset(flags: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """The values of some flags; a name that is no flag is left out."""
    return {name: flags[name] for name in names if name in flags}


def flag_name(word: str) -> str:
    """A flag as typed as a Python name."""
    name = word.partition("=")[0].removeprefix("--")
    return name.removeprefix("no-").replace("-", "_")


def value_of(flag: str, words: Sequence[str]) -> str | None:
    """Value of a flag among words; None where it is missing."""
    after = [b for a, b in itertools.pairwise(words) if a == flag]
    after += [word.removeprefix(f"{flag}=") for word in words if word.startswith(f"{flag}=")]
    return after[-1] if after else None


def without_flags(words: Sequence[str], names: Collection[str]) -> list[str]:
    """Words without some flags, and what stands after them up to the next flag."""
    kept, skipping = [], False
    for word in words:
        skipping = flag_name(word) in names if word.startswith("--") else skipping
        kept += [] if skipping else [word]
    return kept
