# SPDX-License-Identifier: Apache-2.0
"""HTTP/1.1 between client and endpoint: bodies, connections, headers, errors. XDP has no part in it."""
import hashlib
import os
import re
import threading
import time

import pytest

from http1 import Closed, Malformed, chunks_of, head_of
from manifests import PORT, fresh_address, ingress, rule, service, slice_of
from world import CLIENT4, SILENT, poll

HOST = "exchange.test"
MIB = 1 << 20


def exchange(site):
    dead = fresh_address()
    return [site.backends.make("echo"), site.authority.secret("exchange-tls", HOST),
            site.backends.make("two", count=2),
            service("refusing"), slice_of("refusing", [dead], (None, 8099)),
            service("silent"), slice_of("silent", [SILENT]),
            service("empty"), slice_of("empty", []),
            service("no-slice"),
            service("unready"), slice_of("unready", [fresh_address()], conditions={"ready": False}),
            service("half"), slice_of("half", [dead], (None, 8099)),
            slice_of("half", site.backends.addresses["default", "echo"], suffix="2"),
            ingress("exchange", rule(HOST, ("/", "Prefix", "echo"), ("/two", "Prefix", "two"),
                                     *((f"/{n}", "Prefix", n) for n in (
                                         "refusing", "silent", "empty", "no-slice", "unready", "half"))),
                    tls=[("exchange-tls", HOST)])]


@pytest.fixture
def on(site):
    """The site with these objects in force."""
    site.use(("exchange", exchange))
    return site


@pytest.fixture(params=["http", "https"])
def open_connection(request, on):
    made = []

    def connect(**options):
        made.append(on.connect(request.param, HOST, **options))
        return made[-1]

    connect.scheme = request.param
    yield connect
    for connection in made:
        connection.close()


# ---- connections -----------------------------------------------------------------------------

def test_connection_stays_for_many_requests(open_connection):
    connection = open_connection()
    for number in range(200):
        assert connection.get(HOST, f"/{number}").echo["path"] == f"/{number}"


def test_endpoint_connections_are_reused(on):
    with on.connect() as connection:
        seen = {connection.get(HOST).echo["connection"] for _ in range(50)}
    assert len(seen) <= 2, "pooled, whichever client asks"


def test_pipelined_requests_are_answered_in_order(open_connection):
    connection = open_connection()
    connection.send(b"".join(head_of("GET", f"/{n}", HOST) for n in range(20)))
    assert [connection.reply().echo["path"] for _ in range(20)] == [f"/{n}" for n in range(20)]


def test_connection_close_is_honoured(open_connection):
    connection = open_connection()
    reply = connection.get(HOST, headers={"Connection": "close"})
    assert reply.status == 200 and reply["Connection"].lower() == "close"
    assert connection.is_closed()


def test_http_1_0_client_gets_its_answer_and_the_end(on):
    with on.connect() as connection:
        connection.send(f"GET /old HTTP/1.0\r\nHost: {HOST}\r\n\r\n".encode())
        reply = connection.reply()
        assert reply.echo["proto"] == "HTTP/1.1"
        assert connection.is_closed()


def test_endpoint_that_closes_does_not_close_the_client(open_connection):
    connection = open_connection()
    for _ in range(10):
        reply = connection.get(HOST, "/?close=1")
        assert reply.status == 200 and (reply["Connection"] or "").lower() != "close"


def test_slow_client_does_not_hold_others(on):
    lazy = [on.connect() for _ in range(100)]
    for connection in lazy:
        connection.send(b"GET / HTTP/1.1\r\nHost: ")
    for _ in range(50):
        assert on.get(HOST).status == 200
    for connection in lazy:
        connection.close()


# ---- answers ---------------------------------------------------------------------------------

def test_head_has_the_length_and_no_body(open_connection):
    connection = open_connection()
    for _ in range(3):
        reply = connection.get(HOST, "/?bytes=5000", "HEAD")
        assert reply.status == 200 and reply["Content-Length"] == "5000" and not reply.body
    assert connection.get(HOST).status == 200


