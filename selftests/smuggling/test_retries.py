# SPDX-License-Identifier: Apache-2.0
"""Endpoints that die under a request: what may have been acted upon is not sent again."""
import socket
import threading
import time

import pytest

from endpoint import OK, reset
from ground import HOST, PAIR
from http1 import head_of
from world import PATIENCE, poll, wait_sent

NOT_AGAIN = ("POST", "PATCH", "BREW")
AGAIN = ("GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE")
ENDINGS = ("close", "reset")


def warm(ground, connection):
    """A pooled connection to the endpoint."""
    assert connection.get(HOST, "/warm").status == 200


def dies(ground, ending, when=lambda number: True):
    """/die ends without an answer as often as `when` says of the number of its tries."""
    tries = []

    def script(exchange):
        if exchange.message.target == b"/warm":
            exchange.send(OK)
            return True
        tries.append(exchange.connection)
        if not when(len(tries)):
            exchange.send(OK if exchange.message.method != b"HEAD" else OK[:-2])
            return True
        if ending == "reset":
            exchange.reset()
        return False

    ground.judged.script = script
    return tries


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("pooled", [False, True], ids=["fresh", "pooled"])
@pytest.mark.parametrize("method", NOT_AGAIN)
@pytest.mark.parametrize("body", [b"", b"hello", b"x" * 300000], ids=["none", "short", "long"])
def test_what_may_have_acted_is_sent_once(ground, method, pooled, ending, body):
    tries = dies(ground, ending)
    with ground.connect() as connection:
        if pooled:
            warm(ground, connection)
        assert connection.get(HOST, "/die", method, body=body).status == 502
    assert len(tries) == 1
    assert len([m for m in ground.judged.heads() if m.target == b"/die"]) == 1


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("method", AGAIN)
def test_what_is_safe_is_sent_once_more(ground, method, ending):
    """Only where the connection was an old one, and might have been stale."""
    tries = dies(ground, ending, lambda number: number == 1)
    with ground.connect() as connection:
        warm(ground, connection)
        assert connection.get(HOST, "/die", method).status == 200
    assert len(tries) == 2 and tries[0] != tries[1]


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("method", AGAIN)
def test_and_not_for_ever(ground, method, ending):
    tries = dies(ground, ending)
    with ground.connect() as connection:
        warm(ground, connection)
        assert connection.get(HOST, "/die", method).status == 502
    assert len(tries) <= 2


@pytest.mark.parametrize("method", ["PUT", "DELETE", "GET"])
def test_a_body_is_sent_once(ground, method):
    """Idempotent, but its bytes went and are gone."""
    tries = dies(ground, "close")
    with ground.connect() as connection:
        warm(ground, connection)
        assert connection.get(HOST, "/die", method, body=b"hello").status == 502
    assert len(tries) == 1


def test_chunked_post_that_is_cut_is_sent_once(ground):
    ground.judged.on_head = lambda sock, message: reset(sock)
    with ground.connect() as connection:
        connection.send(head_of("POST", "/die", HOST, {"Transfer-Encoding": "chunked"}) + b"5\r\nhello\r\n")
        assert connection.reply("POST").status == 502
    assert len([m for m in ground.judged.heads() if m.target == b"/die"]) == 1


@pytest.mark.parametrize("begun", [b"H", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 103 Hints\r\n\r\n"], ids=["byte", "line", "hint"])
def test_nothing_is_sent_again_once_an_answer_began(ground, begun):
    tries = []

    def script(exchange):
        if exchange.message.target == b"/warm":
            exchange.send(OK)
            return True
        tries.append(exchange.connection)
        exchange.send(begun)
        return False

    ground.judged.script = script
    with ground.connect() as connection:
        warm(ground, connection)
        assert connection.get(HOST, "/die").status == 502
    assert len(tries) == 1


def test_posts_on_connections_that_went_stale(ground):
    """The endpoint closes what is idle: not one POST fails for it, and none comes twice."""
    ended = threading.Event()

    def script(exchange):
        exchange.send(OK)
        if exchange.message.target != b"/close":
            return True
        exchange.sock.shutdown(socket.SHUT_WR)
        wait_sent(exchange.sock)
        ended.set()
        return False

    ground.judged.script = script
    for number in range(30):
        with ground.connect() as connection:
            assert connection.get(HOST, "/close").status == 200
            # What crosses on the wire may have acted: only an end that is there counts.
            assert ended.wait(PATIENCE)
            ended.clear()
            assert connection.get(HOST, f"/post-{number}", "POST", body=b"once").status == 200
    targets = [m.target for m in ground.messages() if b"post" in m.target]
    assert len(targets) == len(set(targets)) == 30


def test_endpoint_that_resets_connections(ground):
    """One of two endpoints resets each connection at once: some requests may fail, none comes twice."""
    first, second = ground.endpoints["pair"]

    def slam(sock, _):
        reset(sock)
        return False

    first.on_accept = slam
    statuses = []
    for number in range(20):
        with ground.connect() as connection:
            statuses.append(connection.get(PAIR, f"/{number}", "POST", body=b"once").status)
    got = [m.target for m in [*first.heads(), *second.heads()]]
    assert len(got) == len(set(got))
    assert set(statuses) <= {200, 502} and statuses.count(200) == len(second.messages)


def test_client_that_goes_is_not_answered_by_others(ground):
    """Clients that leave while the endpoint works: its late answers go nowhere."""
    def slow(exchange):
        name = exchange.message.target[1:]
        if name.startswith(b"slow"):
            time.sleep(0.05)
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(name), name))
        return True

    ground.judged.script = slow
    for number in range(20):
        gone = ground.connect()
        gone.send(head_of("GET", f"/slow-{number}", HOST) * 2)
        poll("its request arrived", lambda n=number: any(m.target == b"/slow-%d" % n for m in ground.judged.messages))
        gone.close()
        with ground.connect() as connection:
            assert connection.get(HOST, f"/mine-{number}").body == b"mine-%d" % number
    ground.hang_up()


def test_half_closed_client(ground):
    """A client that closes its sending side: an answer or the end, and nothing stays behind."""
    with ground.connect() as connection:
        connection.send(head_of("GET", "/half", HOST))
        connection.sock.shutdown(socket.SHUT_WR)
        connection.rest()
    ground.assert_quiet()
