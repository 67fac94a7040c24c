"""Commands in processes of their own that begin with torch and poise imported, so that each takes no seconds to start.

This file is also the process that they are forked from: it reads a job a line, forks, and answers the exit code. With "hooked"
as its argument it has the package with the checks of `conftest.py`, for pytest in a process of its own.
"""

import json
import os
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src"


class Forks:
    """Starts commands in forks of one process.

    Args:
        hooked: Whether shapes and types are checked in them, as in the tests.
    """

    def __init__(self, *, hooked: bool = False) -> None:
        path = os.pathsep.join(filter(None, (str(SOURCE), os.environ.get("PYTHONPATH"))))
        self._server = subprocess.Popen(
            [sys.executable, str(Path(__file__)), *(["hooked"] if hooked else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
        )

    def run(
        self,
        kind: str,
        words: list[str],
        *,
        folder: Path,
        path: list[str],
        output: Path,
        environment: dict[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """A command in a process of its own; its exit code and what it wrote.

        Args:
            kind: "poise" or "pytest".
            words: Behind that.
            folder: Where it is typed.
            path: Folders that Python looks in first.
            output: Folder for what it writes.
            environment: Variables that it sees beside those of the tests.
        """
        out, err = output / "stdout.txt", output / "stderr.txt"
        job = {
            "kind": kind,
            "words": words,
            "folder": str(folder),
            "path": path,
            "out": str(out),
            "err": str(err),
            "environment": environment or {},
        }
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps(job) + "\n")
        self._server.stdin.flush()
        code = int(self._server.stdout.readline())
        return subprocess.CompletedProcess(words, code, out.read_text(encoding="utf-8"), err.read_text(encoding="utf-8"))

    def end(self) -> None:
        """End the process that all were forked from."""
        self._server.communicate()


def _serve() -> None:
    _import_everything()
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        child = os.fork()
        if not child:
            _become(json.loads(line))
        _, status = os.waitpid(child, 0)
        answers.write(f"{os.waitstatus_to_exitcode(status)}\n")
        answers.flush()


def _import_everything() -> None:
    if "hooked" in sys.argv:
        import checked

        checked.install("poise")
    sys.path.remove(str(Path(__file__).parent))  # where no command looks
    if "hooked" in sys.argv:
        import hypothesis  # noqa: F401
        import pytest  # noqa: F401
    import lightning.pytorch  # noqa: F401

    import poise.cli._evaluate
    import poise.inference.predictor
    import poise.recipes.find
    import poise.training.fit

    poise.recipes.find.recipes()


def _become(job: dict[str, Any]) -> None:
    """Run a command and leave, as a process that was started for it."""
    for name, number in (("out", 1), ("err", 2)):
        os.dup2(os.open(job[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(job["folder"])
    os.environ.update(job["environment"])
    sys.path[:0] = job["path"]
    code: Any = 1
    try:
        code = _main(job["kind"])(job["words"])
    except SystemExit as leave:
        code = leave.code
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


def _main(kind: str) -> Any:
    if kind == "pytest":
        import pytest

        return pytest.main
    from poise.cli.main import main

    return main


if __name__ == "__main__":
    _serve()
