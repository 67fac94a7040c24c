"""Which cells of RTMO's maps stand for whom, and what they learn: SimOTA (YOLOX, arXiv 2107.08430) by OKS, as released."""

from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torchvision.ops import box_iou

from poise.codecs.dynamic_bins import RTMOBins
from poise.losses.one_stage import likelihood_error, oks_pairs, varifocal
from poise.nn.rtmo.network import RTMOHead, cell_centres, decoded_boxes
from poise.scenes import Scenes

AREA = 0.53
"""Area of a person as a share of the box, as COCO's masks have it on average (CrowdPose's convention)."""

RADIUS = 2.5
"""Strides around a person's middle within which cells may stand for the person."""

CANDIDATES = 10
"""Cells of highest OKS whose sum says how many cells stand for a person."""

IOU_COST, FAR_COST = 3.0, 1e5
"""Weight of the boxes in the cost of a cell, and the cost of one that is not inside and near."""

EPSILON = 1e-7


@final
@dataclass(frozen=True, eq=False)
class CellOutputs:
    """What all cells of the views say.

    Attributes:
        person: Logit of a person.
        corners: Box x0 y0 x1 y1, pixels.
        visible: Logits of keypoints.
        pose: Pose vectors.
        xy: Keypoints by regression, pixels; only learnt, never read.
        priors: Middle of each cell, pixels.
        strides: Stride of each cell.
    """

    person: Float[Tensor, "b n"]
    corners: Float[Tensor, "b n 4"]
    visible: Float[Tensor, "b n k"]
    pose: Float[Tensor, "b n c"]
    xy: Float[Tensor, "b n k 2"]
    priors: Float[Tensor, "n 2"]
    strides: Float[Tensor, "n 1"]

    @classmethod
    def of(cls, maps: list[Float[Tensor, "b _ _ _"]]) -> "CellOutputs":
        """Those of maps: of persons, boxes, keypoints, pose vectors and offsets the map of every level in turn."""
        levels = len(maps) // 5
        kinds = [maps[i : i + levels] for i in range(0, len(maps), levels)]
        flat = (torch.cat([x.float().flatten(2) for x in own], dim=2).transpose(1, 2) for own in kinds)
        person, boxes, visible, pose, offsets = flat
        priors, strides = cell_centres([(x.shape[2], x.shape[3]) for x in kinds[0]], person)
        xy = offsets.reshape(*offsets.shape[:2], -1, 2) * strides[:, None] + priors[:, None]
        return cls(person[..., 0], decoded_boxes(boxes, priors, strides), visible, pose, xy, priors, strides)


@final
@dataclass(frozen=True, eq=False)
class _People:
    """The people of one view with a labelled keypoint."""

    boxes: Float[Tensor, "p 4"]
    xy: Float[Tensor, "p k 2"]
    labelled: Bool[Tensor, "p k"]
    area: Float[Tensor, " p"]

    @classmethod
    def of(cls, scenes: Scenes, view: int) -> "_People":
        own = (scenes.scene == view) & (scenes.visible > 0).any(dim=1)
        labelled = (scenes.visible > 0)[own]
        xy = scenes.xy[own].float().masked_fill(~labelled[..., None], 0.0)
        return cls(scenes.boxes[own].float(), xy, labelled, scenes.extent[own].float().square() * AREA)

    @property
    def middles(self) -> Float[Tensor, "p 2"]:
        """The mean of the labelled keypoints of each."""
        return self.xy.sum(dim=1) / self.labelled.sum(dim=1, keepdim=True).clamp(min=1)


@torch.no_grad()
def assign(
    cells: CellOutputs, view: int, people: _People, sigmas: Float[Tensor, " k"]
) -> tuple[Int64[Tensor, " q"], Int64[Tensor, " q"], Float[Tensor, " q"]]:
    """Cells that stand for people, for whom, and the OKS of their regressed keypoints.

    Args:
        cells: What the cells say.
        view: Index of the view.
        people: The people in it.
        sigmas: OKS sigma of each keypoint.
    """
    priors, strides = cells.priors[:, None], cells.strides[:, None]
    inside = ((priors > people.boxes[None, :, :2]) & (priors < people.boxes[None, :, 2:])).all(dim=-1)
    near = ((priors - people.middles).abs() < RADIUS * strides).all(dim=-1)
    [known] = (inside | near).any(dim=1).nonzero(as_tuple=True)
    none = known.new_zeros(0)
    if not len(known):
        return none, none, cells.person.new_zeros(0)
    similar = oks_pairs(cells.xy[view, known][:, None], people.xy[None], people.labelled[None], people.area[None], sigmas)
    overlap = box_iou(cells.corners[view, known], people.boxes)
    score = cells.person[view, known].sigmoid().sqrt()
    cost = -IOU_COST * (overlap + EPSILON).log() - (score + EPSILON).log()[:, None] + FAR_COST * ~(inside & near)[known]
    chosen = _cheapest(cost, similar)
    rows, person = chosen.nonzero(as_tuple=True)
    return known[rows], person, similar[rows, person]


def _cheapest(cost: Float[Tensor, "v p"], similar: Float[Tensor, "v p"]) -> Bool[Tensor, "v p"]:
    """The cells of each person; a cell of several people stands for the one it is cheapest for."""
    many = similar.topk(min(CANDIDATES, len(similar)), dim=0).values.sum(dim=0).int().clamp(min=1)
    chosen = torch.zeros_like(cost, dtype=torch.bool)
    for person, count in enumerate(many.tolist()):
        chosen[cost[:, person].topk(count, largest=False).indices, person] = True
    several = chosen.sum(dim=1) > 1
    best = torch.zeros_like(chosen).scatter(1, cost.argmin(dim=1, keepdim=True), True)
    return torch.where(several[:, None], best, chosen)


