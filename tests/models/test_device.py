import pytest
import torch

from poise.errors import InputError, UnknownName
from poise.models import device as module
from poise.models.device import autocast, choose_device, choose_precision


def test_without_a_name_there_is_always_a_device():
    assert choose_device(None).type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert choose_device("auto") == choose_device(None)
    assert choose_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "CPU", "tpu"])
def test_an_unknown_device_is_refused_by_name(name):
    with pytest.raises(UnknownName, match="no device"):
        choose_device(name)


def test_a_device_this_machine_has_not_is_refused():
    with pytest.raises(InputError, match="there is no 'cuda:99'"):
        choose_device("cuda:99")


@pytest.mark.parametrize(
    ("abilities", "expected"), [({}, "fp32"), ({"avx512_bf16": True}, "bf16"), ({"amx_bf16": True}, "bf16")]
)
def test_the_cpu_gets_bf16_only_where_it_is_fast(monkeypatch, abilities, expected):
    monkeypatch.setattr(module, "_cpu_abilities", lambda: abilities)
    assert choose_precision(None, torch.device("cpu")) == expected
    assert choose_precision("fp32", torch.device("cpu")) == "fp32"


def test_an_unknown_precision_is_refused_by_name():
    with pytest.raises(UnknownName, match="no precision 'fp16'"):
        choose_precision("fp16", torch.device("cpu"))


def test_autocast_computes_in_the_precision():
    layer = torch.nn.Linear(4, 4)
    for precision, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        with autocast(torch.device("cpu"), precision):
            assert layer(torch.ones(1, 4)).dtype == dtype
