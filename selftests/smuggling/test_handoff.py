# SPDX-License-Identifier: Apache-2.0
"""Connections that land on one worker and belong to another: no byte is lost, none comes twice, nothing leaks."""
import contextlib
import socket
import struct
import threading

import pytest

from ground import HTTPS, SPREAD
from http1 import head_of
from lowtls import Session
from test_requests_judged import Strict
from world import wait_sent


@pytest.fixture
def named(ground):
    """Every endpoint says which request it answers."""
    def script(exchange):
        text = b"%b %b" % (exchange.message.one(b"host"), exchange.message.target)
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(text), text))
        return True

    ground.judged.script = script
    yield ground
    ground.assert_quiet()


def expect(client, host, target):
    reply = client.reply()
    assert (reply.status, reply.body) == (200, f"{host} {target}".encode())


def test_some_are_handed_off(named):
    before = named.metrics().get("sluice_connections_handed_off_total", 0)
    for _ in range(4):
        for host in named.spread:
            with named.connect() as connection:
                assert connection.get(host, "/").status == 200
    assert named.metrics()["sluice_connections_handed_off_total"] > before, "or these tests would test nothing"


@pytest.mark.parametrize("pipelined", [1, 2, 30, 400])
def test_pipelined_first_bytes(named, pipelined):
    """All requests in one piece: the first takes the others along. 400 of them are more than a hand-off carries."""
    for host in named.spread:
        sock = named.raw()
        with contextlib.closing(sock):
            sender = threading.Thread(target=named.send_quietly, args=(
                sock, b"".join(head_of("GET", f"/{n}", host) for n in range(pipelined))))
            sender.start()
            client = Strict(sock)
            for number in range(pipelined):
                expect(client, host, f"/{number}")
            sender.join()
    assert len(named.messages()) == pipelined * SPREAD


def test_pipelined_for_many_owners(named):
    """One connection, each request for the host of another worker."""
    for first in range(4):
        hosts = named.spread[first:] + named.spread[:first]
        sock = named.raw()
        with contextlib.closing(sock):
            sock.sendall(b"".join(head_of("GET", f"/{n}", host) for n, host in enumerate(hosts)))
            client = Strict(sock)
            for number, host in enumerate(hosts):
                expect(client, host, f"/{number}")


@pytest.mark.parametrize("cut", [1, 10, 40, "all-but-one"])
def test_head_in_two_pieces(named, cut):
    for host in named.spread:
        data = head_of("GET", "/cut", host)
        at = len(data) - 1 if cut == "all-but-one" else cut
        sock = named.raw()
        with contextlib.closing(sock):
            sock.sendall(data[:at])
            wait_sent(sock)
            sock.sendall(data[at:])
            expect(Strict(sock), host, "/cut")


def test_body_behind_the_head(named):
    for size in (0, 1, 5000, 20000, 300000):
        for host in named.spread[:6]:
            sock = named.raw()
            with contextlib.closing(sock):
                sock.sendall(head_of("POST", "/body", host, {"Content-Length": size}) + b"b" * size + head_of("GET", "/next", host))
                client = Strict(sock)
                expect(client, host, "/body")
                expect(client, host, "/next")
    assert {len(m.body) for m in named.messages()} == {0, 1, 5000, 20000, 300000}


@pytest.mark.parametrize("pieces", [1, 3, 64, None])
def test_first_flight_in_pieces(named, pieces):
    for host in named.spread[:4 if pieces == 1 else SPREAD]:
        session = Session(named.raw(HTTPS), host, pieces=pieces)
        with contextlib.closing(session):
            assert session.connect()
            session.write(head_of("GET", "/tls", host) + head_of("GET", "/tls-2", host))
            text = b""
            while text.count(b"/tls") < 2:
                data = session.read()
                assert data
                text += data
            assert f"{host} /tls-2".encode() in text


def test_clients_that_close_at_once(named):
    before = named.descriptors()
    for number in range(400):
        host = named.spread[number % SPREAD]
        sock = named.raw(HTTPS if number % 4 == 3 else 80)
        named.send_quietly(sock, head_of("GET", "/gone", host) if number % 4 != 3 else b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc")
        if number % 2:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
    named.assert_quiet()
    named.assert_descriptors(before)


def test_all_at_once(named):
    """Many clients for all hosts at the same time, each of which checks its own answers."""
    failures = []

    def one(number):
        try:
            for turn in range(10):
                host = named.spread[(number + turn) % SPREAD]
                with named.connect() as connection:
                    for step in range(3):
                        target = f"/{number}-{turn}-{step}"
                        assert connection.get(host, target).body == f"{host} {target}".encode()
        except Exception as error:  # told below
            failures.append(error)

    threads = [threading.Thread(target=one, args=(n,)) for n in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    targets = [(m.one(b"host"), m.target) for m in named.messages()]
    assert len(targets) == len(set(targets)) == 24 * 10 * 3
