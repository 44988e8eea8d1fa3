# SPDX-License-Identifier: Apache-2.0
"""Everything a test needs in one place: a world with endpoints, a directory of manifests, a sluice."""
import itertools
import os

from http1 import Connection, tls_context
from manifests import Authority, Backends, Directory, ingress, ingress_class, rule
from modes import MODES, USUAL
from product import Sluice
from world import CONTROL_PORT, NODE4, World, poll

HTTP, HTTPS = 80, 443
_marks = itertools.count(1)


class Site:
    """Made by the fixtures in conftest.py; `xdp` is a name of modes.py, `options` go to `sluice run`."""

    def __init__(self, xdp=None, options=(), profile="conformance", start=True):
        self.mode = MODES[xdp] if xdp else USUAL
        self.xdp = self.mode.xdp
        self.world = World(self.mode.wires)
        if self.mode.name == "foreign":
            self.world.attach_foreign()
        self.world.start_endpoints("--control", str(CONTROL_PORT))
        self.backends = Backends()
        self.authority = Authority(os.path.join(self.world.dir, "keys"))
        self.manifests = Directory(os.path.join(self.world.dir, "manifests"))
        self.manifests.write("00-class.yaml", ingress_class(profile=profile))
        self.sluice = self.make_sluice(*options)
        self.group = None
        if start:
            self.sluice.start()

    def make_sluice(self, *options, **more):
        options = ("--workers", "2", *options)
        if more.get("command") != "proxy":
            options += self.mode.options
        if "--access-log" not in options:
            options += ("--access-log", "off")
        return Sluice(self.world, "--manifests", self.manifests.path, *options, xdp=self.xdp, without=self.mode.without, **more)

    def close(self):
        self.world.close()

    # ---- configuration ---------------------------------------------------------------------

    def apply(self, name, *objects):
        """Writes the objects as one file and returns when they are in force on every worker."""
        self.manifests.write(name, *objects)
        self.settle()

    def remove(self, name):
        self.manifests.remove(name)
        self.settle()

    def settle(self):
        """Returns when all that was written so far is in force: a host written after it answers."""
        number = next(_marks)
        host = f"mark-{number}.test"
        self.manifests.write("zz-mark.yaml", ingress("mark", rule(host, ("/", "Prefix", "mark"))),
                             self.backends.make("mark"))
        poll(f"{host} served", lambda: self._is_marked(host))
        poll("one generation on every worker", self._is_even)

    def _is_marked(self, host):
        reply = self.get(host)
        return reply.status == 200 and self.backends.answered(reply) == "mark"

    def _is_even(self):
        """Every worker serves the newest generation."""
        status = self.sluice.json("status")
        return all(w["generation"] == status["generation"] for w in status["workers"])

    def use(self, group):
        """Puts a named group of objects in force, in place of the one before."""
        name, objects = group
        if self.group != name:
            self.apply("group.yaml", objects(self))
            self.group = name

    # ---- traffic ---------------------------------------------------------------------------

    def connect(self, scheme="http", name=None, address=NODE4, ca=None, **options):
        """A connection; over https `name` is the SNI, and `ca` verifies the certificate."""
        if scheme == "http":
            return Connection(self.world.client, address, HTTP, **options)
        return Connection(self.world.client, address, HTTPS, tls=options.pop("tls", None) or
                          tls_context(ca), server_name=name, **options)

    def get(self, host, target="/", scheme="http", method="GET", headers=(), body=None, **options):
        """One request on a connection of its own."""
        with self.connect(scheme, host, **options) as connection:
            return connection.get(host, target, method, headers, body)

    def saw(self, text):
        return self.world.endpoints_saw(text)
