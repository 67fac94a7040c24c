"""The names of the zoo in one file, for commands that only want to know whether there is such a name.

`python -m poise.zoo.index` stores them beside this file, where `poise.weights.zoo_names` reads them.
"""

import json
from collections.abc import Mapping

from poise.weights.zoo_names import STORED
from poise.zoo.find import families, names
from poise.zoo.get import obtainable


def index() -> Mapping[str, list[str]]:
    """The parts of `poise.weights.zoo_names.ZooNames`, of the zoo itself."""
    every = families().values()
    return {
        "models": names(),
        "patterns": [family.pattern for family in every],
        "forms": [family.form for family in every],
        "obtainable": list(obtainable()),
    }


if __name__ == "__main__":
    STORED.write_text(json.dumps(index(), indent=1) + "\n", encoding="utf-8")
