"""JPEG files read smaller: where their pixels lie in the whole image, whichever way it is turned."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from poise.data.images import decode
from poise.data.reduced import decode_reduced
from poise.geometry import FACTORS, apply, invert


def ramps(height, width, orientation):
    """A JPEG whose red grows by a level a pixel to the right as it is stored, and green downwards."""
    rows, columns = np.mgrid[:height, :width]
    pixels = np.stack((columns, rows, np.full_like(rows, 90)), axis=-1).astype(np.uint8)
    file, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(file, "JPEG", quality=98, subsampling=0, exif=exif)
    return file.getvalue()


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_smaller_pixel_is_the_mean_of_its_square_however_the_image_is_turned(factor, orientation):
    data = ramps(203, 173, orientation)  # no multiples of any factor
    whole = decode(data, name="a").float()
    pixels, reduction = decode_reduced(data, name="a", pick=lambda size: factor)
    assert reduction.size == tuple(whole.shape[1:])
    rows, columns = torch.meshgrid(*(torch.arange(2, n - 2) for n in pixels.shape[1:]), indexing="ij")
    where = apply(invert(reduction.warp), torch.stack((columns, rows), dim=-1).double().flatten(0, 1)[None])[0]
    for channel in (0, 1):
        x, y = where.long().unbind(-1)
        near = whole[channel][y, x]
        ramp = (whole[channel][:, 1:] - whole[channel][:, :-1]).mean(), (whole[channel][1:] - whole[channel][:-1]).mean()
        expected = near + ramp[0] * (where[:, 0] - x) + ramp[1] * (where[:, 1] - y)
        found = pixels[channel, 2:-2, 2:-2].flatten().float()
        assert abs((found - expected).mean()) < 0.5  # a row or column off would be 1 or more
        assert (found - expected).abs().max() < 4


def test_what_is_read_whole_is_left_to_whoever_reads_it_whole():
    png = io.BytesIO()
    Image.new("RGB", (40, 40)).save(png, "PNG")
    assert decode_reduced(png.getvalue(), name="a", pick=lambda size: 2) is None
    data = ramps(64, 64, 1)
    assert decode_reduced(data, name="a", pick=lambda size: 1) is None
    assert decode_reduced(data[: len(data) // 2] + b"\xff\xd9", name="a", pick=lambda size: 8) is None, "it is cut"
    assert decode_reduced(b"", name="a", pick=lambda size: 2) is None
