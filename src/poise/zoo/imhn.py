"""SimplePose's network (Li, Su, Wang; AAAI 2020; arXiv 1911.10529) as OffsetGuided's release keeps it.

No codec decodes its outputs, 50 maps at five resolutions from every hourglass. It can be imported and run; its weights and
their names are the release's.
"""

from poise.models.card import Card
from poise.models.network_part import NetworkPart
from poise.nn.base import check_size
from poise.nn.imhn import IdentityMappingHourglass
from poise.structures import Architecture
from poise.zoo.family import BuildRequest, Family
from poise.zoo.imagenet import refuse_pretrained


def network(stacks: int = 4, outputs: int = 50) -> IdentityMappingHourglass:
    """The network alone, with PyTorch's initial weights.

    Args:
        stacks: Number of hourglasses.
        outputs: Channels of every output.
    """
    return IdentityMappingHourglass(stacks, outputs)


def build(request: BuildRequest) -> NetworkPart:
    """The network of a name such as `offsetguided_imhn4stage_128x128`."""
    refuse_pretrained(request.pretrained, "SimplePose's network")
    check_size(request.size, IdentityMappingHourglass.multiple, "an identity mapping hourglass network")
    stacks = int(request.parts["stacks"])
    card = Card(request.name, Architecture("imhn:network", {"stacks": stacks}))
    return NetworkPart(network(stacks), card, "a network whose outputs no codec decodes")


FAMILY = Family(
    paper="SimplePose (arXiv 1911.10529)",
    form="offsetguided_imhn{3,4}stage_HEIGHTxWIDTH",
    pattern=r"offsetguided_imhn(?P<stacks>\d+)stage_(?P<size>\d+x\d+)",
    build=build,
    networks={},
    keys=(("", ""),),
)
