import subprocess
import sys

from poise.cli.main import COMMANDS, main, overview


def test_help_lists_every_command(capsys):
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in COMMANDS)
    assert text == overview()


def test_the_package_is_the_command_too(capsys):
    done = subprocess.run([sys.executable, "-m", "poise", "--version"], capture_output=True, text=True, check=True, timeout=120)
    assert main(["--version"]) == 0
    assert done.stdout == capsys.readouterr().out


def test_an_unknown_command_names_the_nearest(capsys):
    assert main(["evalute"]) == 2
    assert "did you mean poise evaluate" in capsys.readouterr().err


def test_an_unknown_data_command_names_the_nearest(capsys):
    assert main(["data", "chekc"]) == 2
    assert "did you mean poise data check" in capsys.readouterr().err


def test_a_mistake_is_one_sentence_and_exit_code_1(capsys):
    assert main(["evaluate", "nowhere.safetensors", "--annotations", "a.json", "--images", "b"]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "nowhere.safetensors" in error


def test_an_unknown_flag_names_the_nearest_also_where_another_lacks(capsys):
    assert main(["predict", "x.jpg", "--modell", "m.safetensors"]) == 2
    assert "did you mean '--model'" in capsys.readouterr().err
    assert main(["evaluate", "m.safetensors", "--annotation", "a.json"]) == 2
    assert "did you mean '--annotations'" in capsys.readouterr().err


def test_a_missing_extra_says_how_to_get_it():
    for words in (["demo"], ["train", "demo"]):
        script = f"import sys; sys.modules['lightning'] = None; from poise.cli.main import main; sys.exit(main({words}))"
        done = subprocess.run([sys.executable, "-X", "importtime", "-c", script], capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert "pip install 'poise[train]'" in done.stderr
        assert "| torch\n" not in done.stderr


def test_reading_only_the_beginning_of_the_help_is_no_error():
    script = "import sys; from poise.cli.main import main; sys.exit(main(['zoo', '--help']))"
    piped = f'"{sys.executable}" -c "{script}" | head -1'
    done = subprocess.run(piped, shell=True, capture_output=True, text=True, check=False, timeout=60)
    assert "Traceback" not in done.stderr
