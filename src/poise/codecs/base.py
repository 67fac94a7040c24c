"""The contract between keypoints and a network's output, and its laws."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from poise.dims import Size
from poise.errors import InputError
from poise.geometry import Grid
from poise.structures import CropRule, Points


@dataclass(frozen=True)
class InstanceCodec(ABC):
    """Codec for views of ONE person: what a network's output means, its loss, and how keypoints are read out of it.

    All methods work on batches, on the device of their input. An output is one tensor: maps (b c h w), the channels of a
    keypoint one after another; or vectors (b k n) if `vectors` is not empty.

    Laws, checked for every file of this folder:

    1. decode(encode(xy)).xy is xy, to within `tolerance` pixels of the view.
    2. unflip(unflip(output)) is output.
    3. decode(unflip(encode(mirrored xy))).xy is xy, to within `tolerance`.
    4. loss(encode(xy), xy, visible) is 0, and below the loss of any shifted output.
    5. A keypoint that is not labelled (visible 0) sends no gradient back.

    Some published releases break a law on purpose. Their codec says so in `exceptions`, by the law's number:

    1 and 3: error of a keypoint in pixels of the view, in place of `tolerance`.
    2: share of an output's values that change.
    4: loss of a perfect output; that of a shifted output is still larger.
    5: share of the unlabelled keypoints that may send a gradient.

    Other facts that the package needs stand in the codec too, each with a default: the crop rule of its release (`crop_rule`),
    the weight of its loss in a detector (`roi_weight`, `mse_share`), which heads can start from each other (`output_type`), the
    readings that a report shows beside its own (`report_methods`), its values for a view size (`for_size`).

    Attributes:
        size: Size of a view (h, w), pixels.
        cells: Size of a map (h, w), cells.
        keypoints: Number of keypoints, k.
    """

    size: Size
    cells: Size
    keypoints: int

    def __post_init__(self) -> None:
        """Refuse sizes without extent."""
        if min(*self.size, *self.cells, self.keypoints) < 1:
            raise InputError(
                f"{type(self).__name__} needs positive sizes, found size {self.size}, cells {self.cells}, "
                f"{self.keypoints} keypoints"
            )

    @property
    @abstractmethod
    def grid(self) -> Grid:
        """Where the cells of a map lie on the view."""

    @property
    @abstractmethod
    def channels(self) -> int:
        """Number of maps that the network must give, c."""

    @property
    def vectors(self) -> tuple[int, ...]:
        """Lengths of the vectors that a readout layer makes of each keypoint's map; empty for codecs that read the maps.

        The vectors stand one after another in an output of shape (b, k, their sum).
        """
        return ()

    @property
    @abstractmethod
    def tolerance(self) -> float:
        """Largest error of a keypoint that laws 1 and 3 allow, pixels of the view."""

    @property
    def exceptions(self) -> Mapping[int, float]:
        """Laws that this codec breaks on purpose, and by how much; none by default."""
        return {}

    @classmethod
    def for_size(cls, size: Size, cells: Size, keypoints: int) -> "InstanceCodec":
        """The codec with the values that are usual for views of this size; by default those of its fields.

        Args:
            size: Size of a view (h, w), pixels.
            cells: Size of a map (h, w), cells.
            keypoints: Number of keypoints.
        """
        return cls(size, cells, keypoints)

    @property
    def crop_rule(self) -> CropRule:
        """The rule by which its release cuts views out of images (`transforms.crop`); "unbiased" where there is no release."""
        return "unbiased"

    @property
    def roi_weight(self) -> float:
        """Factor of the loss in the keypoint head of a detector (`RoIAdapter.weight`).

        It makes the first loss of a head on 56x56 cells, whose outputs are all near 0, about as large as the cross-entropy over
        those cells, log(56 * 56) = 8. With a much larger loss the boxes get worse, with a much smaller one the keypoints are
        not learnt. To measure it, divide 8 by the loss of an output of zeros for keypoints anywhere in the box. A law checks
        that the product is between 1 and 64.
        """
        return 1.0

    @property
    def mse_share(self) -> float | None:
        """The loss divided by the mean squared error of maps whose peaks are 1 high; None for other outputs and losses.

        Where it is a number, the weight of a detector's keypoint loss is given as that of the mean squared error, and the peaks
        may be made higher (`RoIAdapter.height`).
        """
        return None

    @property
    def output_type(self) -> str:
        """Type of a keypoint's channels, as one word.

        Between codecs of the same word the rows of a head's last layer are transferred, keypoint by keypoint
        (`weights.transfer`). By default "map" for one channel per keypoint, and the name of the class for several.
        """
        return "map" if self.channels == self.keypoints else type(self).__name__

    @property
    def report_methods(self) -> tuple[str, ...]:
        """Readings (`reading`) that the report of all codecs shows beside the codec's own (`analysis.codec_report`)."""
        return ()

    @abstractmethod
    def encode(self, xy: Float[Tensor, "b k 2"]) -> Float[Tensor, "b ..."]:
        """The perfect output for keypoints at `xy` (pixels of the view), all of them labelled."""

    def highest_cells(self, xy: Float[Tensor, "b k 2"], labelled: Bool[Tensor, "b k"]) -> Float[Tensor, "b k 2"]:
        """The highest cell (x, y) of the first label map of each keypoint; (0, 0) where it has no label there.

        Args:
            xy: Keypoints, pixels of the view; of those that are not labelled they may be anything.
            labelled: Which keypoints are labelled.
        """
        maps = self.encode(torch.where(labelled[..., None], xy, 0))[:, :: self.channels // self.keypoints]
        highest, index = maps.flatten(2).max(dim=2)
        cells = torch.stack((index % maps.shape[3], index // maps.shape[3]), dim=-1)
        return cells.double() * ((highest > 0) & labelled)[..., None]

    @abstractmethod
    def loss(
        self, output: Float[Tensor, "b ..."], xy: Float[Tensor, "b k 2"], visible: Int64[Tensor, "b k"]
    ) -> Float[Tensor, ""]:
        """Loss of an output for keypoints at `xy`. `visible`: 0 not labelled, 1 labelled but hidden, 2 visible."""

    @abstractmethod
    def decode(self, output: Float[Tensor, "b ..."]) -> Points:
        """Keypoints (pixels of the view) and scores. Where a score is not finite it is 0, at the highest cell."""

    @abstractmethod
    def unflip(self, output: Float[Tensor, "b ..."], flip: Int64[Tensor, " k"]) -> Float[Tensor, "b ..."]:
        """The output for a mirrored view, converted to one for the view itself. `flip` is `Skeleton.flip`."""

    @abstractmethod
    def picture(self, output: Float[Tensor, "b ..."]) -> Float[Tensor, "b k h w"]:
        """Maps to look at, 0 to 1."""
