"""The skeletons that the files of this folder define, by name."""

import importlib
import pkgutil
import re

from poise import skeletons
from poise.errors import unknown
from poise.skeletons._skeleton import Skeleton

SYNONYMS = {
    "300w": "face68",
    "ibug68": "face68",
    "cocowholebody": "wholebody133",
    "cocowholebody133": "wholebody133",
    "cocowholebodyface": "face68",
    "cocowholebodyhand": "hand21",
    "onehand10k": "hand21",
    "freihand": "hand21",
    "panoptic": "hand21",
    "interhand": "hand21",
    "humanart": "coco17",
    "aiccoco": "coco17",
    "body7": "coco17",
    "body8": "coco17",
    "body7crowdpose": "crowdpose14",
    "body7crowdpose14": "crowdpose14",
    "ucoco": "wholebody133",
    "cocktail14": "wholebody133",
    "hand5": "hand21",
    "humanart17": "coco17",
    "macaque": "coco17",
    "macaque17": "coco17",
    "macaquepose": "coco17",
    "posetrack18": "posetrack17",
    "posetrack21": "posetrack17",
    "aichallenger": "aic14",
    "apt36k": "ap10k17",
    "exlpose": "crowdpose14",
    "face106": "lapa106",
    "face6": "lapa106",
    "quadruped39": "superanimalquadruped39",
    "topviewmouse27": "superanimaltopviewmouse27",
    "bird42": "superanimalbird42",
}
"""Names of data sets whose skeleton is called otherwise."""


def all_skeletons() -> dict[str, Skeleton]:
    """Every skeleton that a file of this folder defines, by name."""
    modules = [
        importlib.import_module(f"{skeletons.__name__}.{info.name}") for info in pkgutil.iter_modules(skeletons.__path__)
    ]
    found = (value for module in modules for value in vars(module).values())
    return {value.name: value for value in found if isinstance(value, Skeleton)}


def find(name: str) -> Skeleton:
    """A skeleton by name, also without the number of keypoints where that leaves one.

    Args:
        name: `coco17`, `wflw98` or `wflw`, or that of a file added to this folder; `300w` is `face68`.

    Raises:
        UnknownName: There is no skeleton of that name, or several.
    """
    everything = all_skeletons()
    plain = re.sub(r"[\W_]", "", name.casefold())
    plain = SYNONYMS.get(plain, plain)
    short = {known: known.replace("_", "") for known in everything}
    fits = [one for known, one in everything.items() if plain in (short[known], short[known].rstrip("0123456789"))]
    if name not in everything and len(fits) != 1:
        raise unknown("skeleton", name, [one.name for one in fits] or everything)
    return everything.get(name) or fits[0]


def of_length(count: int) -> list[str]:
    """Names of the skeletons with so many keypoints."""
    return [name for name, one in all_skeletons().items() if len(one) == count]
