# SPDX-License-Identifier: Apache-2.0
"""TLS listeners and those who do not mean it: nothing crashes, nothing stays, others are served."""
import contextlib
import os
import socket
import ssl
import struct
import time

import pytest

from ground import HOST, HTTPS, SECOND, until_close
from http1 import head_of, tls_context
from lowtls import Session

PORT = HTTPS


def hello(name=HOST, alpn=(b"http/1.1",), extra=b"", versions=b"\x03\x04\x03\x03"):
    """A ClientHello as a whole record."""
    def extension(number, data):
        return struct.pack("!HH", number, len(data)) + data

    if isinstance(name, str):
        name = name.encode("latin-1")
    extensions = b""
    if name is not None:
        extensions += extension(0, struct.pack("!HBH", len(name) + 3, 0, len(name)) + name)
    if alpn is not None:
        listed = b"".join(bytes([len(p)]) + p for p in alpn)
        extensions += extension(16, struct.pack("!H", len(listed)) + listed)
    extensions += extension(43, bytes([len(versions)]) + versions) + extension(10, b"\x00\x02\x00\x1d")
    extensions += extension(13, b"\x00\x04\x04\x03\x08\x04") + extension(51, b"\x00\x24\x00\x1d\x00\x20" + bytes(range(1, 33)))
    extensions += extra
    body = b"\x03\x03" + os.urandom(32) + b"\x20" + os.urandom(32) + b"\x00\x04\x13\x01\xc0\x2b" + b"\x01\x00"
    body += struct.pack("!H", len(extensions)) + extensions
    message = b"\x01" + struct.pack("!I", len(body))[1:] + body
    records = [message[at:at + 16384] for at in range(0, len(message), 16384)]
    return b"".join(b"\x16\x03\x01" + struct.pack("!H", len(r)) + r for r in records)


def extension(number, size):
    return struct.pack("!HH", number, size) + b"\x00" * size


GOOD = hello()
GARBAGE = [
    ("http", b"GET / HTTP/1.1\r\nHost: judged.test\r\n\r\n"), ("nuls", b"\x00" * 600), ("ones", b"\xff" * 600), ("ssh", b"SSH-2.0-x\r\n" + b"a" * 600),
    ("h2-preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00" * 60), ("sslv2", b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10" + b"\x01" * 40),
    ("alert-first", b"\x15\x03\x01\x00\x02\x02\x28" * 50), ("data-first", b"\x17\x03\x03\x00\x20" + b"a" * 32), ("ccs-first", b"\x14\x03\x03\x00\x01\x01" * 50),
    ("record-of-0", b"\x16\x03\x01\x00\x00" * 100), ("record-too-long", b"\x16\x03\x01\xff\xff" + b"\x01" * 1000), ("version-9", b"\x16\x09\x01" + GOOD[3:]),
    ("hello-length-lies-short", GOOD[:6] + b"\x00\x00\x10" + GOOD[9:]), ("hello-length-lies-long", GOOD[:6] + b"\xff\xff\xff" + GOOD[9:] + b"a" * 40000),
    ("session-id-too-long", GOOD[:43] + b"\xff" + GOOD[44:]), ("server-hello", GOOD[:5] + b"\x02" + GOOD[6:]), ("finished-first", GOOD[:5] + b"\x14" + GOOD[6:]),
    ("only-tls-1.1", hello(versions=b"\x03\x02")), ("only-unknown-version", hello(versions=b"\x7f\x1c")), ("alpn-h2-only", hello(alpn=(b"h2",))),
    ("alpn-junk-only", hello(alpn=(b"\xff\x00junk",))), ("alpn-empty-name", hello(alpn=(b"",))), ("alpn-empty-list", hello(alpn=())),
    ("name-twice", hello(extra=struct.pack("!HHHBH", 0, 6, 4, 0, 1) + b"a")), ("name-empty", hello("")), ("name-nul", hello("judged.test\x00.evil.test")),
    ("name-256", hello("a" * 256)), ("name-4000", hello("a" * 4000)), ("extension-cut", GOOD[:-4] + b"\xff\xff\xff\xff"),
    ("hello-64000", hello(extra=extension(21, 60000) + extension(0xfafa, 4000))), ("hello-200000", hello(extra=extension(21, 65000)) + b"\x16\x03\x01\x40\x00" + b"\x00" * 200000),
    ("hello-then-garbage", GOOD + b"\xff" * 2000), ("hello-twice", GOOD + GOOD), ("hello-then-plain", GOOD + head_of("GET", "/hidden", HOST)),
    ("hello-then-data", GOOD + b"\x17\x03\x03\x00\x40" + b"a" * 64), ("hello-then-empty-data", GOOD + b"\x17\x03\x03\x00\x00" * 200),
    ("hello-then-ccs-flood", GOOD + b"\x14\x03\x03\x00\x01\x01" * 5000), ("hello-then-alerts", GOOD + b"\x15\x03\x03\x00\x02\x01\x5a" * 5000),
]


@pytest.mark.parametrize("data", [g[1] for g in GARBAGE], ids=[g[0] for g in GARBAGE])
def test_garbage_ends(ground, raw, data):
    sock = raw(PORT)
    ground.send_quietly(sock, data)
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_WR)
    until_close(sock)
    assert ground.messages() == [], "nothing of it is a request"
    assert ground.is_polite_served()


