# SPDX-License-Identifier: Apache-2.0
"""Early dispatch, from outside: where connections are born, and what their handshakes negotiate."""
import json
import socket
import struct

import pytest

from crowd import HOSTS, Change, Crowd, add_sources, many_hosts, settle_connections, tcp_counters, totals
from http1 import head_of, tls_context
from manifests import ingress, rule
from world import NODE4, NODE6, poll, run

pytestmark = pytest.mark.mode("early")

CONNECTIONS = 10000
PLAIN_PORT = 8099  # a listener of the kernel's own, beside sluice


def show(capsys, text):
    with capsys.disabled():
        print("\n    " + text, end=" ", flush=True)


@pytest.fixture
def early(start_site):
    site = start_site(xdp="early", options=("--hot-host-load", "off"))
    site.apply("crowd.json", many_hosts(site))
    site.world.serve_queues_like_a_card()
    assert {host["spread"] for host in hosts_in_kernel(site).values()} == {1}
    return site


def dump(site, name):
    return [entry["formatted"] for entry in json.loads(run("bpftool", "-j", "map", "dump", "pinned", site.sluice.map_path(name)))]


def hosts_in_kernel(site):
    """Host id → the workers that own it, for the crowd's hosts."""
    return {entry["value"]["host_id"]: {"first": entry["value"]["worker_first"], "spread": entry["value"]["worker_spread"]}
            for entry in dump(site, "hosts") if entry["value"]["name"].endswith(".crowd.test")}


def flows_in_kernel(site):
    return {json.dumps(entry["key"]): entry["value"] for entry in dump(site, "flows")}


def check_owners(site, before, wanted):
    """Each connection since then stands in `flows` with a worker that owns its host."""
    hosts = hosts_in_kernel(site)
    flows = [flow for key, flow in flows_in_kernel(site).items() if key not in before]
    strangers = [flow for flow in flows if flow["worker"] != hosts[flow["host_id"]]["first"] % 2]
    assert not strangers, strangers[:3]
    assert len(flows) == wanted
    assert {flow["host_id"] for flow in flows} == set(hosts), "every host was asked for"
    assert len({flow["worker"] for flow in flows}) == 2, "hosts are spread over both workers"


def test_ten_thousand_connections_are_born_where_their_host_lives(early, capsys):
    """To 100 hosts from eight sources, of each family. A frame that veth loses comes again, so counts of packets
    have no upper bound; counts of connections are exact. Clients close first: else one might use a port again that
    the node has in TIME_WAIT, and the SYN would be the kernel's to answer."""
    sources = add_sources(early)
    for family in (4, 6):
        counted, node, client = (Change(totals, early), Change(tcp_counters, early.world.node),
                                 Change(tcp_counters, early.world.client))
        before = set(flows_in_kernel(early))
        crowd = Crowd(early, family, sources[family], connections=CONNECTIONS, closes_first=True).run()
        settle_connections(early)
        counted.end(), node.end(), client.end()
        show(capsys, f"IPv{family}: {crowd.answers} of {crowd.connections} connections to {HOSTS} hosts answered; "
             f"{counted['admit_socket']} sockets made from first payloads, {counted['connections_handed_off']} hand-offs, "
             f"{node['OutRsts'] + client['OutRsts']} resets")
        assert (crowd.answers, crowd.failed) == (CONNECTIONS, {})
        # Each was answered by XDP, made from its first payload, and accepted by a worker that kept it.
        assert counted["connections_accepted"] == CONNECTIONS
        assert counted["connections_handed_off"] == 0, counted.shown()
        assert counted["flow_created"] == CONNECTIONS
        for at_least in ("answer_syn", "host_exact", "early_first", "admit_socket", "select_local"):
            assert counted[at_least] >= CONNECTIONS, f"{at_least}: {counted.shown()}"
        for none in ("select_other", "select_kernel", "admit_failed", "early_no_host", "pass_syn_plain", "pass_syn_known", "pass_flow_ended",
                     "pass_no_worker", "pass_checksum", "steer_failed", "flow_refused", "drop_flow_refused"):
            assert counted[none] == 0, f"{none}: {counted.shown()}"
        assert counted["steer_redirect"] > 0, "some came in on a CPU that is not their worker's"
        # Nobody reset anything, but for what was sent a second time when the first had closed the connection.
        for none in ("EstabResets", "AttemptFails"):
            assert node[none] == client[none] == 0, f"{node.shown()}; {client.shown()}"
        assert node["OutRsts"] + client["OutRsts"] <= node["RetransSegs"] + client["RetransSegs"]
        check_owners(early, before, CONNECTIONS)
        assert len(crowd.handshakes) == 1, crowd.handshakes
        assert crowd.handshakes[0]["options"] & 7 == 7, "timestamps, SACK and window scale"


