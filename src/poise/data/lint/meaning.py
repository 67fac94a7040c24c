"""Rules for whole files whose numbers mean something else: shares of the image, corners of boxes, confidences."""

from collections.abc import Iterator

from poise.data.lint.report import Finding
from poise.data.recognise import Mistaken, recognise
from poise.data.records import Document, stated_size


def check_meaning(document: Document) -> Iterator[Finding]:
    """What `recognise` finds. Corrects `document` in place, where the sizes of the images it needs are stated."""
    sizes = {image.get("id"): stated_size(image) for image in document["images"]}
    for one in recognise(document):
        if one.sized and None in {sizes.get(a.get("image_id")) for a in document["annotations"]}:
            yield Finding(
                one.rule, "the file", f"{one.found}; to correct them the sizes of the images must be known (--images)"
            )
            continue
        _correct(document, one, sizes)
        yield Finding(one.rule, "the file", one.found, one.fix)


def _correct(document: Document, one: Mistaken, sizes: dict[object, tuple[int, int] | None]) -> None:
    for annotation in document["annotations"]:
        one.correct(annotation, sizes.get(annotation.get("image_id")) or (0, 0))
