"""Small made-up copies of the label files of public sets and labelling tools, each in its published form (`FORMS`)."""

from .coco_forms import COCO_FORMS
from .own_forms import OWN_FORMS

FORMS = COCO_FORMS | OWN_FORMS
