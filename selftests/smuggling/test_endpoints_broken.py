# SPDX-License-Identifier: Apache-2.0
"""Endpoints that lie, stutter and die: the client gets a right answer, a 502 or a message that is seen
to be cut, never bytes of another answer; and a connection in doubt is not used again."""
import re
import socket
import threading
import time

import pytest

from ground import HOST, SECOND, until_close
from http1 import Closed, Malformed, head_of
from world import PATIENCE, poll, wait_sent

EVIL = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
OK2 = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CUT = "cut"  # the answer begins and is seen not to end


def head(status, *fields):
    return "\r\n".join((f"HTTP/1.1 {status}", *fields)).encode("latin-1") + b"\r\n\r\n"


def refused():
    """(name, bytes): nothing of it may reach the client but a 502."""
    ok = "200 OK"
    for name, data in (
            ("both-framings", head(ok, "Content-Length: 3", "Transfer-Encoding: chunked") + b"0\r\n\r\n"),
            ("both-framings-other-order", head(ok, "Transfer-Encoding: chunked", "Content-Length: 3") + b"0\r\n\r\n"),
            ("lengths-differ", head(ok, "Content-Length: 1", "Content-Length: 2") + b"ab"),
            ("lengths-same", head(ok, "Content-Length: 2", "Content-Length: 2") + b"ab"),
            ("length-list", head(ok, "Content-Length: 2, 2") + b"ab"), ("length-plus", head(ok, "Content-Length: +2") + b"ab"),
            ("length-minus", head(ok, "Content-Length: -1")), ("length-hex", head(ok, "Content-Length: 0x2") + b"ab"),
            ("length-overflow", head(ok, "Content-Length: 18446744073709551618") + b"ab"),
            ("length-empty", head(ok, "Content-Length:") + b"ab"), ("length-word", head(ok, "Content-Length: two") + b"ab"),
            ("coding-gzip", head(ok, "Transfer-Encoding: gzip, chunked") + b"0\r\n\r\n"),
            ("coding-identity", head(ok, "Transfer-Encoding: identity") + b"ab"),
            ("coding-twice", head(ok, "Transfer-Encoding: chunked", "Transfer-Encoding: chunked") + b"0\r\n\r\n"),
            ("coding-vt", head(ok, "Transfer-Encoding: \x0bchunked") + b"0\r\n\r\n"),
            ("coding-in-1.0", b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            ("coding-of-204", head("204 No Content", "Transfer-Encoding: chunked") + b"0\r\n\r\n"),
            ("nul-in-value", head(ok, "X-A: a\x00b", "Content-Length: 0")), ("cr-in-value", head(ok, "X-A: a\rSet-Cookie: evil=1", "Content-Length: 0")),
            ("lf-in-value", head(ok, "X-A: a\nSet-Cookie: evil=1", "Content-Length: 0")), ("folded", head(ok, "X-A: a", " b", "Content-Length: 0")),
            ("space-before-colon", head(ok, "Content-Length : 2") + b"ab"), ("no-colon", head(ok, "X-A", "Content-Length: 0")),
            ("no-name", head(ok, ": a", "Content-Length: 0")), ("name-space", head(ok, "X A: a", "Content-Length: 0")),
            ("lf-lines", b"HTTP/1.1 200 OK\nContent-Length: 2\n\nab"), ("lf-end", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\nab"),
            ("escape-in-phrase", head("200 \x1b[31mOK", "Content-Length: 0")), ("nul-in-phrase", head("200 O\x00K", "Content-Length: 0")),
            ("cr-in-phrase", head("200 O\rK", "Content-Length: 0")),
            ("status-99", head("099 Odd", "Content-Length: 0")), ("status-600", head("600 Odd", "Content-Length: 0")),
            ("status-4-digits", head("2000 OK", "Content-Length: 0")), ("status-2-digits", head("20 OK", "Content-Length: 0")),
            ("status-signed", head("+20 OK", "Content-Length: 0")), ("status-word", head("abc OK", "Content-Length: 0")),
            ("status-none", b"HTTP/1.1 \r\n\r\n"), ("version-2", b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"),
            ("version-lower", b"http/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), ("version-none", b"200 OK\r\nContent-Length: 0\r\n\r\n"),
            ("icy", b"ICY 200 OK\r\nContent-Length: 0\r\n\r\n"), ("not-http", b"hello there\r\n\r\n"), ("ssh", b"SSH-2.0-OpenSSH_9\r\n\r\n"),
            ("tls-alert", b"\x15\x03\x01\x00\x02\x02\x50" * 8), ("h2-settings", b"\x00\x00\x00\x04\x00\x00\x00\x00\x00" * 8),
            ("empty-line-first", b"\r\n" + head(ok, "Content-Length: 0")), ("space-first", b" " + head(ok, "Content-Length: 0")),
            ("nuls", b"\x00" * 64), ("head-40-kib", head(ok, "X-A: " + "a" * 40000, "Content-Length: 0")),
            ("fields-200", head(ok, *("X-A: b" for _ in range(200)), "Content-Length: 0")),
            ("101-unasked", head("101 Switching Protocols", "Connection: upgrade", "Upgrade: websocket") + EVIL),
            ("101-plain", head("101 Switching Protocols") + EVIL), ("connection-junk", head(ok, 'Connection: "a"', "Content-Length: 0")),
            ("hint-then-junk", head("103 Early Hints") + b"junk junk junk\r\n\r\n"), ("hint-with-coding", head("103 Hints", "Transfer-Encoding: chunked") + EVIL)):
        yield name, data


def taken():
    """(name, method, bytes, then close, the client's status and body, whether the connection may serve again)."""
    ok = "200 OK"
    good = b"5\r\nhello\r\n0\r\n\r\n"
    return (
        ("extra-behind-length", "GET", OK2 + EVIL, False, (200, b"ok"), False),
        ("extra-behind-zero", "GET", head(ok, "Content-Length: 0") + EVIL, False, (200, b""), False),
        ("extra-behind-chunks", "GET", head(ok, "Transfer-Encoding: chunked") + good + EVIL, False, (200, b"hello"), False),
        ("extra-newline", "GET", OK2 + b"\r\n", False, (200, b"ok"), False),
        ("body-of-head", "HEAD", OK2 + EVIL, False, (200, b""), False),
        ("chunks-of-head", "HEAD", head(ok, "Transfer-Encoding: chunked") + good, False, (200, b""), False),
        ("body-of-204", "GET", head("204 No Content") + EVIL, False, (204, b""), False),
        ("length-of-204", "GET", head("204 No Content", "Content-Length: 44"), False, (204, b""), False),
        ("body-of-204-with-length", "GET", head("204 No Content", "Content-Length: 44") + EVIL, False, (204, b""), False),
        ("body-of-304", "GET", head("304 Not Modified", "Content-Length: 44") + EVIL, False, (304, b""), False),
        ("chunks-of-304", "GET", head("304 Not Modified", "Transfer-Encoding: chunked") + good, False, (304, b""), False),
        ("length-of-hint", "GET", head("103 Hints", "Content-Length: 44") + OK2, False, (200, b"ok"), None),
        ("until-close", "GET", head(ok) + b"hello", True, (200, b"hello"), False),
        ("until-close-1.0", "GET", b"HTTP/1.0 200 OK\r\n\r\nhello", True, (200, b"hello"), False),
        ("length-1.0", "GET", b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", False, (200, b"ok"), False),
        ("close-announced", "GET", head(ok, "Content-Length: 2", "Connection: close") + b"ok", False, (200, b"ok"), False),
        ("close-case", "GET", head(ok, "Content-Length: 2", "connection: foo, CLOSE") + b"ok", False, (200, b"ok"), False),
        ("version-1.9", "GET", b"HTTP/1.9 200 OK\r\nServer: a\r\nDate: b\r\nContent-Length: 2\r\n\r\nok", False, (200, b"ok"), None),
        ("no-phrase", "GET", b"HTTP/1.1 200\r\nServer: a\r\nDate: b\r\nContent-Length: 2\r\n\r\nok", False, (200, b"ok"), None),
        ("empty-phrase", "GET", b"HTTP/1.1 200 \r\nServer: a\r\nDate: b\r\nContent-Length: 2\r\n\r\nok", False, (200, b"ok"), None),
        ("good", "GET", OK2, False, (200, b"ok"), True),
        ("good-chunks", "GET", head(ok, "Transfer-Encoding: chunked") + good, False, (200, b"hello"), True),
        ("good-extension", "GET", head(ok, "Transfer-Encoding: chunked") + b"5;evil=1\r\nhello\r\n0;a\r\nX-Evil: 1\r\n\r\n", False, (200, b"hello"), True),
        ("good-head", "HEAD", head(ok, "Content-Length: 500"), False, (200, b""), True),
        ("good-304", "GET", head("304 Not Modified", "Content-Length: 500"), False, (304, b""), True),
        ("good-hints", "GET", head("103 Early Hints", "Link: </a>") * 5 + OK2, False, (200, b"ok"), True),
        ("hop-fields", "GET", head(ok, "Content-Length: 2", "Connection: X-Secret, keep-alive", "X-Secret: evil", "Keep-Alive: a",
                                   "Proxy-Connection: a", "Upgrade: h2c", "TE: a", "Trailer: b", "Proxy-Authenticate: c") + b"ok", False, (200, b"ok"), None),
    )


def broken():
    """(name, bytes, how it ends): the answer was begun, and cannot be brought to its end."""
    ok = "200 OK"
    for name, data in (("short-body", head(ok, "Content-Length: 50") + b"ok"), ("no-body", head(ok, "Content-Length: 50")),
                       ("short-chunks", head(ok, "Transfer-Encoding: chunked") + b"5\r\nhello\r\n"),
                       ("cut-chunk", head(ok, "Transfer-Encoding: chunked") + b"50\r\nhello"),
                       ("cut-size", head(ok, "Transfer-Encoding: chunked") + b"5\r\nhello\r\n5"),
                       ("no-last-line", head(ok, "Transfer-Encoding: chunked") + b"5\r\nhello\r\n0\r\n")):
        for ending in ("close", "reset"):
            yield f"{name}-{ending}", data, ending
    for name, data in (("bad-chunk", b"5\r\nhello\r\nzz\r\n"), ("chunk-too-long", b"5\r\nhelloo\r\n0\r\n\r\n"), ("chunk-lf", b"5\r\nhello\n0\r\n\r\n"),
                       ("chunk-overflow", b"5\r\nhello\r\nfffffffffffffffff\r\n"), ("chunk-0x", b"5\r\nhello\r\n0x5\r\n"),
                       ("chunk-trailer-nul", b"5\r\nhello\r\n0\r\nX-A: \x00\r\n\r\n")):
        yield name, head(ok, "Transfer-Encoding: chunked") + data, "stay"


def misbehave(ground, data, ending="stay"):
    """/bad gets this; /good-N gets its name. Returns the numbers of connections, as they are used."""
    used = {}

    def script(exchange):
        target = exchange.message.target.decode()
        used[target] = exchange.connection
        if target != "/bad":
            name = target[1:].encode()
            exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(name), name))
            return True
        exchange.send(data)
        if ending == "reset":
            time.sleep(0.02)
            exchange.reset()
        return ending == "stay"

    ground.judged.script = script
    return used


def ask_for_good(ground, connection, number):
    reply = connection.get(HOST, f"/good-{number}")
    assert (reply.status, reply.body) == (200, f"good-{number}".encode()), "an answer to somebody else's request"


@pytest.mark.parametrize("data", [r[1] for r in refused()], ids=[r[0] for r in refused()])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_refused_answer(ground, scheme, data):
    used = misbehave(ground, data)
    with ground.connect(scheme, HOST) as connection:
        reply = connection.get(HOST, "/bad")
        assert reply.status == 502 and b"evil" not in reply.body
        assert "evil" not in str(reply.headers) + str([h.headers for h in reply.hints])
        for number in range(3):
            ask_for_good(ground, connection, number)
    assert used["/bad"] not in [v for k, v in used.items() if k != "/bad"]


@pytest.mark.parametrize("method,data,closes,wanted,again", [t[1:] for t in taken()], ids=[t[0] for t in taken()])
@pytest.mark.parametrize("late", [False, True], ids=["at-once", "pause"])
def test_answer_is_taken_for_what_it_is(ground, method, data, closes, wanted, again, late):
    used = misbehave(ground, data, "close" if closes else "stay")
    with ground.connect() as connection:
        connection.send(head_of(method, "/bad", HOST))
        status_line = connection.until(b"\r\n")
        assert re.fullmatch(rb"HTTP/1\.1 [1-5][0-9][0-9] [ -~]*\r\n", status_line)
        connection._pending = status_line + connection._pending
        reply = connection.reply(method)
        assert (reply.status, reply.body) == wanted
        assert reply.status != 204 or reply["Content-Length"] is None
        assert not {"x-secret", "keep-alive", "proxy-connection", "upgrade", "te", "trailer", "proxy-authenticate"} & {
            k.lower() for k, _ in reply.headers}
        assert all(h["Content-Length"] is None for h in reply.hints)
        if late:
            time.sleep(0.05)  # its connection waits in the pool by now, or is gone
        for number in range(3):
            ask_for_good(ground, connection, number)
    if again is not None:
        assert (used["/bad"] == used["/good-0"]) == again


@pytest.mark.parametrize("data,ending", [b[1:] for b in broken()], ids=[b[0] for b in broken()])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_answer_that_breaks_is_seen_to_be_broken(ground, scheme, data, ending):
    used = misbehave(ground, data, ending)
    with ground.connect(scheme, HOST) as connection:
        with pytest.raises((Malformed, Closed, ConnectionResetError, OSError)):
            reply = connection.get(HOST, "/bad")
            assert reply.status == 502
            raise Closed
    with ground.connect(scheme, HOST) as connection:
        ask_for_good(ground, connection, 0)
    assert used["/bad"] != used["/good-0"]


@pytest.mark.parametrize("cut", range(0, len(OK2), 3))
@pytest.mark.parametrize("ending", ["close", "reset"])
def test_endpoint_ends_at_each_byte(ground, cut, ending):
    misbehave(ground, OK2[:cut], ending)
    with ground.connect() as connection:
        try:
            reply = connection.get(HOST, "/bad", "POST", body=b"hello")
            assert reply.status == 502
        except (Malformed, Closed, ConnectionResetError):
            assert cut > OK2.index(b"\r\n\r\n"), "before the answer begins there is time for a 502"
    assert len([m for m in ground.messages() if m.target == b"/bad"]) == 1, "a POST is sent once"
    assert ground.is_polite_served()


def test_answer_that_drips(ground):
    def drip(exchange):
        for at in range(len(OK2)):
            exchange.send(OK2[at:at + 1])
            time.sleep(0.002)
        return True

    ground.judged.script = drip
    with ground.connect() as connection:
        for _ in range(2):
            reply = connection.get(HOST, "/")
            assert (reply.status, reply.body) == (200, b"ok")


def test_late_bytes_are_nobodys_answer(ground):
    """They come when the connection waits in the pool, just before the next request."""
    arrived = threading.Event()

    def script(exchange):
        name = exchange.message.target[1:]
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(name), name))
        time.sleep(0.005)
        exchange.send(EVIL)
        wait_sent(exchange.sock)
        arrived.set()
        return True

    ground.judged.script = script
    for number in range(100):
        with ground.connect() as connection:
            connection.send(head_of("GET", f"/good-{number}", HOST))
            assert connection.reply().body == b"good-%d" % number
        # What crosses on the wire nobody can tell apart: only what is there counts.
        assert arrived.wait(PATIENCE)
        arrived.clear()


def test_bytes_behind_a_full_read_are_nobodys_answer(ground):
    """The answer ends where one read of the proxy ends, and more stands in the kernel."""
    read = 256 * 1024
    start = head("200 OK", "Content-Length: 000000")
    body = b"x" * (read - len(start))
    start = head("200 OK", f"Content-Length: {len(body):06}")
    sent = threading.Event()
    used = misbehave(ground, b"")
    usual = ground.judged.script

    def script(exchange):
        if exchange.message.target != b"/bad":
            return usual(exchange)
        used["/bad"] = exchange.connection
        ground.stop_proxy()
        exchange.send(start + body + EVIL)
        wait_sent(exchange.sock)
        ground.continue_proxy()
        sent.set()
        return True

    ground.world.node.sysctl(ipv4__tcp_rmem="4096 6291456 6291456")
    ground.hang_up()  # a new connection has the large buffer
    ground.judged.script = script
    try:
        with ground.connect() as connection:
            assert connection.get(HOST, "/bad").body == body
            assert sent.wait(PATIENCE)
            for number in range(3):
                ask_for_good(ground, connection, number)
    finally:
        ground.continue_proxy()
        ground.world.node.sysctl(ipv4__tcp_rmem="4096 131072 6291456")
    assert used["/bad"] != used["/good-0"]


@pytest.mark.parametrize("late", [EVIL, b"x", b""], ids=["answer", "byte", "end"])
def test_what_came_while_the_worker_was_busy_is_nobodys_answer(ground, late):
    """One turn of the worker brings a request and, behind it, late bytes of the waiting connection.
    (It is stopped meanwhile: as good as a worker that has much to do.)"""
    used = misbehave(ground, b"")
    usual, sockets = ground.judged.script, []

    def script(exchange):
        sockets.append(exchange.sock)
        return usual(exchange)

    ground.judged.script = script
    with ground.connect() as connection:
        ask_for_good(ground, connection, 0)
        ground.stop_proxy()
        try:
            connection.send(head_of("GET", "/good-1", HOST))
            wait_sent(connection.sock)
            sockets[0].sendall(late) if late else sockets[0].shutdown(socket.SHUT_WR)
            wait_sent(sockets[0])
        finally:
            ground.continue_proxy()
        reply = connection.reply()
        assert (reply.status, reply.body) == (200, b"good-1"), "an answer to nobody's request"
        ask_for_good(ground, connection, 2)
    assert used["/good-1"] != used["/good-0"]


def test_flood_of_hints_ends(ground):
    def flood(exchange):
        for _ in range(100000):
            exchange.send(head("103 Early Hints", "X-A: b") * 10)
        return False

    ground.judged.script = flood
    with ground.connect() as connection:
        connection.send(head_of("GET", "/bad", HOST))
        hints = 0
        while (answer := connection.head()).status == 103:
            hints += 1
        assert answer.status == 502 and hints <= 1000
    assert ground.is_polite_served(SECOND)


def test_upgrade_to_what_was_not_asked_for(ground):
    ground.judged.script = lambda e: e.send(head("101 Switching Protocols", "Connection: upgrade", "Upgrade: h2c") + EVIL)
    with ground.connect() as connection:
        reply = connection.get(HOST, "/bad", headers={"Connection": "Upgrade", "Upgrade": "websocket"})
        assert reply.status == 502


def test_upgrade_before_the_body_came(ground):
    """101 for a request whose body is not here: its bytes would be the tunnel's."""
    ground.judged.on_head = lambda sock, message: sock.sendall(
        head("101 Switching Protocols", "Connection: upgrade", "Upgrade: websocket"))
    with ground.connect() as connection:
        connection.send(head_of("POST", "/bad", HOST, {"Connection": "Upgrade", "Upgrade": "websocket", "Content-Length": 100}))
        assert connection.reply("POST").status == 502
        assert connection.is_closed()


def test_answer_before_the_question(ground):
    """An endpoint that speaks first: its words are taken for the answer at most once."""
    ground.hang_up()
    ground.judged.on_accept = lambda sock, number: sock.sendall(EVIL) or True
    misbehave(ground, OK2)
    with ground.connect() as connection:
        for _ in range(3):
            connection.get(HOST, "/bad")
    poll("its connections closed", lambda: all(reader.is_over for reader in ground.judged.readers))
    ground.judged.on_accept = None
    with ground.connect() as connection:
        ask_for_good(ground, connection, 7)


def test_early_answer_ends_the_upload(ground):
    """An answer while the body still comes: given to the client, and nobody waits for the rest."""
    def early(sock, message):
        sock.sendall(head("413 Too Large", "Content-Length: 4") + b"full")

    ground.judged.on_head = early
    with ground.connect() as connection:
        connection.send(head_of("POST", "/bad", HOST, {"Content-Length": 1 << 20}) + b"x" * 1000)
        reply = connection.reply("POST")
        assert (reply.status, reply.body) == (413, b"full") and reply["Connection"] == "close"
        assert until_close(connection.sock)[0] == b""


@pytest.mark.parametrize("answer,status", [(head("100 Continue"), 200), (head("100 Continue") * 3, 200), (head("417 No", "Content-Length: 0"), 417),
                                           (head("100 Continue") + head("403 No", "Content-Length: 0"), 403), (head("101 Switching Protocols"), 502),
                                           (OK2 + EVIL, 200)], ids=["go-on", "three-times", "no", "go-on-no", "switch", "early-and-more"])
def test_expectations(ground, answer, status):
    """What an endpoint says before it has the body, while the client waits with it."""
    ground.judged.on_head = lambda sock, message: sock.sendall(answer)
    with ground.connect() as connection:
        connection.send(head_of("POST", "/bad", HOST, {"Expect": "100-continue", "Content-Length": 5}))
        if answer.startswith(b"HTTP/1.1 100") and status == 200:
            assert connection.head().status == 100
            connection.send(b"hello")
        reply = connection.reply("POST")
        assert reply.status == status and b"evil" not in reply.body
        if not answer.startswith(b"HTTP/1.1 100") or status != 200:
            connection.send(b"hello" + head_of("GET", "/hidden", HOST))
            assert until_close(connection.sock)[0] == b"", "an unfinished body is followed by nothing"
    assert not [m for m in ground.messages() if m.target == b"/hidden"]