def test_garbage_left_nothing(ground):
    ground.assert_quiet()


@pytest.mark.parametrize("name", ["JUDGED.TEST", "Judged.Test.", "judged.test.", "unknown.test", "127.0.0.1", "::1", "x" * 63 + ".test", "xn--a.test",
                                  "a" * 255, "..", "a..b", "-", "*.test", " judged.test", "judged.test:443", "judged_test"])
def test_odd_server_names(ground, name):
    """The name is a hint: whatever it says, the handshake ends in a request that is answered, or in an alert."""
    session = Session(ground.raw(PORT), name)
    with contextlib.closing(session):
        if not session.connect():
            return
        session.write(head_of("GET", "/named", SECOND))
        answer = session.read()
        assert answer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 421", b"HTTP/1.1 404")), answer[:60]


@pytest.mark.parametrize("alpn,wanted", [((), None), (("http/1.1",), "http/1.1"), (("h2", "http/1.1"), "http/1.1"),
                                         (("http/1.1", "h2"), "http/1.1"), (("a" * 255, "http/1.1"), "http/1.1"), (("http/1.0", "HTTP/1.1", "h2c"), "alert")])
def test_alpn(ground, alpn, wanted):
    sock = ground.raw(PORT)
    context = tls_context(alpn=alpn)
    if wanted == "alert":
        with pytest.raises(ssl.SSLError):
            context.wrap_socket(sock, server_hostname=HOST)
        sock.close()
        return
    with context.wrap_socket(sock, server_hostname=HOST) as tls:
        assert tls.selected_alpn_protocol() == wanted
        tls.sendall(head_of("GET", "/", HOST, {"Connection": "close"}))
        assert until_close(tls)[0].startswith(b"HTTP/1.1 200")


def test_plain_listener_gets_tls(ground, raw):
    sock = raw(80)
    ground.send_quietly(sock, GOOD)
    data, _ = until_close(sock)
    assert data.startswith(b"HTTP/1.1 400") and ground.messages() == []


