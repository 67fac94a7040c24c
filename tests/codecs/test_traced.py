"""Decoding inside a graph: what each codec reads is what its exported file reads."""

import importlib.util
from pathlib import Path

import pytest
import torch
from torch import nn

from poise.codecs.registry import codec_types
from poise.machine import traced
from poise.runtimes.onnx import OnnxRuntime
from poise.runtimes.openvino import OpenVino

pytest.importorskip("onnxruntime")


def _laws():
    spec = importlib.util.spec_from_file_location("laws", Path(__file__).with_name("test_laws.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


LAWS = _laws()


class Decodes(nn.Module):
    def __init__(self, codec):
        super().__init__()
        self.codec = codec

    def forward(self, output):
        found = self.codec.decode(output)
        return found.xy, found.score


@pytest.mark.parametrize("form", LAWS.forms())
def test_what_a_graph_reads_is_what_the_codec_reads(form):
    name, fields = LAWS.forms()[form]
    codec = codec_types()[name](*LAWS.SIZES["256x192"], 5, **fields)
    perfect = codec.encode(LAWS.places(codec, seed=0)).float()
    top = perfect.abs().max()
    noisy = perfect + 0.02 * top * torch.rand(perfect.shape, generator=torch.Generator().manual_seed(0))
    odd = torch.cat((noisy[:1] * 1e-3 - 0.1 * top, noisy[1:]))  # one view without a value above 0
    reads = Decodes(codec).eval()
    engine = OnnxRuntime()
    with traced():
        program = engine.convert(reads, [noisy[:2].clone()], [(0,)])
    run = engine.start(program, threads=1, device="cpu", bf16=False)
    for output in (noisy, noisy[:1]) if form == "Megvii-cpn" else (noisy, odd, noisy[:1]):  # of no map above 0 it reads noise
        xy, score = run([output])
        right = codec.decode(output)
        assert (xy - right.xy).abs().max() < 0.01
        assert (score - right.score).abs().max() < 1e-4


@pytest.mark.parametrize("name", ["UDPGaussian", "SoftArgmax", "GRMI"])
def test_a_graph_in_openvino_reads_the_same(name):
    pytest.importorskip("openvino")
    codec = codec_types()[name](*LAWS.SIZES["256x192"], 5)
    output = codec.encode(LAWS.places(codec, seed=0)).float()
    engine = OpenVino()
    with traced():
        program = engine.convert(Decodes(codec).eval(), [output[:2].clone()], [(0,)])
    xy, _ = engine.start(program, threads=1, device="cpu", bf16=False)([output])
    assert (xy - codec.decode(output).xy).abs().max() < 0.01
