"""Notes where no box is given and a model trained on tight boxes gets each whole image as one box."""

from poise.models.base import PoseModel
from poise.skeletons.nouns import PERSON, nouns

OWN_DETECTOR = (
    "; torchvision's find people alone, and one of your own learns from the same labels: poise train finetune --model "
    "poise_rcnn_t; where each image shows one, train with --whole-image"
)


def whole_image_note(model: PoseModel) -> str | None:
    """The sentence for images without boxes and without a detector; None for a model that takes none, or learnt such images.

    Args:
        model: The model.
    """
    if not model.takes_boxes or model.finds_people or model.card.learnt_whole_images:
        return None
    words, share = nouns(model.skeleton), model.card.box_share
    learnt = f"it learnt boxes around one {words[0]}" if share is None else f"boxes it learnt cover {share:.0%} of their images"
    return (
        f"no boxes were given, so each whole image is taken as the box of one {words[0]}; {model.card.name} will be wrong "
        f"unless that fills the image ({learnt}). Give boxes (--boxes FILE, boxes=), or a detector (--detector FILE|NAME, "
        f"detector=){OWN_DETECTOR if words != PERSON else ''}; or say that each image is such a box (--whole-image, "
        "whole_image=True)"
    )
