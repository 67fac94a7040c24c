"""Names that people use for published models, beside those that they have here."""

import re
from collections.abc import Collection, Mapping

ALIASES: Mapping[str, str] = {
    "blazepose": "blazepose_full",
    "dekr": "dekr_w32_coco17_512x512",
    "dekr_w32": "dekr_w32_coco17_512x512",
    "dekr_w48": "dekr_w48_coco17_640x640",
    "dw_ll_ucoco": "dwpose_l",
    "dw_ll_ucoco_384": "dwpose_l_384x288",
    "dw_mm_ucoco": "dwpose_m",
    "dw_ss_ucoco": "dwpose_s",
    "dw_tt_ucoco": "dwpose_t",
    "dwpose": "dwpose_l_384x288",
    "higher_hrnet": "higherhrnet_w32_coco17_512x512",
    "higherhrnet": "higherhrnet_w32_coco17_512x512",
    "higherhrnet_w32": "higherhrnet_w32_coco17_512x512",
    "higherhrnet_w48": "higherhrnet_w48_coco17_512x512",
    "litehrnet": "litehrnet_18_coco17_256x192",
    "litehrnet_18": "litehrnet_18_coco17_256x192",
    "litehrnet_30": "litehrnet_30_coco17_256x192",
    "lite_hrnet_18": "litehrnet_18_coco17_256x192",
    "lite_hrnet_30": "litehrnet_30_coco17_256x192",
    "mobilenet_v2": "mobilenetv2_coco17_256x192",
    "mobilenetv2": "mobilenetv2_coco17_256x192",
    "rtmdet": "rtmdet_m",
    "rtmdet_hand": "rtmdet_nano_hand",
    "rtmdet_m_person": "rtmdet_m",
    "rtmdet_nano_person": "rtmdet_nano",
    "rtmdet_person": "rtmdet_m",
    "rtmo": "rtmo_m",
    "rtmo_l_body7_crowdpose": "rtmo_l_body7_crowdpose14",
    "rtmo_l_crowdpose": "rtmo_l_crowdpose14",
    "rtmo_m_crowdpose": "rtmo_m_crowdpose14",
    "rtmo_s_crowdpose": "rtmo_s_crowdpose14",
    "rtmpose": "rtmpose_m",
    "rtmpose_animal": "rtmpose_m_ap10k",
    "rtmpose_face": "rtmpose_m_face106",
    "rtmpose_hand": "rtmpose_m_hand21",
    "rtmpose_wholebody": "rtmpose_m_wholebody",
    "rtmw": "rtmw_l",
    "superanimal": "deeplabcut3_hrnet_w32_quadruped39_256x256",
    "superanimal_quadruped": "deeplabcut3_hrnet_w32_quadruped39_256x256",
    "superanimal_humanbody": "rtmpose_x_body7_384x288",
    "superanimal_humanbody_rtmpose_x": "rtmpose_x_body7_384x288",
    "superanimal_quadruped_hrnet_w32": "deeplabcut3_hrnet_w32_quadruped39_256x256",
    "superanimal_quadruped_rtmpose_s": "rtmpose_s_quadruped39",
    "superanimal_topviewmouse": "deeplabcut3_hrnet_w32_topviewmouse27_256x256",
    "superanimal_topviewmouse_hrnet_w32": "deeplabcut3_hrnet_w32_topviewmouse27_256x256",
    "vitpose": "vitpose_b",
}
"""Other names, in the form of `plain`, and the name here; some of them may not be there to be got."""

SIZES: Mapping[str, str] = {
    "tiny": "t", "small": "s", "medium": "m", "large": "l", "base": "b", "huge": "h", "extra_large": "x", "xlarge": "x",
}  # fmt: skip
"""Words for the size of a network, and the letter for it."""


def plain(name: str) -> str:
    """A name in small letters with underscores, sizes as letters.

    >>> plain("RTMPose-medium"), plain("ViTPose-Base-Simple")
    ('rtmpose_m', 'vitpose_b_simple')
    """
    text = re.sub(r"[^a-z0-9@.]+", "_", name.casefold()).strip("_")
    for word, letter in SIZES.items():
        text = re.sub(rf"(?<=_){word}(?=_|$)", letter, text)
    return text


_CONFIG = re.compile(
    r"(?:td-hm_)?(?P<network>rtmpose-[tsmlx]|rtmw-[mlx]|rtmo-[tsml]|vitpose-\w+(?:-simple)?)_\d+xb\d+-\d+e_"
    r"(?P<data>[a-z0-9-]+?)-(?P<size>\d+x\d+)",
    re.IGNORECASE,
)
"""Names of MMPose's configurations: network, GPUs and epochs, data, height x width."""

_DATA = {
    "coco-wholebody": "wholebody", "coco-wholebody-hand": "hand21", "coco-wholebody-face": "face68", "face6": "face106",
    "body7": "", "body8": "", "body8-halpe26": "halpe26", "cocktail14": "", "body7-crowdpose": "body7_crowdpose14",
    "crowdpose": "crowdpose14",
}  # fmt: skip
"""What they call data, and what names here have in its place."""

_USUAL = ("256x192", "256x256", "640x640", "416x416")
"""Sizes of views that are left out where a name is known without."""


def of_config(name: str) -> list[str]:
    """What a model may be called here that has the name of one of MMPose's configurations; none for other names.

    Args:
        name: Such as `rtmpose-m_8xb256-420e_coco-256x192`.

    >>> of_config("rtmo-s_8xb32-600e_body7-640x640")
    ['rtmo_s_640x640', 'rtmo_s']
    """
    found = _CONFIG.fullmatch(name.removesuffix(".py"))
    if found is None:
        return []
    network, data, size = plain(found["network"]), _DATA.get(found["data"], plain(found["data"])), found["size"]
    data = "" if network.startswith("vitpose") and data == "coco" else data
    names = ["_".join(part for part in (network, data, size) if part)]
    if data == "crowdpose14":
        names.append(names[0].replace(data, "crowdpose"))  # RTMPose's
    return [form for one in names for form in dict.fromkeys((one, one.removesuffix(f"_{size}") if size in _USUAL else one))]


def known_as(name: str, known: Collection[str]) -> str:
    """The name among those that are known which another one stands for; the name itself where there is none.

    Args:
        name: As somebody wrote it, such as "RTMPose-m"; also the name of one of MMPose's configurations.
        known: The names.

    >>> known_as("RTMPose-m", ["rtmpose_m"]), known_as("rtmw", ["rtmw_l"]), known_as("photo", ["rtmpose_m"])
    ('rtmpose_m', 'rtmw_l', 'photo')
    """
    if name in known:
        return name
    text = plain(name)
    return next((one for one in (text, ALIASES.get(text), *of_config(name)) if one is not None and one in known), name)
