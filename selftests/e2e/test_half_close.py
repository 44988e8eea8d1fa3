# SPDX-License-Identifier: Apache-2.0
"""A client that has said all it has to say may close its direction and still gets its answer (RFC 9112 9.6); one that
is gone holds nothing as soon as its end can be known: at once by a reset, by the first bytes of the answer otherwise."""
import re
import socket
import struct

import pytest

from http1 import Connection, head_of
from manifests import ingress, rule
from product import ADMIN
from world import poll

HOST = "half.test"


def group(site):
    return [site.backends.make("echo"), site.authority.secret("half-tls", HOST),
            ingress("half", rule(HOST, ("/", "Prefix", "echo")), tls=[("half-tls", HOST)])]


@pytest.fixture
def running(any_site):
    any_site.use(("half-close", group))
    return any_site


def close_direction(connection):
    """FIN, below TLS: Python's own shutdown would forget the session."""
    beside = socket.socket(fileno=socket.dup(connection.sock.fileno()))
    beside.shutdown(socket.SHUT_WR)
    beside.close()


def gauge(site, name):
    with Connection(site.world.node, *ADMIN) as connection:
        text = connection.get("admin", "/metrics").body.decode()
    return int(re.search(rf"^sluice_{name} (\d+)$", text, re.M).group(1))


@pytest.mark.parametrize("request_of", [head_of("GET", "/?delay=0.3&bytes=300000", HOST),
                                        head_of("POST", "/?delay=0.3&bytes=300000", HOST, {"Content-Length": 5}) + b"bytes",
                                        head_of("GET", "/?delay=0.1&bytes=7", HOST) + head_of("GET", "/?bytes=300000", HOST)],
                         ids=["GET", "POST", "two-at-once"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_half_close_gets_its_answer(running, scheme, request_of):
    with running.connect(scheme, HOST) as connection:
        connection.send(request_of)
        close_direction(connection)
        if request_of.count(b"GET") == 2:
            assert len(connection.reply().body) == 7
        reply = connection.reply()
        assert reply.status == 200 and len(reply.body) == 300000
        assert connection.is_closed(), "nothing more can come, so the other side closes, too"
    poll("nothing is held", lambda: gauge(running, "streams_active") == 0)


@pytest.mark.parametrize("first", [False, True], ids=["at-once", "after-half-close"])
def test_reset_ends_what_was_asked_for(running, first):
    """While the endpoint takes its time, which is longer than this test has."""
    with running.connect() as connection:
        connection.send(head_of("GET", "/?delay=300", HOST))
        poll("the request at its endpoint", lambda: gauge(running, "streams_active") == 1)
        if first:
            close_direction(connection)
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    poll("nothing is held", lambda: gauge(running, "streams_active") == 0)
    poll("no connection either", lambda: gauge(running, "connections_active") == 0)


def test_client_that_is_gone_is_known_by_the_first_bytes_of_its_answer(running):
    """It closed both directions, of which nobody hears but of the first. Half of the answer comes, and then long nothing."""
    with running.connect() as connection:
        connection.send(head_of("GET", "/?delay=0.3&bytes=200000&stall=300", HOST))
        poll("the request at its endpoint", lambda: gauge(running, "streams_active") == 1)
    poll("nothing is held", lambda: gauge(running, "streams_active") == 0)
