"""Flags of photographs."""

from dataclasses import dataclass, fields

from poise.errors import InputError


@dataclass(frozen=True, kw_only=True)
class PhotoOptions:
    """How photographs are read, and what is written of them.

    Attributes:
        no_pictures: No pictures are written, which is faster. Of a top-down model large JPEG files are then read at a half, a
            quarter or an eighth of their size, where boxes still have a pixel for each of the network's input.
        full_size: All pixels are read, where --no-pictures would read fewer.
    """

    no_pictures: bool = False
    full_size: bool = False

    def check(self) -> None:
        """Refuse what would change nothing.

        Raises:
            InputError: All pixels are read anyway.
        """
        if self.full_size and not self.no_pictures:
            raise InputError("--full-size belongs to --no-pictures; for pictures all pixels are read anyway; leave it out")

    def refuse_for_videos(self) -> None:
        """Refuse flags of photographs where a video was given.

        Raises:
            InputError: One was given.
        """
        given = [f.name.replace("_", "-") for f in fields(self) if getattr(self, f.name) != f.default]
        if given:
            raise InputError(f"--{given[0]} is for photographs, and a video was given; leave it out (--no-video is its own)")
