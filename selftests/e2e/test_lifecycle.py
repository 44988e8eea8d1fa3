# SPDX-License-Identifier: Apache-2.0
"""The datapath while it is changed under a running sluice: peers that stop taking what XDP sends, programs
that are put in each other's place, taken away, or belong to somebody else. Clients go on meanwhile."""
import json
import os
import re
import signal
import subprocess

import pytest

from http1 import Connection, head_of
from load import Load
from manifests import ingress, rule
from product import ADMIN, SLUICE
from world import BUILD, poll, run

HOSTS = [f"life-{number}.test" for number in range(8)]
PAUSE = 0.004  # of each client: the machine is to be busy, not stuck


def served(site):
    site.apply("hosts.json", site.backends.many("blue"),
               *(ingress(host.split(".")[0], rule(host, ("/", "Prefix", "blue"))) for host in HOSTS))


def interface(site, name="clients"):
    return next(row for row in site.sluice.json("status")["interfaces"] if row["interface"] == name)


def metrics(site):
    with Connection(site.world.node, *ADMIN) as connection:
        return connection.get("admin", "/metrics").body.decode()


def total(site, name):
    """A counter of the datapath."""
    return int(re.search(rf"^sluice_datapath_{name}_total (\d+)$", metrics(site), re.M).group(1))


def set_peer_program(site, is_there):
    """The far end of the node's interface: without a program it throws away what XDP sends."""
    program = ("object", os.path.join(BUILD, "e2e", "xdp_pass.bpf.o"), "section", "xdp") if is_there else ("off",)
    run("ip", "-n", site.world.client.name, "link", "set", "dev", "eth0", "xdpdrv", *program)


def expect_early(site, is_early):
    poll(f"early dispatch {'on' if is_early else 'off'}",
         lambda: interface(site)["early"] == ("on" if is_early else "off"))


# ---- interfaces that swallow answers ---------------------------------------------------------------

@pytest.mark.parametrize("early", ["auto", "on"])
def test_peer_that_swallows_answers_is_found_out_at_start(start_site, early):
    site = start_site(xdp="early", start=False)
    set_peer_program(site, False)
    site.sluice = site.make_sluice("--early-dispatch", early)
    site.sluice.start()
    served(site)
    row = interface(site)
    assert row["xdp"] == "native" and row["early"] == "off" and "no native XDP program" in row["why"]
    assert total(site, "answer_syn") == 0
    assert 'sluice_interface_early_dispatch{interface="clients"} 0\n' in metrics(site)
    assert re.search(r"early_dispatch:clients +no +.*no native XDP program", site.sluice.ctl("features"))
    assert len([line for line in site.sluice.log if "no native XDP program" in line]) == 1, "said once"


def test_answering_follows_the_peer(start_site):
    site = start_site(xdp="early")
    served(site)
    expect_early(site, True)
    assert total(site, "answer_syn") > 0
    assert 'sluice_interface_early_dispatch{interface="clients"} 1\n' in metrics(site)
    with Load(site, HOSTS, pause=PAUSE) as load:
        load.wait_for(100)
        for _ in range(2):
            set_peer_program(site, False)
            expect_early(site, False)
            answered = total(site, "answer_syn")
            load.wait_for(100)
            assert total(site, "answer_syn") == answered
            set_peer_program(site, True)
            expect_early(site, True)
            load.wait_for(100)
            assert total(site, "answer_syn") > answered
    assert not load.failures, load.failures[:5]


def test_early_dispatch_can_be_turned_off(start_site):
    site = start_site(xdp="native")
    served(site)
    assert interface(site)["early"] == "off" and not interface(site)["why"]
    assert site.get(HOSTS[0]).status == 200
    assert total(site, "answer_syn") == 0


# ---- taken away, and put back ----------------------------------------------------------------------

def detach(site, *options):
    """`sluice detach` in the node's namespace: its exit code and what it printed."""
    done = subprocess.run(site.world.node.command(SLUICE, "detach", "--bpf-dir", site.sluice.bpf_dir, *options),
                          capture_output=True, text=True, timeout=30, check=False)
    assert not done.stderr, done.stderr
    return done.returncode, done.stdout


