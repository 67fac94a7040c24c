"""JSON files of public sets in forms of their own: MPII's and Animal Kingdom's lists, AI Challenger, OCHuman, StanfordExtra.

Also the files of the CMU Panoptic hands, and MacaquePose's table.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from poise.data.boxes import mpii_boxes
from poise.data.forms._form import Form, Person, Picture, Point, Source, around, document_of, finite, placed, unnamed
from poise.data.mpii import is_people_list
from poise.data.records import Document, stated_size
from poise.errors import AnnotationError
from poise.reading import parse_json, read_json
from poise.skeletons import MPII16, Skeleton
from poise.skeletons.hands import HAND21
from poise.skeletons.people import AIC14
from poise.skeletons.registry import find


def _rows(source: Source, *needed: str) -> bool:
    """Whether a JSON file is a list of objects with some fields."""
    rows = source.content
    return isinstance(rows, list) and bool(rows) and isinstance(rows[0], dict) and set(needed) <= rows[0].keys()


def _named(rows: Sequence[Sequence[Any]], names: Sequence[str], where: str, seen: Mapping[int, int]) -> dict[str, Point]:
    """Rows x, y, visible as keypoints by name; `seen` says what the visibilities of the file mean."""
    if len(rows) != len(names):
        raise AnnotationError(f"{where} has {len(rows)} keypoints, expected {len(names)}")
    found = {}
    for name, row in zip(names, rows, strict=True):
        x, y, v = finite(row, where)
        found[name] = placed(x, y, where, seen=seen.get(int(v), 0))
    return found


def _triples(flat: Sequence[Any]) -> list[Sequence[Any]]:
    return [flat[i : i + 3] for i in range(0, len(flat), 3)]


def _mpii(source: Source) -> Document:
    """MPII's form: `joints`, `joints_vis`, `center`, `scale` (height / 200), an entry for each person."""
    first = next((row for row in source.content if "joints" in row), None)
    if first is None:
        raise AnnotationError(f"{str(source.path)!r} has people without `joints`, as MPII's test set; give one with labels")
    count = len(first["joints"])
    known: dict[int, Skeleton] = {16: MPII16, 23: find("animal_kingdom")}
    skeleton = known.get(count)
    names = skeleton.keypoints if skeleton else unnamed(count)
    pictures = [_mpii_row(row, names, f"{str(source.path)!r}: {row['image']!r}") for row in source.content if "joints" in row]
    return document_of(pictures, skeleton=skeleton, names=names)


def _mpii_row(row: Mapping[str, Any], names: Sequence[str], where: str) -> Picture:
    shift = 1 if len(names) == len(MPII16) else 0  # MPII counts from 1
    seen = row.get("joints_vis") or [1] * len(row["joints"])
    rows = [(*xy[:2], v if isinstance(v, int | float) else v[0]) for xy, v in zip(row["joints"], seen, strict=True)]
    points = {n: (x - shift, y - shift, v) for n, (x, y, v) in _named(rows, names, where, {1: 2}).items()}
    numbers = finite([*row["center"], *(row["scale"] if isinstance(row["scale"], list) else [row["scale"]])], where)
    centre, scale = torch.tensor([numbers[:2]]), torch.tensor([max(numbers[2:])])
    box = around(mpii_boxes(centre, scale)[0].tolist()) if scale > 0 else None
    return Picture(name=str(row["image"]), people=[Person(points=points, box=box, kind="person" if shift else "animal")])


def _aic(source: Source) -> Document:
    """AI Challenger: `keypoint_annotations` of `human1`, ...; visibility 1 seen, 2 hidden, 3 not labelled."""
    pictures = []
    for row in source.content:
        where = f"{str(source.path)!r}: image {row['image_id']!r}"
        people = []
        for who, flat in row["keypoint_annotations"].items():
            box = row.get("human_annotations", {}).get(who)
            points = _named(_triples(flat), AIC14.keypoints, where, {1: 2, 2: 1})
            people.append(Person(points=points, box=around(finite(box, where)) if box else None, kind="person"))
        pictures.append(Picture(name=f"{row['image_id']}.jpg", people=people))
    return document_of(pictures, skeleton=AIC14)