def test_requests_are_counted_once_when_they_are_handed_off(start_site):
    """Without XDP half of all connections are accepted by a worker that does not own their host."""
    site = start_site(xdp="off")
    site.apply("crowd.json", many_hosts(site))
    counted = Change(totals, site)
    crowd = Crowd(site, connections=400, requests=3).run()
    settle_connections(site)
    counted.end()
    assert (crowd.answers, crowd.failed) == (1200, {})
    assert counted["connections_accepted"] == 400 and counted["connections_handed_off"] > 0
    assert counted["requests"] == counted["responses_2xx"] == 1200


# ---- what is negotiated ------------------------------------------------------------------------

TCP_INFO_BYTES = 104


def negotiated(sock):
    """What the client's kernel agreed on (struct tcp_info): options, both window scales, both sizes of segments."""
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO_BYTES)
    sizes = struct.unpack_from("=24I", info, 8)
    return {"options": info[5], "snd_wscale": info[6] & 15, "rcv_wscale": info[6] >> 4,
            "snd_mss": sizes[2], "advmss": sizes[14]}


def server_side(site, port, peer_port):
    """The words of `ss` about the other end: what does not change with what was sent."""
    rows = site.world.node.run("ss", "-tinH", "state", "established", f"sport = :{port}", "and", f"dport = :{peer_port}")
    words = rows.splitlines()[-1].split()
    return {word for word in words if word in ("ts", "sack", "ecn") or word.startswith(("wscale:", "advmss:", "rcvmss:", "pmtu:"))}


@pytest.mark.parametrize("address", [NODE4, NODE6])
def test_handshake_is_the_kernels_own(early, address):
    """Beside sluice a plain listener of the same node: both ends of both connections agreed on the same."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    plain = early.world.node.socket(family)
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    plain.bind((address, PLAIN_PORT))
    plain.listen(8)
    before = Change(totals, early)
    seen = []
    for port in (80, PLAIN_PORT):
        with early.world.client.socket(family) as sock:
            sock.settimeout(10)
            sock.connect((address, port))
            sock.sendall(head_of("GET", "/?bytes=100&delay=0.2", "host-1.crowd.test"))
            own = sock.getsockname()[1]
            poll("the socket on the other side", lambda p=port, o=own: early.world.node.run(
                "ss", "-tnH", "state", "established", f"sport = :{p}", "and", f"dport = :{o}"))
            seen.append((negotiated(sock), server_side(early, port, own)))
    plain.close()
    assert seen[0] == seen[1]
    assert seen[0][0]["options"] & 7 == 7 and seen[0][0]["snd_wscale"] and seen[0][0]["rcv_wscale"]
    assert before.end()["admit_socket"] >= 1


def test_tls_is_dispatched_by_its_server_name(early):
    """40 names over TLS: each ClientHello makes the socket on a worker that owns its name."""
    names = [f"host-{n}.crowd.test" for n in range(40)]
    early.apply("tls.json", early.authority.secret("crowd-tls", "*.crowd.test"),
                ingress("crowd-tls", rule(None, ("/none", "Exact", "crowd")), tls=[("crowd-tls", *names)]))
    counted = Change(totals, early)
    context = tls_context(early.authority.ca)
    for name in names:
        assert early.get(name, "/?bytes=10", scheme="https", tls=context).status == 200
    counted.end()
    assert counted["connections_accepted"] == counted["flow_created"] == len(names)
    assert counted["admit_socket"] >= len(names) and counted["early_no_host"] == 0
    assert counted["connections_handed_off"] == counted["select_other"] == counted["select_kernel"] == 0
