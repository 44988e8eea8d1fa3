# SPDX-License-Identifier: Apache-2.0
"""Many who take their time, and floods: a polite client is served all through, memory has a bound,
and nothing stays behind when they are gone."""
import contextlib
import resource
import socket
import struct
import time

import pytest

from endpoint import OK
from ground import HOST, HTTPS, SECOND, until_close
from http1 import head_of
from lowtls import Session
from world import PATIENCE

MIB = 1 << 20
CROWD = 500


@pytest.fixture(autouse=True)
def many_descriptors():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 16384), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def crowd(ground):
    """crowd(number, first bytes) → that many connections that have said this."""
    made = []

    def gather(count, data, port=80, **options):
        for _ in range(count):
            sock = ground.raw(port, **options)
            made.append(sock)
            ground.send_quietly(sock, data)
        return made

    yield gather
    for sock in made:
        sock.close()
    ground.assert_quiet(30)


def is_served_all_through(ground, times=20):
    for _ in range(times):
        assert ground.is_polite_served()


def drip(ground, made, byte=b"a"):
    for sock in made:
        ground.send_quietly(sock, byte)


def test_slow_heads(ground, crowd):
    made = crowd(CROWD, f"GET /slow HTTP/1.1\r\nHost: {HOST}\r\nX-A: ".encode())
    for _ in range(3):
        drip(ground, made)
        is_served_all_through(ground)
    assert ground.messages() and not [m for m in ground.messages() if m.target == b"/slow"]


def test_slow_bodies(ground, crowd):
    made = crowd(CROWD, head_of("POST", "/slow", HOST, {"Content-Length": 100000}) + b"a")
    for _ in range(3):
        drip(ground, made)
        is_served_all_through(ground)


def test_slow_chunks(ground, crowd):
    made = crowd(CROWD, head_of("POST", "/slow", HOST, {"Transfer-Encoding": "chunked"}))
    for byte in (b"1", b"\r", b"\n", b"a", b"\r", b"\n"):
        drip(ground, made, byte)
        is_served_all_through(ground, 5)


def test_slow_readers(ground, crowd):
    """Each asks for 4 MiB and reads nothing: 500 times 4 MiB are not kept for them."""
    body = b"x" * (4 * MIB)

    def large(exchange):
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        return True

    ground.judged.script = large
    before = ground.memory()
    crowd(CROWD, head_of("GET", "/large", HOST), receive_buffer=4096)
    is_served_all_through(ground)
    assert ground.memory() - before < 256 * MIB


def test_slow_handshakes(ground, crowd):
    crowd(CROWD, b"\x16\x03\x01\x02", HTTPS)
    is_served_all_through(ground)
    with ground.connect("https", HOST) as connection:
        assert connection.get(HOST).status == 200


def test_heads_have_a_deadline(ground, raw):
    """Bytes that keep coming do not put it off: plain, behind TLS, and the handshake itself."""
    plain, tls, handshake = raw(timeout=PATIENCE), Session(ground.raw(HTTPS, timeout=PATIENCE), HOST), raw(HTTPS, timeout=PATIENCE)
    assert tls.connect()
    plain.sendall(b"GET / HTTP/1.1\r\n")
    tls.write(b"GET / HTTP/1.1\r\n")
    handshake.sendall(b"\x16\x03\x01\x02\x00\x01")
    ended, began = {}, time.monotonic()
    while len(ended) < 3 and time.monotonic() - began < 60:
        time.sleep(0.5)
        with contextlib.suppress(OSError):
            plain.sendall(b"X: a\r\n")
        with contextlib.suppress(OSError):
            tls.write(b"X: a\r\n")
        with contextlib.suppress(OSError):
            handshake.sendall(b"\x00")
        for name, sock in (("plain", plain), ("tls", tls.sock), ("handshake", handshake)):
            if name not in ended and has_ended(sock):
                ended[name] = time.monotonic() - began
    tls.close()
    assert set(ended) == {"plain", "tls", "handshake"}


