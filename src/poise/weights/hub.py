"""Files of Hugging Face through `huggingface_hub`, an optional package.

It knows mirrors (`HF_ENDPOINT`) and tokens (`HF_TOKEN`). Without it they are downloaded as any other file is.
"""

import os
import re
import shutil
from importlib.util import find_spec
from pathlib import Path

from poise.errors import ReadError
from poise.machine import answers

_ADDRESS = re.compile(r"https://huggingface\.co/(?P<repo>[\w.-]+/[\w.-]+)/resolve/(?P<revision>[\w.-]+)/(?P<file>[\w./-]+)")


def is_of_hub(url: str) -> bool:
    """Whether an address is one of Hugging Face's, and the package that asks it is installed."""
    return _ADDRESS.fullmatch(url) is not None and find_spec("huggingface_hub") is not None


def from_hub(url: str, path: Path, *, instead: str) -> None:
    """Download a file of Hugging Face; what was cut is gone on with.

    Args:
        url: Address of the file, `https://huggingface.co/REPO/resolve/REVISION/FILE`.
        path: Where it goes.
        instead: What to do where that fails, for the message.

    Raises:
        ReadError: It cannot be downloaded.
    """
    import huggingface_hub

    server = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    if not answers(server):  # the package would ask again for half a minute
        raise ReadError(f"{server} does not answer; {instead}")
    parts = _ADDRESS.fullmatch(url)
    assert parts is not None, "asked for addresses of Hugging Face alone"
    folder = path.parent / "hub"
    try:
        found = huggingface_hub.hf_hub_download(
            parts["repo"], parts["file"], revision=parts["revision"], local_dir=folder, library_name="poise"
        )
        Path(found).replace(path)
    except Exception as error:  # the package raises its own, those of httpx and OSError
        said = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ReadError(f"{parts['repo']}/{parts['file']} cannot be had from Hugging Face ({said[:200]}); {instead}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
