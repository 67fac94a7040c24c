import json
import os

import pytest

from poise.errors import AnnotationError, CheckpointError, ReadError
from poise.reading import NESTING, check_file, parse_json, read_file, read_json


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[" + "9" * 400 + "]", r"the whole number 9999999999\.\.\. \(400 digits\) is beyond 64 bits"),
        ('{"id": -' + "9" * 5000 + "}", r"\(5001 digits\) is beyond 64 bits"),
        ("[9223372036854775808]", "the whole number 9223372036854775808 is beyond 64 bits"),
        ("[" * 100_000 + "]" * 100_000, "nested more than 100 deep"),
        ('{"a":' * 101 + "1" + "}" * 101, "nested more than 100 deep"),
        ("[" * 100_000, "nested more than 100 deep"),
        ("{", "not valid JSON"),
        ("", "not valid JSON"),
        (b"\xff\xfe\xff", "not valid JSON"),
        (b"\x80abc", "not valid JSON"),
    ],
)
def test_a_text_that_cannot_be_is_refused_in_a_sentence(text, says, tmp_path):
    with pytest.raises(AnnotationError, match=f"it .*{says}"):
        parse_json(text, name="it")
    path = tmp_path / "a.json"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(CheckpointError, match=r"a\.json"):
        read_json(path, error=CheckpointError)


@pytest.mark.parametrize(
    "value",
    [
        [2**63 - 1, -(2**63) + 1, 0.12345678901234567, 1e300],
        {"digits": "9" * 400, "brackets": "[" * 500 + '"' + "{" * 500, "text": "\ud800"},
        [[[["deep"]]]] * 1000,
        json.loads("[" * NESTING + "]" * NESTING),
    ],
)
def test_what_can_be_is_read_as_it_is(value):
    assert parse_json(json.dumps(value), name="it") == value
    assert parse_json(json.dumps(value).encode("utf-16"), name="it") == value


def test_what_is_no_file_is_looked_at_before_it_is_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    cases = {
        tmp_path / "pipe": "a pipe, which may never end",
        "/dev/zero": "a device, which may never end",
        tmp_path: "a folder; expected a regular file",
        tmp_path / "none": "there is no list .*; check the path",
        tmp_path / "circle": "cannot be read",
        tmp_path / ("x" * 300): "cannot be read",
        "a\0b": "cannot be read",
    }
    for path, says in cases.items():
        with pytest.raises(ReadError, match=says):
            read_file(path, what="list")
        with pytest.raises(ReadError, match=says):
            read_json(path, what="list")


def test_a_file_that_is_too_large_is_refused_before_it_is_read(tmp_path):
    with (tmp_path / "huge.json").open("wb") as file:
        file.truncate(2**40)  # takes no room on the disk
    with pytest.raises(ReadError, match="has 1,099,511,627,776 bytes, and 4,294,967,296 are the most"):
        read_json(tmp_path / "huge.json")
    assert check_file(tmp_path / "huge.json", most=2**41) == 2**40
