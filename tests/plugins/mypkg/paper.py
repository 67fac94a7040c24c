"""A model with a name, as a file of the zoo has it."""

from mypkg.codecs import MyCodec
from mypkg.nets import my_network
from poise.models.top_down import TopDown
from poise.structures import Architecture, Preprocess
from poise.zoo.assemble import assemble, requested_codec
from poise.zoo.family import BuildRequest, Family


def build(wish: BuildRequest) -> TopDown:
    cells = (wish.size[0] // 4, wish.size[1] // 4)
    codec = requested_codec(wish) or MyCodec(wish.size, cells, len(wish.keypoints))
    made = Architecture("mypkg.nets:my_network", {"width": 8, "channels": codec.channels})
    network = my_network(**made.arguments)
    return assemble(wish.name, made, network, codec=codec, preprocess=Preprocess(), skeleton=wish.keypoints)


FAMILY = Family(
    paper="of one's own",
    form="mine_{coco,mpii}_HEIGHTxWIDTH",
    pattern=r"mine_(?P<data>coco|mpii)_(?P<size>\d+x\d+)",
    build=build,
    networks={},
)
