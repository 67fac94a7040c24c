"""What PyPI shows of a release: the README with links that lead somewhere, and the project's pages."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
URL = "https://example.org/owner/poise"


@pytest.fixture(scope="module")
def hook():
    pytest.importorskip("hatchling", reason="builds the package")
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_links_of_the_readme_are_absolute_where_the_repository_is_named(hook):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    made = hook.absolute(text, URL)
    links = re.findall(r"\]\(([^)\s]+)\)", made)
    assert links
    assert all(link.startswith("https://") for link in links)
    assert f"]({URL}/raw/main/docs/pictures/found.jpg)" in made
    assert f"]({URL}/blob/main/docs/results.md#the-demo)" in made
    assert re.sub(rf"{URL}/(raw|blob)/main/", "", made) == text


@pytest.mark.parametrize(("url", "named"), [(URL, True), (f"{URL}/", True), ("", False)])
def test_project_urls_are_those_of_the_repository_and_none_where_it_is_not_named(hook, monkeypatch, url, named):
    monkeypatch.setenv("POISE_URL", url)
    metadata = {}
    hook.CustomMetadataHook(str(ROOT), {}).update(metadata)
    assert (metadata["urls"].get("Homepage") == URL) == named
    assert ("](docs/results.md" in metadata["readme"]["text"]) != named
    if named:
        for page in ("Documentation", "Changelog"):
            assert (ROOT / metadata["urls"][page].removeprefix(f"{URL}/blob/main/")).is_file()