@final
@dataclass(frozen=True, eq=False)
class _Learnt:
    """The cells of all views that stand for somebody, and the labels of that person."""

    view: Int64[Tensor, " q"]
    cell: Int64[Tensor, " q"]
    boxes: Float[Tensor, "q 4"]
    xy: Float[Tensor, "q k 2"]
    labelled: Bool[Tensor, "q k"]
    area: Float[Tensor, " q"]
    overlap: Float[Tensor, " q"]

    @classmethod
    def of(cls, cells: CellOutputs, scenes: Scenes, sigmas: Float[Tensor, " k"]) -> "_Learnt":
        parts = []
        for view in range(len(scenes)):
            people = _People.of(scenes, view)
            cell, person, overlap = assign(cells, view, people, sigmas)
            own = (people.boxes[person], people.xy[person], people.labelled[person], people.area[person])
            parts.append((torch.full_like(cell, view), cell, *own, overlap))
        return cls(*(torch.cat(part) for part in zip(*parts, strict=True)))


def one_stage_losses(
    maps: list[Float[Tensor, "b _ _ _"]], scenes: Scenes, head: RTMOHead, codec: RTMOBins, sigmas: Float[Tensor, " k"]
) -> dict[str, Float[Tensor, ""]]:
    """The parts of RTMO's loss, weighted as in its release.

    Args:
        maps: What the network learns by (`RTMONet.learnt`).
        scenes: The people of the views.
        head: Classifies coordinates.
        codec: Says whether the classifier teaches the rest (the second half of the release's training).
        sigmas: OKS sigma of each keypoint.
    """
    cells = CellOutputs.of(maps)
    learnt = _Learnt.of(cells, scenes, sigmas)
    place, count = (learnt.view, learnt.cell), max(len(learnt.cell), 1)
    corners = cells.corners[place]
    overlap = torch.diagonal(box_iou(corners, learnt.boxes)) if len(corners) else corners.sum(dim=1)
    seen = scenes.supervised[learnt.view]
    visible = torch.nn.functional.binary_cross_entropy_with_logits(
        cells.visible[place], learnt.labelled.float(), reduction="none"
    )
    xy, far = _coordinates(cells, learnt, head)
    quality, regressed = _quality(cells.xy[place], xy, learnt, sigmas, proxy=codec.proxy)
    target = torch.zeros_like(cells.person).index_put(place, quality.detach().sqrt())
    persons = varifocal(cells.person, target) * _counted(cells, scenes)
    keypoints, coordinates = (10.0, 5.0) if codec.proxy else (30.0, 1.0)
    return {
        "boxes": 5 * (1 - overlap.square()).sum() / count,
        "visible": (visible * seen).sum() / max(visible.numel(), 1),
        "coordinates": coordinates * (far * learnt.labelled).sum() / max(far.numel(), 1),
        "keypoints": keypoints * (1 - regressed).sum() / count,
        "persons": persons.sum() / count,
    }


def _coordinates(cells: CellOutputs, learnt: _Learnt, head: RTMOHead) -> tuple[Float[Tensor, "q k 2"], Float[Tensor, "q k"]]:
    """The classified keypoints, and how unlikely the labels are under them."""
    place = (learnt.view, learnt.cell)
    pose, corners, priors = cells.pose[place], cells.corners[place], cells.priors[learnt.cell]
    if not len(pose):
        return learnt.xy, cells.pose.sum() * 0 * learnt.area[:, None] * learnt.labelled
    alone = len(pose) == 1  # a batch norm has no deviation of one
    twice = [part.repeat(2, *(1 for _ in part.shape[1:])) if alone else part for part in (pose, corners, priors)]
    places = head.dcc.bins(twice[1])
    heats = head.dcc.heatmaps(twice[0], places, twice[2])
    xy = torch.stack([(heat * at[:, None]).sum(dim=-1) for heat, at in zip(heats, places, strict=True)], dim=-1)
    many = len(pose)
    heats, places = [heat[:many] for heat in heats], (places[0][:many], places[1][:many])
    far = likelihood_error(heats, places, learnt.xy, sigmas=head.dcc.sigma_fc(pose), area=learnt.area)
    return xy[:many], far


def _quality(
    regressed: Float[Tensor, "q k 2"],
    classified: Float[Tensor, "q k 2"],
    learnt: _Learnt,
    sigmas: Float[Tensor, " k"],
    *,
    proxy: bool,
) -> tuple[Float[Tensor, " q"], Float[Tensor, " q"]]:
    """How good the person of each cell is, and the OKS that the regressed keypoints learn by.

    With `proxy` both follow the classified keypoints, where these are nearer to the labels than the regressed ones.
    """
    if not proxy:
        similar = oks_pairs(regressed, learnt.xy, learnt.labelled, learnt.area, sigmas)
        return learnt.overlap, similar
    taught = classified.detach()
    nearer = (taught - learnt.xy).norm(dim=-1) < (regressed.detach() - learnt.xy).norm(dim=-1)
    quality = oks_pairs(taught, learnt.xy, learnt.labelled, learnt.area, sigmas)
    counted = learnt.labelled & nearer
    similar = oks_pairs(regressed, taught, counted, learnt.area, sigmas)
    return quality, torch.where(counted.any(dim=-1), similar, 1)


def _counted(cells: CellOutputs, scenes: Scenes) -> Float[Tensor, "b n"]:
    """1 for the cells whose middle is not ignored."""
    x, y = (cells.priors[:, axis].long().clamp(max=scenes.ignore.shape[2 - axis] - 1) for axis in (0, 1))
    return (~scenes.ignore[:, y, x]).float()
