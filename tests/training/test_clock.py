from rich.console import Console

from poise.training.clock import Clock


def clock(wait: float) -> Clock:
    made = Clock(Console(quiet=True))
    made.views = 100
    made.seconds |= {"read": 0.2, "warp": 0.1, "wait": wait, "forward": 0.4, "encode": 0.05, "backward": 0.5, "update": 0.05}
    return made


def test_a_fast_loader_is_told_and_not_warned_of():
    lines = clock(0.01).lines(1)
    assert len(lines) == 1
    for words in ("read 2.00", "warp 1.00", "forward 4.00", "encode and loss 0.50", "backward 5.00"):
        assert words in lines[0]


def test_a_slow_loader_starves_the_network():
    assert "starves the network: 50%" in clock(1.0).lines(2)[1]
    assert "--workers 1 or more" in clock(1.0).lines(0)[1]
