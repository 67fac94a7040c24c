"""One file over the network: only https, a limit of time and size, and what was cut is gone on with where the server can.

Only https is asked, also where a server sends elsewhere; http on this machine itself alone. A server that says it answers parts
(`Accept-Ranges`) and names the version of a file (`ETag`, `Last-Modified`) is asked for the rest of a file that was cut; that
version is checked by it (`If-Range`), so that two versions are never joined.
"""

import http.client
import ipaddress
import re
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final
from urllib.parse import urlsplit

from poise.errors import ReadError, WriteError

TIMEOUT = 30
"""Seconds without an answer after which the server counts as not there."""

TOTAL_TIME = 3600.0
"""Seconds that a download may take; the largest official file has some gigabytes."""

MOST = 8 * 2**30
"""Bytes of a download."""

TRIES = 4
"""How often a file that was cut is gone on with, in one download."""

_PIECE = 2**16
_PAGE = re.compile(rb"\s*(<!doctype|<html|<\?xml|<head)", re.IGNORECASE)


@final
class Cut(ReadError):
    """The bytes of a file ended before its end."""


@final
@dataclass
class Part:
    """What is there of a file that is being downloaded.

    Attributes:
        path: Where its bytes are written.
        version: The server's name of its version, by which the rest can be asked for; "" where it tells none.
        url: The address that it is of.
    """

    path: Path
    version: str = ""
    url: str = ""

    @property
    def size(self) -> int:
        """Bytes that are there."""
        return self.path.stat().st_size if self.path.is_file() else 0

    @property
    def asks(self) -> dict[str, str]:
        """Headers that ask for the rest."""
        return {"Range": f"bytes={self.size}-", "If-Range": self.version} if self.size and self.version else {}

    def read_version(self, headers: Any) -> None:
        """Keep the version that an answer names, if the server can go on with it."""
        tag = headers.get("ETag") or ""
        able = "bytes" in (headers.get("Accept-Ranges") or "") or headers.get("Content-Range")
        strong = tag if tag and not tag.startswith("W/") else headers.get("Last-Modified") or ""
        self.version = strong if able else ""


def download(
    url: str, path: Path, *, instead: str, seconds: float | None = None, most: int = MOST, part: Part | None = None
) -> None:
    """Download a file whole.

    Args:
        url: Address of the file; https, or http of this machine.
        path: Where it goes.
        instead: What to do where that fails, for the message.
        seconds: It may take in all; `TOTAL_TIME` by default.
        most: Bytes it may have.
        part: What is there of it already, at `path`; it then tells how far it came.

    Raises:
        ReadError: Another scheme, no answer, a web page in place of a file, fewer bytes than the server announced, more than
            there may be, or too slow.
        WriteError: The place cannot be written.
    """
    end = time.monotonic() + (TOTAL_TIME if seconds is None else seconds)
    check_address(url, instead)
    part = part or Part(path)
    if part.url != url:
        part.url, part.version = url, ""
    for left in reversed(range(TRIES)):
        before = part.size
        try:
            _bring(url, part, end=end, most=most, instead=instead)
            break
        except Cut:
            if not left or not part.version or part.size <= before:
                raise


def _bring(url: str, part: Part, *, end: float, most: int, instead: str) -> None:
    """One answer of the server, from where the part ends."""
    request = urllib.request.Request(url, headers=part.asks)
    begun = False
    try:
        with urllib.request.build_opener(_SafeRedirect(instead)).open(request, timeout=TIMEOUT) as answer:
            begun = True
            _copy(answer, part, url=url, end=end, most=most, instead=instead)
    except (ReadError, WriteError):
        raise
    except (OSError, ValueError, http.client.HTTPException) as error:
        kind = Cut if begun else ReadError
        raise kind(f"{url} cannot be downloaded ({error or type(error).__name__}); {instead}") from error


@final
class _SafeRedirect(urllib.request.HTTPRedirectHandler):
    """Follows a server to addresses that might have been asked at once, and to no others."""

    def __init__(self, instead: str) -> None:
        self.instead = instead

    def redirect_request(self, req: Any, fp: Any, code: Any, msg: Any, headers: Any, newurl: Any) -> Any:
        """The next request."""
        check_address(newurl, self.instead)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def check_address(url: str, instead: str) -> None:
    """Refuse what anybody on the way could change, and what is no address of a server.

    Args:
        url: The address.
        instead: What to do, for the message.

    Raises:
        ReadError: It is such an address.
    """
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


def _copy(answer: Any, part: Part, *, url: str, end: float, most: int, instead: str) -> None:
    """Write what comes behind what is there, or in its place where the server begins anew."""
    goes_on = answer.status == 206 and str(answer.headers.get("Content-Range") or "").startswith(f"bytes {part.size}-")
    count = part.size if goes_on else 0
    announced = answer.headers.get("Content-Length") or ""
    length = count + int(announced) if announced.isdecimal() else None
    part.read_version(answer.headers)
    try:
        file = part.path.open("ab" if goes_on else "wb")
    except OSError as error:
        raise WriteError(f"{str(part.path)!r} cannot be written: {error.strerror or error}; choose another folder") from error
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
        raise Cut(f"{url} was cut: {count:,} bytes came of {length or 'some'}; try again, or {instead}")