def _is_ochuman(source: Source) -> bool:
    return isinstance(source.content, dict) and {"keypoint_names", "images"} <= source.content.keys()


def _ochuman(source: Source) -> Document:
    """OCHuman: people in the images' records; visibility 0 not labelled, 1 seen, 2 and 3 hidden by oneself or others."""
    names, pictures = [str(name) for name in source.content["keypoint_names"]], []
    for row in source.content["images"]:
        where = f"{str(source.path)!r}: image {row.get('file_name')!r}"
        people = [
            Person(
                points=_named(_triples(one["keypoints"]), names, where, {1: 2, 2: 1, 3: 1}),
                box=around(finite(one["bbox"], where)),
                kind="person",
            )
            for one in row["annotations"]
            if one.get("keypoints")
        ]
        pictures.append(Picture(name=str(row["file_name"]), people=people, size=stated_size(row)))
    return document_of(pictures, names=names)


def _stanford(source: Source) -> Document:
    """StanfordExtra: a dog in each entry; `img_bbox` x, y, width, height; `joints` x, y, visible."""
    dog = find("stanford_extra")
    pictures = []
    for row in source.content:
        where = f"{str(source.path)!r}: {row['img_path']!r}"
        x, y, w, h = finite(row["img_bbox"], where)
        person = Person(points=_named(row["joints"], dog.keypoints, where, {1: 2}), box=(x, y, w, h), kind="dog")
        size = stated_size({"height": row.get("img_height"), "width": row.get("img_width")})
        pictures.append(Picture(name=str(row["img_path"]), people=[person], size=size))
    return document_of(pictures, skeleton=dog)


def _is_panoptic(source: Source) -> bool:
    files = source.inside(".json")
    content = read_json(files[0]) if files else source.content
    return isinstance(content, dict) and "hand_pts" in content


def _panoptic(source: Source) -> Document:
    """CMU Panoptic's hands: `hand_pts` x, y, visible in a JSON file beside each image."""
    files = source.inside(".json") or [source.path]
    pictures = []
    for path in files:
        points = _named(read_json(path)["hand_pts"], HAND21.keypoints, repr(str(path)), {1: 2})
        pictures.append(Picture(name=source.image_name(path), people=[Person(points=points, kind="hand")]))
    return document_of(pictures, skeleton=HAND21)


def _is_macaques(source: Source) -> bool:
    head = source.first.replace('"', "").split(",")
    return source.ends(".csv") and head[:2] == ["image file name", "keypoints"]


def _macaques(source: Source) -> Document:
    """MacaquePose: a table of images, whose keypoints are a text of JSON: for each monkey a list of `name`, `position`."""
    csv.field_size_limit(2**24)
    rows = csv.DictReader(source.text.splitlines())
    return document_of([_macaque_row(row, f"{str(source.path)!r}: {row['image file name']!r}") for row in rows])


def _macaque_row(row: Mapping[str, str], where: str) -> Picture:
    monkeys = parse_json(row["keypoints"], name=where)
    monkeys = [monkeys] if monkeys and isinstance(monkeys[0], dict) else monkeys
    people = [Person(points=dict(_macaque(monkey, where)), kind="macaque") for monkey in monkeys]
    return Picture(name=row["image file name"], people=people)


def _macaque(points: Sequence[Mapping[str, Any]], where: str) -> Iterator[tuple[str, Point]]:
    for point in points:
        x, y = point.get("position") or (None, None)
        yield str(point["name"]).replace(" ", "_"), placed(x, y, where)


FORMS = (
    Form("a list of people as MPII's", lambda source: is_people_list(source.content), _mpii),
    Form("AI Challenger's", lambda source: _rows(source, "image_id", "keypoint_annotations"), _aic),
    Form("OCHuman's", _is_ochuman, _ochuman),
    Form("StanfordExtra's", lambda source: _rows(source, "img_path", "img_bbox", "joints"), _stanford),
    Form("hands of CMU Panoptic", _is_panoptic, _panoptic),
    Form("MacaquePose's table", _is_macaques, _macaques),
)
