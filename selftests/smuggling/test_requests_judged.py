# SPDX-License-Identifier: Apache-2.0
"""Ambiguous HTTP/1 from a client: refused, or passed on so that nobody can take it in another way."""
import pytest

from ground import HOST, HTTP, HTTPS, until_close
from http1 import Connection, Malformed, Reply
from probes import PROBES, Ends, Passed

BEHIND = f"GET /behind HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()


class Strict(Connection):
    """The strict client of http1.py over a socket that is there already."""

    def __init__(self, sock):
        self.sock, self._pending = sock, b""


def all_replies(data):
    """Every answer in the bytes of a connection that has ended."""
    reader = Strict(Given(data))
    found = []
    while reader._pending or reader.sock.data:
        found.append(reader.reply())
    return found


class Given:
    """Looks like a socket from which these bytes come."""

    def __init__(self, data):
        self.data = data

    def recv(self, most):
        part, self.data = self.data[:most], self.data[most:]
        return part


def table(step):
    return {"argvalues": [p[1:] for p in PROBES[::step]], "ids": [p[0] for p in PROBES[::step]]}


@pytest.mark.parametrize("text,wanted", **table(1))
def test_probe(ground, text, wanted):
    probe(ground, text, wanted, HTTP)


@pytest.mark.parametrize("text,wanted", **table(3))
def test_probe_behind_tls(ground, text, wanted):
    """A third of them: the records are cut where the client likes, the rest is the same."""
    probe(ground, text, wanted, HTTPS)


def probe(ground, text, wanted, port):
    sock = ground.open(port)
    try:
        if isinstance(wanted, Passed):
            judge_passed(ground, sock, text, wanted)
        else:
            judge_refused(ground, sock, text, wanted)
    finally:
        sock.close()
    assert not [m.target for m in ground.messages() if b"hidden" in m.target]


def judge_refused(ground, sock, text, statuses):
    ground.send_quietly(sock, text)
    data, _ = until_close(sock)
    replies = all_replies(data)
    assert [r.status for r in replies if r.status not in statuses] == [] and len(replies) == 1, replies
    assert replies[0]["Connection"].lower() == "close"
    assert ground.messages() == [], "nothing whole has reached the endpoint"


def judge_passed(ground, sock, text, wanted):
    ends = isinstance(wanted, Ends)
    ground.send_quietly(sock, text if ends else text + BEHIND)
    if ends:
        replies = all_replies(until_close(sock)[0])
        assert [r.status for r in replies[:wanted.count]] == [200] * wanted.count, replies
        assert len(replies) <= wanted.count + 1 and all(r.status == 400 for r in replies[wanted.count:])
    else:
        client = Strict(sock)
        assert [client.reply().status for _ in range(wanted.count + 1)] == [200] * (wanted.count + 1)
    got = ground.messages()
    assert len(got) == wanted.count + (not ends), [m.target for m in got]
    if wanted.body is not None:
        assert got[0].body == wanted.body
    if not ends:
        assert got[-1].target == b"/behind"


def test_the_recorder_would_notice(ground):
    """The judge itself: what must be complained about is."""
    from strict import Reader
    good = b"GET / HTTP/1.1\r\nHost: a\r\n%s\r\n"
    for field in (b"Connection: close\r\n", b"X_A: b\r\n", b"Forwarded: a\r\n", b"Host: b\r\n", b"TE: gzip\r\n",
                  b"X-A: \0\r\n", b"X-A: b\n\r\n", b"Content-Length: 1\r\nContent-Length: 1\r\n", b" folded\r\n"):
        reader = Reader("1.1.1.1")
        baseline = Reader("1.1.1.1")
        baseline.feed(good % b"")
        reader.feed(good % field)
        assert set(reader.complaints) - set(baseline.complaints) or reader.is_bad, field
    with pytest.raises(Malformed):
        all_replies(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok")
    assert isinstance(all_replies(b"HTTP/1.1 204 No\r\n\r\n")[0], Reply)
