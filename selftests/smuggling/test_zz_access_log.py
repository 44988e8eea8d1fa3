# SPDX-License-Identifier: Apache-2.0
"""The access log of all that was done before (the name sorts last): lines of JSON, whatever was asked."""
import json
import re

from http1 import head_of
from ground import HOST
from world import poll


def read_lines(ground):
    with open(ground.access_log, "rb") as file:
        return file.read().split(b"\n")


def test_log_is_json_line_by_line(ground):
    with ground.connect() as connection:
        connection.send(head_of("GET", '/log?"\\\x22,"status":1', HOST, {"User-Agent": 'a"},{"x":"\\ \xe9\xff', "Referer": "\\u0000\\\""}))
        assert connection.reply().status == 200
    lines = poll("the line", lambda: [l for l in read_lines(ground) if b"/log?" in l] and read_lines(ground))
    assert lines[-1] == b"", "the last line is whole"
    for line in lines[:-1]:
        entry = json.loads(line)
        assert isinstance(entry, dict) and not re.search(rb"[\x00-\x1f\x7f]", line)
        assert len(entry) == len(json.loads(line, object_pairs_hook=list)), "a name twice"
