# SPDX-License-Identifier: Apache-2.0
"""Floods of what nobody wants, while 200 clients go on. Early dispatch lets none of it cost a socket, an entry in a
map or memory; beside it, for comparison and not judged, what the kernel alone makes of the same frames.

veth loses frames when the machine is busy, and so do clients' (they send again): nothing here depends on how many
of the flood arrive, as long as some do."""
import collections
import os
import threading

import pytest

from crowd import (Change, Crowd, add_sources, flood, half_open, many_hosts, map_entries, resident_kib, route_spoofed,
                   settle_connections, totals)
from site_of_test import Site

pytestmark = pytest.mark.mode("early")

FRAMES, CLIENTS = 100000, 200
LONG = bool(os.environ.get("E2E_LONG"))  # all floods are as large as that of SYNs, and more are compared
ENOUGH = 1000  # of the frames arrived
DENIED, REFUSED = "198.19.0.0", "198.17.0.0"  # of each, the last two bytes count on
PROTECTED = ("--denylist", "198.19.0.0/16", "--allow-sources", "http=10.77.1.0/24,198.18.0.0/15,fd77::/16",
             "--unknown-hosts", "drop")
GROWTH_KIB = 4096  # of agent and proxy together, at the most, whatever the flood

# kind: of src/flood.c; counter: where each frame that arrives is counted.
Flood = collections.namedtuple("Flood", "name kind counter source family", defaults=(None, 4))

FLOODS = [
    Flood("SYNs", "syn", "answer_syn"),
    Flood("SYNs over IPv6", "syn", "answer_syn", family=6),
    Flood("ACKs of nothing", "ack", "pass_no_payload"),
    Flood("handshakes without a word", "silent", "absorb_ack"),
    Flood("connections to unknown hosts", "hello", "drop_host_unknown"),
    Flood("denied sources", "syn", "drop_denied", DENIED),
    Flood("sources not allowed", "syn", "drop_not_allowed", REFUSED),
    Flood("impossible flags", "malformed", "drop_malformed"),
]


class HalfOpen:
    """The most sockets that were half open at a time, looked at again and again."""

    def __init__(self, site):
        self.site, self.most = site, 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join()

    def _watch(self):
        while not self._ended.wait(0.05):
            self.most = max(self.most, half_open(self.site))


class Besieged:
    """A site with clients, warmed up: every pool and cache is as large as it gets."""

    def __init__(self, site):
        self.site = site
        site.apply("crowd.json", many_hosts(site))
        route_spoofed(site)
        self.sources = add_sources(site)[4]
        self.clients(connections=4 * CLIENTS).run()
        settle_connections(site)

    def clients(self, **more):
        return Crowd(self.site, 4, self.sources, at_once=CLIENTS, requests=3, closes_first=True, **more)


class Ordeal:
    """One flood: what the clients saw, and what it left behind."""

    def __init__(self, besieged, of):
        site = besieged.site
        frames = FRAMES if LONG or of is FLOODS[0] else FRAMES // 5
        entries, resident = map_entries(site), resident_kib(site)
        self.counted = Change(totals, site)
        with HalfOpen(site) as watch, besieged.clients(until_eof=True) as self.crowd:
            self.sent = flood(site, of.kind, frames, of.family, of.source)
        if site.mode.name != "off":  # there what was begun in vain stays for its timeouts
            settle_connections(site)
        self.counted.end()
        self.half_open = watch.most
        self.left_half_open = half_open(site)
        self.growth_kib = resident_kib(site) - resident
        now = map_entries(site)
        self.new_entries = {name: now[name] - entries[name] for name in now if now[name] > entries[name]}

    def __str__(self):
        return (f"{self.crowd.answers} requests on {self.crowd.connections} connections, {sum(self.crowd.failed.values())} "
                f"failed, longest {self.crowd.worst_ms} ms; {self.half_open} half-open sockets; {self.growth_kib} KiB more")


def show(capsys, text):
    with capsys.disabled():
        print("\n    " + text, end=" ", flush=True)


def verdicts(change, name):
    """How many frames of the flood got its verdict: the crowd's own are counted by what it did."""
    own = {"answer_syn": change["connections_accepted"], "absorb_ack": change["connections_accepted"]}
    return change[name] - own.get(name, 0)


@pytest.fixture(scope="module")
def besieged():
    site = Site(xdp="early", options=PROTECTED)
    yield Besieged(site)
    site.close()


@pytest.mark.parametrize("of", FLOODS, ids=[f.name.replace(" ", "-") for f in FLOODS])
def test_flood_costs_nothing_and_two_hundred_clients_go_on(besieged, capsys, of):
    ordeal = Ordeal(besieged, of)
    show(capsys, f"{ordeal.sent['sent']} {of.name}: {verdicts(ordeal.counted, of.counter)} counted as {of.counter}; {ordeal}")
    counted, crowd = ordeal.counted, ordeal.crowd
    assert not crowd.failed and crowd.answers == 3 * crowd.connections and crowd.connections >= CLIENTS
    assert verdicts(counted, of.counter) > ENOUGH, counted.shown()
    # The only sockets and entries are those of the clients.
    assert ordeal.half_open == ordeal.left_half_open == 0
    assert counted["flow_created"] <= counted["connections_accepted"] == crowd.connections
    allowed = {"flows": crowd.connections, "host_stats": 1,  # of all unknown hosts together
               "listeners": 8}  # they follow addresses, of which IPv6 finds some later
    assert all(count <= allowed.get(name, 0) for name, count in ordeal.new_entries.items()), ordeal.new_entries
    assert ordeal.growth_kib < GROWTH_KIB
    for none in ("admit_failed", "flow_refused", "drop_flow_refused"):
        assert counted[none] == 0, f"{none}: {counted.shown()}"


def test_the_same_floods_without_the_datapath(start_site, capsys):
    """For comparison."""
    for of in FLOODS if LONG else FLOODS[:1]:
        if of.source:
            continue  # lists hold without XDP as well: see test_protection.py
        ordeal = Ordeal(Besieged(start_site(xdp="off")), of)
        show(capsys, f"XDP off, {ordeal.sent['sent']} {of.name}: {ordeal}")
        assert ordeal.crowd.answers > 0
