"""All kinds of models."""

from typing import TypeAlias

from poise.models.bottomup import BottomUp
from poise.models.topdown import TopDown

Model: TypeAlias = TopDown | BottomUp
"""A model that can be trained, saved and run: of views of one person, or of whole images."""
