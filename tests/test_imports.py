"""What is imported where: nothing heavy before it is used. A process of its own, for this one has imported everything."""

import subprocess
import sys

HEAVY = ("torch", "torchvision", "ray", "onnxruntime", "openvino", "onnx", "lightning", "cv2", "pandas", "pyarrow", "fsspec")

ASKED = """
import contextlib, io, sys
import poise
from poise.cli.main import main
for words in (["--help"], ["predict", "--help"], ["evaluate", "--help"], ["plan", "--help"]):
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        assert main(words) == 0, words
    assert "usage" in text.getvalue(), words
print(*(name for name in sys.argv[1:] if name in sys.modules))
"""


def test_importing_poise_and_the_help_of_commands_import_nothing_heavy():
    ran = subprocess.run([sys.executable, "-c", ASKED, *HEAVY], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split() == []
