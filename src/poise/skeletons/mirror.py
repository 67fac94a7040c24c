"""Left-right pairs told from the names of keypoints, in many spellings and some languages."""

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Literal

Pair = tuple[str, str]
Side = Literal["left", "right"]
Readings = Iterator[tuple[str, Side]]
"""Spellings that the partner of a name could have, each with the side of the name itself."""

_WORD_PAIRS = (
    "left right", "lft rgt", "lt rt", "links rechts", "linke rechte", "linker rechter", "linkes rechtes", "li re",
    "gauche droite", "gauche droit", "izquierda derecha", "izquierdo derecho", "izq der", "esquerda direita",
    "esquerdo direito", "esq dir", "sinistra destra", "sinistro destro", "sx dx", "vänster höger",
    "venstre højre", "venstre høyre", "vasen oikea", "lewy prawy", "lewa prawa", "lewe prawe", "левый правый", "левая правая",
    "левое правое", "sol sağ", "kiri kanan", "trái phải", "levý pravý", "levá pravá", "levé pravé",
    "ľavý pravý", "ľavá pravá", "ľavé pravé", "lijevi desni", "lijeva desna", "lijevo desno", "levi desni", "leva desna",
    "levo desno", "леви десни", "лева десна", "лево десно", "ляв десен", "лява дясна", "ляво дясно", "лівий правий",
    "ліва права", "ліве праве", "stâng drept", "stânga dreapta", "esquerre dret", "esquerra dreta", "esquerdo dereito",
    "esquerda dereita", "bal jobb", "vasak parem", "kairė dešinė", "kairys dešinys", "kreisā labā", "kreisais labais",
    "ezker eskuin", "αριστερό δεξί", "αριστερός δεξιός", "αριστερή δεξιά", "αριστερά δεξιά", "يسرى يمنى", "اليسرى اليمنى",
    "أيسر أيمن", "الأيسر الأيمن", "يسار يمين", "چپ راست", "שמאל ימין", "שמאלי ימני", "שמאלית ימנית", "बायां दायां",
    "बायाँ दायाँ", "बाएं दाएं", "ซ้าย ขวา", "kaliwa kanan", "kushoto kulia", "port starboard", "near off", "nearside offside",
    "sinister dexter", "左 右", "왼쪽 오른쪽", "왼 오른", "ひだり みぎ", "hidari migi",
)  # fmt: skip
_SINGLE_PAIRS = ("l r", "g d")
"""One letter beside other words: l_hip, hanche_g."""

_ENDS = "fbhmrpva"
"""Letters for the end of an animal beside l or r: front, back, hind, middle, rear, and those of other languages."""

_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])")
_ROW = 3
"""More single letters than these at one place are a row: a left, a right and a middle one are none."""

_GLUED = 3
"""Letters that must stand beside a glued l or r: lhip, but neither lip nor rip."""


def _partners(pairs: Sequence[str]) -> dict[str, list[tuple[str, Side]]]:
    """For each word of a side the words of the other side, with the side of the word."""
    found: dict[str, list[tuple[str, Side]]] = {}
    for left, right in (pair.split() for pair in dict.fromkeys(text for pair in pairs for text in (pair, _plain(pair)))):
        for word, other, side in ((left, right, "left"), (right, left, "right")):
            found.setdefault(_spelled(word)[0], []).append((_spelled(other)[0], side))  # type: ignore[arg-type]
    return found