def xdp_program(site):
    link = json.loads(run("ip", "-n", site.world.node.name, "-j", "link", "show", "dev", "clients"))[0]
    return link.get("xdp", {}).get("prog", {}).get("id")


@pytest.mark.parametrize("xdp", ["off", "generic", "native", "early"])
def test_detach_beside_a_running_sluice_fails_nobody(start_site, xdp):
    site = start_site(xdp=xdp)
    served(site)
    mode = site.mode.xdp
    with Load(site, HOSTS, pause=PAUSE) as load:
        load.wait_for(200)
        code, said = detach(site)
        assert code == 0 and "pins of maps and programs" in said
        assert ("link_xdp_steer-clients" in said) == (mode != "off")
        assert ("link_tc_admit-clients" in said) == (xdp in ("generic", "early"))
        assert xdp_program(site) is None and not os.listdir(site.sluice.bpf_dir)
        if mode != "off":
            assert " warning " in site.sluice.wait_for("interface clients: XDP off: XDP was taken off while we ran")
            row = interface(site)
            assert (row["xdp"], row["early"]) == ("off", "off") and "taken off" in row["why"]
        load.wait_for(300)
        site.apply("more.yaml", ingress("more", rule("more.test", ("/", "Prefix", "blue"))))
        assert site.get("more.test").status == 200
        code, said = detach(site)
        assert code == 0 and said.startswith("nothing to take away")
        assert xdp_program(site) is None, "it comes back when it is told to, and not before"
        # The next version of sluice is told to.
        before = site.sluice.json("status")["agent_pid"]
        site.sluice.process.send_signal(signal.SIGUSR2)
        poll("another agent in charge", lambda: site.sluice.json("status")["agent_pid"] != before, 15)
        load.wait_for(200)
        if mode != "off":
            assert interface(site)["xdp"] == mode and xdp_program(site)
        assert total(site, "select_local") + total(site, "select_other") > 0, "sockets are in the new maps"
    assert not load.failures, load.failures[:5]


def test_detach_leaves_what_others_have(start_site):
    site = start_site(xdp="foreign")
    served(site)
    foreign = xdp_program(site)
    code, said = detach(site, "--grace", "0")
    assert code == 0 and "link_" not in said
    assert xdp_program(site) == foreign
    assert site.get(HOSTS[0]).status == 200


def test_detach_leaves_listeners_on_many_addresses_to_who_serves_them(start_site):
    site = start_site(xdp="off", start=False)
    site.world.node.ip("route add local 10.88.0.0/24 dev lo")
    site.world.client.ip("route add 10.88.0.0/24 via 10.77.1.1")
    site.sluice = site.make_sluice("--http", "0.0.0.0:80", "--http", "10.88.0.0/24:80")
    site.sluice.start()
    served(site)

    def status(address):
        with Connection(site.world.client, address, 80) as connection:
            return connection.get(HOSTS[0]).status

    assert status("10.88.0.9") == 200
    code, said = detach(site)
    assert code == 0 and "link_sk_lookup, which stays as long as the sluice that serves by it" in said
    assert {status(f"10.88.0.{last}") for last in range(10)} == {200}
    site.sluice.stop()
    links = json.loads(run("bpftool", "-j", "link", "list"))
    netns = os.stat(site.world.node.path).st_ino
    assert not [link for link in links if link.get("netns_ino") == netns]


def test_beside_a_foreign_program_sk_select_alone_serves_and_status_says_so(start_site):
    site = start_site(xdp="foreign")
    foreign = xdp_program(site)
    served(site)
    with Load(site, HOSTS, pause=PAUSE) as load:
        load.wait_for(200)
    assert not load.failures, load.failures[:5]
    row = interface(site)
    assert (row["xdp"], row["early"]) == ("off", "off")
    assert re.search(r"already carries XDP program '\w+' \(id \d+, native\), which is not displaced", row["why"])
    assert row["why"] in site.sluice.ctl("status")
    assert 'sluice_interface_xdp{interface="clients",mode="off"} 1' in metrics(site)
    assert total(site, "select_local") + total(site, "select_other") > 0
    assert total(site, "steer_redirect") == total(site, "flow_created") == total(site, "answer_syn") == 0
    assert xdp_program(site) == foreign


