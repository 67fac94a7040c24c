"""Names of images in label files that are written otherwise than the files are called.

Label files come from other machines: with backslashes, drive letters, URLs, other case, another unicode form, folders of other
places. A name is taken for a file only where nothing contradicts it: of two paths one must end as the other.
"""

import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from typing import final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

_ENDINGS = ((".jpeg", ".jpg"), (".tiff", ".tif"))


@final
class ImageNames:
    """Finds the files that names of a label file mean.

    Args:
        files: Paths of the files, relative to their root, with `/` between folders.
        root: Names of the folders above the files, the last one nearest.
    """

    def __init__(self, files: Iterable[str], *, root: Sequence[str] = ()) -> None:
        self._root = tuple(map(_folded, root))
        self._by_tail: dict[str, list[tuple[tuple[str, ...], str]]] = {}
        for file in files:
            *folders, last = map(_folded, file.split("/"))
            stem = PurePosixPath(last).stem  # a name may lack its ending
            for tail in {last, stem if "." not in stem else last}:
                self._by_tail.setdefault(tail, []).append(((*folders, tail), file))

    def find(self, name: str, *, alone: bool = True) -> str | None:
        """The only file that a name can mean; None where there is none or more than one.

        Args:
            name: The name in the label file.
            alone: Whether no other name of the label file has the same last part. If one has, the folder of a name counts,
                and a file without that folder is not taken.
        """
        for wanted in spellings(name):
            found = self._found(tuple(map(_folded, wanted)), alone)
            if found is not None:
                return found
        return None

    def near(self, name: str) -> list[str]:
        """Files with the same last part, in folders that contradict the name or of which several are possible.

        Args:
            name: The name in the label file.
        """
        tails = dict.fromkeys(_folded(wanted[-1]) for wanted in spellings(name))
        return [file for tail in tails for _, file in self._by_tail.get(tail, ())]

    def _found(self, wanted: tuple[str, ...], alone: bool) -> str | None:
        same = self._by_tail.get(wanted[-1], [])
        for fits in (
            [file for parts, file in same if parts == wanted],
            [file for parts, file in same if _ends(self._root + parts, wanted)],
            [file for parts, file in same if _ends(wanted, parts) and (alone or len(parts) > 1)],
        ):
            if len(fits) == 1:
                return fits[0]
        return None


def shared_tails(names: Iterable[str]) -> frozenset[str]:
    """The last parts, folded, that several different names of a label file have.

    Args:
        names: All names.
    """
    folders: dict[str, set[tuple[str, ...]]] = {}
    for name in names:
        wanted = spellings(name)[-1] if spellings(name) else (name,)
        folders.setdefault(_folded(wanted[-1]), set()).add(tuple(map(_folded, wanted[:-1])))
    return frozenset(tail for tail, found in folders.items() if len(found) > 1)


def tail_of(name: str) -> str:
    """The last part of a name, folded as in `shared_tails`."""
    found = spellings(name)
    return _folded(found[-1][-1] if found else name)


def spellings(name: str) -> list[tuple[str, ...]]:
    r"""The parts of the path that a name can mean: as it stands, without a drive or server, and with its escapes read.

    Args:
        name: A path, a Windows path, a URL, or such a link as Label Studio writes (`/data/local-files/?d=a/b.jpg`).

    >>> spellings("D:\\data\\a.jpg"), spellings("http://host/a%20b.jpg?x=1")
    ([('data', 'a.jpg')], [('a%20b.jpg?x=1',), ('a b.jpg',)])
    """
    texts = [name, name.strip()]
    if "://" in name or "?" in name or "%" in name:
        address = urlsplit(name) if "[" not in name else None
        texts += [unquote(name if address is None else _file_of(address))]
    found = [_parts(text) for text in texts]
    return list(dict.fromkeys(parts for parts in found if parts))


def _file_of(address: SplitResult) -> str:
    """The path of a file in an address: `d` as Label Studio writes it, else the path, else any value with an ending."""
    values = [(key == "d", value) for key, value in parse_qsl(address.query) if PurePosixPath(value).suffix]
    labels = [value for is_d, value in values if is_d]
    given = labels or ([] if PurePosixPath(address.path).suffix else [value for _, value in values])
    return given[0] if given else address.path


def _parts(text: str) -> tuple[str, ...]:
    text = text.replace("\\", "/")
    if "://" in text:
        text = text.split("://", 1)[1].partition("/")[2]
    parts = [part for part in text.split("/") if part not in ("", ".", "..")]
    return tuple(parts[1:] if parts and len(parts[0]) == 2 and parts[0][1] == ":" else parts)


def _folded(part: str) -> str:
    """A part of a path, equal for other case, the other unicode form and the two endings of JPEG and of TIFF."""
    folded = unicodedata.normalize("NFC", part).casefold()
    return next((folded.removesuffix(long) + short for long, short in _ENDINGS if folded.endswith(long)), folded)


def _ends(path: tuple[str, ...], end: tuple[str, ...]) -> bool:
    return len(end) <= len(path) and path[len(path) - len(end) :] == end
