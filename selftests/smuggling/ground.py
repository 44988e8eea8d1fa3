# SPDX-License-Identifier: Apache-2.0
"""What all tests here stand on: a site whose endpoints are recorders, and questions about the proxy.

With SLUICE_UNCONFINED=1 agent and proxy are started as two, the proxy without its sandbox: for a
build with sanitizers, whose runtime needs system calls that the sandbox refuses.
"""
import contextlib
import os
import re
import signal
import socket
import ssl

from endpoint import PORT, Endpoint
from http1 import tls_context
from manifests import fresh_address, ingress, rule, service, slice_of
from product import ADMIN, Sluice
from site_of_test import HTTP, HTTPS, Site
from world import NODE4, PATIENCE, poll

HOST = "judged.test"
OTHER = "other.test"     # the same endpoint as HOST
SECOND = "second.test"   # an endpoint of its own
PAIR = "pair.test"       # two endpoints, of which a test may break one
UNCONFINED = bool(os.environ.get("SLUICE_UNCONFINED"))
SPREAD = 16              # hosts for the hand-off


class Ground(Site):
    def __init__(self):
        super().__init__(start=False)
        self.endpoints = {}
        objects = [self.make_backend("judged"), self.make_backend("second"), self.make_backend("deep"),
                   self.make_backend("pair", count=2)]
        hosts = [f"h{n}.spread.test" for n in range(SPREAD)]
        self.manifests.write(
            "10-ground.yaml", objects, self.authority.secret("ground-tls", HOST, OTHER, SECOND, *hosts),
            ingress("ground", rule(HOST, ("/", "Prefix", "judged"), ("/deep", "Prefix", "deep"),
                                   ("/deep/exact", "Exact", "second")),
                    rule(OTHER, ("/", "Prefix", "judged")), rule(SECOND, ("/", "Prefix", "second")),
                    rule(PAIR, ("/", "Prefix", "pair")),
                    *(rule(host, ("/", "Prefix", "judged")) for host in hosts),
                    tls=[("ground-tls", HOST, OTHER, SECOND, *hosts)]))
        self.spread = hosts
        if UNCONFINED:
            self._start_two()
        else:
            self.sluice.start()
        self.settle()
        self.proxy_pid = self._find_proxy()

    def make_sluice(self, *options, **more):
        self.access_log = os.path.join(self.world.dir, "access.log")
        return super().make_sluice("--access-log", self.access_log, *options, **more)

    def _start_two(self):
        more = self.sluice.arguments[self.sluice.arguments.index("--manifests"):]
        self.sluice = Sluice(self.world, *more, command="agent")
        self.sluice.start(ready=None)
        poll("the control socket", self._has_socket)
        self.proxy = Sluice(self.world, "--unconfined", command="proxy").start(ready=None)
        self.sluice.wait_for(r"\bready\b", 30)

    def _has_socket(self):
        return any(name.endswith((".sock", "control")) for name in os.listdir(self.sluice.run_dir)) \
            if os.path.isdir(self.sluice.run_dir) else False

    def make_backend(self, name, count=1):
        addresses = [fresh_address() for _ in range(count)]
        made = [Endpoint(self.world, address) for address in addresses]
        self.endpoints[name] = made[0] if count == 1 else made
        return [service(name), slice_of(name, addresses, (None, PORT))]

    def _find_proxy(self):
        of = self.proxy if UNCONFINED else self.sluice
        return next(pid for pid, words in of.processes().items() if "proxy" in words)

    # ---- the recorders -------------------------------------------------------------------------

    def all_endpoints(self):
        for item in self.endpoints.values():
            yield from item if isinstance(item, list) else [item]

    def reset(self):
        for endpoint in self.all_endpoints():
            endpoint.reset()

    def hang_up(self):
        """No endpoint keeps a request waiting any more, whose client may be gone. (Of a client that has
        closed, the proxy learns when it answers: it might have closed one direction only.)"""
        for endpoint in self.all_endpoints():
            endpoint.hang_up()
        self.assert_quiet()

    def complaints(self):
        return [c for endpoint in self.all_endpoints() for c in endpoint.complaints]

    def messages(self):
        return [m for endpoint in self.all_endpoints() for m in endpoint.messages]

    @property
    def judged(self):
        return self.endpoints["judged"]

    # ---- the proxy -----------------------------------------------------------------------------

    def assert_alive(self):
        assert os.path.exists(f"/proc/{self.proxy_pid}"), "the proxy has died:\n" + "\n".join(
            (self.proxy if UNCONFINED else self.sluice).log[-60:])

    def stop_proxy(self):
        """Every thread of it stands still, outside of the kernel, when this returns."""
        os.kill(self.proxy_pid, signal.SIGSTOP)
        poll("the proxy stopped", lambda: set(self._states()) == {"T"}, every=0.001)

    def continue_proxy(self):
        os.kill(self.proxy_pid, signal.SIGCONT)

    def _states(self):
        tasks = f"/proc/{self.proxy_pid}/task"
        for task in os.listdir(tasks):
            with open(f"{tasks}/{task}/stat", encoding="ascii") as file:
                yield file.read().rpartition(")")[2].split()[0]

    def metrics(self):
        with self.world.node.socket() as sock:
            sock.settimeout(PATIENCE)
            sock.connect(ADMIN)
            sock.sendall(b"GET /metrics HTTP/1.0\r\nHost: admin\r\n\r\n")
            text = b""
            while data := sock.recv(65536):
                text += data
        return {name: float(value) for name, value in
                re.findall(r"^(sluice_\w+) ([0-9.e+]+)$", text.decode(), re.M)}

    def gauge(self, name):
        return self.metrics()["sluice_" + name]

    def descriptors(self):
        """But for those of connections to endpoints, which may wait for the next request."""
        return len(os.listdir(f"/proc/{self.proxy_pid}/fd")) - self.gauge("upstream_connections_active")

    def assert_descriptors(self, wanted):
        poll(f"{wanted} descriptors", lambda: self.descriptors() <= wanted, every=0.05)

    def memory(self, what="VmRSS"):
        with open(f"/proc/{self.proxy_pid}/status", encoding="ascii") as file:
            return int(re.search(what + r":\s+(\d+)", file.read()).group(1)) * 1024

    def assert_quiet(self, seconds=PATIENCE):
        """Every connection, stream and tunnel is over as the proxy counts them."""
        names = ("connections_active", "streams_active", "tunnels_active")
        poll("all gauges at 0", lambda: self._levels(names) == [0, 0, 0], seconds, 0.1)

    def _levels(self, names):
        found = self.metrics()
        return [found["sluice_" + name] for name in names]

    # ---- clients -------------------------------------------------------------------------------

    def raw(self, port=HTTP, timeout=PATIENCE, receive_buffer=None):
        sock = self.world.client.socket()
        sock.settimeout(timeout)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.connect((NODE4, port))
        return sock

    def open(self, port, name=HOST):
        """A plain connection, or one with TLS behind its handshake."""
        sock = self.raw(port)
        if port != HTTPS:
            return sock
        return tls_context().wrap_socket(sock, server_hostname=name)

    @staticmethod
    def send_quietly(sock, data):
        """All of it, unless the other side has had enough."""
        with contextlib.suppress(ConnectionResetError, BrokenPipeError, ssl.SSLError):
            sock.sendall(data)

    def is_polite_served(self, host=SECOND):
        """A client that does all as it should, on a connection of its own, gets its answer."""
        with self.connect() as connection:
            return connection.get(host).status == 200


def until_close(sock, limit=1 << 22):
    """All bytes until the other side ends; (bytes, whether it ended by a reset)."""
    parts, total = [], 0
    with contextlib.suppress(ConnectionResetError, ssl.SSLError):
        while total < limit:
            data = sock.recv(65536)
            if not data:
                return b"".join(parts), False
            parts.append(data)
            total += len(data)
    return b"".join(parts), True