# ---- another set of workers ------------------------------------------------------------------------

def upgrade(site):
    before = site.sluice.json("status")["agent_pid"]
    site.sluice.process.send_signal(signal.SIGUSR2)
    poll("another agent in charge", lambda: site.sluice.json("status")["agent_pid"] != before, 15)


@pytest.mark.parametrize("xdp", ["off", "native", "early"])
def test_another_number_of_workers_moves_no_connection(start_site, xdp):
    """Upgrades to more workers and to fewer: connections that live stay where they are and finish there."""
    site = start_site(xdp=xdp, start=False)
    config = os.path.join(site.world.dir, "config.yaml")

    def set_workers(count):
        with open(config, "w", encoding="ascii") as file:
            file.write(f"workers: {count}\n")

    site.sluice = site.make_sluice("--config", config)
    at = site.sluice.arguments.index("--workers")
    del site.sluice.arguments[at:at + 2]
    set_workers(2)
    site.sluice.start()
    served(site)
    with Load(site, HOSTS, pause=PAUSE) as load, site.connect() as tunnel:
        open_tunnel(tunnel)
        load.wait_for(100)
        for number, count in enumerate((4, 1, 3, 2)):
            set_workers(count)
            upgrade(site)
            assert len(site.sluice.json("status")["workers"]) == count
            load.wait_for(100)
            text = b"message %d;" % number
            tunnel.send(text)
            assert tunnel.exactly(len(text)) == text
        if xdp != "off":
            assert interface(site)["early"] == ("on" if xdp == "early" else "off")
            assert total(site, "drop_flow_refused") == 0
    assert not load.failures, load.failures[:5]


def open_tunnel(connection):
    connection.send(head_of("GET", "/socket", HOSTS[0], {
        "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}))
    assert b" 101 " in connection.until(b"\r\n\r\n")


# ---- older kernels ---------------------------------------------------------------------------------

@pytest.mark.parametrize("without, xdp, early, why", [
    ("kfunc", "native", "off", "no early dispatch: the kernel has no bpf_sk_assign_tcp_reqsk"),
    ("tcx", "native", "off", "no early dispatch: interface 'clients' refuses tc_admit"),
    ("xdp_load_bytes", "native", "off", "no early dispatch: XDP cannot read a payload on this kernel"),
    ("cpumap", "native", "on", None),
    ("sk_reuseport", "native", "on", None),
    ("native_xdp", "generic", "on", "refuses native XDP"),
    ("native_xdp,generic_xdp", "off", "off", "refuses generic XDP"),
])
def test_what_is_missing_turns_off_what_needs_it_and_is_said(start_site, without, xdp, early, why):
    site = start_site(xdp="off", start=False)
    site.world.be_like_wires("native")
    site.sluice = site.make_sluice("--xdp", "auto")
    at = site.sluice.arguments.index("--xdp")
    del site.sluice.arguments[at:at + 2]
    site.sluice.environment["SLUICE_WITHOUT"] = without
    site.sluice.start()
    site.sluice.wait_for(f"taken to be missing .*: {without}")
    if why:
        site.sluice.wait_for(re.escape(why))
    served(site)
    row = interface(site)
    assert (row["xdp"], row["early"]) == (xdp, early)
    with Load(site, HOSTS, pause=PAUSE) as load:
        load.wait_for(100)
    assert not load.failures, load.failures[:5]
    assert (total(site, "answer_syn") > 0) == (early == "on")
    if without == "cpumap":
        assert total(site, "steer_redirect") == 0
    if without == "sk_reuseport":
        assert total(site, "select_local") == total(site, "select_other") == 0
