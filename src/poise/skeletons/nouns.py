"""Singular and plural of what a model finds, for messages: people, or animals and things by the name of their category."""

import re

from poise.skeletons._skeleton import Skeleton

Nouns = tuple[str, str]
"""One and many."""

PERSON: Nouns = ("person", "people")
ANIMAL: Nouns = ("animal", "animals")
POSE: Nouns = ("pose", "poses")
"""Where the name of the skeleton is no word."""

FACE: Nouns = ("face", "faces")

_OWN = (
    dict.fromkeys(("coco", "mpii", "lsp", "human", "blazepose", "crowdpose", "aic", "posetrack", "wholebody"), PERSON)
    | dict.fromkeys(("h36m", "halpe"), PERSON)
    | dict.fromkeys(("quadruped", "animal", "ap10k", "animalpose", "atrw"), ANIMAL)
    | dict.fromkeys(("wflw", "lapa", "cofw", "aflw"), FACE)
)
_IRREGULAR = {
    "person": "people",
    "man": "men",
    "woman": "women",
    "child": "children",
    "foot": "feet",
    "tooth": "teeth",
    "mouse": "mice",
    "goose": "geese",
    "ox": "oxen",
    "louse": "lice",
    "wolf": "wolves",
    "calf": "calves",
    "leaf": "leaves",
    "fish": "fish",
    "sheep": "sheep",
    "deer": "deer",
    "moose": "moose",
    "bison": "bison",
    "squid": "squid",
    "aircraft": "aircraft",
    "zebrafish": "zebrafish",
}
_SINGULAR = {many: one for one, many in _IRREGULAR.items()}
_LONGEST = 30
"""Letters of a word that is shown; longer names are no words."""


def nouns(skeleton: Skeleton) -> Nouns:
    """Singular and plural of what has these keypoints: the name of the skeleton, that of the category in a COCO file.

    >>> nouns(Skeleton("camel", ("hump",), sigmas=(0.1,)))
    ('camel', 'camels')
    >>> nouns(Skeleton("tiger_v2", ("tail",), sigmas=(0.1,)))
    ('pose', 'poses')
    """
    words = re.sub(r"[\s_-]+", " ", skeleton.name).strip()
    words = words.removesuffix(str(len(skeleton))).strip()  # as in horse22
    own = _OWN.get(re.sub(r"\d+( \d+)?$", "", words.lower()))
    if own is not None:
        return own
    if len(words) > _LONGEST or not words.replace(" ", "").isalpha():
        return POSE
    if not words.isascii():
        return words, words
    before, _, last = words.lower().rpartition(" ")
    one, many = _inflected(last)
    return f"{before} {one}".strip(), f"{before} {many}".strip()


def _inflected(word: str) -> Nouns:
    """Singular and plural of an English word that is one of the two."""
    if word in _IRREGULAR or word in _SINGULAR:
        one = _SINGULAR.get(word, word)
        return one, _IRREGULAR[one]
    if word.endswith("s") and not word.endswith(("ss", "us", "is", "as")):
        return word[:-1], word
    if word.endswith(("s", "x", "z", "ch", "sh")):
        return word, f"{word}es"
    if re.search(r"[^aeiou]y$", word):
        return word, f"{word[:-1]}ies"
    return word, f"{word}s"
