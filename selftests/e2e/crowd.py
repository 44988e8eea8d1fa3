# SPDX-License-Identifier: Apache-2.0
"""Many clients and many frames: what src/crowd.c and src/flood.c do, and what the kernel and sluice count meanwhile.

    crowd = Crowd(site, connections=10000, at_once=64).run()      crowd.answers, crowd.failed, crowd.handshakes
    with Crowd(site, until_eof=True, ...) as crowd: ...           goes on until the block ends

Counters are read as `sluicectl` and the admin address give them; `Change` is what was added between two looks.
"""
import json
import os
import re
import subprocess

from http1 import Connection
from manifests import ingress, rule
from product import ADMIN
from world import BUILD, CLIENT4, CLIENT6, NODE4, NODE6, end, poll, run

DOMAIN, HOSTS = "crowd.test", 100
SPOOFED4, SPOOFED6 = "198.18.0.0", "fd77:ffff::"


def many_hosts(site):
    """100 hosts: more than the few that every worker owns."""
    return [site.backends.make("crowd", count=4)] + [
        ingress(f"crowd-{n}", rule(f"host-{n}.{DOMAIN}", ("/", "Prefix", "crowd"))) for n in range(HOSTS)]


def add_sources(site, count=8):
    """More addresses of the client, of both families."""
    numbers = range(10, 10 + count)
    site.world.client.ip(*(f"addr add 10.77.1.{n}/24 dev eth0" for n in numbers),
                         *(f"addr add fd77:1::{n}/64 dev eth0 nodad" for n in numbers))
    return {4: [f"10.77.1.{n}" for n in numbers], 6: [f"fd77:1::{n}" for n in numbers]}


class Crowd:
    def __init__(self, site, family=4, sources=None, connections=0, at_once=64, requests=1, until_eof=False,
                 closes_first=False):
        sources = sources or [CLIENT4 if family == 4 else CLIENT6]
        command = [os.path.join(BUILD, "e2e", "crowd"), "--to", NODE4 if family == 4 else NODE6,
                   "--sources", ",".join(sources), "--domain", DOMAIN, "--hosts", str(HOSTS),
                   "--connections", str(connections), "--at-once", str(at_once), "--requests", str(requests)]
        if until_eof:
            command.append("--until-eof")
        if closes_first:
            command.append("--closes-first")
        self.process = site.world.client.popen(*command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        site.world.on_close(end, self.process, 1)

    def run(self):
        """Waits until it has done all that it was told, or with until_eof what it has begun."""
        said, _ = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, f"crowd exited {self.process.returncode}"
        result = json.loads(said.splitlines()[-1])
        self.connections, self.answers = result["connections"], result["answers"]
        self.failed = {kind: count for kind, count in result["failed"].items() if count}
        self.worst_ms, self.handshakes = result["worst_ms"], result["handshakes"]
        return self

    def __enter__(self):
        assert self.process.stdout.readline() == "going\n"
        return self

    def __exit__(self, kind, *_):
        if kind:
            end(self.process, 1)
        else:
            self.run()


def mac_of(space, interface):
    return json.loads(run("ip", "-n", space.name, "-j", "link", "show", "dev", interface))[0]["address"]


def route_spoofed(site):
    """What answers a spoofed frame goes back the way it came; the client throws it away."""
    site.world.client.sysctl(ipv4__ip_forward=0, ipv6__conf__all__forwarding=0)
    site.world.node.ip(f"route add {SPOOFED4}/15 via {CLIENT4}", f"route add {SPOOFED6}/32 via {CLIENT6}")


def flood(site, kind, frames, family=4, source=None):
    """Sends the frames; says how many were sent and how many SYN-ACKs came back."""
    source = source or (SPOOFED4 if family == 4 else SPOOFED6)
    return json.loads(site.world.client.run(
        os.path.join(BUILD, "e2e", "flood"), "--interface", "eth0", "--kind", kind, "--frames", str(frames),
        "--to", NODE4 if family == 4 else NODE6, "--from", source,
        "--local-mac", mac_of(site.world.client, "eth0"), "--remote-mac", mac_of(site.world.node, "clients"), timeout=60))


# ---- what is counted -------------------------------------------------------------------------

def totals(site):
    """Every total of /metrics, the prefix and suffix of its name left out: `answer_syn`, `connections_accepted`."""
    with Connection(site.world.node, *ADMIN) as connection:
        text = connection.get("admin", "/metrics").body.decode()
    return {name: int(value) for name, value in
            re.findall(r"^sluice_(?:datapath_)?(\w+)_total (\d+)$", text, re.M)}


def tcp_counters(space):
    """The kernel's own counters of TCP in a namespace (/proc/net/snmp)."""
    with space.entered(), open("/proc/thread-self/net/snmp", encoding="ascii") as file:
        names, values = [line.split()[1:] for line in file if line.startswith("Tcp:")]
    return dict(zip(names, map(int, values)))


class Change:
    """What was added to counters since this was made: change["answer_syn"]."""

    def __init__(self, read, *arguments):
        self._read = lambda: read(*arguments)
        self.before = self._read()
        self.after = None

    def end(self):
        self.after = self._read()
        return self

    def __getitem__(self, name):
        return self.after[name] - self.before[name]

    def shown(self, *but):
        """All that changed, for a message."""
        return ", ".join(f"{name} {self[name]}" for name in self.after if self[name] and name not in but)


def map_entries(site):
    return {one["map"]: one["entries"] for one in site.sluice.json("maps")["maps"] if one["entries"] is not None}


def resident_kib(site):
    """Memory of all processes of sluice."""
    total = 0
    for pid in site.sluice.processes():
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            total += int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1))
    return total


def half_open(site):
    """Sockets of the node that have seen a SYN and no more, but for those of addresses that the client has."""
    rows = site.world.node.run("ss", "-tanH", "state", "syn-recv").splitlines()
    return sum(not row.split()[3].startswith(("10.77.1.", "[fd77:1:")) for row in rows)


def settle_connections(site):
    """Returns when no client's connection is open any more at the node's workers."""
    def none_active():
        with Connection(site.world.node, *ADMIN) as connection:
            text = connection.get("admin", "/metrics").body.decode()
        return re.search(r"^sluice_connections_active 0$", text, re.M)
    poll("the last connection closed", none_active, 20)
