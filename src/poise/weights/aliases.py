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


def known_as(name: str, known: Collection[str]) -> str:
    """The name among those that are known which another one stands for; the name itself where there is none.

    Args:
        name: As somebody wrote it, such as "RTMPose-m".
        known: The names.

    >>> known_as("RTMPose-m", ["rtmpose_m"]), known_as("rtmw", ["rtmw_l"]), known_as("photo", ["rtmpose_m"])
    ('rtmpose_m', 'rtmw_l', 'photo')
    """
    if name in known:
        return name
    text = plain(name)
    return next((one for one in (text, ALIASES.get(text)) if one is not None and one in known), name)