@pytest.mark.parametrize("status", [204, 304])
def test_answers_that_have_no_body(open_connection, status):
    connection = open_connection()
    for _ in range(3):
        assert connection.get(HOST, f"/?status={status}").status == status
    assert connection.get(HOST).status == 200, "nothing of a body stood in the way"


@pytest.mark.parametrize("status", [201, 206, 301, 302, 401, 403, 404, 418, 429, 500, 502, 503])
def test_status_of_the_endpoint_is_passed_on(on, status):
    reply = on.get(HOST, f"/?status={status}&location=/there")
    assert reply.status == status and reply["Location"] == "/there" and reply["Endpoint"] == "echo"


def test_early_hints_come_before_the_answer(open_connection):
    reply = open_connection().get(HOST, "/?hints=3")
    assert [hint.status for hint in reply.hints] == [103, 103, 103]
    assert reply.hints[0]["Link"] == "</a.css>" and reply.status == 200


@pytest.mark.parametrize("query", ["bytes=1", "bytes=100000", "bytes=100000&chunk=1000", "bytes=7&chunk=1",
                                   "bytes=100000&until-close=1", "bytes=0", "bytes=0&chunk=1"])
def test_body_arrives_whole_whatever_its_framing(open_connection, query):
    connection = open_connection()
    size = int(re.search(r"bytes=(\d+)", query).group(1))
    for _ in range(1 if "until-close" in query else 3):
        body = connection.get(HOST, "/?" + query).body
        assert len(body) == size and body == (bytes(range(97, 123)) * (size // 26 + 1))[:size]


def test_trailers_are_passed_on_or_left_out_but_do_not_break(open_connection):
    connection = open_connection()
    reply = connection.get(HOST, "/?bytes=10&chunk=5&trailer=1", headers={"TE": "trailers"})
    assert len(reply.body) == 10
    assert connection.get(HOST).status == 200


def test_server_and_date_are_there(on):
    for path in ("/", "/empty"):
        reply = on.get(HOST, path)
        assert reply["Server"] and re.match(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$", reply["Date"])


# ---- bodies ----------------------------------------------------------------------------------

@pytest.mark.parametrize("size", [0, 1, 1000, 16384, 300_000, 5 * MIB])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_request_body_arrives_whole(open_connection, framing, size):
    connection = open_connection()
    body = os.urandom(size)
    if framing == "length":
        reply = connection.get(HOST, method="POST", body=body)
    else:
        connection.send(head_of("POST", "/", HOST, {"Transfer-Encoding": "chunked"}) +
                        chunks_of(body, 9973))
        reply = connection.reply()
    assert reply.echo["body_bytes"] == size
    assert reply.echo["body_sha256"] == hashlib.sha256(body).hexdigest()


def test_chunk_extensions_are_not_part_of_the_body(on):
    with on.connect() as connection:
        connection.send(head_of("POST", "/", HOST, {"Transfer-Encoding": "chunked"}) +
                        b"3;a=b\r\nabc\r\n2 ;c\r\nde\r\n0\r\nX-T: 1\r\n\r\n")
        reply = connection.reply()
        assert reply.status in (200, 400), "taken as written, or refused: nothing between"
        if reply.status == 200:
            assert reply.echo["body_sha256"] == hashlib.sha256(b"abcde").hexdigest()


def test_expect_100_continue(open_connection):
    connection = open_connection()
    connection.send(head_of("POST", "/", HOST, {"Expect": "100-continue", "Content-Length": 4}))
    assert connection.head().status == 100
    connection.send(b"body")
    assert connection.reply().echo["body_bytes"] == 4


def test_expect_100_continue_is_not_asked_for_what_nobody_serves(open_connection):
    connection = open_connection()
    connection.send(head_of("POST", "/empty", HOST, {"Expect": "100-continue", "Content-Length": 4}))
    assert connection.reply("POST").status == 503


def proxy_memory(site):
    """Highest resident size of the proxy so far, in bytes."""
    pid = next(p for p, words in site.sluice.processes().items() if "proxy" in words or words[0].endswith("proxy"))
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return int(re.search(r"VmHWM:\s+(\d+)", file.read()).group(1)) * 1024


def test_upload_to_a_slow_endpoint_is_held_back(open_connection, on):
    """The client sends as fast as it can, the endpoint reads nothing for a while."""
    before = proxy_memory(on)
    connection = open_connection()
    size = 64 * MIB
    connection.send(head_of("POST", "/?pause=1.5", HOST, {"Content-Length": size}))
    piece = bytes(MIB)
    for _ in range(size // MIB):
        connection.send(piece)
    assert connection.reply().echo["body_bytes"] == size
    assert proxy_memory(on) - before < 8 * MIB


def test_download_to_a_slow_client_is_held_back(open_connection, on):
    before = proxy_memory(on)
    connection = open_connection(receive_buffer=65536)
    size = 64 * MIB
    connection.send(head_of("GET", f"/?bytes={size}", HOST))
    assert connection.head().status == 200
    # It reads nothing until the endpoint's side stands still.
    assert on.get(HOST).status == 200
    assert len(connection.exactly(size)) == size
    assert proxy_memory(on) - before < 8 * MIB


def test_many_large_downloads_at_once(on):
    sizes, failures = [], []

    def one():
        try:
            sizes.append(len(on.get(HOST, f"/?bytes={4 * MIB}").body))
        except Exception as error:  # told below, with the rest
            failures.append(error)

    threads = [threading.Thread(target=one) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures and sizes == [4 * MIB] * 16


def test_answer_before_the_body_was_read(on):
    """An endpoint that answers early and closes: the answer reaches the client."""
    with on.connect() as connection:
        connection.send(head_of("POST", "/?drop=now", HOST, {"Content-Length": 10}) + b"0123456789")
        assert connection.reply("POST").status == 502


def test_client_that_goes_away_ends_the_exchange_only(on):
    for _ in range(20):
        with on.connect() as connection:
            connection.send(head_of("GET", f"/?bytes={8 * MIB}", HOST))
            connection.until(b"\r\n\r\n")
        with on.connect() as connection:
            connection.send(head_of("POST", "/", HOST, {"Content-Length": 1000}) + b"half")
    assert on.get(HOST).status == 200


# ---- headers ---------------------------------------------------------------------------------

def test_forwarded_headers_say_who_asked(open_connection):
    got = open_connection().get(HOST).echo["headers"]
    assert got["x-forwarded-for"] == [CLIENT4] and got["x-real-ip"] == [CLIENT4]
    assert got["x-forwarded-host"] == [HOST]
    assert got["x-forwarded-proto"] == [open_connection.scheme]
    assert re.fullmatch(r"[0-9a-f-]{32,36}", got["x-request-id"][0])


def test_forwarded_headers_of_strangers_are_replaced(on):
    forged = {"X-Forwarded-For": "1.2.3.4", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.test",
              "X-Real-IP": "1.2.3.4", "Forwarded": "for=1.2.3.4"}
    got = on.get(HOST, headers=forged).echo["headers"]
    assert got["x-forwarded-for"] == [CLIENT4] and got["x-real-ip"] == [CLIENT4]
    assert got["x-forwarded-proto"] == ["http"] and got["x-forwarded-host"] == [HOST]
    assert not any("1.2.3.4" in value for value in got.get("forwarded", []))


def test_request_id_differs_from_request_to_request(on):
    with on.connect() as connection:
        ids = [connection.get(HOST).echo["headers"]["x-request-id"][0] for _ in range(20)]
    assert len(set(ids)) == 20


def test_hop_by_hop_headers_end_here(on):
    sent = {"Connection": "keep-alive, X-Secret", "X-Secret": "1", "Keep-Alive": "5", "TE": "gzip",
            "Proxy-Connection": "keep-alive", "X-Kept": "yes"}
    got = on.get(HOST, headers=sent).echo["headers"]
    assert got["x-kept"] == ["yes"]
    assert not {"x-secret", "keep-alive", "te", "proxy-connection"} & set(got)


def test_other_headers_are_passed_on_unchanged(on):
    sent = [("Accept", "*/*"), ("Cookie", "a=1; b=2"), ("X-Empty", ""), ("X-Twice", "one"), ("X-Twice", "two"),
            ("X-Latin", "caf\xe9")]
    got = on.get(HOST, headers=sent).echo["headers"]
    for name, value in sent:
        assert value in got[name.lower()]
    assert got["x-twice"] == ["one", "two"]


def test_large_header_is_taken_and_a_huge_one_refused(on):
    assert on.get(HOST, headers={"X-Large": "x" * 4000}).status == 200
    assert on.get(HOST, "/?header=4000")["X-Large"] == "x" * 4000
    with on.connect() as connection:
        connection.send(head_of("GET", "/huge", HOST, {"X-Huge": "x" * 200_000}))
        assert connection.reply().status in (400, 431)
        assert connection.is_closed()
    assert on.saw("GET /huge") == 0


# ---- malformed requests ----------------------------------------------------------------------

MALFORMED = {
    "no-host": "GET /{mark} HTTP/1.1\r\n\r\n",
    "two-hosts": f"GET /{{mark}} HTTP/1.1\r\nHost: {HOST}\r\nHost: other.test\r\n\r\n",
    "host-with-space": "GET /{mark} HTTP/1.1\r\nHost: exch ange.test\r\n\r\n",
    "host-with-slash": "GET /{mark} HTTP/1.1\r\nHost: exchange.test/x\r\n\r\n",
    "no-version": "GET /{mark}\r\nHost: {host}\r\n\r\n",
    "odd-version": "GET /{mark} HTTP/1.12\r\nHost: {host}\r\n\r\n",
    "http-2-version": "GET /{mark} HTTP/2.0\r\nHost: {host}\r\n\r\n",
    "lower-case-version": "GET /{mark} http/1.1\r\nHost: {host}\r\n\r\n",
    "space-in-target": "GET /{mark} x HTTP/1.1\r\nHost: {host}\r\n\r\n",
    "control-in-target": "GET /{mark}\x01 HTTP/1.1\r\nHost: {host}\r\n\r\n",
    "eight-bit-in-target": "GET /{mark}\xe9 HTTP/1.1\r\nHost: {host}\r\n\r\n",
    "relative-target": "GET {mark} HTTP/1.1\r\nHost: {host}\r\n\r\n",
    "bad-method": "G@T /{mark} HTTP/1.1\r\nHost: {host}\r\n\r\n",
    "space-before-colon": "GET /{mark} HTTP/1.1\r\nHost: {host}\r\nX-A : b\r\n\r\n",
    "no-colon": "GET /{mark} HTTP/1.1\r\nHost: {host}\r\nX-A\r\n\r\n",
    "no-name": "GET /{mark} HTTP/1.1\r\nHost: {host}\r\n: b\r\n\r\n",
    "folded-line": "GET /{mark} HTTP/1.1\r\nHost: {host}\r\nX-A: b\r\n c\r\n\r\n",
    "space-in-name": "GET /{mark} HTTP/1.1\r\nHost: {host}\r\nX A: b\r\n\r\n",
    "nul-in-value": "GET /{mark} HTTP/1.1\r\nHost: {host}\r\nX-A: b\x00c\r\n\r\n",
    "cr-in-value": "GET /{mark} HTTP/1.1\r\nHost: {host}\r\nX-A: b\rc\r\n\r\n",
    "bare-cr-line-end": "GET /{mark} HTTP/1.1\rHost: {host}\r\r",
    "length-and-chunked": "POST /{mark} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 5\r\n"
                          "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two-lengths": "POST /{mark} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "length-list": "POST /{mark} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 5, 6\r\n\r\nhello",
    "negative-length": "POST /{mark} HTTP/1.1\r\nHost: {host}\r\nContent-Length: -5\r\n\r\nhello",
    "signed-length": "POST /{mark} HTTP/1.1\r\nHost: {host}\r\nContent-Length: +5\r\n\r\nhello",
    "hex-length": "POST /{mark} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0x5\r\n\r\nhello",
    "huge-length": "POST /{mark} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 99999999999999999999\r\n\r\nhello",
    "unknown-coding": "POST /{mark} HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: gzip\r\n\r\n",
    "chunked-not-last": "POST /{mark} HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked, gzip\r\n\r\n",
    "chunked-twice": "POST /{mark} HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "coding-with-tab": "POST /{mark} HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "chunked-in-1-0": "POST /{mark} HTTP/1.0\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_request_is_refused_and_never_forwarded(open_connection, on, name):
    mark = f"malformed-{name}-{open_connection.scheme}-{time.monotonic_ns()}"
    connection = open_connection()
    text = MALFORMED[name].format(mark=mark, host=HOST)
    if name == "bare-cr-line-end":
        # Not a whole request: it is refused at once, or when nothing more comes.
        text += "\r\n\r\n"
    connection.send(text.encode("latin-1"))
    reply = connection.reply()
    assert reply.status in (400, 501, 505), reply
    assert reply["Server"] and reply["Date"]
    assert connection.is_closed()
    assert on.saw(mark) == 0


@pytest.mark.parametrize("body", ["zz\r\nabc\r\n0\r\n\r\n", "3\r\nabcd\r\n0\r\n\r\n", "-1\r\n", "3\nabc\r\n0\r\n\r\n",
                                  "ffffffffffffffffff\r\n", "3 x\r\nabc\r\n0\r\n\r\n", "\r\n"])
def test_malformed_chunk_ends_the_connection(open_connection, on, body):
    connection = open_connection()
    smuggled = head_of("GET", "/smuggled", HOST).decode()
    connection.send(head_of("POST", "/", HOST, {"Transfer-Encoding": "chunked"}) +
                    (body + smuggled).encode())
    try:
        assert connection.reply("POST").status in (400, 502)
    except Closed:
        pass
    assert connection.is_closed()
    assert on.saw("GET /smuggled") == 0


def test_body_that_is_cut_short_reaches_nobody_as_whole(on):
    with on.connect() as connection:
        connection.send(head_of("POST", "/cut", HOST, {"Content-Length": 100}) + b"only this")
    assert on.get(HOST).status == 200


def test_absolute_target_decides_the_host(on):
    """RFC 9112, 3.2.2: the target's host counts, not the Host header's."""
    with on.connect() as connection:
        connection.send(f"GET http://{HOST}/abs HTTP/1.1\r\nHost: other.test\r\n\r\n".encode())
        said = connection.reply().echo
        assert said["host"] == HOST and said["path"] == "/abs"


# ---- upgrade ---------------------------------------------------------------------------------

WEBSOCKET = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
             "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}


def open_tunnel(connection):
    reply = connection.get(HOST, "/socket", headers=WEBSOCKET)
    assert reply.status == 101
    assert reply["Upgrade"].lower() == "websocket" and "upgrade" in reply["Connection"].lower()
    assert reply["Sec-WebSocket-Accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def test_websocket_tunnel_carries_bytes_both_ways(open_connection):
    connection = open_connection()
    open_tunnel(connection)
    for size in (1, 100, 70_000):
        data = os.urandom(size)
        connection.send(data)
        assert connection.exactly(size) == data


def test_websocket_bytes_sent_with_the_request_are_not_lost(on):
    with on.connect() as connection:
        connection.send(head_of("GET", "/socket", HOST, WEBSOCKET) + b"early")
        assert connection.reply().status == 101
        assert connection.exactly(5) == b"early"


def test_websocket_tunnel_survives_configuration_changes(open_connection, on):
    connection = open_connection()
    open_tunnel(connection)
    for number in range(5):
        on.apply("tunnel.yaml", on.backends.make("echo"),
                 ingress("tunnel", rule(f"tunnel-{number}.test", ("/", "Prefix", "echo"))))
        connection.send(b"still here")
        assert connection.exactly(10) == b"still here"
    # Even when its own route and its endpoints are gone.
    on.manifests.remove("group.yaml")
    on.group = None
    on.settle()
    connection.send(b"and now")
    assert connection.exactly(7) == b"and now"


def test_websocket_end_is_passed_on(on):
    with on.connect() as connection:
        open_tunnel(connection)
        connection.sock.shutdown(1)  # SHUT_WR: the endpoint sees the end, and ends
        assert connection.rest() == b""


def test_upgrade_that_the_endpoint_does_not_want_is_a_request(on):
    reply = on.get(HOST, "/empty", headers=WEBSOCKET)
    assert reply.status == 503


# ---- endpoints -------------------------------------------------------------------------------

@pytest.mark.parametrize("path", ["/empty", "/no-slice", "/unready"])
def test_no_ready_endpoint_is_503_with_retry_after(on, path):
    reply = on.get(HOST, path)
    assert reply.status == 503 and int(reply["Retry-After"]) > 0
    assert reply["Server"] and reply["Date"]


def test_no_route_is_404_with_server_and_date(on):
    reply = on.get("nobody.test")
    assert reply.status == 404 and reply["Server"] and reply["Date"] and reply.body


def test_endpoint_that_refuses_is_502(on):
    assert on.get(HOST, "/refusing").status == 502


def test_endpoint_that_refuses_is_passed_over_for_another(on):
    assert [on.get(HOST, "/half").status for _ in range(10)] == [200] * 10


def test_endpoint_that_never_accepts_is_504(on):
    assert on.get(HOST, "/silent", timeout=60).status == 504


def timeouts(site):
    """One second for each, by annotation, and four for a host whose endpoint takes its time."""
    def timed(name, backend, host=None, seconds=1):
        return ingress(host or name, rule(f"{host or name}.timeout.test", ("/", "Prefix", backend)),
                       annotations={f"nginx.ingress.kubernetes.io/proxy-{name}-timeout": str(seconds)})
    return [site.backends.make("echo"), service("silent"), slice_of("silent", [SILENT]),
            timed("connect", "silent"), timed("read", "echo"), timed("send", "echo"),
            timed("read", "echo", host="steady", seconds=4)]


def test_timeouts_end_what_takes_too_long(site):
    site.use(("timeouts", timeouts))
    for host, target in (("connect.timeout.test", "/"), ("read.timeout.test", "/?delay=20")):
        began = time.monotonic()
        reply = site.get(host, target)
        assert reply.status == 504 and reply["Date"] and reply["Server"], host
        assert time.monotonic() - began > 0.9, host


def test_read_timeout_is_the_gap_between_two_reads(site):
    """An answer that takes longer, but in steps, is not cut; one that stalls is."""
    site.use(("timeouts", timeouts))
    assert len(site.get("steady.timeout.test", "/?bytes=200000&delay=2&stall=2.5").body) == 200_000
    with pytest.raises((Malformed, Closed, ConnectionResetError)):
        site.get("read.timeout.test", "/?bytes=200000&stall=20")


def test_send_timeout_ends_an_upload_that_nobody_reads(site):
    site.use(("timeouts", timeouts))
    with site.connect(timeout=60) as connection:
        connection.send(head_of("POST", "/?pause=40", "send.timeout.test", {"Content-Length": 64 * MIB}))
        try:
            for _ in range(64):
                connection.send(bytes(MIB))
        except (ConnectionResetError, BrokenPipeError):
            pass
        try:
            assert connection.reply("POST").status == 504
        except ConnectionResetError:
            pass


@pytest.mark.parametrize("drop", ["now", "head"])
def test_endpoint_that_breaks_off_before_its_answer_is_502(on, drop):
    assert on.get(HOST, f"/?drop={drop}", method="POST", body=b"x").status == 502


def test_answer_that_breaks_off_is_not_made_to_look_whole(open_connection):
    for framing in ("", "&chunk=100"):
        with pytest.raises((Malformed, Closed, ConnectionResetError)):
            open_connection().get(HOST, f"/?bytes=100000&drop=body{framing}")


@pytest.mark.parametrize("name", ["two-lengths", "length-and-chunked", "no-status", "not-http", "nul-in-header"])
def test_answer_that_is_not_http_is_502(on, name):
    assert on.get(HOST, f"/?raw={name}", method="POST", body=b"").status == 502


def test_request_that_is_safe_is_tried_again_on_a_stale_connection(on):
    """A pooled connection that the endpoint has just closed is no reason to fail."""
    for _ in range(30):
        assert on.get(HOST, "/?close=1").status == 200
        assert on.get(HOST, "/").status == 200


def test_round_robin_is_even(on):
    with on.connect() as connection:
        seen = [connection.get(HOST, "/two").echo["address"] for _ in range(40)]
    assert {a: seen.count(a) for a in set(seen)} == {a: 20 for a in on.backends.addresses["default", "two"]}


def test_named_ports_find_their_target(site):
    addresses = [fresh_address()]
    ports = [service("named", ("web", 80), ("more", 81)),
             slice_of("named", addresses, ("web", PORT), ("more", 8081))]
    site.apply("named.yaml", ports, ingress("named", rule(
        "named.test", ("/web", "Exact", "named", "web"), ("/more", "Exact", "named", "more"),
        ("/80", "Exact", "named", 80), ("/81", "Exact", "named", 81))))
    got = {path: site.get("named.test", path).echo["port"] for path in ("/web", "/more", "/80", "/81")}
    assert got == {"/web": PORT, "/80": PORT, "/more": 8081, "/81": 8081}
    site.remove("named.yaml")


def test_endpoints_that_are_not_ready_are_left_out(site):
    good, bad = [fresh_address() for _ in range(3)], [fresh_address() for _ in range(3)]
    site.apply("ready.yaml", service("ready"), slice_of("ready", good),
               slice_of("ready", bad, suffix="2", conditions={"ready": False, "serving": False}),
               ingress("ready", rule("ready.test", ("/", "Prefix", "ready"))))
    with site.connect() as connection:
        seen = {connection.get("ready.test").echo["address"] for _ in range(30)}
    assert seen == set(good)
    site.remove("ready.yaml")


def test_endpoints_that_come_and_go_are_followed(site):
    addresses = [fresh_address() for _ in range(4)]
    route = ingress("moving", rule("moving.test", ("/", "Prefix", "moving")))
    for now in (addresses[:1], addresses, addresses[2:], addresses[1:2]):
        site.apply("moving.yaml", service("moving"), slice_of("moving", now), route)
        with site.connect() as connection:
            assert {connection.get("moving.test").echo["address"] for _ in range(20)} == set(now)
    site.remove("moving.yaml")


def test_ipv6_endpoints(site):
    site.apply("six.yaml", service("six"), slice_of("six", ["fd77:200::6"]),
               ingress("six", rule("six.test", ("/", "Prefix", "six"))))
    assert site.get("six.test").echo["address"] == "fd77:200::6"
    site.remove("six.yaml")


def test_slow_answer_within_the_limits_is_waited_for(on):
    began = time.monotonic()
    assert on.get(HOST, "/?delay=1").status == 200
    assert time.monotonic() - began >= 1


def test_stall_in_the_middle_of_a_body_is_waited_for(open_connection):
    assert len(open_connection().get(HOST, "/?bytes=200000&stall=1").body) == 200_000


def test_connections_to_endpoints_end_with_the_endpoint(site):
    """When a Service loses its endpoint, idle connections to it do not linger."""
    address = fresh_address()
    route = ingress("gone", rule("gone.test", ("/", "Prefix", "gone")))
    site.apply("gone.yaml", service("gone"), slice_of("gone", [address]), route)
    assert site.get("gone.test").status == 200
    site.apply("gone.yaml", service("gone"), slice_of("gone", []), route)
    assert site.get("gone.test").status == 503

    def connected():
        return address in site.world.node.run("ss", "-tnH", "state", "established")

    poll("the idle connection closed", lambda: not connected())
    site.remove("gone.yaml")