def _plain(text: str) -> str:
    """The text without accents, as people write it on another keyboard: vanster; itself where other letters remain."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return plain if plain.isascii() else text


def _spelled(name: str) -> list[str]:
    """The words of a name in small letters: `LEye`, `l-eye` and `L Eye` give `l`, `eye`."""
    text = _CAMEL.sub("_", unicodedata.normalize("NFKC", name))
    parts = "".join(c if c.isalnum() or unicodedata.category(c)[0] == "M" else " " for c in text)  # marks: the vowels of हाथ
    return [part.casefold() for part in parts.split()]


_WORDS = _partners(_WORD_PAIRS)
_SINGLES = _partners(_SINGLE_PAIRS)
_INSIDE = {word: others for word, others in _WORDS.items() if len(word) > 3 or not word.isascii()}
"""Words that are also found without a gap: hipleft, 左肩."""


def mirror_pairs(names: Sequence[str]) -> tuple[Pair, ...]:
    """The pairs (left, right) among keypoint names.

    `left_eye`, `LeftEye`, `lefteye`, `eye_left`, `l_eye`, `L_F_Paw`, `LEye`, `eyeL`, `lhip`, `FL_paw`, `LF_elbow`, `hipleft`,
    `frontleftpaw`, and left and right in other languages. A name has a partner where one other name differs from it by the side
    alone. Surer signs of a side are read first.

    >>> mirror_pairs(("nose", "right_eye", "left_eye", "L_F_Paw", "R_F_Paw"))
    (('left_eye', 'right_eye'), ('L_F_Paw', 'R_F_Paw'))
    """
    return _pairs(tuple(names))


@lru_cache(maxsize=256)
def _pairs(names: tuple[str, ...]) -> tuple[Pair, ...]:
    words = {name: _spelled(name) for name in names}
    pairs: list[Pair] = []
    for readings in (*_TIERS, _any):
        known = {name for pair in pairs for name in pair}
        pairs += _found({name: spelled for name, spelled in words.items() if name not in known}, readings, words)
    order = {name: i for i, name in enumerate(names)}
    return tuple(sorted(pairs, key=lambda pair: min(order[pair[0]], order[pair[1]])))


def _found(words: dict[str, list[str]], readings: Callable[[list[str]], Readings], every: dict[str, list[str]]) -> list[Pair]:
    """Pairs of names that each are the only partner of the other."""
    place: dict[str, list[str]] = {}
    for name, spelled in words.items():
        place.setdefault("".join(spelled), []).append(name)
    partners: dict[str, set[tuple[str, Side]]] = {}
    for name, spelled in words.items():
        where = {(other, side) for text, side in readings(spelled) for other in place.get(text, []) if other != name}
        partners[name] = where if not _counted(spelled, where, every) else set()
    pairs = []
    for name, where in partners.items():
        [other, side] = next(iter(where)) if len(where) == 1 else ("", "right")
        if side == "left" and {mate for mate, _ in partners.get(other, set())} == {name}:
            pairs.append((name, other))
    return pairs


def _counted(spelled: list[str], partners: set[tuple[str, Side]], every: dict[str, list[str]]) -> bool:
    """Whether a letter of a side is one of a row of letters: point_d beside point_g, but also point_e and point_f."""
    mates = [every[mate] for mate, _ in partners]
    at = [i for i, word in enumerate(spelled) if word in _SINGLES and any(len(m) > i and m[i] != word for m in mates)]
    return any(len(_at(i, spelled, every)) > _ROW for i in at)


def _at(place: int, spelled: list[str], every: dict[str, list[str]]) -> set[str]:
    """The single letters that stand at a place of a name in names that are alike but for it."""
    rest = spelled[:place], spelled[place + 1 :]
    alike = (w[place] for w in every.values() if len(w) == len(spelled) and (w[:place], w[place + 1 :]) == rest)
    return {word for word in alike if len(word) == 1}


def _sides(word: str) -> list[tuple[str, Side]]:
    return _WORDS.get(word, []) + _SINGLES.get(word, [])


def _all_sides(spelled: list[str]) -> Readings:
    """Every word of a side turned: left_eye_left_corner."""
    sides = [side for word in spelled for _, side in _sides(word)]
    if sides:
        for choice in (0, -1):  # gauche has droite and droit
            turned = [_sides(word)[choice][0] if _sides(word) else word for word in spelled]
            yield "".join(turned), sides[0]


def _one_side(spelled: list[str]) -> Readings:
    """One word of a side turned: R_L_paw, where R is the rear."""
    for i, word in enumerate(spelled):
        yield from (("".join([*spelled[:i], other, *spelled[i + 1 :]]), side) for other, side in _sides(word))


def _inside(spelled: list[str]) -> Readings:
    """A word of a side inside another: hipleft, frontleftpaw, 左肩."""
    text = "".join(spelled)
    for word, others in ((word, others) for word, others in _INSIDE.items() if word in text):
        for found in re.finditer(re.escape(word), text):
            before, after = text[: found.start()], text[found.end() :]
            if len(before) != 1 or not word.isascii():
                yield from ((before + other + after, side) for other, side in others)


def _ends(spelled: list[str]) -> Readings:
    """Two letters for a leg: FL_paw, LF_elbow, RR."""
    for i, word in enumerate(spelled):
        if len(word) == 2:
            for at in (0, 1):
                if word[1 - at] in _ENDS:
                    yield from _letter(spelled, i, at)


def _glued(spelled: list[str]) -> Readings:
    """A letter at either end of a word, or behind that of an animal's end: lhip, hipl, flpaw, lfpaw."""
    for i, word in enumerate(spelled):
        if len(word) > _GLUED:
            yield from _letter(spelled, i, 0)
            yield from _letter(spelled, i, len(word) - 1)
            if word[0] in _ENDS:
                yield from _letter(spelled, i, 1)


def _letter(spelled: list[str], place: int, at: int) -> Readings:
    """One letter of a word turned."""
    word = spelled[place]
    if word[at] in "lr":
        turned = word[:at] + ("r" if word[at] == "l" else "l") + word[at + 1 :]
        yield "".join([*spelled[:place], turned, *spelled[place + 1 :]]), "left" if word[at] == "l" else "right"


_TIERS = (_all_sides, _one_side, _inside, _ends, _glued)


def _any(spelled: list[str]) -> Readings:
    """All of these, for names that are spelled in two ways: LFoot and Rfoot."""
    for readings in _TIERS:
        yield from readings(spelled)


_ENDS_OF_BODY = {
    **dict.fromkeys(("front", "fore", "f"), "front"),
    **dict.fromkeys(("back", "hind", "rear", "b", "h"), "back"),
}


def meaning_of(name: str) -> tuple[str, ...]:
    """Side, end of the body, and the rest of a name, in one spelling.

    >>> meaning_of("L_F_Paw") == meaning_of("frontLeftPaw") == meaning_of("left_front_paw")
    True
    """
    words = [part for word in _spelled(name) for part in _of_leg(word)]
    sided = [side for word in words for _, side in _sides(word)[:1]]
    ends = [_ENDS_OF_BODY[word] for word in words if word in _ENDS_OF_BODY and (len(word) > 1 or sided)]
    rest = "".join(w for w in words if not _sides(w) and not (w in _ENDS_OF_BODY and (len(w) > 1 or sided)))
    return (*sorted(sided), *sorted(ends), rest)


def _of_leg(word: str) -> list[str]:
    """The two letters of a leg: lf, fl."""
    legs = len(word) == 2 and any(c in "lr" for c in word) and any(c in "fbh" for c in word)
    return list(word) if legs else [word]
