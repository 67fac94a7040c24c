"""Files of body poses: angles that were fitted to labels, and poses drawn from them."""

from dataclasses import dataclass
from pathlib import Path
from typing import final
from zipfile import BadZipFile

import numpy as np

from poise.data.bodies.joints import LIMITS, NAMES
from poise.data.bodies.kernels import Floats
from poise.errors import ReadError, missing
from poise.writing import write_atomic


@final
@dataclass(frozen=True, eq=False)
class BodyPoses:
    """Fitted poses of bodies, without shape and place.

    Attributes:
        angles: Poses (n a), radians, in the order of `joints.NAMES`.
    """

    angles: Floats

    @classmethod
    def read(cls, path: Path) -> "BodyPoses":
        """Read a file that `write` has written.

        Raises:
            ReadError: There is no such file, or it holds no poses of these angles.
        """
        if not path.is_file():
            raise ReadError(missing("file of poses", path, hint="make one with `poise data poses`"))
        try:
            with np.load(path, allow_pickle=False) as file:
                names, angles = file["names"].tolist(), file["angles"]
        except (OSError, ValueError, KeyError, TypeError, BadZipFile) as error:
            raise ReadError(f"{str(path)!r} is no file of poses ({error}); make one with `poise data poses`") from error
        whole = angles.dtype.kind == "f" and angles.ndim == 2 and angles.shape[1:] == (len(NAMES),) and len(angles) > 0
        if tuple(names) != NAMES or not whole or not np.isfinite(angles).all():
            raise ReadError(f"{str(path)!r} holds no poses of the {len(NAMES)} angles of this version; make it again")
        return cls(angles.astype(np.float32))

    def write(self, path: Path) -> None:
        """Write the poses as a NumPy archive (`names`, `angles`).

        Raises:
            WriteError: It cannot be written.
        """
        import io

        packed = io.BytesIO()
        np.savez(packed, names=np.array(NAMES), angles=self.angles)
        write_atomic(path, packed.getvalue())

    def draw(self, rng: np.random.Generator, *, spread: float = 4.0) -> Floats:
        """A random pose (a) near one of these, or near the mirror image of one.

        Args:
            rng: Random numbers.
            spread: Standard deviation of what is added to each angle, degrees.
        """
        pose = self.angles[rng.integers(len(self.angles))]
        if rng.random() < 0.5:
            pose = mirrored(pose)
        low, high = np.radians(list(LIMITS.values())).T
        found: Floats = np.clip(pose + rng.normal(0, np.radians(spread), len(pose)), low, high).astype(np.float32)
        return found


def mirrored(angles: Floats) -> Floats:
    """The mirror image of poses (... a), radians."""
    signs, order = [], []
    for name in NAMES:
        part, what = name.split("_")
        other = {"left": "right", "right": "left"}.get(part, part)
        signs.append(-1.0 if other == part and what != "lean" else 1.0)
        order.append(NAMES.index(f"{other}_{what}"))
    found: Floats = (angles[..., order] * np.array(signs, np.float32)).astype(np.float32)
    return found