def has_ended(sock):
    """The other side has closed; what it said before is thrown away."""
    sock.setblocking(False)
    try:
        while sock.recv(65536):
            pass
        return True
    except BlockingIOError:
        return False
    except OSError:
        return True
    finally:
        sock.settimeout(PATIENCE)


def test_idle_crowd_is_cheap(ground, crowd):
    """2,000 connections that had an answer each, half of them behind TLS."""
    before = ground.memory()
    made = crowd(1500, head_of("GET", "/", HOST))
    for sock in made:
        assert sock.recv(4096).startswith(b"HTTP/1.1 200")
    sessions = []
    for _ in range(500):
        session = Session(ground.raw(HTTPS), HOST)
        sessions.append(session)
        made.append(session.sock)
        assert session.connect()
    is_served_all_through(ground)
    assert ground.memory() - before < 96 * MIB
    assert ground.gauge("connections_active") >= 2000


def test_pipelines_that_nobody_reads(ground, crowd):
    """200 clients send requests without end and read nothing."""
    before = ground.memory()
    made = crowd(200, b"", receive_buffer=4096)
    flood = head_of("GET", "/pipelined", HOST) * 400
    for sock in made:
        sock.setblocking(False)
    for _ in range(20):
        for sock in made:
            with contextlib.suppress(BlockingIOError, ConnectionError):
                sock.send(flood)
    is_served_all_through(ground)
    assert ground.memory() - before < 128 * MIB


def test_bytes_behind_a_small_body(ground, crowd):
    """A short chunked body with as much behind it as fits, while the endpoint takes its time."""
    ground.judged.script = lambda exchange: time.sleep(1) or exchange.send(OK) or False
    before = ground.memory()
    made = crowd(300, head_of("POST", "/slow", HOST, {"Transfer-Encoding": "chunked"}))
    for sock in made:
        sock.setblocking(False)
        with contextlib.suppress(BlockingIOError, ConnectionError):
            sock.send(b"1\r\na\r\n0\r\n\r\n" + head_of("GET", "/next", HOST) * 8000)
    is_served_all_through(ground)
    assert ground.memory() - before < 160 * MIB


def test_connections_that_come_and_go(ground):
    """2,000 that say nothing, half a line, or a request, and leave; some by reset."""
    before = ground.descriptors()
    for number in range(2000):
        sock = ground.raw()
        ground.send_quietly(sock, (b"", b"GET", head_of("GET", "/gone", SECOND))[number % 3])
        if number % 2:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
        if number % 200 == 0:
            assert ground.is_polite_served(HOST)
    ground.assert_quiet()
    ground.assert_descriptors(before)


def test_early_close_of_endpoint_connections(ground):
    """Clients that leave while their request is at every stage, from an endpoint that does the same."""
    ground.judged.script = lambda exchange: time.sleep(0.02) or exchange.send(OK[:20]) or False
    for number in range(100):
        sock = ground.raw()
        ground.send_quietly(sock, head_of("GET", "/leave", HOST))
        time.sleep(0.0005 * (number % 10))
        sock.close()
    ground.assert_quiet()
    assert ground.is_polite_served()


def test_one_client_pipelines_for_ever(ground):
    """A neighbour on the same worker still gets its turn."""
    sock = ground.raw()
    sock.setblocking(False)
    flood = head_of("GET", "/flood", HOST) * 200
    for _ in range(100):
        with contextlib.suppress(BlockingIOError, ConnectionError):
            sock.send(flood)
        with contextlib.suppress(BlockingIOError, ConnectionError):
            sock.recv(1 << 20)
        assert ground.is_polite_served(HOST)
    sock.close()
    ground.assert_quiet()


def test_refused_request_behind_a_large_upload(ground, raw):
    """A client that is refused and goes on sending gets its answer, and an end."""
    sock = raw()
    sock.settimeout(PATIENCE)
    ground.send_quietly(sock, head_of("POST", "/bad line", HOST, {"Content-Length": 10 * MIB}) + b"x" * (8 * MIB))
    data, _ = until_close(sock)
    assert data == b"" or data.startswith(b"HTTP/1.1 400")
    ground.assert_quiet()
