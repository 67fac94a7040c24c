"""WS-CDA (`adaptation.ws_cda`): people with labels, few animals with labels, animals with boxes only."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from poise.adaptation.criteria import TargetCheck
from poise.adaptation.task import Domains
from poise.adaptation.ws_cda import PEOPLE, CdaWeights, Discriminator, WsCda
from poise.data.base import Dataset
from poise.data.coco import CocoDataset
from poise.data.mapped import MappedDataset
from poise.errors import InputError
from poise.models.adapted import add_adaptation
from poise.recipes.adapting import AdaptOptions
from poise.recipes.base import Recipe
from poise.recipes.domains import beside
from poise.skeletons import Skeleton
from poise.skeletons.mapping import KeypointMap
from poise.training.task import MakeTask


@dataclass(frozen=True, kw_only=True)
class WsCdaOptions(AdaptOptions):
    """Options of WS-CDA.

    Attributes:
        people: COCO keypoint file of labelled people, learnt beside the animals; --map says which of their keypoints stand for
            which of the animals', and the others are masked.
        people_images: Folder or zip file of its images; by default `images` beside it, else its folder.
        alpha: Weight of the discriminator's loss; negative, for the features raise that loss.
        beta: Weight of the pose loss, for the mean squared error of heatmaps.
        w1: Weight of telling people from animals, beside telling the target from labelled animals.
        w2: Weight of the animals' pose loss, beside that of people.
        discriminator_width: Channels of the domain discriminator.
        discriminator_layers: 3x3 convolutions of the domain discriminator.
    """

    people: Path | None = None
    people_images: Path | None = None
    alpha: float = -1.0
    beta: float = 500.0
    w1: float = 1.0
    w2: float = 1.0
    discriminator_width: int = 64
    discriminator_layers: int = 2

    @cached_property
    def _people(self) -> Dataset | None:
        if self.people is None:
            if self.people_images is not None:
                raise InputError("--people-images is the folder of the images of --people, which is missing; give that too")
            return None
        return CocoDataset(self.people, self.people_images or beside(self.people))

    def start_map(self, skeleton: Skeleton) -> KeypointMap | None:
        """As of all adaptations, but people use the map too."""
        if self.map is None or self._people is None:
            return super().start_map(skeleton)
        mapping = KeypointMap.of(self.map)
        mapping = mapping.having_used([mapping.for_data(self._people.skeleton, skeleton)])
        if self.start is None:
            mapping.check_used()
        return mapping

    def more(self, skeleton: Skeleton) -> dict[str, Dataset]:
        """The people, in the keypoints of the model.

        Args:
            skeleton: Keypoints of the model.

        Raises:
            SkeletonMismatch: They have none of the keypoints.
        """
        if self._people is None:
            return {}
        mapping = KeypointMap.of(self.map or ()).for_data(self._people.skeleton, skeleton)
        return {PEOPLE: MappedDataset(self._people, skeleton=skeleton, mapping=mapping)}


def ws_cda(options: WsCdaOptions) -> Recipe:
    """Adapt by WS-CDA (arXiv 1908.05806): features of which a discriminator cannot tell people, animals and the target apart.

    For example, from a model of people, with a few labelled animals as the source and unlabelled ones as the target:

        poise adapt ws-cda --source few.json --people people.json --target frames --start people.safetensors --map analogies

    `poise train ws_cda` is the same command. Without --people only target and source are told apart. The model file has a
    domain adaptation layer and no discriminator. PPLO goes on from it: poise adapt pplo --start runs/animals/model.safetensors.

    No score is published that could be compared, and no practitioner's is known; w1, w2, layers and schedule are not told by
    the paper and are ours (docs/results.md has what others give). The cost: each step reads three batches, of the source,
    of people and of the target.

    Args:
        options: Source, target, people, model and weights.
    """
    weights = CdaWeights(options.alpha, options.beta, options.w1, options.w2)
    layers = Discriminator(options.discriminator_width, options.discriminator_layers)

    def method(domains: Domains, check: TargetCheck) -> MakeTask:
        every = replace(domains, more=options.more(domains.target.skeleton))
        return lambda model: WsCda(model, every, weights=weights, discriminator=layers, check=check)

    recipe = options.recipe("ws_cda", method)
    add_adaptation(recipe.model)
    return recipe
