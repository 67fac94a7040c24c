"""What a release of poise says of where it lives: project URLs, and links of the README that lead there from PyPI's page.

Run as: POISE_URL=https://HOST/OWNER/poise python -m build. Without POISE_URL, as in a clone, links stay as they are.
"""

import os
import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

RELATIVE = re.compile(r"(!?)\[([^\]]*)\]\((?![a-z]+:|#)([^)\s]+)\)")


class CustomMetadataHook(MetadataHookInterface):
    """Adds URLs and the README to the metadata of the package."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add them."""
        text, url = Path(self.root, "README.md").read_text(encoding="utf-8"), os.environ.get("POISE_URL", "").rstrip("/")
        metadata["readme"] = {"content-type": "text/markdown", "text": absolute(text, url) if url else text}
        metadata["urls"] = urls(url) if url else {}


def urls(url: str) -> dict[str, str]:
    """The project's pages.

    Args:
        url: Of the repository.
    """
    pages = {"Documentation": "docs/index.md", "Changelog": "CHANGELOG.md"}
    return {"Homepage": url, "Issues": f"{url}/issues"} | {name: f"{url}/blob/main/{page}" for name, page in pages.items()}


def absolute(text: str, url: str) -> str:
    """The text with relative links and images leading into a repository.

    Args:
        text: Markdown.
        url: Of the repository.
    """
    return RELATIVE.sub(lambda m: f"{m[1]}[{m[2]}]({url}/{'raw' if m[1] else 'blob'}/main/{m[3]})", text)
