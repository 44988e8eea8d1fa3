# SPDX-License-Identifier: Apache-2.0
"""Listeners on many addresses and ports: one set of sockets for all of them, found by sk_lookup."""
import json
import random
import re

import pytest

import modes
from http1 import Connection, tls_context
from manifests import ingress, rule
from world import poll, run

HOST = "many.test"
PREFIXES = ("10.88.0.0/24", "fd77:88::/64")
PORTS = range(8000, 8064)
OPTIONS = ("--http", "10.88.0.0/24:80", "--http", "[fd77:88::]/64:80", "--https", "10.88.0.0/24:443",
           "--http", "10.77.1.1:8000-8063", "--http", "10.88.0.128/28:80")
HAVE_LOOKUP = [mode.name for mode in modes.ALL if not {"bpf", "sk_lookup"} & set(mode.without.split(","))]
IN_EACH_MODE = pytest.mark.parametrize("xdp", HAVE_LOOKUP)


def make_local(site):
    """The node takes all addresses of the prefixes for its own (AnyIP); the client sends them there."""
    for prefix, gateway in zip(PREFIXES, ("10.77.1.1", "fd77:1::1")):
        site.world.node.ip(f"route add local {prefix} dev lo")
        site.world.client.ip(f"route add {prefix} via {gateway}")


def start(start_site, xdp, options=OPTIONS):
    site = start_site(xdp=xdp, start=False)
    make_local(site)
    site.sluice = site.make_sluice(*options)
    # The marks that settle() waits for are asked on port 80 of the node, which nobody has here.
    site.sluice.start()
    site.manifests.write("many.yaml", site.backends.make("many"), site.authority.secret("many-tls", HOST),
                         ingress("many", rule(HOST, ("/", "Prefix", "many")), tls=[("many-tls", HOST)]))
    poll("the host served", lambda: status(site, "10.88.0.1", 80) == 200)
    return site


def status(site, address, port):
    tls = {"tls": tls_context(None), "server_name": HOST} if port == 443 else {}
    with Connection(site.world.client, address, port, **tls) as connection:
        reply = connection.get(HOST)
        return reply.status


def listening(site):
    return len(site.world.node.run("ss", "-tlnH").splitlines())


def total(site, name):
    text = site.sluice.json("status")
    assert text
    with Connection(site.world.node, "127.0.0.1", 9980) as connection:
        body = connection.get("admin", "/metrics").body.decode()
    return int(re.search(rf"^sluice_datapath_{name}_total (\d+)$", body, re.M).group(1))


@IN_EACH_MODE
def test_many_addresses_and_ports_are_served_by_one_set_of_sockets(start_site, xdp):
    site = start(start_site, xdp)
    dice = random.Random(7)
    for address in ("10.88.0.0", "10.88.0.17", "10.88.0.129", "10.88.0.255", *(f"10.88.0.{dice.randrange(256)}" for _ in range(20))):
        assert status(site, address, 80) == 200
        assert status(site, address, 443) == 200
    for number in (0, 1, 0xffff, *(dice.randrange(1 << 16) for _ in range(10))):
        assert status(site, f"fd77:88::{number:x}:1", 80) == 200
    for port in (PORTS[0], PORTS[-1], *dice.sample(PORTS, 10)):
        assert status(site, "10.77.1.1", port) == 200
    # Two workers, five listeners, and the admin address.
    assert listening(site) == 2 * 5 + 1
    assert total(site, "lookup_found") > 50 and total(site, "lookup_no_socket") == 0
    assert total(site, "select_local") + total(site, "select_other") > 0
    for address, port in (("10.77.1.1", 7999), ("10.77.1.1", 8064), ("10.77.1.1", 80), ("10.88.0.9", 8000)):
        with pytest.raises(ConnectionRefusedError):
            status(site, address, port)
    text = site.sluice.ctl("status")
    assert "10.88.0.0/24:443" in text and "[fd77:88::]/64:80" in text and "10.77.1.1:8000-8063" in text


def test_every_address_may_have_a_range_of_ports(start_site):
    site = start(start_site, "early", ("--http", "0.0.0.0:8000-8999", "--http", "10.88.0.0/24:80", "--https", "none"))
    for address, port in (("10.77.1.1", 8000), ("10.77.1.1", 8500), ("10.88.0.7", 8999)):
        assert status(site, address, port) == 200
    assert total(site, "answer_syn") > 0


def test_early_dispatch_is_for_what_is_local(start_site):
    """XDP answers for the whole prefix that the node takes for its own, as far as it does."""
    site = start(start_site, "early", ("--http", "10.88.0.0/16:80", "--https", "none"))
    before, plain = total(site, "answer_syn"), total(site, "pass_syn_plain")
    for last in range(20):
        assert status(site, f"10.88.0.{last}", 80) == 200
    assert total(site, "answer_syn") - before >= 20 and total(site, "pass_syn_plain") == plain
    assert total(site, "admit_socket") >= 20 and total(site, "admit_failed") == 0
    flags = {(entry["key"]["bits"], entry["value"]["listener"]["flags"]) for entry in formatted(site, "ranges")}
    assert {(32 + 96 + 16, "LISTENER_FLAG_RANGE"), (32 + 96 + 24, "LISTENER_FLAG_RANGE_AND_EARLY_DISPATCH")} <= flags, "the listener's, and what is local of it"


def formatted(site, name):
    entries = json.loads(run("bpftool", "-j", "map", "dump", "pinned", site.sluice.map_path(name)))
    return [entry["formatted"] for entry in entries]


def test_a_range_that_would_take_from_others_is_refused(start_site):
    site = start_site(xdp="off", start=False)
    with site.world.node.socket() as other:
        other.bind(("10.77.1.1", 8123))
        other.listen()
        site.sluice = site.make_sluice("--http", "10.77.1.0/24:8000-8999")
        with pytest.raises(TimeoutError, match=r"cannot listen on '10.77.1.0/24:8000-8999' for http: "
                                               r"somebody listens on '10.77.1.1:8123' already"):
            site.sluice.start()


@pytest.mark.parametrize("without, said", [
    ("sk_lookup", "the kernel has no sk_lookup"), ("sockmap", "or no sockmap"), ("bpf", "the kernel has no BPF")])
def test_without_sk_lookup_the_start_fails_and_says_so(start_site, without, said):
    site = start_site(xdp="off", start=False)
    site.sluice = site.make_sluice("--http", "10.88.0.0/24:80")
    site.sluice.environment["SLUICE_WITHOUT"] = without
    with pytest.raises(TimeoutError, match=f"a listener on many addresses or ports needs BPF: .*{said}"):
        site.sluice.start()


def test_ranges_survive_the_agent_and_its_next_version(start_site):
    """No agent: the link is pinned. The next one takes the sockets, and puts its program into that link."""
    site = start_site(xdp="off", start=False)
    make_local(site)
    site.sluice = agent = site.make_sluice("--http", "10.88.0.0/24:80", "--https", "none", command="agent")
    proxy = type(agent)(site.world, command="proxy").start(ready=None)
    agent.start()
    site.manifests.write("many.yaml", site.backends.make("many"), ingress("many", rule(HOST, ("/", "Prefix", "many"))))
    poll("the host served", lambda: status(site, "10.88.0.1", 80) == 200)
    agent.process.kill()
    agent.process.wait(5)
    assert {status(site, f"10.88.0.{last}", 80) for last in range(10)} == {200}
    agent.start()
    assert {status(site, f"10.88.0.{last}", 80) for last in range(10)} == {200}
    assert proxy.process.poll() is None
