# SPDX-License-Identifier: Apache-2.0
"""What was matched is what the endpoint sees: the path that is passed on, read by the rules of RFC 3986,
leads to the rule that was taken; what can be read in two ways below that is refused."""
import re

import pytest

from ground import HOST

# The rules of ground.py: / → judged, /deep Prefix → deep, /deep/exact Exact → second.
REFUSED = ("/%00", "/a%00b", "/deep%00", "/%", "/%2", "/%zz", "/a%g0", "/%%32e", "/..", "/../", "/../deep", "/a/../..", "/a/../../deep",
           "/%2e%2e", "/%2e%2e/deep", "/.%2e/deep", "/%2E./deep", "/a/%2e%2e/%2e%2e/deep", "/deep/../../x", "/./..", "//..",
           "/\x01", "/a b", "/a\tb", "/a\x7f", "/a\x80", "/caf\xe9", "/a\x0bb", "/a\x00b", "/deep\r", "/deep\n", "/#", "/a#b", "/%u0041"[:3])
TAKEN = [
    # (target, endpoint)
    ("/", "judged"), ("/deep", "deep"), ("/deep/", "deep"), ("/deep/x", "deep"), ("/deep/exact", "second"), ("/deep/exact/", "deep"),
    ("/deepx", "judged"), ("/DEEP", "judged"), ("/deep?x", "deep"), ("/x?/deep", "judged"), ("/x?a=/../deep", "judged"),
    ("/%64eep", "deep"), ("/%64%65%65%70", "deep"), ("/dee%70/x", "deep"), ("/%44eep", "judged"), ("/deep/e%78act", "second"),
    ("//deep", "deep"), ("///deep//x", "deep"), ("/deep//exact", "second"), ("/./deep", "deep"), ("/deep/.", "deep"), ("/deep/./exact", "second"),
    ("/x/../deep", "deep"), ("/x/..//deep", "deep"), ("/deep/../x", "judged"), ("/deep/..", "judged"), ("/deep/x/..", "deep"),
    ("/x/%2e%2e/deep", "deep"), ("/x/.%2e/deep", "deep"), ("/x/%2E%2E/deep", "deep"), ("/%2e/deep", "deep"), ("/deep/%2e%2e/x", "judged"),
    ("/deep%2fexact", "judged"), ("/deep%2Fx", "judged"), ("/%2fdeep", "judged"), ("/x%2f..%2fdeep", "judged"), ("/x/..%2fdeep", "judged"),
    ("/deep/..%2f..%2fx", "deep"), ("/%252e%252e/deep", "judged"), ("/x/%252e%252e/deep", "judged"), ("/%2564eep", "judged"),
    ("/deep;a=b", "judged"), ("/deep;/exact", "judged"), ("/..;/deep", "judged"), ("/x/..;/deep", "judged"), ("/deep/;x", "deep"),
    ("/...", "judged"), ("/.../deep", "judged"), ("/deep/...", "deep"), ("/.deep", "judged"), ("/deep.", "judged"), ("/..deep", "judged"),
    ("/deep%20", "judged"), ("/deep%09", "judged"), ("/deep%0a", "judged"), ("/deep%0d%0aX-A:%20b", "judged"), ("/deep%3fx", "judged"),
    ("/deep%23x", "judged"), ("/%c0%ae%c0%ae/deep", "judged"), ("/%e0%80%ae/deep", "judged"), ("/%ff%fe", "judged"), ("/caf%c3%a9", "judged"),
    ("/deep?%00", "deep"), ("/deep?a=%0d%0a", "deep"), ("/deep?a\"<>|^`{}\\", "deep"), ("/~deep", "judged"), ("/deep%7e", "judged"),
    ("/x/y/z/../../../deep/exact", "second"), ("/x" * 1000 + "/.." * 1000 + "/deep", "deep"), ("/" * 2000 + "deep", "deep"),
]
BACKSLASHES = ("/\\deep", "\\deep", "/x\\..\\deep", "/x/..\\deep", "/deep\\..\\x")


def segments(path):
    """The reader that an endpoint would be: RFC 3986 6.2.2, and empty segments left out."""
    plain = re.sub(r"%([0-9a-fA-F]{2})", lambda m: decoded(m), path.partition("?")[0])
    kept = []
    for segment in plain.split("/")[1:]:
        if segment == "..":
            assert kept, "above the root"
            kept.pop()
        elif segment not in ("", "."):
            kept.append(segment)
    return kept, plain.endswith(("/", "/.", "/.."))


def decoded(match):
    char = chr(int(match.group(1), 16))
    return char if re.match(r"[A-Za-z0-9._~-]", char) and char.isascii() else match.group().upper()


def rule_of(path):
    kept, ends_with_slash = segments(path)
    if kept == ["deep", "exact"] and not ends_with_slash:
        return "second"
    return "deep" if kept[:1] == ["deep"] else "judged"


def ask(ground, target, form="%s"):
    with ground.connect() as connection:
        connection.send(f"GET {form % target} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode("latin-1"))
        return connection.reply()


def seen(ground):
    return [(name, m.target) for name in ("judged", "deep", "second") for m in ground.endpoints[name].messages]


@pytest.mark.parametrize("target", REFUSED, ids=[ascii(t)[1:-1] for t in REFUSED])
def test_refused(ground, target):
    reply = ask(ground, target)
    assert reply.status == 400 and reply["Connection"] == "close"
    assert seen(ground) == []


@pytest.mark.parametrize("form", ["%s", f"http://{HOST}%s"], ids=["origin", "absolute"])
@pytest.mark.parametrize("target,name", TAKEN, ids=[t[0][:40] for t in TAKEN])
def test_matched_is_forwarded(ground, target, name, form):
    assert rule_of(target) == name, "the table itself"
    assert ask(ground, target, form).status == 200
    assert seen(ground) == [(name, target.encode())]
    assert rule_of(seen(ground)[0][1].decode()) == name


@pytest.mark.parametrize("target", BACKSLASHES)
def test_backslash_is_no_way_around(ground, target):
    """Some endpoints read it as a slash: it is refused, or not one of them is asked with it."""
    reply = ask(ground, target)
    assert reply.status == 400 and seen(ground) == []
