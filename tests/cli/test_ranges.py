"""Numbers of flags are looked at before anything else: no file is read and nothing is imported for them."""

import pytest

from poise.cli._ranges import RANGES, check_finite, check_ranges, repeated
from poise.cli.main import main
from poise.errors import InputError


@pytest.mark.parametrize(
    "text",
    [
        *("demo --seed -1", f"demo --seed {2**70}", "demo --minutes nan", "demo --minutes -5", "demo --epochs 0"),
        *("demo --tested 0", "demo --people 1000000000000", "demo --minutes inf", "demo --minutes=nan"),
        *("evaluate m --annotations a --side 0", "evaluate m --annotations a --scales 1 nan", "predict a --min-score nan"),
        *("explain a --threshold nan", "compare a b --resamples 1000000000", "compare a b --seed -1", "predict a --batch 0"),
        *("predict a --workers -1", "data split a --share nan", "data split a --share 1.5", "data draw a --side 100000"),
        *("codec a --padding inf", "codec a --count -3", "verify a --tolerance nan", "data sigmas a --resamples 0"),
        *("train finetune --size 100000 100000", "train finetune --decay nan", "train finetune --rate inf"),
        *(
            "train finetune --rotation nan",
            "train finetune --batch 0",
            "train finetune --steps -1",
            "train finetune --epochs 0",
        ),
        *(
            "train finetune --seed -1",
            "train finetune --accumulate 0",
            "train finetune --average 2",
            "train finetune --colour nan",
        ),
        *("train mine.runs:run --minutes nan", "train --resume run --minutes nan", "train simcc --sigma nan"),
        *("train cpn --height inf", f"train finetune --epochs {'9' * 5000}", "train finetune --half-body -0.5"),
        *("predict a --max-pixels 0", "predict a --max-pixels -5", "predict a --max-pixels nan", "--max-pixels x predict a"),
    ],
)
def test_a_number_that_cannot_be_is_refused_with_its_range(text, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(text.split()) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith("poise")
    assert "found" in said
    assert len(said) < 300
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "text",
    [
        "predict a --batch 4 --batch 1",
        "demo --seed=1 --seed 1",
        "train finetune --flip --no-flip",
        "evaluate m --flip --no-flip",
    ],
)
def test_a_flag_given_twice_is_told(text, capsys):
    words = [word for word in text.split() if word not in ("finetune",)] if "--flip" in text else text.split()
    if words[0] == "train":
        assert repeated(words) is not None
        return
    assert main(words) == 2
    assert "is given twice" in capsys.readouterr().err


def test_words_between_flags_and_values_that_are_no_numbers_are_left_alone():
    check_ranges(["9999999", "--size", "256x192", "--model", "nan", "--seed", "7", "--scales", "0.5", "2", "--min-score=-0.5"])
    check_ranges(["--seed", "seven"])
    assert repeated(["--batch", "4", "--workers", "4", "a", "a"]) is None


def test_each_range_has_its_ends():
    for name, wanted in RANGES.items():
        flag = f"--{name.replace('_', '-')}"
        for value in (wanted.low - 1, wanted.high + max(1, wanted.high), float("nan"), float("inf"), -float("inf")):
            with pytest.raises(InputError, match=f"{flag} is a "):
                check_ranges([flag, str(value)])
        if wanted.whole:
            with pytest.raises(InputError, match="whole number"):
                check_ranges([flag, "1.5"])
            check_ranges([flag, str(int(wanted.low)), flag, str(int(wanted.high))])


def test_flags_of_a_users_own_recipe_are_finite_numbers():
    check_finite({"mine": 5.0, "text": "nan", "several": (1.0, 2.0), "none": None})
    for value in (float("nan"), (1.0, float("inf"))):
        with pytest.raises(InputError, match="--of-mine is a finite number"):
            check_finite({"of_mine": value})


@pytest.mark.parametrize(
    "name",
    [
        "hourglass_999999stack_b1_16j_256x256",
        "mspn_99999stg_coco_256x192",
        "hourglass_2stack_b1_16j_99999x9",
        "hrnet_w999_coco_256x192",
    ],
)
def test_numbers_in_the_name_of_a_network_have_ranges(name):
    from poise.zoo.find import build

    with pytest.raises(InputError, match=r"of a network: \d+ to \d+; found"):
        build(name)


def test_limits_hold_while_a_command_runs_and_for_what_it_starts(monkeypatch, capsys):
    import os

    seen = []
    monkeypatch.setattr("poise.cli.main._run", lambda name, words: seen.append((words, dict(os.environ))) or 0)
    monkeypatch.delenv("POISE_MAX_PIXELS", raising=False)
    monkeypatch.setenv("POISE_OUTSIDE_IMAGES", "")
    for text in ("predict a --max-pixels 400000000 --outside-images", "--max-pixels=400000000 --outside-images predict a"):
        assert main(text.split()) == 0
        words, environment = seen.pop()
        assert words == ["a"]
        assert (environment["POISE_MAX_PIXELS"], environment["POISE_OUTSIDE_IMAGES"]) == ("400000000", "1")
        assert "POISE_MAX_PIXELS" not in os.environ
        assert os.environ["POISE_OUTSIDE_IMAGES"] == ""
    assert main(["predict", "a", "--max-pixels"]) == 1
    assert "wants a number of pixels" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["/", "/dev/zero", "FIFO", "x" * 300])
def test_what_is_no_photograph_is_told_before_it_is_read(text, tmp_path):
    import os

    from poise.errors import ReadError
    from poise.inference.sources import find_images

    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(ReadError, match=r"root of the file system|a device|a pipe|no file or folder"):
        find_images([str(tmp_path / "pipe.png") if text == "FIFO" else text])
    with pytest.raises(ReadError, match="holds no images"):
        find_images([str(tmp_path)])