@pytest.mark.parametrize("split", [1, 2, 7, 100])
def test_first_flight_in_pieces(ground, split):
    """Each piece a segment of its own, the last bytes of the handshake with the request in one."""
    session = Session(ground.raw(PORT), HOST, pieces=split)
    with contextlib.closing(session):
        assert session.connect()
        session.write(head_of("GET", "/pieces", HOST))
        assert session.read().startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def test_client_that_leaves_at_every_step(ground, version):
    """The bytes of a whole exchange, cut after each so many: nothing is left, nothing hidden is asked."""
    length = len(GOOD)
    for cut in [*range(0, length, max(1, length // 60)), length]:
        sock = ground.raw(PORT)
        ground.send_quietly(sock, hello(versions=b"\x03\x04" if version == ssl.TLSVersion.TLSv1_3 else b"\x03\x03")[:cut])
        if cut % 2:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
    for steps in range(1, 6):
        for is_reset in (False, True):
            session = Session(ground.raw(PORT), HOST, version=version)
            session.steps(steps)
            session.abandon(is_reset)
    assert ground.messages() == []
    ground.assert_quiet()


def test_truncated_record_is_no_request(ground):
    """A request whose record lacks its last bytes, then the end."""
    session = Session(ground.raw(PORT), HOST)
    with contextlib.closing(session):
        assert session.connect()
        session.write(head_of("GET", "/hidden", HOST), cut=5)
        session.sock.shutdown(socket.SHUT_WR)
        until_close(session.sock)
    assert ground.messages() == []


def test_flipped_bit_is_no_request(ground):
    session = Session(ground.raw(PORT), HOST)
    with contextlib.closing(session):
        assert session.connect()
        session.write(head_of("GET", "/hidden", HOST), flip=True)
        until_close(session.sock)
    assert ground.messages() == []


def test_end_without_close_notify_ends_no_body(ground):
    """A body whose end is cut off is not taken for whole."""
    session = Session(ground.raw(PORT), HOST)
    with contextlib.closing(session):
        assert session.connect()
        session.write(head_of("POST", "/cut", HOST, {"Content-Length": 10}) + b"01234")
        session.sock.shutdown(socket.SHUT_WR)
        until_close(session.sock)
    assert ground.messages() == []


def test_renegotiation_is_refused(ground):
    session = Session(ground.raw(PORT), HOST, version=ssl.TLSVersion.TLSv1_2)
    with contextlib.closing(session):
        assert session.connect()
        session.renegotiate()
        with contextlib.suppress(OSError):
            session.write(head_of("GET", "/after", HOST))
        data = session.read()
        assert data == b"" or data.startswith(b"HTTP/1.1 200"), "refused by an alert, or only warned"
    assert ground.is_polite_served()


def test_flood_of_renegotiations_ends(ground):
    session = Session(ground.raw(PORT), HOST, version=ssl.TLSVersion.TLSv1_2)
    with contextlib.closing(session):
        assert session.connect()
        refused = 0
        with contextlib.suppress(OSError):
            for refused in range(1000):
                if not session.renegotiate():
                    break
        assert refused < 999, "each one costs; at some point it is enough"


def test_flood_of_key_updates_ends(ground):
    """Each costs new keys at both ends: after at most 1,000 the connection does."""
    session = Session(ground.raw(PORT), HOST, version=ssl.TLSVersion.TLSv1_3)
    with contextlib.closing(session):
        assert session.connect()
        session.write(head_of("GET", "/before", HOST))
        assert session.read().startswith(b"HTTP/1.1 200")
        with contextlib.suppress(OSError):
            for _ in range(40):
                session.update_keys(100)
            session.write(head_of("GET", "/after", HOST))
            assert session.read() == b"", "4,000 updates, and still served"
    assert ground.is_polite_served()


def test_few_key_updates_are_fine(ground):
    session = Session(ground.raw(PORT), HOST, version=ssl.TLSVersion.TLSv1_3)
    with contextlib.closing(session):
        assert session.connect()
        for number in range(20):
            session.update_keys(1)
            session.write(head_of("GET", f"/update-{number}", HOST))
            assert session.read().startswith(b"HTTP/1.1 200")


def test_key_updates_of_one_do_not_stop_others(ground):
    """Thousands in one go, on connections to every worker: a polite client is served meanwhile."""
    floods = []
    for _ in range(4):
        session = Session(ground.raw(PORT), HOST, version=ssl.TLSVersion.TLSv1_3)
        assert session.connect()
        floods.append((session, session.prepare_updates(8000)))
    for session, data in floods:
        with contextlib.suppress(OSError):
            session.sock.settimeout(0.05)
            session.sock.sendall(data)
    assert ground.is_polite_served()
    for session, _ in floods:
        session.close()


def test_many_early_ends_leak_nothing(ground):
    before = ground.descriptors()
    for number in range(300):
        sock = ground.raw(PORT)
        ground.send_quietly(sock, GOOD[:number * 3 % len(GOOD)] if number % 3 else GOOD)
        sock.close()
    ground.assert_quiet()
    ground.assert_descriptors(before)
