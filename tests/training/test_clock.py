from rich.console import Console

from poise.training.clock import PARTS, Clock


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


def test_a_run_whose_minutes_are_few_steps_says_so():
    made = clock(1.0)
    made.steps = 10
    each = sum(made.seconds[part] for part in PARTS) / made.steps
    [said] = made.few_steps(6.4 * each, planned=1000)
    assert "are 6 steps, and little is learnt before 100: give more --minutes" in said
    assert made.few_steps(200 * each, planned=1000) == made.few_steps(None, planned=1000) == []
    assert made.few_steps(6.4 * each, planned=5) == []  # its epochs end it
