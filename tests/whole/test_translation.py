"""The README in Chinese says what the English one says: the same commands, code, links, sections and rows."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ENGLISH, CHINESE = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.zh-CN.md"))


def commands(text: str) -> list[str]:
    """What is typed, without what is said about it: lines of code blocks and indented lines, and `poise ...` in the text."""
    code = "\n".join(re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)).splitlines()
    indented = re.findall(r"^    (\S.*)$", text, re.MULTILINE)
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    return [re.split(r"\s+#", line)[0].rstrip() for line in code + indented] + re.findall(r"`(poise [^`]+)`", prose)


def quoted(text: str) -> list[str]:
    return sorted(re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)))


@pytest.mark.parametrize(
    ("what", "of"),
    [
        ("commands", commands),
        ("words in code", quoted),
        ("links", lambda text: [to for to in re.findall(r"\]\(([^)]+)\)", text) if not to.startswith("README")]),
        ("sections", lambda text: [len(marks) for marks in re.findall(r"^(#+) ", text, re.MULTILINE)]),
        ("rows of tables", lambda text: len(re.findall(r"^\|", text, re.MULTILINE))),
        ("items of lists", lambda text: len(re.findall(r"^- ", text, re.MULTILINE))),
        (
            "numbers in tables",
            lambda text: [re.findall(r"\d+(?:\.\d+)?", row) for row in re.findall(r"^\|.*", text, re.MULTILINE)],
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_both_readmes_have_the_same(what, of):
    assert of(CHINESE) == of(ENGLISH), f"README.md and README.zh-CN.md have other {what}; change both"


def test_each_links_to_the_other_in_its_first_lines():
    assert "](README.zh-CN.md)" in "".join(ENGLISH.splitlines()[:5])
    assert "](README.md)" in "".join(CHINESE.splitlines()[:5])
